"""Accuracy and IoU of points, on matrices worked by hand."""

import numpy as np
import pytest

from vidpc.errors import PointCloudError
from vidpc.evaluation.segmentation import IGNORED, Grid, no_scores, renamed, score_points

NAMES = ("ground", "tree", "house", "boat")
TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, -1])
FOUND = np.array([0, 0, 0, 1, 1, 0, 2, 1, -1, 0])
# ground: 3 of 4 found, 1 more claimed: 3/5. tree: 1 of 2, 2 more claimed: 1/4. house: 1 of 3, none claimed: 1/3. boat: nowhere.


def test_shares_of_classes_are_those_worked_by_hand():
    scores = score_points(TRUTH, FOUND, NAMES)
    assert scores.truths.tolist() == [4, 2, 3, 0]
    assert scores.accuracies == pytest.approx([3 / 4, 1 / 2, 1 / 3, 0])
    assert scores.ious == pytest.approx([3 / 5, 1 / 4, 1 / 3, 0])


def test_means_are_over_all_classes_and_over_those_present():
    figures = score_points(TRUTH, FOUND, NAMES).figures()
    assert figures["points"] == 9
    assert figures["OA"] == pytest.approx(5 / 9)
    assert figures["mIoU"] == pytest.approx((3 / 5 + 1 / 4 + 1 / 3) / 4)
    assert figures["mIoU_present"] == pytest.approx((3 / 5 + 1 / 4 + 1 / 3) / 3)
    assert figures["mAcc"] == pytest.approx((3 / 4 + 1 / 2 + 1 / 3) / 4)
    assert figures["mAcc_present"] == pytest.approx((3 / 4 + 1 / 2 + 1 / 3) / 3)
    assert figures["classes_present"] == 3


def test_rows_are_true_and_columns_found():
    assert score_points(TRUTH, FOUND, NAMES).confusion.tolist() == [
        [3, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 1],
        [0, 0, 0, 0, 0],
    ]


def test_a_class_that_was_only_claimed_counts_in_the_mean_over_all():
    figures = score_points(np.array([0, 0]), np.array([0, 1]), ("a", "b")).figures()
    assert figures["mIoU"] == pytest.approx(0.25)
    assert figures["mIoU_present"] == pytest.approx(0.5)


def test_scores_of_parts_add_up():
    parts = [score_points(TRUTH[k : k + 3], FOUND[k : k + 3], NAMES) for k in range(0, 10, 3)]
    assert sum(parts, no_scores(NAMES)).confusion.tolist() == score_points(TRUTH, FOUND, NAMES).confusion.tolist()


def test_no_points_give_zeros():
    figures = no_scores(NAMES).figures()
    assert (figures["OA"], figures["mIoU"], figures["mIoU_present"]) == (0, 0, 0)


def test_labels_of_a_file_become_labels_of_classes():
    assert renamed(np.array([2, 3, 5, 6, 9]), {2: 0, 3: 1, 5: 1, 6: 2}).tolist() == [0, 1, 1, 2, IGNORED]


def test_the_grid_keeps_the_first_point_of_every_cube_over_all_runs():
    grid = Grid(1.0)
    first = np.array([[0.1, 0.1, 0.1], [0.9, 0.2, 0.3], [1.1, 0, 0], [np.nan, 0, 0], [-0.1, 0, 0]])
    assert grid.first(first).tolist() == [0, 2, 4]
    assert grid.first(np.array([[0.5, 0.5, 0.5], [7, 7, 7], [7.5, 7.5, 7.5]])).tolist() == [1]


def test_the_grid_lies_where_the_coordinates_are():
    far = np.array([652_000.0, 6_800_000.0, 30.0]) + np.array([[0, 0, 0], [0.01, 0, 0], [0.07, 0, 0]])
    assert Grid(0.05).first(far).tolist() == [0, 2]


def test_points_too_far_apart_for_the_grid_are_refused():
    with pytest.raises(PointCloudError, match="use a larger grid"):
        Grid(0.05).first(np.array([[0.0, 0, 0], [1e6, 0, 0]]))
