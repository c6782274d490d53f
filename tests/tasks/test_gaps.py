"""Frames into shots and gaps: what is held, what is new, what the network sees, by frame numbers."""

from fractions import Fraction

import numpy as np
import pytest
from make_media import scene

from vidpc.media.picture import ArrayPicture, Scaler
from vidpc.tasks.gaps import Gaps, Look, Marks
from vidpc.tasks.output_times import Asked
from vidpc.types import Frame, VideoInfo

WIDTH, HEIGHT = 64, 48
SCALER = Scaler()


def info(rate_fps=10):
    unknown = {"coded_width": WIDTH, "coded_height": HEIGHT, "rotation_deg": 0, "mirrored": False, "sample_aspect": Fraction(1)}
    colours = {"pixel_format": "rgb24", "bit_depth": 8, "matrix": "rgb", "full_range": True}
    times = {"start_s": Fraction(0), "rate_fps": Fraction(rate_fps), "duration_s": None, "frame_count": None}
    return VideoInfo("clip.mp4", "fake", "fake", WIDTH, HEIGHT, **unknown, **colours, **times)


def look(index, picture=None, time_s=None):
    pixels = scene(index, WIDTH, HEIGHT) if picture is None else picture
    time_s = Fraction(index, 10) if time_s is None else Fraction(time_s)
    return Look(Frame(ArrayPicture(pixels, SCALER), index, time_s, WIDTH, HEIGHT))


def gaps_of(looks, asked, frames=2, cuts=(), **rules):
    """The gaps of a video whose frames with these indices begin shots."""
    gaps = Gaps(asked.times(info()), info(), frames=frames, extrapolate=asked.extrapolate, **rules)
    found = [gap for one in looks for gap in gaps.add(one, begins_shot=one.frame.index in cuts)]
    return [*found, *gaps.end()]


def told(gaps):
    """Each gap as (frame, times at which it is held, frames that the network sees, places of new frames)."""
    return [
        (gap.shown.frame.index, [float(s) for s in gap.held_s], [one.frame.index for one in gap.looks],
         [round(place, 4) for place in gap.places])
        for gap in gaps
    ]  # fmt: skip


def indices(pictures, threshold=0.38):
    """The frames that begin a shot, as told in the order of the frames."""
    marks = Marks(threshold)
    looks = [look(k, picture) for k, picture in enumerate(pictures)]
    found = [*(mark for one in looks for mark in marks.add(one)), *marks.end()]
    assert [one.frame.index for one, _ in found] == list(range(len(pictures)))
    return [one.frame.index for one, begins_shot in found if begins_shot]


def patches(seed):
    return np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def test_new_frames_lie_between_every_two():
    assert told(gaps_of([look(k) for k in range(3)], Asked(factor=2))) == [
        (0, [0.0], [0, 1], [0.5]),
        (1, [0.1], [1, 2], [0.5]),
        (2, [0.2, 0.25], [], []),  # the last frame lasts as long as the others
    ]


def test_a_rate_draws_at_its_own_times():
    assert told(gaps_of([look(k) for k in range(3)], Asked(rate_fps=Fraction(15)))) == [
        (0, [0.0], [0, 1], [0.6667]),
        (1, [], [1, 2], [0.3333]),
        (2, [0.2], [], []),
    ]


def test_slow_motion_has_more_frames_at_the_rate_asked_for():
    assert told(gaps_of([look(k) for k in range(2)], Asked(rate_fps=Fraction(10), slow=4)))[0] == (
        0, [0.0], [0, 1], [0.25, 0.5, 0.75],
    )  # fmt: skip


def test_more_than_two_frames_are_seen_around_a_gap_and_none_of_another_shot():
    found = told(gaps_of([look(k) for k in range(7)], Asked(factor=2), frames=4, cuts=(4,)))
    assert found == [
        (0, [0.0], [0, 0, 1, 2], [1.5]),
        (1, [0.1], [0, 1, 2, 3], [1.5]),
        (2, [0.2], [1, 2, 3, 3], [1.5]),
        (3, [0.3, 0.35], [], []),
        (4, [0.4], [4, 4, 5, 6], [1.5]),
        (5, [0.5], [4, 5, 6, 6], [1.5]),
        (6, [0.6, 0.65], [], []),
    ]


def test_an_odd_number_of_frames_reaches_back():
    assert told(gaps_of([look(k) for k in range(4)], Asked(factor=2), frames=3))[1] == (1, [0.1], [0, 1, 2], [1.5])


def test_shots_are_counted():
    assert [gap.shot for gap in gaps_of([look(k) for k in range(4)], Asked(factor=2), cuts=(1, 3))] == [0, 1, 1, 2]


def test_frames_follow_the_last_one_instead_of_holding_it():
    assert told(gaps_of([look(k) for k in range(3)], Asked(extrapolate=2))) == [
        (0, [0.0], [0, 1], []),
        (1, [0.1], [1, 2], []),
        (2, [0.2], [1, 2], [2.0, 3.0]),
    ]
    assert told(gaps_of([look(k) for k in range(3)], Asked(factor=2, extrapolate=3)))[-1] == (2, [0.2], [1, 2], [1.5, 2.0, 2.5])


