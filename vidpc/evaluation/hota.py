"""HOTA (Luiten et al. 2020), as TrackEval computes it: the mean over 19 overlap thresholds."""

from dataclasses import dataclass, field, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from vidpc.evaluation.tracks import Comparison
from vidpc.types import F64, I64

ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = float(np.finfo(np.float64).eps)


def _zeros() -> F64:
    return np.zeros(len(ALPHAS))


@dataclass(frozen=True, slots=True)
class Hota:
    """Sums f64[19], one a threshold, of one or of several sequences; add two to join them.

    The ``..._sum`` columns add up, over all matches, the overlap and the three association ratios of the matched pair.
    """

    matches: F64 = field(default_factory=_zeros)
    misses: F64 = field(default_factory=_zeros)
    false_positives: F64 = field(default_factory=_zeros)
    iou_sum: F64 = field(default_factory=_zeros)
    accuracy_sum: F64 = field(default_factory=_zeros)
    recall_sum: F64 = field(default_factory=_zeros)
    precision_sum: F64 = field(default_factory=_zeros)

    def __add__(self, other: "Hota") -> "Hota":
        return Hota(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def by_alpha(self) -> F64:
        """HOTA at each threshold of ``ALPHAS``."""
        detected = self.matches / np.maximum(1, self.matches + self.misses + self.false_positives)
        return np.asarray(np.sqrt(detected * self.accuracy_sum / np.maximum(1, self.matches)))

    def figures(self) -> dict[str, float]:
        """HOTA and its parts under TrackEval's names."""
        per_match = np.maximum(1, self.matches)
        found, labelled, predicted = self.matches, self.matches + self.misses, self.matches + self.false_positives
        return {
            "HOTA": float(self.by_alpha.mean()),
            "DetA": float((found / np.maximum(1, labelled + self.false_positives)).mean()),
            "AssA": float((self.accuracy_sum / per_match).mean()),
            "DetRe": float((found / np.maximum(1, labelled)).mean()),
            "DetPr": float((found / np.maximum(1, predicted)).mean()),
            "AssRe": float((self.recall_sum / per_match).mean()),
            "AssPr": float((self.precision_sum / per_match).mean()),
            # Where a threshold has no match the reference counts its overlap as 1.
            "LocA": float(np.where(found > 0, self.iou_sum / per_match, 1.0).mean()),
        }


def hota(comparison: Comparison) -> Hota:
    """The HOTA sums of one sequence."""
    alignment = _alignment(comparison)
    pairs, overlaps = [np.zeros((2, 0), dtype=np.int64)], [np.zeros(0)]
    for frame in comparison.frames:
        if frame.iou.size == 0:
            continue
        rows, columns = linear_sum_assignment(alignment[np.ix_(frame.truths, frame.tracks)] * frame.iou, maximize=True)
        pairs.append(np.stack([frame.truths[rows], frame.tracks[columns]]))
        overlaps.append(frame.iou[rows, columns])
    return _summed(comparison, np.concatenate(pairs, axis=1), np.concatenate(overlaps))


def _alignment(comparison: Comparison) -> F64:
    """How well each object and each track go together over the whole sequence, f64[objects tracks]: a soft Jaccard index."""
    shared = np.zeros((len(comparison.truth_lengths), len(comparison.track_lengths)))
    for frame in comparison.frames:
        rivals = frame.iou.sum(axis=0)[None] + frame.iou.sum(axis=1)[:, None] - frame.iou
        share = np.divide(frame.iou, rivals, out=np.zeros_like(frame.iou), where=rivals > _EPS)
        shared[np.ix_(frame.truths, frame.tracks)] += share
    return np.asarray(shared / (comparison.truth_lengths[:, None] + comparison.track_lengths - shared))


def _summed(comparison: Comparison, pairs: I64, iou: F64) -> Hota:
    """The sums over the assigned ``pairs`` i64[2 n] of (object, track) with their ``iou`` f64[n]."""
    close = (iou >= ALPHAS[:, None] - _EPS).astype(np.float64)  # f64[alphas n]
    (objects, tracks), which = np.unique(pairs, axis=1, return_inverse=True)
    together = np.stack([np.bincount(which.reshape(-1), row, minlength=len(objects)) for row in close])  # f64[alphas pairs]
    labelled, predicted = comparison.truth_lengths[objects], comparison.track_lengths[tracks]
    matches = together.sum(axis=1)
    return Hota(
        matches=matches,
        misses=comparison.truth_lengths.sum() - matches,
        false_positives=comparison.track_lengths.sum() - matches,
        iou_sum=(close * iou).sum(axis=1),
        accuracy_sum=(together**2 / (labelled + predicted - together)).sum(axis=1),
        recall_sum=(together**2 / labelled).sum(axis=1),
        precision_sum=(together**2 / predicted).sum(axis=1),
    )
