"""Windows over frames as they come, against a plain version that has all frames in a list."""

import random
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

import pytest

from vidpc.stream.windows import STANDS_S, WindowRule, Windows
from vidpc.types import Frame

HALF = Fraction(1, 2)
CENTRES = WindowRule(Fraction(1), HALF, 4, Fraction(1, 8), Fraction(1, 4))


def frames(times_s):
    return [Frame(None, index, Fraction(time_s), 4, 3) for index, time_s in enumerate(times_s)]


def even(count, rate_fps=10, begin_s=0):
    return frames(begin_s + Fraction(k) / rate_fps for k in range(count))


def cut(rule, shots, *, interval_s=None):
    """(start, end, frame of each picture) of every window, and the frames in the order in which they were prepared."""
    prepared = []

    def prepare(frame):
        prepared.append(frame.index)
        return f"picture {frame.index}"

    windows = Windows(rule, prepare, interval_s=interval_s)
    spans = [span for frame in shots for span in windows.add(frame)] + windows.end()
    assert [span.number for span in spans] == list(range(len(spans)))
    assert all(shown.picture == f"picture {shown.index}" for span in spans for shown in span.shown)
    return [(span.start_s, span.end_s, [shown.index for shown in span.shown]) for span in spans], prepared


def plain(rule, shots, *, interval_s=Fraction(1, 25)):
    """The same by its definition, looking at all frames for every picture."""
    if not shots:
        return []
    times = [frame.time_s for frame in shots]
    steps = [b - a for a, b in pairwise(times)]
    usual = median_low(steps[-32:]) if steps else interval_s
    t0, end, reach = times[0], times[-1] + usual, times[-1] + usual * 3 / 2

    def window(start, stop):
        at = [start + (rule.first + i * rule.spacing) * rule.window_s for i in range(rule.count)]
        return start, min(stop, end), [max(i for i, time_s in enumerate(times) if time_s <= x or i == 0) for x in at]

    def is_in_gap(start, stop):
        return any(start >= a + STANDS_S and stop <= b for a, b in zip(times, [*times[1:], reach], strict=True))

    if t0 + rule.window_s > reach:
        return [window(t0, end)]
    starts = []
    while (start := t0 + (len(starts)) * rule.hop_s) + rule.window_s <= reach:
        starts.append(start)
    kept = [start for start in starts if not is_in_gap(start, start + rule.window_s)]
    step = rule.spacing * rule.window_s
    back = t0 + (reach - rule.window_s - t0) // step * step
    return [window(start, start + rule.window_s) for start in kept + ([back] if back > kept[-1] else [])]


def random_rule(rng):
    window_s = Fraction(rng.randint(2, 60), 10)
    hop_s = rng.choice([window_s, window_s / 2, window_s * 2, Fraction(rng.randint(1, 40), 10)])
    count = rng.randint(1, 9)
    spacing = rng.choice([Fraction(1, count), (1 - 1 / (30 * window_s)) / max(count - 1, 1) * Fraction(99, 100)])
    first = rng.choice([Fraction(0), spacing / 2 if spacing * (2 * count - 1) < 2 else Fraction(0)])
    return WindowRule(window_s, hop_s, count, first, spacing)


def random_times(rng):
    """Even, uneven, with gaps of seconds and of minutes, in Matroska's milliseconds; from any beginning."""
    kind = rng.choice(["even", "uneven", "gaps", "rounded"])
    rate = rng.choice([1, 5, 10, 25])
    time_s, times = Fraction(rng.randint(-20, 50), 10), []
    for _ in range(rng.randint(1, 60)):
        times.append(Fraction(round(time_s * 1000), 1000) if kind == "rounded" else time_s)
        step = Fraction(1, rate) if kind in ("even", "gaps") else Fraction(1001, 30000 if kind == "rounded" else 24000)
        time_s += step * (Fraction(rng.randint(1, 30), 10) if kind == "uneven" else 1)
        if kind == "gaps" and rng.random() < 0.05:
            time_s += rng.choice([Fraction(3), Fraction(61), Fraction(90)])
    return times


@pytest.mark.parametrize("seed", range(100))
def test_windows_are_those_of_the_definition(seed):
    rng = random.Random(seed)
    rule, shots = random_rule(rng), frames(random_times(rng))
    found, prepared = cut(rule, shots)
    assert found == plain(rule, shots)
    assert prepared == sorted(set(prepared))  # each once


