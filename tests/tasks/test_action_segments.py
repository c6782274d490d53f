"""Windows into segments, worked by hand."""

from fractions import Fraction

import numpy as np
import pytest

from vidpc.tasks.action_segments import ActionSegments, Thresholds
from vidpc.types import Window

MODEL = Thresholds("m", ("a", "b"), on_score=0.5, off_score=0.3)


def windows(scores, *, window_s=2, hop_s=1, starts=None):
    """A window for every row of scores; ``starts`` in place of even ones."""
    starts = [Fraction(hop_s) * k for k in range(len(scores))] if starts is None else starts
    return [
        Window(k, Fraction(start), Fraction(start) + window_s, 0, 0, tuple(np.array(row, np.float32) for row in rows))
        for k, (start, rows) in enumerate(zip(starts, scores, strict=True))
    ]


def segments(found, *, end_s, models=(MODEL,), reach_s=2):
    built = ActionSegments(models, reach_s=Fraction(reach_s))
    for window in found:
        built.add(window)
    return [(s.label, float(s.start_s), float(s.end_s), pytest.approx(s.score, abs=1e-6)) for s in built.end(Fraction(end_s))]


def of_a(*scores):
    return [[(score, 0.0)] for score in scores]


def test_one_window_answers_for_the_whole_video():
    assert segments(windows(of_a(0.7)), end_s=1.5) == [("a", 0, 2, 0.7)]  # never for less than its own span
    assert segments(windows(of_a(0.7)), end_s=2.5) == [("a", 0, 2.5, 0.7)]


def test_a_segment_begins_with_the_high_score_and_goes_on_with_the_low_one():
    # middles at 1, 2, 3, …: window k answers from k + 0.5 to k + 1.5, the first from 0 and the last to the end
    found = windows(of_a(0.4, 0.5, 0.3, 0.29, 0.4, 0.9, 0.1))
    assert segments(found, end_s=8) == [("a", 1.5, 3.5, 0.4), ("a", 5.5, 6.5, 0.9)]


def test_segments_of_one_label_never_overlap_and_meet_the_ends_of_the_video():
    found = windows(of_a(0.9, 0.1, 0.9))
    assert segments(found, end_s=4.4) == [("a", 0, 1.5, 0.9), ("a", 2.5, 4.4, 0.9)]


def test_a_window_that_was_moved_back_answers_from_the_middle_between_them():
    found = windows(of_a(0.1, 0.1, 0.9), starts=[0, 1, Fraction(3, 2)])
    assert segments(found, end_s=3.5) == [("a", 2.25, 3.5, 0.9)]


def test_no_segment_crosses_a_gap():
    found = windows(of_a(0.6, 0.6, 0.4), starts=[0, 1, 60])
    assert segments(found, end_s=62) == [("a", 0, 3, 0.6)]
    found = windows(of_a(0.6, 0.6, 0.6), starts=[0, 1, 60])
    assert segments(found, end_s=62) == [("a", 0, 3, 0.6), ("a", 60, 62, 0.6)]


def test_windows_further_apart_than_long_are_neighbours():
    found = windows(of_a(0.6, 0.4), hop_s=5)
    assert segments(found, end_s=7, reach_s=5) == [("a", 0, 7, 0.5)]


def test_labels_and_models_go_their_own_ways_and_come_by_time_then_score():
    other = Thresholds("n", ("c",), on_score=0.9, off_score=0.9)
    rows = [[(0.6, 0.7), (0.95,)], [(0.1, 0.8), (0.89,)]]
    found = segments(windows(rows), end_s=3, models=(MODEL, other))
    assert found == [("c", 0, 1.5, 0.95), ("b", 0, 3, 0.75), ("a", 0, 1.5, 0.6)]


def test_no_window_is_no_segment():
    assert segments([], end_s=0) == []
