"""What was seen when: of every window its best scores, for pictures that can be made only once all is known."""

from array import array
from bisect import bisect_left, bisect_right
from fractions import Fraction

import numpy as np

from vidpc.outputs.ranking import best_labels
from vidpc.types import F64, I64, ActionHeader, Window

KEPT = 16  # labels of a window and model; one that is not among them has a score below 1/16


class Timeline:
    """Takes the windows of one video in the order of their middles, and keeps about 130 bytes of each and model."""

    def __init__(self, header: ActionHeader) -> None:
        self.header = header
        self._kept = [min(KEPT, len(model.labels)) for model in header.models]
        self._starts, self._ends, self._middles = array("d"), array("d"), array("d")
        self._reach_s = 0.0  # the longest window: no farther is the middle of one that covers a time
        self._labels = [array("i") for _ in header.models]
        self._scores = [array("f") for _ in header.models]

    def __len__(self) -> int:
        return len(self._middles)

    def add(self, window: Window) -> None:
        """Keep what is best in a window."""
        middle = float((window.start_s + window.end_s) / 2)
        if self._middles and middle < self._middles[-1]:
            raise ValueError(f"window {window.number} lies before the one that came before it")
        self._starts.append(float(window.start_s))
        self._ends.append(float(window.end_s))
        self._middles.append(middle)
        self._reach_s = max(self._reach_s, float(window.end_s - window.start_s))
        for model, scores in enumerate(window.scores):
            best = best_labels(scores, self._kept[model])
            self._labels[model].extend(best.tolist())
            self._scores[model].extend(scores[best].tolist())

    @property
    def spans_s(self) -> F64:
        """Start and end of every window, f64[n 2]."""
        return np.stack([np.array(self._starts), np.array(self._ends)], axis=1)

    def at(self, time_s: Fraction) -> int | None:
        """The window that answers for a time: of those that cover it the one whose middle is nearest. None where none does.

        The last window also answers for up to half its length behind it: it need not reach the very end of a video.
        """
        time = float(time_s)
        reach = range(bisect_left(self._middles, time - self._reach_s), bisect_right(self._middles, time + self._reach_s))
        near = [number for number in reach if self._starts[number] <= time < self._ends[number]]
        if near:
            return min(near, key=lambda number: abs(self._middles[number] - time))
        is_rest = len(self) and self._ends[-1] <= time < self._ends[-1] + (self._ends[-1] - self._starts[-1]) / 2
        return len(self) - 1 if is_rest else None

    def best(self, window: int, model: int) -> tuple[int, float]:
        """The label that ``model`` is surest of in a window, and its score."""
        first = window * self._kept[model]
        return self._labels[model][first], self._scores[model][first]

    def peaks(self, model: int) -> F64:
        """The highest score of every label in any window, f64[labels]; 0 where it never was among the best."""
        peaks = np.zeros(len(self.header.models[model].labels))
        np.maximum.at(peaks, self._table(model)[0].ravel(), self._table(model)[1].ravel())
        return peaks

    def curve(self, model: int, label: int) -> F64:
        """The score of one label in every window, f64[n]; 0 where it is not among the best."""
        labels, scores = self._table(model)
        return np.asarray(np.where(labels == label, scores, 0.0).max(axis=1, initial=0.0), np.float64)

    def _table(self, model: int) -> tuple[I64, F64]:
        """Labels i64[n kept] and scores f64[n kept]."""
        shape = (len(self), self._kept[model])
        return np.array(self._labels[model], np.int64).reshape(shape), np.array(self._scores[model], np.float64).reshape(shape)
