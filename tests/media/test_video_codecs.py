from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video

from vidpc.errors import OutputError, PresetError
from vidpc.media.probe import probe
from vidpc.media.read import read_videos
from vidpc.media.samples import samples_of
from vidpc.media.video_codecs import CODECS, CONTAINERS, check_format, choose_coding
from vidpc.media.video_writer import open_video
from vidpc.types import Frame, ReadOptions, VideoFormat, VideoInfo


def frames_of(path):
    return [item for item in read_videos([path], ReadOptions()) if isinstance(item, Frame)]


def keep(source, target, **wanted):
    with open_video(target, probe(source), video_format=VideoFormat(**wanted)) as sink:
        for frame in frames_of(source):
            sink.keep(frame, frame.time_s)
    return sink.warnings


@pytest.fixture
def info(tmp_path) -> VideoInfo:
    return probe(write_video(tmp_path / "info.mp4", Clip(count=1)))


@pytest.mark.parametrize(
    ("suffix", "pixels", "codec", "chosen"),
    [
        (".mp4", "yuv420p", "libx264", "yuv420p"),
        (".mov", "yuv444p", "libx264", "yuv444p"),
        (".mkv", "yuv422p", "libx264", "yuv422p"),
        (".mp4", "yuv420p10le", "libx265", "yuv420p10le"),
        (".mkv", "yuv444p12le", "libx265", "yuv444p12le"),
        (".webm", "yuv420p", "libvpx-vp9", "yuv420p"),
        (".webm", "yuv420p10le", "libsvtav1", "yuv420p10le"),
        (".avi", "yuv420p", "mjpeg", "yuvj420p"),
        (".avi", "yuv422p10le", "ffv1", "yuv422p10le"),
        (".mp4", "rgb24", "libx264", "yuv420p"),  # as players expect it
        (".mp4", "gray", "libx264", "yuv420p"),
        (".mp4", "yuvj420p", "libx264", "yuvj420p"),
    ],
)
def test_auto_follows_the_container_and_the_source(info, suffix, pixels, codec, chosen):
    coding = choose_coding(f"a{suffix}", replace(info, pixel_format=pixels), VideoFormat())
    assert (coding.encoder, coding.pixel_format, coding.warnings) == (codec, chosen, ())


@pytest.mark.parametrize(
    ("suffix", "pixels", "codec", "chosen"),
    [
        (".mkv", "yuv420p", "ffv1", "yuv420p"),
        (".avi", "yuv444p16le", "ffv1", "yuv444p16le"),
        (".mp4", "yuv420p", "libx264", "yuv420p"),
        (".mp4", "rgb24", "libx264rgb", "rgb24"),
        (".mkv", "rgb24", "ffv1", "bgr0"),
        (".mp4", "yuv444p12le", "libx265", "yuv444p12le"),  # H.264 ends at 10 bits
        (".webm", "yuv444p", "libvpx-vp9", "yuv444p"),
    ],
)
def test_lossless_takes_a_codec_that_holds_every_bit(info, suffix, pixels, codec, chosen):
    coding = choose_coding(f"a{suffix}", replace(info, pixel_format=pixels), VideoFormat(lossless=True))
    assert (coding.encoder, coding.pixel_format, coding.warnings) == (codec, chosen, ())


def test_what_no_codec_of_a_container_holds_is_no_lossless_file(info):
    deep = replace(info, pixel_format="yuv420p10le")
    with pytest.raises(PresetError, match=r"a\.webm without loss: the depth of 10 bits becomes 8.*ffv1 in an \.mkv file"):
        choose_coding("a.webm", deep, VideoFormat(lossless=True))


@pytest.mark.parametrize(
    ("codec", "pixels", "said"),
    [
        ("vp9", "yuv420p10le", "the depth of 10 bits becomes 8: the codec takes yuv420p"),
        ("av1", "yuv444p", "colour loses resolution: the codec takes yuv420p"),
        ("h264", "yuva420p", "transparency is left out"),
    ],
)
def test_what_a_codec_loses_is_said(info, codec, pixels, said):
    assert choose_coding("a.mkv", replace(info, pixel_format=pixels), VideoFormat(codec=codec)).warnings == (said,)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"codec": "h265x"}, r"unknown codec 'h265x'; did you mean"),
        ({"codec": "divx"}, r"unknown codec 'divx'; there are: auto, h264, hevc, .*mjpeg"),
        ({"codec": "prores"}, r"a\.mp4: its container takes h264, .*; prores goes into \.mov, \.mkv"),
        ({"codec": "ffv1"}, r"ffv1 goes into \.mkv, \.avi"),
        ({"crf": 52}, "crf is 52, h264 takes 0 to 51"),
        ({"codec": "mjpeg", "crf": 3}, "mjpeg knows no crf; expected one of h264, hevc, vp9, av1"),
        ({"codec": "mjpeg", "lossless": True}, "mjpeg cannot be lossless; expected one of h264, hevc, vp9, ffv1"),
        ({"pix_fmt": "yuv42"}, "unknown pixel format 'yuv42'; write it as FFmpeg does, as in yuv420p"),
        ({"codec": "av1", "pix_fmt": "yuv444p"}, "av1 takes no pixels of 'yuv444p'; it takes yuv420p, yuv420p10le"),
    ],
)
def test_a_format_that_cannot_be_is_refused_with_what_can(wanted, message):
    with pytest.raises(PresetError, match=message):
        check_format("a.mp4", VideoFormat(**wanted))


