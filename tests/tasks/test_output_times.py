"""Times of outputs, counted by hand."""

from fractions import Fraction
from itertools import pairwise

import pytest

from vidpc.errors import PresetError
from vidpc.tasks.output_times import Asked, DividedTimes, EvenTimes

MILLISECOND = Fraction(1, 1000)


def even(rate_fps, rounding_s=Fraction(1, 90000)):
    return EvenTimes(1 / Fraction(rate_fps), rounding_s)


def given(times, frames_s, interval_s):
    """All times of a video of frames at ``frames_s``, by the gap they stand in."""
    gaps = [times.between(first, second) for first, second in pairwise(frames_s)]
    return [*gaps, times.last(frames_s[-1], interval_s)]


def count(rate_fps, source_fps, frames, start_s=Fraction(0)):
    source_fps = Fraction(source_fps)
    found = given(even(rate_fps), [start_s + k / source_fps for k in range(frames)], 1 / source_fps)
    return sum(map(len, found))


@pytest.mark.parametrize(
    ("rate_fps", "source_fps", "frames", "expected"),
    [
        (50, 25, 250, 500),  # ten seconds
        (60, 25, 250, 600),
        (24, 25, 250, 240),
        (25, 25, 250, 250),
        (10, 25, 250, 100),
        (60, Fraction(30000, 1001), 300, 601),  # 10.01 s are 600.6 frames
        (Fraction(60000, 1001), Fraction(30000, 1001), 300, 600),
        (Fraction("23.976"), 24, 240, 240),  # 239.76 frames
        (60, 24, 1, 2),  # one frame of 1/24 s is 2.5 frames, and a half is none
        (5, 25, 1, 1),
    ],
)
def test_the_duration_is_kept(rate_fps, source_fps, frames, expected):
    assert count(rate_fps, source_fps, frames) == expected
    assert count(rate_fps, source_fps, frames, start_s=Fraction(7, 3)) == expected


def test_even_times_stand_in_the_gap_that_they_fall_in():
    found = given(even(60), [Fraction(k, 24) for k in range(3)], Fraction(1, 24))
    assert found == [
        [0, Fraction(1, 60), Fraction(2, 60)],  # the next frame is shown at 2.5/60
        [Fraction(3, 60), Fraction(4, 60)],  # and the third at 5/60, which is its own time
        [Fraction(5, 60), Fraction(6, 60)],
    ]


def test_milliseconds_of_matroska_fall_on_the_frames_that_they_stand_for():
    frames_s = [Fraction(ms, 1000) for ms in (0, 33, 67, 100, 133)]  # 30 a second
    times = even(60, MILLISECOND)
    found = given(times, frames_s, Fraction(1, 30))
    assert [len(gap) for gap in found] == [2] * 5
    gaps_s = [second - first for first, second in pairwise(frames_s)]
    for gap, frame_s, gap_s in zip(found, frames_s, gaps_s, strict=False):
        assert [times.falls_on(time_s, frame_s, gap_s) for time_s in gap] == [True, False]


def test_the_clock_of_a_fast_video_rounds_no_more_than_an_eighth_of_a_gap():
    times = even(480, Fraction(1, 25))  # a folder of pictures has a clock as coarse as its rate
    found = given(times, [Fraction(k, 240) for k in range(3)], Fraction(1, 240))
    assert [len(gap) for gap in found] == [2, 2, 2]


def test_of_a_gap_that_a_damaged_clock_makes_only_the_beginning_is_filled():
    times = even(10)
    begin, after = times.between(Fraction(0), Fraction(86400)), times.between(Fraction(86400), Fraction(86400) + Fraction(1, 5))
    assert (len(begin), begin[-1]) == (600, Fraction(599, 10))
    assert after == [86400, 86400 + Fraction(1, 10)]


def test_divided_gaps_keep_every_frame_whatever_their_length():
    frames_s = [Fraction(0), Fraction(1, 10), Fraction(1, 2)]
    assert given(DividedTimes(2), frames_s, Fraction(2, 10)) == [
        [0, Fraction(1, 20)],
        [Fraction(1, 10), Fraction(3, 10)],
        [Fraction(1, 2), Fraction(6, 10)],
    ]


def test_times_after_the_end_go_on_in_the_steps_of_the_output():
    assert DividedTimes(2).beyond(Fraction(1), Fraction(1, 10), 3) == [1, Fraction(21, 20), Fraction(22, 20), Fraction(23, 20)]
    times = even(4)
    assert times.between(Fraction(0), Fraction(1, 2)) == [0, Fraction(1, 4)]
    assert times.beyond(Fraction(1, 2), Fraction(1, 2), 3) == [Fraction(1, 2), Fraction(3, 4), Fraction(1), Fraction(5, 4)]
    between = even(3)
    assert between.between(Fraction(0), Fraction(1, 2)) == [0, Fraction(1, 3)]
    assert between.beyond(Fraction(1, 2), Fraction(1, 2), 1) == [Fraction(2, 3)]  # none falls on the last frame


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"factor": 0}, "factor is 0, expected 1 to 1000"),
        ({"slow": 1001}, "slow is 1001, expected 1 to 1000"),
        ({"extrapolate": -1}, "extrapolate is -1, expected 0 to 10000"),
        ({"rate_fps": Fraction(60), "factor": 2}, "a rate and a factor exclude each other"),
    ],
)
def test_what_cannot_be_asked_for(fields, message):
    with pytest.raises(PresetError, match=message):
        Asked(**fields)
