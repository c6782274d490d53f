"""Frames by number for clips: by seeking and by reading in order they are the same."""

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video

from vidpc.errors import DecodeError, OpenError
from vidpc.media import clips
from vidpc.media.clips import read_clips
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.types import Aside, ClipPlan, Closed, Frame, Opened, ReadOptions

CHOSEN = [[0, 3, 9, 9], [9, 17, 31], [5, 6]]


def chosen(count, rate_fps):
    return CHOSEN


def read(path, options=None, choose=chosen):
    return list(read_clips([Source(str(path))], choose, options))


def seen(items):
    """Places, times and pixels."""
    return [(item.index, item.time_s, item.rgb().tobytes()) for item in items if isinstance(item, Frame)]


@pytest.fixture
def in_order(monkeypatch):
    """Takes the index away."""
    monkeypatch.setattr(clips, "_indexed", lambda *_: None)


FILES = {
    "b-frames": ("a.mp4", Clip(count=40, codec_options={"bf": "3"}, gop=8)),
    "uneven": ("b.mkv", Clip(count=40, times_s=tuple(Fraction(k * k, 100) for k in range(40)), tick=Fraction(1, 1000))),
    "mpeg2": ("c.ts", Clip(count=40, codec="mpeg2video", gop=8)),
}
OPTIONS = {
    "all": ReadOptions(),
    "span": ReadOptions(start_s=Fraction(1, 10), end_s=Fraction(15)),
    "stride": ReadOptions(stride=1, start_s=Fraction(3, 25)),
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", FILES)
def test_seeking_and_reading_in_order_give_the_same(tmp_path, request, name, options):
    file, clip = FILES[name]
    path = write_video(tmp_path / file, clip)
    sought = read(path, OPTIONS[options])
    request.getfixturevalue("in_order")
    ordered = read(path, OPTIONS[options])
    assert seen(sought) == seen(ordered)
    assert len(seen(sought)) == 7  # each once
    assert [item for item in sought if isinstance(item, Aside)] == [item for item in ordered if isinstance(item, Aside)]


def test_frames_follow_their_plan_in_order(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=40))
    opened, plan, *frames, closed = read(path)
    assert isinstance(opened, Opened)
    assert plan == Aside(0, ClipPlan(tuple(map(tuple, CHOSEN)), Fraction(1, 25)))
    assert [frame.index for frame in frames] == [0, 3, 5, 6, 9, 17, 31]
    expected = {frame.index: frame.rgb() for frame in read_videos([path]) if isinstance(frame, Frame)}
    assert all(np.array_equal(frame.rgb(), expected[frame.index]) for frame in frames)
    assert closed == Closed(0)


@pytest.mark.parametrize(
    ("options", "count", "rate_fps", "first"),
    [
        (ReadOptions(), 40, 25, 0),
        (ReadOptions(stride=4), 10, 6.25, 0),
        (ReadOptions(rate_fps=Fraction(5)), 8, 5, 0),
        (ReadOptions(start_s=Fraction(1)), 15, 25, 25),
    ],
)
def test_numbers_count_the_frames_that_are_left(tmp_path, request, options, count, rate_fps, first):
    path = write_video(tmp_path / "a.mp4", Clip(count=40))
    asked = []

    def choose(*facts):
        asked.append(facts)
        return [[0]]

    for _ in range(2):
        [frame] = [item for item in read(path, options, choose) if isinstance(item, Frame)]
        assert frame.index == first
        request.getfixturevalue("in_order")
    assert asked == [(count, pytest.approx(rate_fps))] * 2


def test_pictures_of_a_folder_are_read_in_order(tmp_path):
    paths = tuple(write_picture(tmp_path / f"{k:02}.png", scene(k, 32, 24)) for k in range(40))
    source = Source(str(tmp_path), "images", paths)
    items = list(read_clips([source], chosen, ReadOptions(input_fps=Fraction(10))))
    assert [item.index for item in items if isinstance(item, Frame)] == [0, 3, 5, 6, 9, 17, 31]
    assert all(np.array_equal(item.rgb(), scene(item.index, 32, 24)) for item in items if isinstance(item, Frame))


def test_decord_gives_the_same_frames(tmp_path):
    pytest.importorskip("decord")
    path = write_video(tmp_path / "a.mp4", Clip(count=40))
    ours, theirs = seen(read(path)), seen(read(path, ReadOptions(decoder="decord")))
    assert [row[:2] for row in theirs] == [row[:2] for row in ours]


def test_a_raw_stream_without_times_is_read_in_order(tmp_path):
    path = write_video(tmp_path / "a.h264", Clip(count=40, gop=8))
    items = read(path)
    assert [item.index for item in items if isinstance(item, Frame)] == [0, 3, 5, 6, 9, 17, 31]
    assert items[-1].error is None


def test_a_span_without_a_frame_asks_for_none(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=10))
    opened, closed = read(path, ReadOptions(start_s=Fraction(60)))
    assert isinstance(opened, Opened)
    assert "no frame lies from 60 s" in closed.warnings[0]


def test_what_cannot_be_opened_ends_its_own_input_alone(tmp_path):
    good = write_video(tmp_path / "a.mp4", Clip(count=40))
    sources = [Source(str(tmp_path / "missing.mp4")), Source(str(good)), Source("-", "pipe")]
    items = list(read_clips(sources, chosen))
    ends = [item for item in items if isinstance(item, Closed)]
    assert [end.stream for end in ends] == [0, 1, 2]
    assert isinstance(ends[0].error, OpenError)
    assert ends[1].error is None
    assert "leave out --clips" in str(ends[2].error)


def spoilt(path):
    """A file of key frames alone, some of them in the middle damaged."""
    write_video(path, Clip(count=40, gop=1))
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 1500] = b"\xff" * 1500
    path.write_bytes(data)
    return path


def test_a_damaged_frame_shows_the_one_before_and_is_told(tmp_path):
    items = read(spoilt(tmp_path / "a.mp4"), choose=lambda *_: [list(range(40))])
    frames = [item for item in items if isinstance(item, Frame)]
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == [Fraction(k, 25) for k in range(40)]
    assert "frames that could not be decoded" in items[-1].warnings[0]


REAL = ("av1_video.mkv", "discard_first_keyframe.mp4", "nasa_13013_rotated.mp4", "nasa_13013_vfr.mp4", "var_fps_video.mp4")


@pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA names no folder with real videos")
@pytest.mark.parametrize(
    "name", [*REAL, "test_non_zero_start.mp4", "testsrc2_vp8.webm", "unordered.mov", "sine_stereo_mp2.mpg"]
)
def test_real_files_give_the_same_both_ways(request, name):
    path = Path(os.environ["VIDPC_DATA"]) / "odd" / name

    def choose(count, rate_fps):
        return [[count * part // 10 for part in (0, 2, 5, 9)], [0, count - 1]]

    sought = read(path, choose=choose)
    request.getfixturevalue("in_order")
    assert seen(sought) == seen(read(path, choose=choose))
    assert sought[-1].error is None


def test_a_file_that_holds_less_than_it_declares_is_told(tmp_path):
    path = write_video(tmp_path / "a.avi", Clip(count=40, codec="mjpeg", pixel_format="yuvj420p"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = read(path, choose=lambda *_: [[0]])
    assert re.fullmatch(r"the file declares 40 pictures, \d+ are shown", items[-1].warnings[0])


def test_damage_is_an_error_where_it_is_asked_for(tmp_path):
    items = read(spoilt(tmp_path / "a.mp4"), ReadOptions(strict=True))
    assert isinstance(items[-1].error, DecodeError)
    assert "--strict" in str(items[-1].error)
