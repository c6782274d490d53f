"""Accuracy of videos, worked by hand."""

import numpy as np
import pytest

from vidpc.evaluation.recognition import Judged, score_clips

LABELS = ("run", "walk", "jump", "sit", "wave", "kick", "fall")
CLIPS = [
    Judged("walk", ("walk", "run")),
    Judged("walk", ("walk",)),
    Judged("walk", ("run", "walk")),
    Judged("walk", ()),  # no prediction
    Judged("run", ("run", "walk")),
    Judged("jump", ("run", "sit", "wave", "kick", "walk", "jump")),  # sixth: not among the best five
    Judged("dance", ("walk", "run")),  # a label that the model does not know
]


@pytest.fixture
def scores():
    return score_clips(CLIPS, LABELS)


def test_classes_stand_in_the_models_order_and_unknown_ones_behind(scores):
    assert scores.labels == ("run", "walk", "jump", "dance")


def test_confusion_counts_true_by_found_with_a_column_for_none(scores):
    assert scores.confusion.tolist() == [
        [1, 0, 0, 0, 0],
        [1, 2, 0, 0, 1],
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
    ]
    assert scores.clips.tolist() == [1, 4, 1, 1]
    assert scores.hits.tolist() == [1, 2, 0, 0]
    assert scores.found.tolist() == [3, 3, 0, 0]
    assert scores.near.tolist() == [1, 3, 0, 0]


def test_figures_are_those_worked_by_hand(scores):
    """Classes: run 1/1, walk 2/4, jump 0/1, dance 0/1."""
    figures = scores.figures()
    assert figures["clips"] == 7
    assert figures["without_prediction"] == 1
    assert figures["top1"] == pytest.approx(3 / 7)
    assert figures["top5"] == pytest.approx(4 / 7)
    assert figures["mean_class_accuracy"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert (figures["majority_label"], figures["majority"]) == ("walk", pytest.approx(4 / 7))
    assert figures["classes_present"] == 4


def test_accuracy_and_precision_of_every_class(scores):
    np.testing.assert_allclose(scores.accuracies, [1, 0.5, 0, 0])
    np.testing.assert_allclose(scores.precisions, [1 / 3, 2 / 3, np.nan, np.nan])


def test_a_class_that_is_found_but_never_true_does_not_count_in_the_mean():
    scores = score_clips([Judged("run", ("run",)), Judged("run", ("sit",))], LABELS)
    assert scores.labels == ("run", "sit")
    assert scores.figures()["mean_class_accuracy"] == 0.5
    assert scores.figures()["classes_present"] == 1
    np.testing.assert_allclose(scores.accuracies, [0.5, np.nan])


def test_mistakes_come_most_frequent_first():
    clips = [Judged("run", ("sit",)), Judged("walk", ("run",)), Judged("walk", ("run",)), Judged("walk", ())]
    assert score_clips(clips, LABELS).mistakes() == [("walk", "run", 2), ("run", "sit", 1)]


def test_figures_equal_plain_counting_on_drawn_clips():
    generator = np.random.default_rng(5)
    names = [f"c{k}" for k in range(12)]
    truths = generator.integers(0, 12, 500)
    orders = [generator.permutation(12) for _ in truths]
    scores = score_clips([Judged(names[t], tuple(names[k] for k in o)) for t, o in zip(truths, orders, strict=True)], names)
    hits = np.array([o[0] == t for t, o in zip(truths, orders, strict=True)])
    near = np.array([t in o[:5] for t, o in zip(truths, orders, strict=True)])
    figures = scores.figures()
    assert figures["top1"] == pytest.approx(hits.mean())
    assert figures["top5"] == pytest.approx(near.mean())
    assert figures["mean_class_accuracy"] == pytest.approx(np.mean([hits[truths == k].mean() for k in range(12)]))
    assert figures["majority"] == pytest.approx(np.bincount(truths).max() / 500)
