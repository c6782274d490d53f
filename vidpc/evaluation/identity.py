"""IDF1 (Ristani et al. 2016): how many boxes carry the right identity, with one track an object for the whole sequence."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vidpc.evaluation.tracks import MATCH_IOU, Comparison


@dataclass(frozen=True, slots=True)
class Identity:
    """Boxes with the right identity, predicted boxes without it, labelled boxes without it; add two to join them."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: "Identity") -> "Identity":
        return Identity(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def idf1(self) -> float:
        """Harmonic mean of ``idp`` and ``idr``."""
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)

    @property
    def idp(self) -> float:
        """Share of the predicted boxes that carry the right identity."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def idr(self) -> float:
        """Share of the labelled boxes whose identity was found."""
        return self.right / max(1, self.right + self.missed)


def identity(comparison: Comparison) -> Identity:
    """The identity counts of one sequence."""
    together = np.zeros((len(comparison.truth_lengths), len(comparison.track_lengths)), dtype=np.int64)
    for frame in comparison.frames:
        together[np.ix_(frame.truths, frame.tracks)] += frame.iou >= MATCH_IOU
    rows, columns = linear_sum_assignment(together, maximize=True)
    right = int(together[rows, columns].sum())
    return Identity(right, int(comparison.track_lengths.sum()) - right, int(comparison.truth_lengths.sum()) - right)
