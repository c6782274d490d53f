"""The generated street: the answers that come with it are true for the picture."""

import numpy as np
import pytest

from vidpc.synthetic.sound import street_sound
from vidpc.synthetic.street import Street


@pytest.fixture(scope="module")
def street():
    return Street(seed=0)


def test_equal_seeds_give_equal_frames(street):
    picture, known = street.frame(2.0)
    again, also_known = Street(seed=0).frame(2.0)
    assert (picture == again).all()
    assert (known.boxes_xyxy == also_known.boxes_xyxy).all()
    assert (picture != Street(seed=1).frame(2.0)[0]).any()


def test_frames_do_not_depend_on_the_order_that_they_are_asked_in(street):
    later, first = street.frame(5.0)[0], street.frame(0.0)[0]
    assert (street.frame(0.0)[0] == first).all()
    assert (street.frame(5.0)[0] == later).all()


def test_six_to_ten_people_of_60_to_110_pixels_are_there(street):
    for time_s in range(10):
        _, known = street.frame(time_s)
        clear = known.visible > 0.9
        heights = (known.boxes_xyxy[:, 3] - known.boxes_xyxy[:, 1])[clear]
        assert 5 <= len(known.ids) <= 11
        assert heights.min() >= 52
        assert heights.max() <= 120


def test_boxes_lie_inside_the_picture(street):
    for time_s in (0, 3, 6, 9):
        boxes = street.frame(time_s)[1].boxes_xyxy
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= 640).all()
        assert (boxes[:, 3] <= 360).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_box_holds_what_differs_from_the_empty_street(street):
    """Against a picture without the person: the change lies in its box, apart from its shadow."""
    full, known = street.frame(4.0)
    walkers = street.walkers
    one = known.ids[np.argmax(known.visible)]
    street.walkers = tuple(walker for walker in walkers if walker.id != one)
    without, _ = street.frame(4.0)
    street.walkers = walkers
    x1, y1, x2, y2 = known.boxes_xyxy[known.ids == one][0]
    changed = np.abs(full.astype(int) - without).max(axis=2) > 90
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert x1 - 2 <= columns[0]
    assert columns[-1] <= x2 + 2
    assert y1 - 2 <= rows[0]
    assert rows[-1] <= y2 + 2


def test_somebody_is_hidden_at_times_and_comes_out_again(street):
    shares = {}
    for time_s in np.arange(0, 10, 0.2):
        _, known = street.frame(float(time_s))
        for number, visible in zip(known.ids.tolist(), known.visible.tolist(), strict=True):
            shares.setdefault(number, []).append(visible)
    crossings = [number for number, seen in shares.items() if min(seen[3:-3], default=1) < 0.5 < min(seen[0], seen[-1])]
    assert crossings
    assert all(0 < value <= 1 for seen in shares.values() for value in seen)


def test_people_move_smoothly(street):
    before, after = street.frame(3.0)[1], street.frame(3.04)[1]
    for number in set(before.ids.tolist()) & set(after.ids.tolist()):
        if before.visible[before.ids == number] > 0.9:
            a, b = before.boxes_xyxy[before.ids == number][0], after.boxes_xyxy[after.ids == number][0]
            assert np.abs((a[:2] + a[2:]) / 2 - (b[:2] + b[2:]) / 2).max() < 8


def test_sound_is_as_long_as_the_clip_and_never_clips(street):
    sound = street_sound(street, seconds=2.0, rate_hz=8000)
    assert sound.shape == (16000, 2)
    assert sound.dtype == np.float32
    assert 0.05 < np.abs(sound).max() <= 1
    assert (sound[:, 0] != sound[:, 1]).any()