def test_what_follows_a_shot_is_seen_from_that_shot_alone():
    frames = [look(k) for k in range(4)]
    assert told(gaps_of(frames, Asked(extrapolate=1), frames=4, cuts=(2,)))[-1] == (3, [0.3], [2, 2, 2, 3], [4.0])
    # a shot of one frame says nothing of movement: it is held
    assert told(gaps_of(frames, Asked(extrapolate=2), cuts=(3,)))[-1] == (3, [0.3, 0.4, 0.5], [], [])


def test_one_frame_is_held_for_its_time_and_none_gives_nothing():
    assert told(gaps_of([look(0)], Asked(factor=3))) == [(0, [0.0, pytest.approx(1 / 30), pytest.approx(2 / 30)], [], [])]
    assert told(gaps_of([look(0)], Asked(extrapolate=1))) == [(0, [0.0, 0.1], [], [])]
    assert gaps_of([], Asked(factor=2)) == []


def test_between_equal_frames_nothing_is_drawn():
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert told(gaps_of([look(k, black) for k in range(3)], Asked(factor=2))) == [
        (0, [0.0, 0.05], [], []),
        (1, [0.1, 0.15], [], []),
        (2, [0.2, 0.25], [], []),
    ]


def test_a_difference_of_one_level_in_one_pixel_is_no_repeat_that_may_be_held():
    other = scene(0, WIDTH, HEIGHT)
    other[5, 5, 1] += 1
    assert told(gaps_of([look(0), look(1, other)], Asked(factor=2)))[0] == (0, [0.0], [0, 1], [0.5])


def test_a_pause_is_held_and_not_drawn_across():
    times_s = ["0", "0.1", "0.2", "1.2", "1.3"]
    frames = [look(k, time_s=time_s) for k, time_s in enumerate(times_s)]
    assert told(gaps_of(frames, Asked(factor=2)))[2:] == [
        (2, [0.2, 0.7], [], []),
        (3, [1.2], [3, 4], [0.5]),
        (4, [1.3, 1.35], [], []),
    ]
    assert [gap.shot for gap in gaps_of(frames, Asked(factor=2))] == [0] * 5


def repeated(pattern):
    """Frames that show the pictures of these numbers."""
    return [look(k, scene(number, WIDTH, HEIGHT)) for k, number in enumerate(pattern)]


def test_repeats_are_kept_unless_asked_otherwise():
    assert [new for *_, new in told(gaps_of(repeated([0, 0, 1, 1, 2]), Asked(factor=2)))] == [[], [0.5], [], [0.5], []]


def test_new_frames_are_drawn_over_dropped_repeats():
    found = told(gaps_of(repeated([0, 0, 1, 1, 2]), Asked(factor=2), repeats="drop"))
    assert found == [(0, [0.0], [0, 2], [0.25, 0.5, 0.75]), (2, [0.2], [2, 4], [0.25, 0.5, 0.75]), (4, [0.4, 0.45], [], [])]


def test_a_still_scene_stays_still_until_something_moves():
    found = told(gaps_of(repeated([0] * 8 + [1]), Asked(factor=2), repeats="drop"))
    new = {index: (seen, places) for index, _, seen, places in found}
    assert new[7] == ([7, 8], [0.5])  # the last of the still frames and the first that differs
    assert all(places == [] for index, (_, places) in new.items() if index != 7)
    assert sum(len(held) for _, held, _, _ in found) == 2 * 9 - 1


def test_every_time_is_given_once_and_in_order_under_every_rule():
    frames = repeated([0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 3, 4, 4, 5])
    for asked in (Asked(factor=3), Asked(rate_fps=Fraction(24)), Asked(rate_fps=Fraction(7), extrapolate=2)):
        plain = [time_s for gap in gaps_of(frames, asked) for time_s in (*gap.held_s, *gap.new_s)]
        assert plain == sorted(set(plain))
        for rules in ({"repeats": "drop"}, {"frames": 5}, {"cuts": (2, 3, 10)}):
            assert [time_s for gap in gaps_of(frames, asked, **rules) for time_s in (*gap.held_s, *gap.new_s)] == plain


def test_repeats_that_make_motion_uneven_are_told_and_still_scenes_are_not():
    def said(pattern, **rules):
        gaps = Gaps(Asked(factor=2).times(info()), info(), frames=2, **rules)
        for one in repeated(pattern):
            list(gaps.add(one, begins_shot=False))
        list(gaps.end())
        return gaps.warnings()

    assert said([0, 0, 1, 1, 2, 2, 3]) == ["3 of 7 frames repeat the one before: --repeats drop draws new ones in their place"]
    assert said([0, 0, 1, 1, 2, 2, 3], repeats="drop") == []
    assert said([0] * 9 + [1, 2, 3]) == []


def test_marks_come_in_the_order_of_the_frames():
    shots = [patches(0)] * 4 + [patches(1)] * 3
    assert indices(shots) == [4]
    assert indices(shots, threshold=0) == []
    assert indices(shots[3:5]) == [1]
    assert indices(shots[:1]) == []
    assert indices([]) == []
