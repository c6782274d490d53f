"""Overall accuracy, mean class accuracy and mean IoU of labelled points, from one confusion matrix.

As the authors of Point Transformer count: accuracy and IoU of a class are I / (T + 1e-10) and I / (U + 1e-10), and their means
run over all classes, a class that is nowhere counting as 0. Beside them stand the means over the classes that the truth has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidpc.errors import PointCloudError
from vidpc.types import F64, I64

_LEAST = 1e-10  # keeps an empty class from dividing by zero
_CELL_BITS = 21  # of a voxel's place along one axis
_HALF = 1 << (_CELL_BITS - 1)
IGNORED = -1


@dataclass(frozen=True, slots=True)
class SegmentScores:
    """``confusion`` i64[k k+1]: points by true class (rows) and found class (columns; the last one: no known class)."""

    names: tuple[str, ...]
    confusion: I64

    def __add__(self, other: "SegmentScores") -> "SegmentScores":
        return SegmentScores(self.names, self.confusion + other.confusion)

    @property
    def points(self) -> int:
        """How many points were judged."""
        return int(self.confusion.sum())

    @property
    def truths(self) -> I64:
        """Points of every class, i64[k]."""
        return np.asarray(self.confusion.sum(axis=1), np.int64)

    @property
    def hits(self) -> I64:
        """Points of every class that were found as such, i64[k]."""
        return np.asarray(np.diagonal(self.confusion), np.int64)

    @property
    def unions(self) -> I64:
        """Points that are of a class or were found to be, i64[k]."""
        return self.truths + np.asarray(self.confusion[:, :-1].sum(axis=0), np.int64) - self.hits

    @property
    def accuracies(self) -> F64:
        """Of every class the share that was found, f64[k]."""
        return np.asarray(self.hits / (self.truths + _LEAST), np.float64)

    @property
    def ious(self) -> F64:
        """Of every class what was found over what could be, f64[k]."""
        return np.asarray(self.hits / (self.unions + _LEAST), np.float64)

    def figures(self) -> dict[str, Any]:
        """The means. ``present`` are those over the classes of which the truth has points."""
        present = self.truths > 0
        return {
            "points": self.points,
            "OA": float(self.hits.sum() / (self.points + _LEAST)),
            "mAcc": _mean(self.accuracies),
            "mIoU": _mean(self.ious),
            "mAcc_present": _mean(self.accuracies[present]),
            "mIoU_present": _mean(self.ious[present]),
            "classes_present": int(present.sum()),
        }


def no_scores(names: Sequence[str]) -> SegmentScores:
    """Scores before the first point."""
    return SegmentScores(tuple(names), np.zeros((len(names), len(names) + 1), np.int64))


def score_points(truth: I64, found: I64, names: Sequence[str]) -> SegmentScores:
    """Scores of points with labels i64[n] into ``names``.

    A true label outside them (such as ``IGNORED``) leaves its point out; a found one is a miss.
    """
    k = len(names)
    judged = (truth >= 0) & (truth < k)
    columns = np.where((found >= 0) & (found < k), found, k)[judged]
    cells = np.bincount(truth[judged] * (k + 1) + columns, minlength=k * (k + 1))
    return SegmentScores(tuple(names), np.asarray(cells.reshape(k, k + 1), np.int64))


def renamed(labels: I64, classes: Mapping[int, int]) -> I64:
    """Labels of a file as labels into names, i64[n]; ``IGNORED`` where ``classes`` has none for them."""
    values, place = np.unique(labels, return_inverse=True)
    return np.array([classes.get(value, IGNORED) for value in values.tolist()], np.int64)[place]


class Grid:
    """Which points are the first of their cube, over all runs of a scan; memory grows with the cubes, 8 bytes each."""

    def __init__(self, size_m: float) -> None:
        self._size_m = size_m
        self._seen = np.empty(0, np.int64)
        self._corner: I64 | None = None

    def first(self, xyz: F64) -> I64:
        """The places i64[m] in this run of the points that are the first in their cube, floor(xyz / size)."""
        finite = np.flatnonzero(np.isfinite(xyz).all(axis=1))
        keys, places = np.unique(self._keys(xyz[finite]), return_index=True)
        at = np.searchsorted(self._seen, keys)
        fresh = np.append(self._seen, -1)[at] != keys
        self._seen = np.sort(np.concatenate([self._seen, keys[fresh]]), kind="stable")
        return np.sort(finite[places[fresh]])

    def _keys(self, xyz: F64) -> I64:
        cells = np.floor(xyz / self._size_m)
        if self._corner is None and len(cells):
            self._corner = cells[0].astype(np.int64) - _HALF
        cells = cells - (0 if self._corner is None else self._corner)
        if (cells < 0).any() or (cells >= 1 << _CELL_BITS).any():
            reach_m = _HALF * self._size_m
            raise PointCloudError(
                f"scoring on a grid of {self._size_m:g} m: points lie more than {reach_m:g} m apart; use a larger grid"
            )
        x, y, z = cells.astype(np.int64).T
        return np.asarray((x << 2 * _CELL_BITS) | (y << _CELL_BITS) | z, np.int64)


def _mean(values: F64) -> float:
    return float(values.mean()) if len(values) else 0.0
