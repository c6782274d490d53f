"""When the frames of a synthesized video are shown: at an even rate, or with every gap of the source divided alike.

All times are on the clock of the source; what makes a video slower is the writer's business.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Protocol

from vidpc.errors import PresetError
from vidpc.types import VideoInfo

_ROUNDING_S = Fraction(1, 1000)  # Matroska keeps milliseconds, so a frame may be told so far from where it is
_LEAST_PARTS = 8  # and never more than this part of a gap
_LONGEST_S = 60  # a frame that is shown longer than that is repeated no further: a damaged clock would fill the disk
_MOST_FACTOR, _MOST_EXTRAPOLATED = 1000, 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Which frames the user asks for: ``rate_fps`` of the output, or ``factor`` times as many in every gap.

    The output takes ``slow`` times as long; ``extrapolate`` frames follow the last one.
    """

    rate_fps: Fraction | None = None
    factor: int = 1
    slow: int = 1
    extrapolate: int = 0

    def __post_init__(self) -> None:
        for name, most in (("factor", _MOST_FACTOR), ("slow", _MOST_FACTOR)):
            if not 1 <= getattr(self, name) <= most:
                raise PresetError(f"{name} is {getattr(self, name)}, expected 1 to {most}")
        if not 0 <= self.extrapolate <= _MOST_EXTRAPOLATED:
            raise PresetError(f"extrapolate is {self.extrapolate}, expected 0 to {_MOST_EXTRAPOLATED}")
        if self.rate_fps is not None and self.factor != 1:
            raise PresetError("a rate and a factor exclude each other: give one of them")

    def times(self, info: VideoInfo) -> "Times":
        """The times for one video."""
        if self.rate_fps is None:
            return DividedTimes(self.factor)
        return EvenTimes(1 / (self.rate_fps * self.slow), rounding_s=min(info.time_base, _ROUNDING_S))


class Times(Protocol):
    """Asked for one gap of the source after the other, then once for the end."""

    def between(self, first_s: Fraction, second_s: Fraction) -> list[Fraction]:
        """The times from a frame's until that of the next one, the latter left out."""
        ...

    def last(self, last_s: Fraction, interval_s: Fraction) -> list[Fraction]:
        """The times from the last frame's until the end, an interval later."""
        ...

    def beyond(self, last_s: Fraction, interval_s: Fraction, count: int) -> list[Fraction]:
        """``count`` times after the last frame's, and before them those that fall on it; asked instead of ``last``."""
        ...

    def falls_on(self, time_s: Fraction, frame_s: Fraction, gap_s: Fraction) -> bool:
        """Whether a time is that of a frame, but for rounding."""
        ...


@dataclass(slots=True)
class EvenTimes:
    """Every ``step_s`` from the first frame on. A time that is no further than rounding from a frame's is taken for its own."""

    step_s: Fraction
    rounding_s: Fraction
    _origin_s: Fraction | None = None
    _count: int = 0

    def between(self, first_s: Fraction, second_s: Fraction) -> list[Fraction]:
        """The times from a frame's until that of the next one; of a very long gap, those of its beginning."""
        end_s = second_s - self._rounding(second_s - first_s)
        times = self._before(first_s, min(end_s, first_s + _LONGEST_S))
        self._count = max(self._count, ceil((end_s - self._start(first_s)) / self.step_s))
        return times

    def last(self, last_s: Fraction, interval_s: Fraction) -> list[Fraction]:
        """The times that fall on the last frame, and as many more as end nearest to its own end."""
        return self._on(last_s, interval_s) + self._before(last_s, last_s + interval_s - self.step_s / 2)

    def beyond(self, last_s: Fraction, interval_s: Fraction, count: int) -> list[Fraction]:
        """The times that fall on the last frame, and ``count`` more."""
        on_frame = self._on(last_s, interval_s)
        begin_s = self._start(last_s) + self._count * self.step_s
        self._count += count
        return on_frame + [begin_s + k * self.step_s for k in range(count)]

    def falls_on(self, time_s: Fraction, frame_s: Fraction, gap_s: Fraction) -> bool:
        """Whether a time is that of a frame, but for rounding."""
        return time_s < frame_s + self._rounding(gap_s)

    def _on(self, frame_s: Fraction, gap_s: Fraction) -> list[Fraction]:
        return self._before(frame_s, frame_s + self._rounding(gap_s))

    def _rounding(self, gap_s: Fraction) -> Fraction:
        return min(self.rounding_s, gap_s / _LEAST_PARTS)

    def _start(self, first_s: Fraction) -> Fraction:
        if self._origin_s is None:
            self._origin_s = first_s
        return self._origin_s

    def _before(self, first_s: Fraction, end_s: Fraction) -> list[Fraction]:
        """The times that were not given yet, up to and without ``end_s``."""
        times, start_s = [], self._start(first_s)
        while (time_s := start_s + self._count * self.step_s) < end_s:
            times.append(time_s)
            self._count += 1
        return times


@dataclass(frozen=True, slots=True)
class DividedTimes:
    """Every frame's own time, and ``factor - 1`` times between it and the next."""

    factor: int

    def between(self, first_s: Fraction, second_s: Fraction) -> list[Fraction]:
        """The gap divided into ``factor`` equal parts."""
        return [first_s + (second_s - first_s) * k / self.factor for k in range(self.factor)]

    def last(self, last_s: Fraction, interval_s: Fraction) -> list[Fraction]:
        """The last frame's interval divided as if another frame followed, so that the duration is kept."""
        return self.between(last_s, last_s + interval_s)

    def beyond(self, last_s: Fraction, interval_s: Fraction, count: int) -> list[Fraction]:
        """The last frame's time, and ``count`` more in the same steps."""
        return [last_s + interval_s * k / self.factor for k in range(count + 1)]

    def falls_on(self, time_s: Fraction, frame_s: Fraction, gap_s: Fraction) -> bool:
        """Whether a time is that of a frame."""
        return time_s == frame_s
