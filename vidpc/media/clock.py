"""From the time of a source to the time of what is made of it."""

from dataclasses import dataclass
from fractions import Fraction


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
