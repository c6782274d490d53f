from fractions import Fraction
from itertools import pairwise

import pytest

from vidpc.media.timeline import Timeline, plausible_interval

STEP = Fraction(1, 25)


def placed(times, interval=STEP):
    timeline = Timeline(interval)
    return [timeline.place(None if t is None else Fraction(t)) for t in times], timeline


def test_times_that_increase_are_left_alone_even_uneven_and_negative_ones():
    times = [Fraction(-1, 25), Fraction(0), Fraction(9, 100), Fraction(1), Fraction(100)]
    result, timeline = placed(times)
    assert result == times
    assert timeline.warnings() == []


def test_a_missing_time_follows_the_usual_interval():
    result, timeline = placed([None, None, 1, None])
    assert result == [0, STEP, 1, 1 + STEP]
    assert timeline.warnings() == ["frames without a time, placed by the usual interval: 3"]


def test_a_repeated_time_moves_by_a_part_of_the_interval_and_the_clock_goes_on():
    result, timeline = placed([0, STEP, STEP, 2 * STEP])
    assert result == [0, STEP, STEP + STEP / 16, 2 * STEP]
    assert timeline.warnings() == ["frames no later than the one before, moved just after it: 1"]


def test_recordings_joined_end_to_end_continue():
    result, timeline = placed([0, 1, 2, 0, 1])
    assert result == [0, 1, 2, 2 + STEP, 3 + STEP]
    assert timeline.jumps == 1


def test_times_are_strictly_increasing_whatever_comes():
    result, _ = placed([5, 5, 5, 4.5, None, 0, 0, -3, 9, 9])
    assert all(a < b for a, b in pairwise(result))


def test_without_a_rate_the_last_step_is_the_interval():
    result, _ = placed([0, Fraction(1, 10), None], interval=None)
    assert result[2] == Fraction(2, 10)


@pytest.mark.parametrize("rate", [None, Fraction(0), Fraction(90000), Fraction(1, 100000)])
def test_a_rate_that_is_missing_or_a_tick_rate_gives_no_interval(rate):
    assert plausible_interval(rate) is None


def test_gaps_in_an_even_rate_are_counted():
    times = [k * STEP for k in range(20) if k not in (8, 9)]
    _, timeline = placed(times)
    assert timeline.gaps() == ["gaps in an even rate: 1, of 0.080 s in all"]


def test_a_variable_rate_has_no_gaps():
    _, timeline = placed([0, STEP, 3 * STEP, 4 * STEP, 8 * STEP])
    assert timeline.gaps() == []
