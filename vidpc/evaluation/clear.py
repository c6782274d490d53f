"""CLEAR MOT (Bernardin and Stiefelhagen 2008), counted as TrackEval counts it.

A pair that was matched in the frame before stays matched while it overlaps enough; the rest is matched by overlap. Where
equal choices exist py-motmetrics may resolve one differently and then counts a switch more or less.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vidpc.evaluation.tracks import MATCH_IOU, Comparison, FrameOverlap
from vidpc.types import F64, I64

_EPS = float(np.finfo(np.float64).eps)
_KEPT_PAIR = 1000.0  # outweighs any overlap
_MOSTLY_TRACKED, _MOSTLY_LOST = 0.8, 0.2  # shares of an object's frames: above, below
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class ClearMot:
    """Counts of one or of several sequences; add two to join them."""

    matches: int = 0
    false_positives: int = 0
    misses: int = 0
    switches: int = 0
    fragmentations: int = 0
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0
    iou_sum: float = 0.0

    def __add__(self, other: "ClearMot") -> "ClearMot":
        return ClearMot(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / boxes; below 0 where the errors outnumber the boxes."""
        errors = self.misses + self.false_positives + self.switches
        return 1 - errors / max(1, self.matches + self.misses)

    @property
    def motp(self) -> float:
        """Mean IoU of the matches (py-motmetrics prints 1 minus this)."""
        return self.iou_sum / max(1, self.matches)

    @property
    def recall(self) -> float:
        """Share of the labelled boxes that were found."""
        return self.matches / max(1, self.matches + self.misses)

    @property
    def precision(self) -> float:
        """Share of the predicted boxes that are right."""
        return self.matches / max(1, self.matches + self.false_positives)


def clear_mot(comparison: Comparison) -> ClearMot:
    """The CLEAR counts of one sequence."""
    objects = len(comparison.truth_lengths)
    last = np.full(objects, _NOBODY)  # the track that matched an object last
    before = np.full(objects, _NOBODY)  # the same, in the frame before only
    found = np.zeros(objects, dtype=np.int64)
    pieces = np.zeros(objects, dtype=np.int64)
    switches, iou_sum = 0, 0.0
    for frame in comparison.frames:
        if frame.iou.size == 0:  # as the reference: a frame without boxes on one side ends no pair
            continue
        rows, columns = _match(frame, before)
        truths, tracks = frame.truths[rows], frame.tracks[columns]
        switches += int(((last[truths] != _NOBODY) & (last[truths] != tracks)).sum())
        iou_sum += float(frame.iou[rows, columns].sum())
        found[truths] += 1
        pieces[truths] += before[truths] == _NOBODY
        last[truths] = tracks
        before[:] = _NOBODY
        before[truths] = tracks
    return _count(comparison, found, pieces, switches, iou_sum)


def _match(frame: FrameOverlap, before: I64) -> tuple[I64, I64]:
    score = _KEPT_PAIR * (frame.tracks[None] == before[frame.truths][:, None]) + frame.iou
    score[frame.iou < MATCH_IOU - _EPS] = 0
    rows, columns = linear_sum_assignment(-score)
    real = score[rows, columns] > _EPS
    return rows[real], columns[real]


def _count(comparison: Comparison, found: I64, pieces: I64, switches: int, iou_sum: float) -> ClearMot:
    matches = int(found.sum())
    share: F64 = found / comparison.truth_lengths
    tracked = int((share > _MOSTLY_TRACKED).sum())
    lost = int((share < _MOSTLY_LOST).sum())
    return ClearMot(
        matches=matches,
        false_positives=int(comparison.track_lengths.sum()) - matches,
        misses=int(comparison.truth_lengths.sum()) - matches,
        switches=switches,
        fragmentations=int((pieces[pieces > 0] - 1).sum()),
        mostly_tracked=tracked,
        partly_tracked=len(found) - tracked - lost,
        mostly_lost=lost,
        iou_sum=iou_sum,
    )
