"""Windows with a bounded number of references, worked by hand."""

import pytest

from vidpc.errors import PresetError
from vidpc.tasks.sttn_windows import Rule, thinned, windows


def of_clip(rule, length):
    return list(windows(rule, lambda wanted: length if wanted is None else min(wanted, length)))


def test_references_are_those_ahead_and_those_past():
    found = {window.start: window for window in of_clip(Rule(references=3), 60)}
    assert found[0].neighbours == (0, 1, 2, 3, 4, 5)
    assert found[0].references == (10, 20)  # two ahead, none is past
    assert found[20].neighbours == tuple(range(15, 26))
    assert found[20].references == (10, 30, 40)  # one of the past: the newest
    assert found[55].neighbours == tuple(range(50, 60))
    assert found[55].references == (40,)  # none is ahead


def test_without_references_there_are_neighbours_alone():
    assert {window.references for window in of_clip(Rule(references=0), 50)} == {()}


def test_the_past_is_kept_the_closer_together_the_newer():
    assert thinned([0, 10, 20, 30, 40], now=46, limit=4) == [0, 20, 30, 40]  # without 10: a gap of 20, 36 frames ago
    assert thinned([0, 10, 20], now=26, limit=1) == [20]
    assert thinned([0, 10], now=16, limit=0) == []
    assert thinned([0, 10, 20], now=26, limit=None) == [0, 10, 20]


def test_a_long_clip_keeps_its_first_reference_and_the_newest():
    *_, last = of_clip(Rule(references=12), 6000)
    assert len(last.references) == 6
    assert (last.references[0], last.references[-1]) == (0, 5980)
    gaps = [b - a for a, b in zip(last.references, last.references[1:], strict=False)]
    assert gaps == sorted(gaps, reverse=True)


def test_a_window_asks_for_no_more_frames_than_it_needs():
    asked = []
    found = windows(Rule(references=4), lambda wanted: asked.append(wanted) or 1000)
    next(found), next(found)
    assert asked == [0 + 6 + 20, 5 + 6 + 20]  # neighbours, and two references ahead


def test_no_frame_is_asked_for_twice_as_a_reference_after_it_was_dropped():
    held = set()
    for window in of_clip(Rule(references=8), 2000):
        past = {i for i in window.references if i < window.neighbours[0]}
        new = past - held
        assert all(i >= window.neighbours[0] - 10 for i in new)
        held = past


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"reference_stride": 0}, {"windows_at_once": 0}, {"references": -1}])
def test_a_rule_that_makes_no_windows_is_refused(wrong):
    with pytest.raises(PresetError, match=next(iter(wrong))):
        Rule(**wrong)
