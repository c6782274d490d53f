"""The right frames at the right times, of generated files."""

import os
import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video

from vidpc.media.read import read_videos
from vidpc.types import Closed, Frame, Opened, ReadOptions

CODED = 14  # levels that a tiny H.264 file may differ from its source, on average of the picture


def read(*sources, **options):
    """Facts, frames and ends of what is read."""
    items = list(read_videos(sources, ReadOptions(**options)))
    return (
        [item.info for item in items if isinstance(item, Opened)],
        [item for item in items if isinstance(item, Frame)],
        [item for item in items if isinstance(item, Closed)],
    )


def times(frames):
    return [frame.time_s for frame in frames]


def assert_shows(frame: Frame, picture: np.ndarray):
    assert np.abs(frame.rgb().astype(int) - picture).mean() < CODED


CODECS = {
    "h264 in mp4": ("a.mp4", Clip(codec_options={"bf": "3"})),
    "open groups of pictures": ("b.mkv", Clip(codec_options={"x264-params": "open-gop=1:bframes=3"})),
    "mpeg2 in ts": ("c.ts", Clip(codec="mpeg2video", codec_options={"bf": "2"})),
    "mpeg4 in avi": ("d.avi", Clip(codec="mpeg4")),
    "vp9 in webm": ("e.webm", Clip(codec="libvpx-vp9", codec_options={"cpu-used": "8", "deadline": "realtime"})),
    "vp8 in webm": ("f.webm", Clip(codec="libvpx", codec_options={"cpu-used": "8", "deadline": "realtime"})),
    "hevc in mp4": ("g.mp4", Clip(codec="libx265", codec_options={"x265-params": "log-level=none"})),
    "av1 in mkv": ("h.mkv", Clip(codec="libsvtav1", width=128, height=96, codec_options={"preset": "12"})),
    "mjpeg in avi": ("i.avi", Clip(codec="mjpeg", pixel_format="yuvj420p", full_range=True)),
    "prores in mov": ("j.mov", Clip(codec="prores_ks", pixel_format="yuv422p10le")),
    "10 bit": ("k.mp4", Clip(pixel_format="yuv420p10le")),
    "4:4:4": ("l.mp4", Clip(pixel_format="yuv444p")),
    "gray": ("m.mkv", Clip(codec="ffv1", pixel_format="gray", full_range=True)),
    "alpha": ("n.mov", Clip(codec="prores_ks", pixel_format="yuva444p10le")),
    "gif": ("o.gif", Clip(codec="gif", pixel_format="rgb8")),
    "fragmented": ("p.mp4", Clip(container_options={"movflags": "frag_keyframe+empty_moov"})),
    "one key frame": ("q.mp4", Clip(gop=1000)),
    "no index in front": ("r.mkv", Clip(container_options={"live": "1"})),
    "one frame": ("s.mp4", Clip(count=1)),
}


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_gives_its_frames_in_order(tmp_path, name):
    os.environ["SVT_LOG"] = "0"
    file, clip = CODECS[name]
    (info,), frames, (closed,) = read(write_video(tmp_path / file, clip))
    assert (closed.warnings, closed.error) == ((), None)
    assert [frame.index for frame in frames] == list(range(clip.count))
    assert (info.width, info.height) == (frames[0].width, frames[0].height) == (clip.width, clip.height)
    steps = {round(float(b - a), 2) for a, b in zip(times(frames), times(frames)[1:], strict=False)}
    assert steps <= {0.04, 0.08}  # AVI and GIF may leave a place out
    for k in (0, clip.count // 2, clip.count - 1):
        picture = scene(k, clip.width, clip.height)
        assert_shows(frames[k], picture.mean(axis=2, keepdims=True) if name == "gray" else picture)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_uneven_times_are_those_of_the_container(tmp_path, suffix):
    wanted = tuple(Fraction(k, 1000) for k in (0, 40, 90, 200, 240, 1000, 1010, 1500))
    clip = Clip(count=8, times_s=wanted, tick=Fraction(1, 1000))
    _, frames, (closed,) = read(write_video(tmp_path / f"a{suffix}", clip))
    assert times(frames) == list(wanted)
    assert closed.warnings == ()


@pytest.mark.parametrize("start", [Fraction(25, 3), Fraction(24 * 3600)])
def test_a_first_time_that_is_not_zero_is_kept(tmp_path, start):
    wanted = tuple(start + Fraction(k, 25) for k in range(12))
    clip = Clip(times_s=wanted, tick=Fraction(1, 90000))
    (info,), frames, _ = read(write_video(tmp_path / "a.ts", clip))
    delay = frames[0].time_s - start  # the transport stream muxer shifts everything by a constant
    assert times(frames) == [time_s + delay for time_s in wanted]
    assert info.start_s == frames[0].time_s


def test_two_recordings_in_one_stream_have_one_clock(tmp_path):
    one = write_video(tmp_path / "a.ts", Clip(count=50, gop=10)).read_bytes()
    both = tmp_path / "b.ts"
    both.write_bytes(one + one)
    _, frames, (closed,) = read(both)
    assert len(frames) == 100
    steps = [b - a for a, b in zip(times(frames), times(frames)[1:], strict=False)]
    assert min(steps) > 0
    assert max(steps) < Fraction(1, 5)
    assert "jumps of the clock back, after which times continue from the frame before: 1" in closed.warnings


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_and_mirroring_are_applied(tmp_path, rotation, hflip):
    """FFmpeg's angle is counter-clockwise, and its flip comes after the turn."""
    path = write_video(tmp_path / "a.mp4", Clip(count=2, width=64, height=32, rotation_deg=rotation, hflip=hflip))
    (info,), frames, _ = read(path)
    stored = scene(0, 64, 32)
    turned = np.rot90(stored, rotation // 90)
    assert_shows(frames[0], turned[:, ::-1] if hflip else turned)
    assert (info.width, info.height) == ((32, 64) if rotation % 180 else (64, 32))
    assert info.mirrored is hflip


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    (info,), frames, _ = read(write_video(tmp_path / "a.mp4", Clip(count=2, aspect=Fraction(4, 3))))
    assert info.sample_aspect == Fraction(4, 3)
    assert frames[0].rgb().shape == (48, 85, 3)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_tagged_colours_come_back(tmp_path, matrix, full_range):
    colours = [(200, 40, 40), (30, 180, 60), (40, 60, 210), (128, 128, 128)]
    pictures = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    clip = Clip(matrix=matrix, full_range=full_range, gop=1, codec_options={"crf": "1"})
    (info,), frames, _ = read(write_video(tmp_path / "a.mp4", clip, pictures))
    assert (info.matrix, info.full_range) == (matrix, full_range)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.rgb().astype(int) - picture).max() <= 5  # twice through 8-bit tables


@pytest.mark.parametrize(("width", "height"), [(65, 49), (64, 49), (1, 1), (1, 33), (3, 2)])
def test_odd_sizes(tmp_path, width, height):
    for codec, pixel_format in (("png", "rgb24"), ("mjpeg", "yuvj420p")):
        clip = Clip(count=3, width=width, height=height, codec=codec, pixel_format=pixel_format)
        (info,), frames, _ = read(write_video(tmp_path / f"{codec}.mov", clip))
        assert (info.width, info.height) == (width, height)
        assert frames[-1].rgb().shape == (height, width, 3)
        if codec == "png":
            assert np.array_equal(frames[-1].rgb(), scene(2, width, height))


def test_a_change_of_size_is_scaled_to_the_first_and_said(tmp_path):
    parts = [write_video(tmp_path / f"{w}.ts", Clip(count=25, width=w, height=h)) for w, h in ((64, 48), (96, 64))]
    joined = tmp_path / "a.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    (info,), frames, (closed,) = read(joined)
    assert (info.width, info.height) == (64, 48)
    assert {frame.rgb().shape for frame in frames} == {(48, 64, 3)}
    assert any("changes its size to 96x64" in warning for warning in closed.warnings)
    assert len(frames) > 45


def test_a_cover_picture_is_not_the_video(tmp_path):
    path = tmp_path / "a.mp4"
    cover = write_picture(tmp_path / "cover.png", scene(0, 32, 32)).read_bytes()
    _write_with_cover(path, cover, with_video=True)
    (info,), frames, _ = read(path)
    assert (info.codec, info.width, len(frames)) == ("h264", 64, 4)


def test_a_cover_picture_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    cover = write_picture(tmp_path / "cover.png", scene(0, 32, 32)).read_bytes()
    _write_with_cover(path, cover, with_video=False)
    _, _, (closed,) = read(path)
    assert "no video stream (a cover picture only)" in str(closed.error)


def _write_with_cover(path, png, *, with_video):
    with av.open(str(path), "w") as container:
        attached = container.add_stream("png", rate=1)
        attached.width, attached.height, attached.pix_fmt = 32, 32, "rgb24"
        attached.disposition = av.stream.Disposition.attached_pic
        if with_video:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        else:
            video = container.add_stream("aac", rate=44100, layout="mono")
        container.start_encoding()
        packet = av.Packet(png)
        packet.stream, packet.pts, packet.dts, packet.time_base = attached, 0, 0, Fraction(1, 25)
        container.mux(packet)
        for k in range(4):
            if with_video:
                frame = av.VideoFrame.from_ndarray(scene(k, 64, 48), format="rgb24").reformat(format="yuv420p")
            else:
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate = 44100
            frame.pts = k if with_video else k * 1024
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def test_the_first_of_several_video_streams_is_read_and_it_is_said(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, width in zip(streams, (64, 128), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
        for k in range(3):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(scene(k, stream.width, 48), format="rgb24").reformat(format="yuv420p")
                frame.pts = k
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    (info,), frames, _ = read(path)
    assert info.warnings == ("2 video streams: number 0 is read",)
    assert (info.width, len(frames)) == (64, 3)


def test_eight_sound_streams_and_a_longer_sound_do_no_harm(tmp_path):
    (info,), frames, (closed,) = read(write_video(tmp_path / "a.mkv", Clip(sound="aac", sound_streams=8)))
    assert [(a.codec, a.rate_hz, a.channels) for a in info.audio] == [("aac", 44100, 1)] * 8
    assert (len(frames), closed.warnings) == (12, ())


THINNED = [
    "h264 in mp4",
    "open groups of pictures",
    "mpeg2 in ts",
    "vp8 in webm",
    "mpeg4 in avi",
    "one key frame",
    "fragmented",
]


@pytest.mark.parametrize("name", THINNED)
def test_a_start_gives_the_same_frames_as_reading_everything(tmp_path, name):
    file, clip = CODECS[name]
    path = write_video(tmp_path / file, clip)
    _, everything, _ = read(path)
    for first in (0, 3, 5, 9, 11):
        _, frames, (closed,) = read(path, start_s=everything[first].time_s)
        assert [(f.index, f.time_s) for f in frames] == [(f.index, f.time_s) for f in everything[first:]]
        assert np.array_equal(frames[0].rgb(), everything[first].rgb())
        assert closed.warnings == ()


def test_span_stride_and_rate_keep_indices_and_times_of_the_source(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    _, frames, _ = read(path, start_s=Fraction(4, 25), end_s=Fraction(10, 25), stride=2)
    assert [(f.index, f.time_s) for f in frames] == [(k, Fraction(k, 25)) for k in (4, 6, 8)]
    _, frames, _ = read(path, rate_fps=Fraction(5))
    assert [f.index for f in frames] == [0, 5, 10]


def test_a_span_behind_the_end_is_said(tmp_path):
    _, frames, (closed,) = read(write_video(tmp_path / "a.mp4"), start_s=Fraction(60))
    assert frames == []
    assert closed.warnings == ("no frame lies from 60 s, the last one seen is at 0.440 s",)
    assert closed.error is None


def test_inputs_follow_each_other_and_a_bad_one_does_not_end_the_run(tmp_path):
    good = write_video(tmp_path / "a.mp4", Clip(count=2))
    items = list(read_videos([good, tmp_path / "missing.mp4", good]))
    kinds = [(type(item).__name__, getattr(item, "stream", None)) for item in items]
    assert kinds == [
        *[("Opened", 0), ("Frame", None), ("Frame", None), ("Closed", 0)],
        ("Closed", 1),
        *[("Opened", 2), ("Frame", None), ("Frame", None), ("Closed", 2)],
    ]
    assert "No such file" in str(items[4].error)


def test_closing_the_generator_closes_the_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=200))
    items = read_videos([path])
    for _ in range(3):
        next(items)
    assert _is_open(path)
    items.close()
    assert not _is_open(path)


def _is_open(path):
    targets = (str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists())
    return str(path) in set(targets)


@pytest.mark.parametrize("name", ["h264 in mp4", "vp9 in webm", "mpeg2 in ts"])
def test_a_named_pipe_is_read(tmp_path, name):
    """An MP4 with its index at the end is kept in a temporary file first; the others are read as they come."""
    file, clip = CODECS[name]
    data = write_video(tmp_path / file, clip).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    _, frames, (closed,) = read(pipe)
    writer.join()
    assert (len(frames), closed.error) == (12, None)


def test_a_pipe_that_would_have_to_be_kept_is_limited(tmp_path):
    data = write_video(tmp_path / "a.mp4").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    _, _, (closed,) = read(pipe, max_spool_bytes=100)
    writer.join()
    assert "its index comes last and it is larger than 100 bytes" in str(closed.error)


def test_pictures_are_a_video_of_the_given_rate(tmp_path):
    for k in (1, 2, 4):
        write_picture(tmp_path / f"f_{k:03d}.png", scene(k, 31, 17))
    (info,), frames, (closed,) = read(tmp_path / "f_%03d.png", input_fps=Fraction(10))
    assert (info.width, info.height, info.frame_count, info.rate_fps) == (31, 17, 3, 10)
    assert times(frames) == [0, Fraction(1, 10), Fraction(3, 10)]
    assert np.array_equal(frames[2].rgb(), scene(4, 31, 17))
    assert closed.warnings == ("numbers without a picture between 1 and 4, their time passes: 1",)


@pytest.mark.parametrize(
    ("value", "quarters", "hflip"), [(3, 2, False), (6, 3, False), (8, 1, False), (2, 0, True), (5, 3, True), (7, 1, True)]
)
def test_the_orientation_in_a_photograph_is_applied(tmp_path, value, quarters, hflip):
    """EXIF: 3 half a turn, 6 a quarter clockwise, 8 counter-clockwise, 2 mirrored, 5 and 7 as 6 and 8 and then mirrored."""
    stored = scene(0, 64, 32)
    path = write_picture(tmp_path / "a.jpg", stored)
    data = path.read_bytes()
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, value, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    exif = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    _, (frame,), _ = read(path)
    turned = np.rot90(stored, quarters)
    assert_shows(frame, turned[:, ::-1] if hflip else turned)


def test_a_damaged_picture_leaves_its_place_empty(tmp_path):
    for k in range(4):
        write_picture(tmp_path / f"{k}.jpg", scene(k, 32, 32))
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    write_picture(tmp_path / "3.jpg", scene(3, 64, 32))
    _, frames, (closed,) = read(tmp_path, input_fps=Fraction(5))
    assert [(f.index, f.time_s) for f in frames] == [(0, 0), (2, Fraction(2, 5)), (3, Fraction(3, 5))]
    assert frames[2].rgb().shape == (32, 32, 3)
    assert closed.warnings == (
        "pictures that could not be read: 1 (1.jpg)",
        "the pictures differ in size: they are scaled to the first one",
    )


def test_an_empty_run_has_no_items():
    assert list(read_videos([])) == []
