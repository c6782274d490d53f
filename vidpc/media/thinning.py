"""Which frames of a video are wanted: ``start_s``, ``end_s``, ``rate_fps`` and ``stride``, one frame after the other."""

import math
from fractions import Fraction

from vidpc.types import ReadOptions

# Matroska rounds times to milliseconds: without grace, 24 frames/s thinned to 12 would stumble.
_GRACE_S = Fraction(1, 1000)


class Thinning:
    """Decides frame by frame; holds no frames."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._seen = 0
        self._origin: Fraction | None = None
        self._slot = -1
        self._last_s: Fraction | None = None

    def is_past(self, time_s: Fraction) -> bool:
        """Whether no later frame can be wanted."""
        end_s = self._options.end_s
        return end_s is not None and time_s >= end_s

    def wants(self, time_s: Fraction) -> bool:
        """Whether the next frame, shown at this time, is kept."""
        self._last_s = time_s
        start_s = self._options.start_s
        if (start_s is not None and time_s < start_s) or self.is_past(time_s):
            return False
        position = self._seen
        self._seen += 1
        if self._options.rate_fps is None:
            return position % self._options.stride == 0
        return self._opens_slot(time_s, self._options.rate_fps)

    def warnings(self) -> list[str]:
        """That the asked span holds no frame, where it does not."""
        start_s, end_s = self._options.start_s, self._options.end_s
        if self._seen or (start_s is None and end_s is None):
            return []
        limits = (("from", start_s), ("before", end_s))
        span = " and ".join(f"{word} {float(time_s):g} s" for word, time_s in limits if time_s is not None)
        met = "" if self._last_s is None else f", the last one seen is at {float(self._last_s):.3f} s"
        return [f"no frame lies {span}{met}"]

    def _opens_slot(self, time_s: Fraction, rate_fps: Fraction) -> bool:
        """Time is cut into slots of 1/rate from the first frame on; the first frame of a slot is kept."""
        if self._origin is None:
            self._origin = time_s
        slot = math.floor((time_s - self._origin + _GRACE_S) * rate_fps)
        is_new = slot > self._slot
        self._slot = max(slot, self._slot)
        return is_new
