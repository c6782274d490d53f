"""Times of frames: the container's own, repaired only where they are missing or run backwards."""

from dataclasses import dataclass, field
from fractions import Fraction

_FALLBACK_INTERVAL_S = Fraction(1, 25)
_JUMP_S = 1  # a step back by more starts a new clock, a smaller one is jitter
_ROUNDING_S = Fraction(3, 2000)  # Matroska and FLV keep milliseconds
_EVEN_FOR_EACH_GAP = 5
_NUDGE = 16  # a frame that would not advance is put this part of an interval after the one before


def plausible_interval(rate_fps: Fraction | None) -> Fraction | None:
    """The time between frames at a rate, None where the rate is missing or a tick rate rather than a frame rate."""
    return 1 / rate_fps if rate_fps and Fraction(1, 3600) <= rate_fps <= 1000 else None


@dataclass(slots=True)
class Timeline:
    """Makes presentation times strictly increasing, and counts what it had to repair.

    A missing time becomes the one before plus an interval. A time that does not advance is put just after the one before,
    and the container's clock holds again for the next frame that is later. A step back by more than a second (recordings
    joined end to end) moves the clock from there on, so that the frame follows an interval after the one before.
    """

    nominal_interval_s: Fraction | None
    missing: int = 0
    nudged: int = 0
    jumps: int = 0
    _even: int = 0
    _gaps: int = 0
    _gap_s: Fraction = field(default_factory=Fraction)
    _usual: Fraction | None = None
    _last: Fraction | None = None
    _step: Fraction | None = None
    _offset: Fraction = field(default_factory=Fraction)

    @property
    def interval_s(self) -> Fraction:
        """The usual time between frames: as claimed, else as last seen."""
        return self.nominal_interval_s or self._step or _FALLBACK_INTERVAL_S

    def place(self, time_s: Fraction | None) -> Fraction:
        """The time of the next frame in presentation order."""
        if time_s is None:
            self.missing += 1
            placed = Fraction(0) if self._last is None else self._last + self.interval_s
        else:
            placed = self._advance(time_s + self._offset)
        if self._last is not None:
            self._step = placed - self._last
            self._compare(self._step)
        self._last = placed
        return placed

    def _advance(self, time_s: Fraction) -> Fraction:
        last = self._last
        if last is None or time_s > last:
            return time_s
        if last - time_s > _JUMP_S:
            self.jumps += 1
            self._offset += last + self.interval_s - time_s
            return last + self.interval_s
        self.nudged += 1
        return last + self.interval_s / _NUDGE

    def _compare(self, step_s: Fraction) -> None:
        self._usual = self._usual or self.nominal_interval_s or step_s
        interval_s = self._usual
        if abs(step_s - interval_s) <= _ROUNDING_S:
            self._even += 1
        elif step_s > interval_s * 3 / 2:
            self._gaps += 1
            self._gap_s += step_s - interval_s

    def gaps(self) -> list[str]:
        """Gaps in an otherwise even rate: what is lost of a container without a count, or never was there."""
        if not self._gaps or self._even < _EVEN_FOR_EACH_GAP * self._gaps:
            return []
        return [f"gaps in an even rate: {self._gaps}, of {float(self._gap_s):.3f} s in all"]

    def warnings(self) -> list[str]:
        """What was repaired."""
        said = []
        if self.missing:
            said.append(f"frames without a time, placed by the usual interval: {self.missing}")
        if self.nudged:
            said.append(f"frames no later than the one before, moved just after it: {self.nudged}")
        if self.jumps:
            said.append(f"jumps of the clock back, after which times continue from the frame before: {self.jumps}")
        return said
