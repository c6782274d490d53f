from fractions import Fraction

import pytest

from vidpc.errors import PresetError
from vidpc.media.thinning import Thinning
from vidpc.types import ReadOptions


def kept(times, **options):
    thinning = Thinning(ReadOptions(**options))
    return [k for k, time_s in enumerate(times) if thinning.wants(Fraction(time_s))]


def even(rate, count=24):
    return [Fraction(k) / rate for k in range(count)]


def test_everything_is_kept_by_default():
    assert kept(even(24, 5)) == [0, 1, 2, 3, 4]


def test_the_span_is_half_open():
    assert kept(even(10, 10), start_s=Fraction(2, 10), end_s=Fraction(5, 10)) == [2, 3, 4]


def test_a_stride_counts_from_the_first_frame_of_the_span():
    assert kept(even(10, 10), start_s=Fraction(1, 10), stride=3) == [1, 4, 7]


def test_half_the_rate_keeps_every_second_frame():
    assert kept(even(24, 9), rate_fps=Fraction(12)) == [0, 2, 4, 6, 8]


def test_half_the_rate_keeps_every_second_frame_of_times_rounded_to_milliseconds():
    assert kept([Fraction(round(t * 1000), 1000) for t in even(24)], rate_fps=Fraction(12)) == list(range(0, 24, 2))


def test_a_broken_ratio_keeps_the_first_frame_of_each_slot():
    # 25 to 10 frames/s: slots begin at 0, 0.1, 0.2, …; first frames at 0, 0.12, 0.2, 0.32, 0.4
    assert kept(even(25, 11), rate_fps=Fraction(10)) == [0, 3, 5, 8, 10]


def test_a_higher_rate_repeats_nothing():
    assert kept(even(10, 5), rate_fps=Fraction(60)) == [0, 1, 2, 3, 4]


def test_a_pause_does_not_bring_a_burst_after_it():
    assert kept([0, 1, 5, Fraction(51, 10), 6], rate_fps=Fraction(1)) == [0, 1, 2, 4]


def test_a_span_without_a_frame_is_said():
    thinning = Thinning(ReadOptions(start_s=Fraction(60)))
    assert not thinning.wants(Fraction(3))
    assert thinning.warnings() == ["no frame lies from 60 s, the last one seen is at 3.000 s"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_s": Fraction(2), "end_s": Fraction(2)}, "must lie after the start"),
        ({"stride": 0}, "expected 1 or more"),
        ({"rate_fps": Fraction(0)}, "above 0"),
        ({"stride": 2, "rate_fps": Fraction(5)}, "exclude each other"),
        ({"decoder": "cv2"}, "expected pyav or decord"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(PresetError, match=message):
        ReadOptions(**options)
