"""Captions on pictures: what is drawn where, that it fits, and the video that comes of it."""

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from make_media import Clip, write_video

from vidpc.errors import OutputError
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.outputs import canvas
from vidpc.outputs.action_video import COLOURS, Reading, check_render, draw, readings_of, render_actions
from vidpc.outputs.timeline import Timeline
from vidpc.types import Frame, ReadOptions, Window

GREY = 100
LONG = "passing American football (not in game) while others watch from the side"


def grey(width, height):
    return np.full((height, width, 3), GREY, np.uint8)


def columns_of(picture, colour):
    """Columns in which the colour stands, from the first to the last."""
    return np.flatnonzero((picture == np.array(colour)).all(axis=2).any(axis=0))


@pytest.mark.parametrize("score", [0.25, 0.8])
def test_the_bar_is_as_long_as_the_score(score):
    """At 500 pixels of height letters have 23, and what is left free beside a bar is a third of that: 7."""
    picture = draw(grey(1000, 500), [Reading("walk", score, COLOURS[0])])
    bar = columns_of(picture, COLOURS[0])
    assert (bar[0], len(bar)) == (7, round(score * (1000 - 14)))
    assert (picture[-5, 7:993] != GREY).any(axis=1).all()  # the empty rest of the bar


def test_nothing_above_the_caption_changes_and_the_source_stays():
    source = grey(640, 360)
    picture = draw(source, [Reading("walk", 0.5, COLOURS[0])])
    assert (source == GREY).all()
    rows = np.flatnonzero((picture != GREY).any(axis=(1, 2)))
    assert rows[-1] == 359
    assert rows[0] > 300
    assert len(rows) == 360 - rows[0]


def test_without_readings_nothing_is_drawn():
    assert (draw(grey(64, 48), []) == GREY).all()


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 720), (720, 1280), (240, 320), (160, 120)])
@pytest.mark.parametrize("count", [1, 3])
def test_text_is_whole_and_lies_inside(width, height, count, monkeypatch):
    drawn = []

    def seen(picture, colour, text, left, top, size):
        columns, rows = canvas.text_size(text, size)
        assert left >= 0
        assert top >= 0
        assert left + columns <= width
        assert top + rows <= height
        drawn.append(text)

    monkeypatch.setattr(canvas, "write", seen)
    draw(grey(width, height), [Reading(LONG, 0.5, colour) for colour in COLOURS[:count]])
    assert " ".join(text for text in drawn if text != "50 %") == " ".join([LONG] * count)


def test_a_tiny_picture_gets_what_fits():
    readings = [Reading(LONG, 0.5, colour) for colour in COLOURS]
    assert draw(grey(16, 16), readings).shape == (16, 16, 3)
    assert draw(grey(1, 1), readings).shape == (1, 1, 3)


def test_letters_that_the_font_lacks_are_spelled_otherwise():
    assert canvas.spelled("café – 中…") == "cafe ? ?…"
    assert canvas.text_size("é", 20) == canvas.text_size("e", 20)


def test_text_is_broken_between_words_and_shortened_only_at_the_end():
    width = canvas.text_size("one two", 20)[0]
    assert canvas.wrapped("one two three", 20, width, 3) == ["one two", "three"]
    lines = canvas.wrapped("one two three four five six", 20, width, 2)
    assert lines[0] == "one two"
    assert lines[1].endswith("…")
    assert canvas.text_size(lines[1], 20)[0] <= width
    assert canvas.shortened("one two", 20, width) == "one two"
    assert canvas.shortened("one", 20, 1) == "…"


def test_among_several_models_each_is_named(action_header, windows):
    timeline = Timeline(action_header)
    timeline.add(windows[0])
    assert [reading.label for reading in readings_of(timeline, 0)] == ["camera: pan left", "fight: no fight"]
    assert [reading.score for reading in readings_of(timeline, 0)] == pytest.approx([0.75, 0.9])


def shown(path, options=None):
    return [item for item in read_videos([path], options) if isinstance(item, Frame)]


