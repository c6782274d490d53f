"""Clips whose pictures a paper's test names by their numbers."""

from collections.abc import Callable
from fractions import Fraction

from vidpc.ops import clip
from vidpc.stream.windows import Shown, Span
from vidpc.types import ClipPlan, Frame

Picture = clip.Pixels  # [views crop crop 3]


class Clips:
    """The clips of a ``ClipPlan`` over the frames that it names: ``add`` every frame in order, then ``end``."""

    left_out = 0

    def __init__(self, plan: ClipPlan, prepare: Callable[[Frame], Picture]) -> None:
        self._plan, self._prepare = plan, prepare
        self._kept: dict[int, tuple[Shown[Picture], Fraction]] = {}
        self._given = 0
        self.end_s = Fraction(0)

    def add(self, frame: Frame) -> list[Span[Picture]]:
        """The clips of which this is the last frame."""
        self._kept[frame.index] = Shown(frame.index, self._prepare(frame)), frame.time_s
        self.end_s = frame.time_s + self._plan.interval_s
        spans = []
        while self._given < len(self._plan.clips) and self._plan.clips[self._given][-1] <= frame.index:
            indices = self._plan.clips[self._given]
            begin_s, last_s = self._kept[indices[0]][1], self._kept[indices[-1]][1]
            shown = tuple(self._kept[index][0] for index in indices)
            spans.append(Span(self._given, begin_s, last_s + self._plan.interval_s, shown))
            self._given += 1
        needed = min((clip[0] for clip in self._plan.clips[self._given :]), default=frame.index + 1)
        self._kept = {index: kept for index, kept in self._kept.items() if index >= needed}
        return spans

    def end(self) -> list[Span[Picture]]:
        """Nothing: every clip was given with its last frame."""
        return []
