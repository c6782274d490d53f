"""Windows into segments: where an action begins and ends, by two thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vidpc.types import F32, Segment, Window


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The labels of one model: a segment begins with ``on_score`` and goes on while there is ``off_score``."""

    model: str
    labels: tuple[str, ...]
    on_score: float
    off_score: float


@dataclass(slots=True)
class _Run:
    """A segment that may go on."""

    start_s: Fraction
    end_s: Fraction
    total: float = 0.0
    windows: int = 0


class ActionSegments:
    """The segments of one video: ``add`` every window in order, then ``end``.

    Each window answers for the times that are nearer to its middle than to its neighbours', the first and the last to the ends
    of the video: segments of one label never overlap. Where a neighbour is further away than a hop and than a window (windows
    were left out in a gap), each answers for its own span alone, and no segment crosses.

    A segment of a label begins with a window whose score is at least ``on_score`` and goes on while windows have ``off_score``.
    """

    def __init__(self, models: Sequence[Thresholds], *, reach_s: Fraction) -> None:
        """``reach_s``: neighbours whose middles lie further apart have a gap between them."""
        self._models, self._reach_s = models, reach_s
        self._runs: dict[tuple[int, int], _Run] = {}  # by model and label
        self._done: list[Segment] = []
        self._waiting: Window | None = None  # answers until its successor is known
        self._from_s = Fraction(0)

    def add(self, window: Window) -> None:
        """The next window."""
        before, self._waiting = self._waiting, window
        if before is None:
            self._from_s = window.start_s
            return
        middle_s, next_s = (before.start_s + before.end_s) / 2, (window.start_s + window.end_s) / 2
        if next_s - middle_s > self._reach_s:
            self._answer(before, before.end_s)
            self._from_s = window.start_s
            self._finish(list(self._runs))
        else:
            self._answer(before, (middle_s + next_s) / 2)

    def end(self, end_s: Fraction) -> tuple[Segment, ...]:
        """All segments by their start, the surer one first; ``end_s`` is the end of the video."""
        if self._waiting is not None:
            self._answer(self._waiting, max(end_s, self._waiting.end_s))
        self._finish(list(self._runs))
        return tuple(sorted(self._done, key=lambda segment: (segment.start_s, -segment.score)))

    def _answer(self, window: Window, until_s: Fraction) -> None:
        for number, (model, scores) in enumerate(zip(self._models, window.scores, strict=True)):
            self._extend(number, model, scores, until_s)
        self._from_s = until_s

    def _extend(self, number: int, model: Thresholds, scores: F32, until_s: Fraction) -> None:
        self._finish([key for key in self._runs if key[0] == number and scores[key[1]] < model.off_score])
        going_on = {label for owner, label in self._runs if owner == number}
        for label in going_on.union(np.flatnonzero(scores >= model.on_score).tolist()):
            run = self._runs.setdefault((number, label), _Run(self._from_s, until_s))
            run.end_s, run.total, run.windows = until_s, run.total + float(scores[label]), run.windows + 1

    def _finish(self, keys: Sequence[tuple[int, int]]) -> None:
        for key in keys:
            run, model = self._runs.pop(key), self._models[key[0]]
            label = model.labels[key[1]]
            self._done.append(Segment(model.model, label, run.start_s, run.end_s, run.total / run.windows))