@pytest.fixture
def timeline(action_header):
    """Nothing before 0.2 s; the first label of each model until 0.4 s, then the second."""
    timeline = Timeline(action_header)
    fifth = Fraction(1, 5)
    for number, scores in ((1, ([1, 0, 0], [1, 0])), (2, ([0, 1, 0], [0, 1]))):
        arrays = tuple(np.array(row, np.float32) for row in scores)
        timeline.add(Window(number, number * fifth, (number + 1) * fifth, 0, 0, arrays))
    return timeline


def test_a_video_keeps_its_times_and_its_sound(tmp_path, timeline):
    times = tuple(Fraction(k, 25) for k in (0, 1, 2, 5, 6, 9, 10, 11, 14))
    clip = Clip(count=9, width=320, height=240, times_s=times, tick=Fraction(1, 25), sound="aac")
    source = write_video(tmp_path / "in.mp4", clip)
    counts = []
    warnings = render_actions(
        tmp_path / "out.mp4", Source(str(source)), timeline, reading=ReadOptions(stride=3), on_frame=counts.append
    )
    assert warnings == ()
    assert counts == list(range(1, 10))  # all frames, also where fewer were looked at
    before, after = shown(source), shown(tmp_path / "out.mp4")
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
    foot = [np.abs(b.rgb()[-40:].astype(int) - a.rgb()[-40:]).mean() for b, a in zip(before, after, strict=True)]
    is_captioned = [difference > 20 for difference in foot]
    assert is_captioned == [frame.time_s >= Fraction(1, 5) for frame in before]
    assert max(np.abs(b.rgb()[:100].astype(int) - a.rgb()[:100]).mean() for b, a in zip(before, after, strict=True)) < 6


def test_a_span_is_rendered_as_a_span(tmp_path, timeline):
    source = write_video(tmp_path / "in.mp4", Clip(count=20))
    reading = ReadOptions(start_s=Fraction(1, 5), end_s=Fraction(2, 5))
    render_actions(tmp_path / "out.mkv", Source(str(source)), timeline, reading=reading)
    assert [frame.time_s for frame in shown(tmp_path / "out.mkv")] == [Fraction(k, 25) for k in range(5)]


def test_a_span_without_frames_is_said(tmp_path, timeline):
    source = write_video(tmp_path / "in.mp4", Clip(count=5))
    reading = ReadOptions(start_s=Fraction(9))
    warnings = render_actions(tmp_path / "out.mp4", Source(str(source)), timeline, reading=reading)
    assert warnings == (f"there is no frame in {tmp_path / 'out.mp4'}",)


def test_a_video_that_exists_is_kept(tmp_path, timeline):
    source = write_video(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(OutputError, match="exists already: use --overwrite"):
        render_actions(tmp_path / "out.mp4", Source(str(source)), timeline, reading=ReadOptions())
    assert (tmp_path / "out.mp4").read_text() == "mine"


def test_a_source_that_went_away_leaves_nothing(tmp_path, timeline):
    gone = Source(str(tmp_path / "gone.mp4"))
    with pytest.raises(OutputError, match=r"out\.mp4: its source could not be read a second time: .*gone\.mp4"):
        render_actions(tmp_path / "out.mp4", gone, timeline, reading=ReadOptions())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_the_beginning_under_a_name_that_says_so(tmp_path, timeline):
    source = write_video(tmp_path / "in.mp4")

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_actions(tmp_path / "out.mp4", Source(str(source)), timeline, reading=ReadOptions(), on_frame=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.partial.mp4"]


def test_what_cannot_be_read_twice_is_refused_before_any_work(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (Source("-", "pipe"), Source(str(tmp_path / "pipe"))):
        with pytest.raises(OutputError, match="is a pipe, which cannot be read a second time"):
            check_render("out.mp4", source)
    with pytest.raises(OutputError, match="a camera cannot be read a second time"):
        check_render("out.mp4", Source("rtsp://camera/1", "url"))
    with pytest.raises(OutputError, match=r"out\.gif: expected a name that ends in \.avi, \.m4v, \.mkv, \.mov, \.mp4, \.webm"):
        check_render("out.gif", Source("in.mp4"))
    check_render("out.MP4", Source("in.mp4"))
    check_render("out.mp4", Source("frames", "images"))
