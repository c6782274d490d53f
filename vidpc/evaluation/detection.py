"""Average precision of detections: the protocol of COCO, with regions that count neither way.

Lin et al. 2014; 101 recall points, thresholds 0.50 to 0.95. A prediction that finds no labelled box is left out, instead of
counting as false, where it meets an ignored box of its label: IoU at the threshold or above, or more than half inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpc.ops import overlap
from vidpc.types import F64, I64, Boxes

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
IGNORED_SHARE = 0.5  # a prediction with more than this share inside an ignored box is not judged

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelledBoxes:
    """What is in one picture: ``boxes_xyxy`` f64[n 4], ``labels`` i64[n], ``ignore`` bool[n] (none ignored by default)."""

    boxes_xyxy: F64
    labels: I64
    ignore: Bools

    def __post_init__(self) -> None:
        if self.boxes_xyxy.shape != (len(self.labels), 4) or len(self.ignore) != len(self.labels):
            shapes = (self.boxes_xyxy.shape, self.labels.shape, self.ignore.shape)
            raise ValueError(f"LabelledBoxes: shapes {shapes} disagree, expected (n, 4), (n,), (n,)")


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Mean over labels. ``ap`` averages the thresholds; ``recall_50`` is what all predictions together reach at IoU 0.5.

    NaN where the pictures hold no labelled box. ``by_label`` maps a label to its (AP50, AP).
    """

    ap50: float
    ap: float
    recall_50: float
    by_label: dict[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Predictions of one label in one picture, best first: one row of ``hit`` and ``skip`` a threshold."""

    scores: F64
    hit: Bools
    skip: Bools
    truths: int


def average_precision(
    predictions: Sequence[Boxes], truths: Sequence[LabelledBoxes], *, max_detections: int = 100
) -> DetectionScores:
    """AP50 and AP50:95 of ``predictions`` (one entry a picture) against ``truths`` (the same pictures in the same order)."""
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} pictures with predictions, but {len(truths)} with labels")
    labels = sorted({int(label) for truth in truths for label in truth.labels[~truth.ignore]})
    results = {}
    recalls = []
    for label in labels:
        judged = [_judge(p, t, label, max_detections) for p, t in zip(predictions, truths, strict=True)]
        precision, recall = _curves(judged)
        results[label] = (float(precision[0]), float(precision.mean()))
        recalls.append(recall)
    if not labels:
        return DetectionScores(np.nan, np.nan, np.nan, {})
    ap50, ap = np.mean(list(results.values()), axis=0)
    return DetectionScores(float(ap50), float(ap), float(np.mean(recalls)), results)


def _judge(prediction: Boxes, truth: LabelledBoxes, label: int, max_detections: int) -> _Judged:
    chosen = np.flatnonzero(prediction.labels == label)
    chosen = chosen[np.argsort(-prediction.scores[chosen], kind="stable")][:max_detections]
    boxes = prediction.boxes_xyxy[chosen]
    scored = truth.boxes_xyxy[(truth.labels == label) & ~truth.ignore]
    ignored = truth.boxes_xyxy[(truth.labels == label) & truth.ignore]
    overlaps = overlap.iou(boxes, scored)
    hit = np.stack([_match(overlaps, threshold) for threshold in COCO_THRESHOLDS])
    inside = (overlap.covered(boxes, ignored) > IGNORED_SHARE).any(axis=1)
    touching = overlap.iou(boxes, ignored).max(axis=1, initial=0.0) >= np.array(COCO_THRESHOLDS)[:, None]
    return _Judged(prediction.scores[chosen], hit, ~hit & (inside | touching), len(scored))


def _match(overlaps: overlap.Array, threshold: float) -> Bools:
    """Which predictions (rows, best first) take a labelled box (columns): each the best that is still free."""
    free = np.ones(overlaps.shape[1], dtype=bool)
    hit = np.zeros(overlaps.shape[0], dtype=bool)
    for row in np.flatnonzero((overlaps >= threshold).any(axis=1)):
        candidates = np.where(free, overlaps[row], -1.0)
        # On a tie the last box wins, as in the reference implementation.
        best = len(candidates) - 1 - int(np.argmax(candidates[::-1]))
        if candidates[best] >= threshold:
            free[best] = False
            hit[row] = True
    return hit


def _curves(judged: Sequence[_Judged]) -> tuple[F64, float]:
    """Interpolated average precision f64[thresholds] and the recall at IoU 0.5."""
    order = np.argsort(-np.concatenate([j.scores for j in judged]), kind="stable")
    hit = np.concatenate([j.hit for j in judged], axis=1)[:, order]
    skip = np.concatenate([j.skip for j in judged], axis=1)[:, order]
    truths = sum(j.truths for j in judged)
    found = np.cumsum(hit, axis=1)
    wrong = np.cumsum(~hit & ~skip, axis=1)
    recall = found / truths
    precision = found / np.maximum(found + wrong, 1)
    average = np.array([_interpolate(r, p) for r, p in zip(recall, precision, strict=True)])
    return average, float(recall[0, -1]) if order.size else 0.0


def _interpolate(recall: F64, precision: F64) -> float:
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALL_POINTS, side="left")
    return float(np.append(envelope, 0.0)[at].mean())
