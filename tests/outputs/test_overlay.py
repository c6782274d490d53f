"""Tracks drawn on pictures: where pixels change, that colours stay, and the video that comes of it."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from vidpc.errors import OutputError
from vidpc.outputs import canvas
from vidpc.outputs.overlay import TRAIL_S, Style, TrackVideo, colour_of, draw, extend, style_for
from vidpc.types import FrameTracks

RED = (255, 0, 0)


def black(width=64, height=48):
    return np.zeros((height, width, 3), dtype=np.uint8)


def painted(picture):
    return {(int(x), int(y)) for y, x in np.argwhere(picture.any(axis=2))}


def tracks(time, *rows):
    """Rows of (id, x1, y1, x2, y2)."""
    table = np.array(rows, dtype=float).reshape(-1, 5)
    n = len(table)
    return FrameTracks(0, Fraction(time), table[:, 0].astype(int), table[:, 1:], np.ones(n), np.zeros(n, dtype=int))


def test_an_outline_lies_inside_its_box():
    picture = black(10, 10)
    canvas.outline(picture, RED, np.array([2.0, 3.0, 6.0, 8.0]), 1)
    border = {(x, y) for x in range(2, 6) for y in range(3, 8) if x in (2, 5) or y in (3, 7)}
    assert painted(picture) == border


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([-5, -5, 3, 3], {(2, 0), (2, 1), (2, 2), (0, 2), (1, 2)}),  # only the edges that are in the picture
        ([20, 20, 30, 30], set()),
        ([-1e9, -1e9, 1e9, 1e9], set()),
        ([4, 4, 4, 4], set()),
        ([6, 6, 4, 4], set()),
    ],
)
def test_boxes_that_reach_outside_are_clipped(box, expected):
    picture = black(10, 10)
    canvas.outline(picture, RED, np.array(box, dtype=float), 1)
    assert painted(picture) == expected


def test_a_line_has_no_gaps_and_fades_in():
    picture = black(20, 20)
    canvas.polyline(picture, RED, np.array([[0.0, 0.0], [19.0, 19.0]]), 1)
    diagonal = picture[range(20), range(20), 0].astype(int)
    assert diagonal.min() > 0
    assert (np.diff(diagonal) >= 0).all()
    assert diagonal[-1] == 255


def test_lines_that_leave_the_picture_are_clipped():
    picture = black(10, 10)
    canvas.polyline(picture, RED, np.array([[-50.0, 5.0], [1e12, 5.0]]), 1)
    assert {y for _, y in painted(picture)} == {5}
    canvas.polyline(picture, RED, np.array([[3.0, 3.0]]), 1)  # one point is no line
    assert {y for _, y in painted(picture)} == {5}


@pytest.mark.parametrize(("left", "top"), [(5, 5), (-4, -4), (60, 44), (500, 500), (-500, -500)])
def test_text_plates_are_clipped(left, top):
    picture = black()
    canvas.plate(picture, RED, "12", left, top, 12)
    width, height = canvas.text_size("12", 12)
    inside = {(x, y) for x in range(max(left, 0), min(left + width, 64)) for y in range(max(top, 0), min(top + height, 48))}
    assert painted(picture) <= inside
    assert bool(inside) == bool(painted(picture))


@pytest.mark.parametrize("colour", [(255, 255, 0), (60, 0, 120)])
def test_text_stands_out_from_its_plate(colour):
    picture = black()
    canvas.plate(picture, colour, "8", 0, 0, 20)
    width, height = canvas.text_size("8", 20)
    contrast = np.abs(picture[:height, :width].astype(int) - colour).sum(axis=2).max()
    assert contrast > 300


def test_an_identity_has_one_colour_and_neighbours_differ():
    colours = [colour_of(i) for i in range(1, 40)]
    assert colours == [colour_of(i) for i in range(1, 40)]
    for one, other in itertools.pairwise(colours):
        assert np.abs(np.subtract(one, other)).sum() > 100


def test_sizes_follow_the_picture():
    assert style_for(160, 120) == Style(line=2, text=11)  # the least that can be seen and read
    assert style_for(1280, 720) == style_for(720, 1280) == Style(line=2, text=19)
    assert style_for(3840, 2160) == Style(line=7, text=57)


def test_trails_reach_back_a_second_by_time_not_frames():
    trails = {}
    for step in range(30):
        trails = extend(trails, tracks(Fraction(step, 10), (1, step, 0, step + 10, 20)))
    assert trails[1][:, 0].min() == pytest.approx(2.9 - TRAIL_S)
    assert trails[1][-1].tolist() == [2.9, 34.0, 20.0]  # the middle of the lower edge
    assert extend(trails, tracks(10)) == {}


def test_drawing_leaves_the_frame_as_it_was():
    rgb = black()
    rgb.flags.writeable = False
    shown = tracks(0, (1, 10, 20, 30, 40))
    picture = draw(rgb, shown, extend({}, shown), ("person",), style_for(64, 48))
    assert not rgb.any()
    assert picture.any()


def test_a_frame_without_tracks_is_unchanged():
    rgb = np.arange(64 * 48 * 3, dtype=np.uint8).reshape(48, 64, 3)
    assert np.array_equal(draw(rgb, tracks(0), {}, ("person",), style_for(64, 48)), rgb)


def test_only_identities_in_sight_have_trails():
    trails = extend({}, tracks(0, (1, 0, 0, 10, 10), (2, 40, 0, 50, 10)))
    trails = extend(trails, tracks(Fraction(1, 10), (1, 0, 30, 10, 40), (2, 40, 30, 50, 40)))
    picture = draw(black(), tracks(Fraction(1, 10), (1, 0, 30, 10, 40)), trails, ("person",), Style(1, 11))
    assert {x for x, y in painted(picture) if 12 <= y < 15} == {5}


def test_several_labels_are_named():
    few = draw(black(200, 100), shown := tracks(0, (7, 50, 50, 60, 90)), {}, ("person",), Style(1, 12))
    many = draw(black(200, 100), shown, {}, ("person", "car"), Style(1, 12))
    assert len(painted(many)) > len(painted(few))


def test_the_video_keeps_times_and_shows_the_boxes(tmp_path, info):
    path = tmp_path / "out.mp4"
    times = [Fraction(0), Fraction(1, 25), Fraction(1, 2)]
    with TrackVideo(path, info, labels=("person",)) as video:
        for time in times:
            video.write(np.zeros((360, 640, 3), dtype=np.uint8), tracks(time, (1, 100, 100, 300, 300)))
    with av.open(str(path)) as container:
        shown = list(container.decode(video=0))
        assert [frame.pts * frame.time_base for frame in shown] == times
        picture = shown[-1].to_ndarray(format="rgb24").astype(int)
    assert np.abs(picture[200, 100] - colour_of(1)).max() < 60  # a thin line through a lossy encoder
    assert picture[200, 200].max() < 20


def test_an_existing_video_is_refused_and_a_failed_one_leaves_nothing(tmp_path, info):
    path = tmp_path / "out.mp4"

    def fail():
        with TrackVideo(path, info, labels=("person",)) as video:
            video.write(np.zeros((360, 640, 3), dtype=np.uint8), tracks(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    path.touch()
    with pytest.raises(OutputError, match=r"out\.mp4 exists already"):
        TrackVideo(path, info, labels=("person",))
