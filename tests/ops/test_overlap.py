"""Overlap of boxes, by hand."""

import numpy as np
import pytest

from vidpc.ops import overlap

UNIT = np.array([[0.0, 0.0, 10.0, 10.0]])


@pytest.mark.parametrize(
    ("box", "iou", "giou", "covered"),
    [
        ([0, 0, 10, 10], 1.0, 1.0, 1.0),
        ([5, 0, 15, 10], 1 / 3, 1 / 3, 0.5),
        ([20, 0, 30, 10], 0.0, -1 / 3, 0.0),  # hull 300, union 200
        ([10, 10, 20, 20], 0.0, -0.5, 0.0),  # hull 400, union 200
        ([-10, -10, 20, 20], 1 / 9, 1 / 9, 1.0),
    ],
)
def test_ratios_of_two_boxes(box, iou, giou, covered):
    other = np.array([box], dtype=float)
    assert overlap.iou(UNIT, other)[0, 0] == pytest.approx(iou)
    assert overlap.giou(UNIT, other)[0, 0] == pytest.approx(giou)
    assert overlap.covered(UNIT, other)[0, 0] == pytest.approx(covered)


def test_empty_and_inverted_boxes_overlap_nothing():
    odd = np.array([[3.0, 3.0, 3.0, 3.0], [8.0, 8.0, 2.0, 2.0]])
    assert not overlap.iou(odd, UNIT).any()
    assert not overlap.covered(odd, UNIT).any()
    assert np.isfinite(overlap.giou(odd, odd)).all()


def test_no_boxes_give_empty_tables():
    assert overlap.iou(np.zeros((0, 4)), UNIT).shape == (0, 1)


def test_dtype_is_kept():
    assert overlap.giou(UNIT.astype(np.float32), UNIT.astype(np.float32)).dtype == np.float32
