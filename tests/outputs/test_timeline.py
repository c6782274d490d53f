"""What is kept of windows for pictures of the whole video."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidpc.outputs.timeline import KEPT, Timeline
from vidpc.types import ModelInfo, Window


def window(number, start, end, *scores):
    return Window(number, Fraction(start), Fraction(end), 0, 0, tuple(np.array(row, np.float32) for row in scores))


@pytest.fixture
def timeline(action_header, windows):
    timeline = Timeline(action_header)
    for item in windows:
        timeline.add(item)
    return timeline


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("-1/10", None),
        ("0", 0),
        ("1", 0),
        ("1499/1000", 0),
        ("3/2", 0),
        ("1501/1000", 1),
        ("29/10", 1),
        ("39/10", 1),
        ("4", None),
    ],
)
def test_the_window_with_the_nearest_middle_answers(timeline, time, expected):
    """Windows 0..2 and 1..3 have their middles at 1 and 2; the last one answers for one more second behind it."""
    assert timeline.at(Fraction(time)) == expected


def test_no_window_answers_in_a_gap(action_header):
    timeline = Timeline(action_header)
    for number in (0, 1):
        timeline.add(window(number, 4 * number, Fraction(4 * number + 1), [1, 0, 0], [1, 0]))
    assert [timeline.at(Fraction(time)) for time in (0, 1, 2, 4, 5, 6)] == [0, None, None, 1, 1, None]


def test_a_short_window_answers_where_a_long_one_is_farther(action_header):
    timeline = Timeline(action_header)
    timeline.add(window(0, 0, 10, [1, 0, 0], [1, 0]))
    timeline.add(window(1, 6, 7, [1, 0, 0], [1, 0]))
    assert [timeline.at(Fraction(time)) for time in (5, 6, 7, 9)] == [0, 1, 0, 0]


def test_a_timeline_without_windows_answers_nothing(action_header):
    timeline = Timeline(action_header)
    assert timeline.at(Fraction(0)) is None
    assert timeline.spans_s.shape == (0, 2)
    assert timeline.peaks(0).tolist() == [0, 0, 0]
    assert timeline.curve(0, 0).tolist() == []


def test_best_labels_peaks_and_curves(timeline):
    assert timeline.best(0, 1) == (0, pytest.approx(0.9))
    assert timeline.best(1, 1) == (1, pytest.approx(0.6))
    assert timeline.peaks(0) == pytest.approx([0.2, 0.75, 0.3])
    assert timeline.curve(0, 1) == pytest.approx([0.75, 0.5])


def test_of_many_labels_the_best_are_kept(action_header):
    model = ModelInfo("kinetics", "timesformer", "ab" * 32, "MIT", tuple(str(k) for k in range(400)))
    timeline = Timeline(replace(action_header, models=(model,)))
    scores = np.random.default_rng(2).dirichlet(np.ones(400))
    timeline.add(window(0, 0, 1, scores))
    peaks = timeline.peaks(0)
    order = np.argsort(-scores)
    assert peaks[order[:KEPT]] == pytest.approx(scores[order[:KEPT]])
    assert not peaks[order[KEPT:]].any()
    assert scores[order[KEPT:]].max() < 1 / KEPT


def test_windows_in_disorder_are_our_mistake(timeline, windows):
    with pytest.raises(ValueError, match="window 0 lies before the one"):
        timeline.add(windows[0])