def test_crf_and_lossless_exclude_each_other():
    with pytest.raises(PresetError, match="exclude each other"):
        VideoFormat(crf=10, lossless=True)


def test_an_unknown_suffix_lists_the_known_ones():
    with pytest.raises(OutputError, match=r"a\.gif: expected a name that ends in \.avi, \.m4v, \.mkv, \.mov, \.mp4, \.webm"):
        check_format("a.gif", VideoFormat())


NAMES = {"h264": ("h264", ".mp4"), "hevc": ("hevc", ".mp4"), "vp9": ("vp9", ".webm"), "av1": ("av1", ".mkv"),
         "ffv1": ("ffv1", ".mkv"), "prores": ("prores", ".mov"), "mjpeg": ("mjpeg", ".avi")}  # fmt: skip


def test_every_codec_is_tried_below():
    assert set(NAMES) == set(CODECS)


@pytest.mark.parametrize("name", NAMES)
def test_every_codec_gives_pictures_like_the_source_s(tmp_path, name):
    source = write_video(tmp_path / "a.mp4", Clip(count=4, matrix="bt709", codec_options={"crf": "10"}))
    found, suffix = NAMES[name]
    keep(source, tmp_path / f"b{suffix}", codec=name)
    assert probe(tmp_path / f"b{suffix}").codec == found
    before, after = frames_of(source), frames_of(tmp_path / f"b{suffix}")
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    worst = max(np.abs(a.rgb().astype(int) - b.rgb()).mean() for a, b in zip(before, after, strict=True))
    assert worst < 6  # levels on average, through an encoder with loss


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        (".mkv", "auto", "yuv420p"),
        (".mkv", "auto", "yuv422p10le"),
        (".mp4", "auto", "yuv444p"),
        (".mp4", "h264", "yuv420p10le"),
        (".mp4", "hevc", "yuv420p10le"),
        (".webm", "auto", "yuv420p"),
        (".avi", "auto", "yuv420p"),
    ],
)
def test_lossless_files_hold_the_source_s_samples(tmp_path, suffix, codec, pixels):
    source = write_video(tmp_path / "a.mkv", Clip(count=5, pixel_format=pixels, rotation_deg=90))
    keep(source, tmp_path / f"b{suffix}", codec=codec, lossless=True)
    for before, after in zip(frames_of(source), frames_of(tmp_path / f"b{suffix}"), strict=True):
        expected = samples_of(before.image.frame)
        if suffix == ".avi":  # which cannot say that pictures are turned: they are upright, and as exact
            expected = [np.rot90(plane) for plane in expected]
        assert all(np.array_equal(a, b) for a, b in zip(samples_of(after.image.frame), expected, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_lossless_pictures_are_rgb(tmp_path, suffix):
    pictures = [scene(k, 65, 49) for k in range(3)]
    for k, picture in enumerate(pictures):
        write_picture(tmp_path / f"{k}.png", picture)
    frames = [frames_of(tmp_path / f"{k}.png")[0] for k in range(3)]
    with open_video(tmp_path / f"b{suffix}", probe(tmp_path / "0.png"), video_format=VideoFormat(lossless=True)) as sink:
        for k, frame in enumerate(frames):
            (sink.write(frame.rgb(), Fraction(k)) if k == 1 else sink.keep(frame, Fraction(k)))
    assert all(np.array_equal(a.rgb(), b) for a, b in zip(frames_of(tmp_path / f"b{suffix}"), pictures, strict=True))


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_crf_sets_the_quality(tmp_path, codec):
    source = write_video(tmp_path / "a.mp4", Clip(count=5, width=128, height=96, codec_options={"crf": "5"}))
    for crf in (5, 45):
        keep(source, tmp_path / f"{crf}.mkv", codec=codec, crf=crf)
    assert (tmp_path / "5.mkv").stat().st_size > 1.5 * (tmp_path / "45.mkv").stat().st_size


def test_pix_fmt_is_what_is_written(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=2))
    keep(source, tmp_path / "b.mp4", pix_fmt="yuv422p10le")
    info = probe(tmp_path / "b.mp4")
    assert (info.codec, info.pixel_format) == ("hevc", "yuv422p10le")


def test_every_container_names_codecs_that_exist():
    for container in CONTAINERS.values():
        assert {*container.codecs, container.deep_codec, container.lossless_codec} <= set(CODECS)
