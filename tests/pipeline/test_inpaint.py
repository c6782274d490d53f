"""Runs of ``vidpc inpaint`` over real files: what is unmasked stays bit-identical, outputs are there only when complete."""

import gc
import threading
from fractions import Fraction

import numpy as np
import pytest
from make_media import Clip, write_picture, write_video
from tiny_holes import square, texture, write_sttn, write_weights

from vidpc.errors import OpenError, OutputError, SourceError
from vidpc.media.masks import MaskSource
from vidpc.media.read import read_videos
from vidpc.pipeline.inpaint import Job, Options, run
from vidpc.presets import InpaintConfig
from vidpc.types import Frame, ReadOptions, VideoFormat

WIDTH, HEIGHT = 64, 48
BOX = MaskSource(boxes_xywh=((20, 16, 8, 8),))
LOSSLESS = VideoFormat(lossless=True)


@pytest.fixture(scope="module", params=["aligned", "sttn"])
def config(request, tmp_path_factory):
    write = {"aligned": write_weights, "sttn": write_sttn}[request.param]
    return InpaintConfig(str(write(tmp_path_factory.mktemp("weights") / "tiny.safetensors")), dilate_px=1)


def pictures(path):
    return [item for item in read_videos([path]) if isinstance(item, Frame)]


def clip(path, count=8, **facts):
    scene = texture(HEIGHT, WIDTH)
    return write_video(path, Clip(**facts), [np.roll(scene, 2 * k, axis=1) for k in range(count)])


def options(**given):
    return Options(device="cpu", video_format=LOSSLESS, **given)


def test_pixels_that_are_not_masked_are_bit_identical_before_encoding(tmp_path, config):
    path = clip(tmp_path / "a.mp4")
    summary = run([Job(str(path), BOX, str(tmp_path / "out.mkv"))], config, options())
    hole = square(HEIGHT, WIDTH, 19, 15, 10)  # the box and the pixel that it grows by
    before, after = pictures(path), pictures(tmp_path / "out.mkv")
    assert [one.time_s for one in after] == [one.time_s for one in before]
    for one, other in zip(before, after, strict=True):
        planes, others = one.image.planes(), other.image.planes()
        assert np.array_equal(planes.y[~hole], others.y[~hole])
        touched = hole.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).any(axis=(1, 3))  # chroma samples that cover a masked pixel
        for plane in ("u", "v"):
            assert np.array_equal(getattr(planes, plane)[~touched], getattr(others, plane)[~touched])
        assert not np.array_equal(planes.y[hole], others.y[hole])
    assert (summary.inputs[0].counted.frames, summary.inputs[0].counted.filled) == (8, 8)
    assert summary.inputs[0].outputs == (str(tmp_path / "out.mkv"),)


def test_frames_without_a_mask_pass_untouched(tmp_path, config):
    path = clip(tmp_path / "a.mp4", sound="aac")
    empty = MaskSource(str(write_picture(tmp_path / "m.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))))
    summary = run([Job(str(path), empty, str(tmp_path / "out.mkv"))], config, options())
    for one, other in zip(pictures(path), pictures(tmp_path / "out.mkv"), strict=True):
        planes, others = one.image.planes(), other.image.planes()
        assert all(np.array_equal(getattr(planes, name), getattr(others, name)) for name in "yuv")
    assert summary.inputs[0].counted.filled == 0
    assert any("nothing is masked" in warning for warning in summary.inputs[0].warnings)
    assert next(read_videos([tmp_path / "out.mkv"])).info.audio


def test_bad_inputs_and_bad_masks_end_alone(tmp_path, config):
    good = clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    few = write_video(tmp_path / "few.mp4", Clip(count=3))
    whole = MaskSource(boxes_xywh=((0, 0, WIDTH, HEIGHT),))
    jobs = [(good, BOX), (tmp_path / "b.mp4", BOX), (good, MaskSource(str(few))), (good, whole), (good, BOX)]
    summary = run([Job(str(p), m, str(tmp_path / f"{k}.mkv")) for k, (p, m) in enumerate(jobs)], config, options())
    assert [row.error is None for row in summary.inputs] == [True, False, False, False, True]
    assert isinstance(summary.inputs[1].error, OpenError)
    assert "3 masks" in str(summary.inputs[2].error)
    assert isinstance(summary.inputs[3].error, SourceError)
    assert "covers the whole picture" in str(summary.inputs[3].error)
    assert sorted(path.name for path in tmp_path.glob("*.mkv")) == ["0.mkv", "4.mkv"]


def test_uneven_times_and_a_part_are_kept(tmp_path, config):
    times = tuple(Fraction(t, 1000) for t in (0, 40, 90, 200, 210, 400, 480, 500))
    path = clip(tmp_path / "a.mkv", times_s=times, tick=Fraction(1, 1000))
    part = ReadOptions(start_s=times[2], end_s=times[7])
    run([Job(str(path), BOX, str(tmp_path / "out.mkv"))], config, options(reading=part))
    assert [float(one.time_s) for one in pictures(tmp_path / "out.mkv")] == [float(t - times[2]) for t in times[2:7]]


def test_a_folder_gets_pictures(tmp_path, config):
    path = clip(tmp_path / "a.mp4")
    run([Job(str(path), BOX, str(tmp_path / "frames") + "/")], config, Options(device="cpu"))
    assert len(list((tmp_path / "frames").glob("*.png"))) == 8


def test_outputs_are_checked_before_any_work(tmp_path, config):
    path = clip(tmp_path / "a.mp4")
    mask = write_video(tmp_path / "m.mp4", Clip(count=8))
    for masks, out in ((BOX, path), (MaskSource(str(mask)), mask)):
        with pytest.raises(OutputError):
            run([Job(str(path), masks, str(out), overwrite=True)], config, options())
    with pytest.raises(OutputError, match="output of another"):
        run([Job(str(path), BOX, str(tmp_path / "o.mkv"))] * 2, config, options())


def test_an_output_that_fails_ends_the_run_and_leaves_nothing(tmp_path, config, monkeypatch):
    path = clip(tmp_path / "a.mp4", count=30)
    before = threading.active_count()

    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("vidpc.media.video_file.VideoFile.patch", full)
    with pytest.raises(OutputError, match="full"):
        run([Job(str(path), BOX, str(tmp_path / "out.mkv"))], config, options())
    gc.collect()
    assert threading.active_count() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
