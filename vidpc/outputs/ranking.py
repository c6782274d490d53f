"""The best labels of every model, as all outputs of actions tell them. Scores are rounded to 0.0001."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidpc.types import F32, I64, ModelInfo

SCORE_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Ranked:
    """A label, its score, and its place from 1 among the labels of ``model``."""

    label: str
    score: float
    model: str
    rank: int


def best_labels(scores: F32, top: int) -> I64:
    """The numbers i64[<= top] of the highest of ``scores`` f32[labels], best first; of equal ones the first label."""
    return np.asarray(np.argsort(-scores, kind="stable")[:top], np.int64)


def ranked(models: Sequence[ModelInfo], scores: Sequence[F32], top: int) -> list[Ranked]:
    """The ``top`` best labels of each model, one model after the other."""
    return [
        Ranked(model.labels[label], rounded(float(values[label])), model.name, rank)
        for model, values in zip(models, scores, strict=True)
        for rank, label in enumerate(best_labels(values, top).tolist(), 1)
    ]


def best_first(models: Sequence[ModelInfo], scores: Sequence[F32], top: int) -> list[Ranked]:
    """The same, best first over all models; among equals the order of the models stays."""
    return sorted(ranked(models, scores, top), key=lambda entry: -entry.score)


def rounded(score: float) -> float:
    """A score as it is written."""
    return round(score, SCORE_DECIMALS)
