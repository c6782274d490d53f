"""From the time of a source to the time of what is made of it."""

import math
from dataclasses import dataclass
from fractions import Fraction

from vidpc.types import VideoInfo

_FINEST_TICK = 10_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Which part of a source is shown, and when: ``origin_s`` becomes zero, a second lasts ``1 / speed`` seconds."""

    start_s: Fraction | None = None
    end_s: Fraction | None = None
    origin_s: Fraction = Fraction(0)
    speed: Fraction = Fraction(1)

    def holds(self, time_s: Fraction) -> bool:
        """Whether a time of the source is shown."""
        return (self.start_s is None or time_s >= self.start_s) and (self.end_s is None or time_s < self.end_s)

    def placed(self, time_s: Fraction) -> Fraction:
        """A time of the source on the clock of the output."""
        return (time_s - self.origin_s) / self.speed


def tick_for(info: VideoInfo, speed: Fraction = Fraction(1)) -> Fraction:
    """A tick in which the source's times, and those of its rate, are whole numbers, as far as one can be had."""
    rate = (info.rate_fps or Fraction(1)).numerator
    own = info.time_base.denominator
    for denominators in ((own, rate), (own,), (rate,)):
        fine = math.lcm(*denominators, 90_000) * speed.numerator
        if fine <= _FINEST_TICK:
            return Fraction(1, fine)
    return Fraction(1, 90_000)