def test_windows_overlap_and_share_their_pictures():
    found, prepared = cut(CENTRES, even(20))
    # the pictures at 1/8, 3/8, 5/8, 7/8 of a second, ten frames a second
    assert found == [(0, 1, [1, 3, 6, 8]), (HALF, 3 * HALF, [6, 8, 11, 13]), (1, 2, [11, 13, 16, 18])]
    assert prepared == [1, 3, 6, 8, 11, 13, 16, 18]


def test_a_window_comes_as_soon_as_it_is_over():
    windows = Windows(CENTRES, lambda frame: None)
    given = [len(windows.add(frame)) for frame in even(20)]
    assert [index for index, count in enumerate(given) if count] == [10, 15]


def test_one_picture_is_one_window_as_long_as_the_picture():
    found, prepared = cut(CENTRES, frames([7]), interval_s=Fraction(1, 5))
    assert found == [(7, 7 + Fraction(1, 5), [0, 0, 0, 0])]
    assert prepared == [0]


def test_no_picture_is_no_window():
    assert cut(CENTRES, []) == ([], [])


def test_a_short_video_has_one_window_that_ends_with_it_and_repeats_its_last_picture():
    found, _ = cut(CENTRES, even(5))
    assert found == [(0, HALF, [1, 3, 4, 4])]


def test_a_last_window_is_moved_back_so_that_it_ends_with_the_video():
    found, _ = cut(CENTRES, even(18))
    # 1.8 s: windows end at 1 and 1.5; one more could begin at 0.8, and begins on the grid of quarters before that
    assert [(start, end) for start, end, _ in found] == [(0, 1), (HALF, 3 * HALF), (Fraction(3, 4), Fraction(7, 4))]
    assert found[-1][2] == [8, 11, 13, 16]


def test_a_video_that_ends_with_a_window_but_for_rounding_has_no_further_one():
    shots = frames(Fraction(round(k * 1000 / 30), 1000) for k in range(60))  # 1.967 s and an interval of 33 ms
    assert [start for start, _, _ in cut(CENTRES, shots)[0]] == [0, HALF, 1]


def test_windows_further_apart_than_long_leave_the_time_between_them_out():
    rule = WindowRule(Fraction(1), Fraction(3), 2, Fraction(0), HALF)
    found, _ = cut(rule, even(70))
    assert [(start, shown) for start, _, shown in found] == [(0, [0, 5]), (3, [30, 35]), (6, [60, 65])]


def test_a_picture_stands_through_a_short_gap():
    found, _ = cut(CENTRES, frames([0, Fraction(1, 10), 2, Fraction(21, 10), Fraction(5, 2)]))
    assert found[1] == (HALF, 3 * HALF, [1, 1, 1, 1])


def test_a_clock_that_jumps_far_makes_no_windows_without_end():
    shots = frames([0, 1, 10**9, 10**9 + 1])
    windows = Windows(CENTRES, lambda frame: None)
    spans = [span for frame in shots for span in windows.add(frame)] + windows.end()
    assert len(spans) < 2 * STANDS_S + 10
    assert windows.left_out + len(spans) == 2 * 10**9 + 4  # they begin at 0, 0.5, …, 10**9 + 1.5


class Picture:
    """Counts how many of its kind there are."""

    alive = 0

    def __init__(self):
        Picture.alive += 1

    def __del__(self):
        Picture.alive -= 1


@pytest.mark.parametrize("hop_s", [Fraction(1, 4), Fraction(1, 3), Fraction(1), Fraction(5)])
def test_what_is_held_does_not_grow_with_the_video(hop_s):
    rule = WindowRule(Fraction(1), hop_s, 8, Fraction(1, 16), Fraction(1, 8))
    held = []
    windows = Windows(rule, lambda frame: Picture())
    for frame in even(3000, 30):
        windows.add(frame)
        held.append(Picture.alive)
    # a window of 30 frames has at most as many pictures, and so has the grid for the end
    assert max(held[:100]) == max(held) <= 31


def test_a_rule_that_leaves_its_window_is_our_own_mistake():
    with pytest.raises(ValueError, match="pictures within the window"):
        WindowRule(Fraction(1), HALF, 4, HALF, Fraction(1, 4))
