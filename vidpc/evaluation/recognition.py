"""Accuracy of what videos were found to show: top-1, top-5, mean over classes, and who was taken for whom.

A clip without a prediction counts as wrong in every figure. Mean class accuracy is the mean, over the classes that the truth
has, of the share of their clips that were found. A class without clips has no accuracy and does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidpc.types import F64, I64

FEW = 5  # labels among which the true one has to be, for top-5


@dataclass(frozen=True, slots=True)
class Judged:
    """One clip: its true label, and the labels that were found, best first; none where there is no prediction."""

    truth: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecognitionScores:
    """``confusion`` i64[k k+1]: clips by true class (rows) and found class (columns; the last one: no prediction).

    ``near`` i64[k] are the clips of a class whose label is among the best five. ``labels`` are the classes that occur.
    """

    labels: tuple[str, ...]
    confusion: I64
    near: I64

    @property
    def clips(self) -> I64:
        """Clips of every class, i64[k]."""
        return np.asarray(self.confusion.sum(axis=1), np.int64)

    @property
    def hits(self) -> I64:
        """Clips of every class that were found as such, i64[k]."""
        return np.asarray(np.diagonal(self.confusion), np.int64)

    @property
    def found(self) -> I64:
        """Clips that were found to be of a class, rightly or not, i64[k]."""
        return np.asarray(self.confusion[:, :-1].sum(axis=0), np.int64)

    @property
    def accuracies(self) -> F64:
        """Of the clips of every class the share that was found, f64[k]; NaN where it has none."""
        return _shares(self.hits, self.clips)

    @property
    def precisions(self) -> F64:
        """Of what was found to be of a class the share that is, f64[k]; NaN where nothing was."""
        return _shares(self.hits, self.found)

    def figures(self) -> dict[str, Any]:
        """What one says of all clips together. ``majority`` is what naming the most frequent class every time would give."""
        clips = self.clips
        total, largest = int(clips.sum()), int(clips.argmax())
        return {
            "clips": total,
            "without_prediction": int(self.confusion[:, -1].sum()),
            "top1": float(self.hits.sum() / total),
            "top5": float(self.near.sum() / total),
            "mean_class_accuracy": float(np.nanmean(self.accuracies)),
            "classes_present": int((clips > 0).sum()),
            "majority": float(clips[largest] / total),
            "majority_label": self.labels[largest],
        }

    def mistakes(self) -> list[tuple[str, str, int]]:
        """(true label, found label, clips) of everything that was taken for something else, most frequent first."""
        wrong = self.confusion[:, :-1] - np.diag(self.hits)
        rows = [(self.labels[i], self.labels[j], int(wrong[i, j])) for i, j in np.argwhere(wrong)]
        return sorted(rows, key=lambda row: -row[2])


def score_clips(judged: Sequence[Judged], labels: Sequence[str]) -> RecognitionScores:
    """Scores of one or more clips. ``labels`` are the model's: classes stand in their order, and those it lacks behind them."""
    seen = {clip.truth for clip in judged} | {clip.found[0] for clip in judged if clip.found}
    order = {label: place for place, label in enumerate(labels)}
    classes = tuple(sorted(seen, key=lambda label: (order.get(label, len(order)), label)))
    place = {label: number for number, label in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes) + 1), np.int64)
    near = np.zeros(len(classes), np.int64)
    for clip in judged:
        row = place[clip.truth]
        confusion[row, place[clip.found[0]] if clip.found else len(classes)] += 1
        near[row] += clip.truth in clip.found[:FEW]
    return RecognitionScores(classes, confusion, near)


def _shares(part: I64, whole: I64) -> F64:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
