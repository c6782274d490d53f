"""Average precision against worked cases and the COCO reference implementation."""

import json
from pathlib import Path

import numpy as np
import pytest

from vidpc.evaluation.detection import LabelledBoxes, average_precision
from vidpc.types import Boxes

GOLDEN = Path(__file__).parents[1] / "golden" / "detection" / "coco.json"
REFERENCE_TOLERANCE = 1e-6  # the stored boxes are rounded to 4 decimals


def predicted(*rows):
    table = np.array(rows, dtype=float).reshape(-1, 5)
    return Boxes(table[:, :4], table[:, 4], np.zeros(len(table), dtype=np.int64))


def labelled(*rows, ignore=()):
    table = np.array([*rows, *ignore], dtype=float).reshape(-1, 4)
    ignored = np.arange(len(table)) >= len(rows)
    return LabelledBoxes(table, np.zeros(len(table), dtype=np.int64), ignored)


def test_figures_equal_the_coco_reference():
    golden = json.loads(GOLDEN.read_text())
    predictions, truths = [], []
    for picture in golden["pictures"]:
        rows = np.array(picture["predictions"]).reshape(-1, 6)
        predictions.append(Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)))
        truth = np.array(picture["truth"]).reshape(-1, 5)
        truths.append(LabelledBoxes(truth[:, :4], truth[:, 4].astype(np.int64), np.zeros(len(truth), dtype=bool)))
    scores = average_precision(predictions, truths)
    assert scores.ap == pytest.approx(golden["AP"], abs=REFERENCE_TOLERANCE)
    assert scores.ap50 == pytest.approx(golden["AP50"], abs=REFERENCE_TOLERANCE)


def test_a_second_prediction_of_one_box_is_false():
    # Best first: hit, false, hit. Precision 1 up to recall 1/2 (51 of 101 points), 2/3 above.
    scores = average_precision(
        [predicted([0, 0, 10, 10, 0.9], [0, 0, 10, 10, 0.8], [50, 50, 60, 60, 0.7])],
        [labelled([0, 0, 10, 10], [50, 50, 60, 60])],
    )
    assert scores.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores.recall_50 == 1.0


def test_thresholds_rise_to_095():
    # IoU 0.8 counts at 0.50 .. 0.80: seven of ten thresholds.
    scores = average_precision([predicted([0, 0, 10, 8, 0.9])], [labelled([0, 0, 10, 10])])
    assert (scores.ap50, scores.ap) == (1.0, pytest.approx(0.7))


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ([20, 0, 40, 40], 1.0),  # inside an ignored box
        ([20, 0, 26, 10], 1.0),  # 0.6 of the prediction is covered
        ([20, 0, 25, 10], 1.0),  # half is covered: not more than half, but IoU 0.5 meets it
        ([20, 0, 24, 10], 0.5),  # 0.4 is covered: judged, and false
    ],
)
def test_predictions_on_ignored_boxes_count_neither_way(region, expected):
    predictions = [predicted([20, 0, 30, 10, 0.9], [0, 0, 10, 10, 0.8])]
    assert average_precision(predictions, [labelled([0, 0, 10, 10], ignore=[region])]).ap50 == pytest.approx(expected)


def test_a_labelled_box_inside_an_ignored_region_still_counts():
    truth = [labelled([0, 0, 10, 10], ignore=[[0, 0, 100, 100]])]
    assert average_precision([predicted([0, 0, 10, 10, 0.9])], truth).ap50 == 1.0
    assert average_precision([predicted()], truth).ap50 == 0.0


def test_pictures_without_labelled_boxes_have_no_figure():
    assert np.isnan(average_precision([predicted([0, 0, 1, 1, 0.5])], [labelled()]).ap50)


def test_false_predictions_in_empty_pictures_lower_the_figure():
    pictures = [predicted([0, 0, 10, 10, 0.9]), predicted([0, 0, 10, 10, 0.95])]
    assert average_precision(pictures, [labelled([0, 0, 10, 10]), labelled()]).ap50 == pytest.approx(0.5)


def test_only_the_best_predictions_of_a_picture_are_judged():
    picture = predicted([50, 50, 60, 60, 0.9], [0, 0, 10, 10, 0.8])
    assert average_precision([picture], [labelled([0, 0, 10, 10])], max_detections=1).ap50 == 0.0


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="1 pictures with predictions, but 2 with labels"):
        average_precision([predicted()], [labelled(), labelled()])
