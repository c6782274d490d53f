"""Gaps into new frames: against blending by hand, in tiles and batches, at both depths."""

import os
from fractions import Fraction

import numpy as np
import pytest
import torch
from make_media import scene
from tiny_synthesis import SMALL, write_blend, write_small, write_weights

from vidpc import weights
from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.engine.prepare import prepare
from vidpc.errors import DecodeError, OpenError, PresetError, WeightsError
from vidpc.media.picture import ArrayPicture, Scaler
from vidpc.presets import SynthesizeConfig
from vidpc.stream.batch import group
from vidpc.tasks.output_times import Asked
from vidpc.tasks.synthesize import SynthesisResult, SynthesizeTask
from vidpc.types import Closed, Frame, Opened, VideoInfo

WIDTH, HEIGHT = 64, 48
SCALER = Scaler()
LEVEL = 1  # of 255: float32 sums are rounded to levels, and batches cut otherwise may round otherwise
GPU_LEVELS = 2


class Deep(ArrayPicture):
    """A picture of 16 bits."""

    def pixels(self, width, height):
        return self.rgb(width, height).astype(np.uint16) * 257


class Broken(ArrayPicture):
    """A picture that cannot be converted."""

    def pixels(self, width, height):
        raise DecodeError("cannot convert a strange picture")


def info(path="clip.mp4", rate_fps=10):
    unknown = {"coded_width": WIDTH, "coded_height": HEIGHT, "rotation_deg": 0, "mirrored": False, "sample_aspect": Fraction(1)}
    colours = {"pixel_format": "rgb24", "bit_depth": 8, "matrix": "rgb", "full_range": True}
    times = {"start_s": Fraction(0), "rate_fps": Fraction(rate_fps), "duration_s": None, "frame_count": None}
    return VideoInfo(path, "fake", "fake", WIDTH, HEIGHT, **unknown, **colours, **times)


def video(pictures, stream=0, kind=ArrayPicture):
    frames = [Frame(kind(p, SCALER), k, Fraction(k, 10), p.shape[1], p.shape[0]) for k, p in enumerate(pictures)]
    return [Opened(stream, info(f"{stream}.mp4")), *frames, Closed(stream, ("odd",))]


def scenes(count, first=0):
    return [scene(first + k, WIDTH, HEIGHT) for k in range(count)]


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A task that blends, or one with a small network of that architecture."""

    def make(asked, architecture="blend", frames=2, **settings):
        path = tmp_path / f"{architecture}.safetensors"
        if architecture == "blend":
            write_blend(path, monkeypatch, frames)
        else:
            write_small(path, architecture)
        return SynthesizeTask(SynthesizeConfig(str(path), **settings), weights.read(path), asked)

    return make


def outcome(task, *inputs, batch=1, device="cpu"):
    """Everything that is said of the inputs, with so many gaps in a batch."""
    items = iter([item for one in inputs for item in one])
    batches = group(task.samples(items), size=batch, max_bytes=1 << 30)
    return list(task.results(infer(batches, task.step, device=choose(device))))


def frames_of(results):
    return [item for item in results if isinstance(item, SynthesisResult)]


def new_of(results):
    return [item.pixels for item in frames_of(results) if item.pixels is not None]


def test_frames_of_the_source_pass_by_and_new_ones_stand_between_them(make):
    pictures = scenes(3)
    opened, *found, closed = outcome(make(Asked(factor=2)), video(pictures))
    assert isinstance(opened, Opened)
    assert closed == Closed(0, ("odd",))
    assert [item.time_s for item in found] == [Fraction(k, 20) for k in range(6)]
    assert [item.shown and (item.shown.frame.index, item.shown.is_held) for item in found] == [
        (0, False), None, (1, False), None, (2, False), (2, True),
    ]  # fmt: skip
    for item, one, other in ((found[1], *pictures[:2]), (found[3], *pictures[1:])):
        assert item.pixels == pytest.approx((one.astype(float) + other) / 2, abs=LEVEL)


def test_deep_pictures_are_drawn_in_16_bits(make):
    pictures = scenes(2)
    [new] = new_of(outcome(make(Asked(factor=2)), video(pictures, kind=Deep)))
    assert new.dtype == np.uint16
    assert new == pytest.approx((pictures[0].astype(float) + pictures[1]) / 2 * 257, abs=LEVEL)


def test_a_depth_that_changes_between_two_frames_is_the_larger_one(make):
    pictures = scenes(2)
    opened, one, _, closed = video(pictures)
    other = video(pictures, kind=Deep)[2]
    [new] = new_of(outcome(make(Asked(factor=2)), [opened, one, other, closed]))
    assert new == pytest.approx((pictures[0].astype(float) + pictures[1]) / 2 * 257, abs=LEVEL)


def test_places_are_those_of_the_times(make):
    black, grey = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 120))
    found = new_of(outcome(make(Asked(rate_fps=Fraction(40)), cut_threshold=0.0), video([black, grey])))
    assert [int(pixels[0, 0, 0]) for pixels in found] == [30, 60, 90]
    # seen among four, the gap lies in the middle
    found = new_of(outcome(make(Asked(rate_fps=Fraction(40)), frames=4, cut_threshold=0.0), video([black, grey])))
    assert [int(pixels[0, 0, 0]) for pixels in found] == [30, 60, 90]
    found = new_of(outcome(make(Asked(extrapolate=2), cut_threshold=0.0), video([black, grey])))
    assert [int(pixels[0, 0, 0]) for pixels in found] == [240, 255]


def test_nothing_is_blended_across_a_cut(make):
    dark = [np.clip(picture // 4, 0, 60).astype(np.uint8) for picture in scenes(4)]
    other = [255 - picture[::-1] // 3 for picture in scenes(4, first=9)]
    found = frames_of(outcome(make(Asked(factor=3)), video(dark + other)))
    assert [item.shot for item in found] == [0] * 12 + [1] * 12
    assert [item.shown.frame.index for item in found[9:13]] == [3, 3, 3, 4]
    assert max(pixels.max() for pixels in new_of(found[:12])) <= 60
    assert min(pixels.min() for pixels in new_of(found[12:])) >= 170
    blended = frames_of(outcome(make(Asked(factor=3), cut_threshold=0.0), video(dark + other)))
    assert blended[10].shown is None


@pytest.mark.parametrize("architecture", SMALL)
def test_batches_change_nothing(make, architecture):
    task = make(Asked(rate_fps=Fraction(18), extrapolate=1), architecture, cut_threshold=0.0)
    inputs = [video([scene(k, 28, 20) for k in range(count)], stream) for stream, count in enumerate((4, 3))]
    alone = outcome(task, *inputs)
    together = outcome(task, *inputs, batch=3)
    assert [(item.stream, getattr(item, "time_s", None)) for item in alone] == [
        (item.stream, getattr(item, "time_s", None)) for item in together
    ]
    for one, other in zip(new_of(alone), new_of(together), strict=True):
        assert one.astype(int) == pytest.approx(other.astype(int), abs=LEVEL)


def test_many_new_frames_of_a_large_gap_are_drawn_in_parts(make, monkeypatch):
    monkeypatch.setattr("vidpc.tasks.synthesize._DRAWN_PIXELS", 2 * WIDTH * HEIGHT)
    task = make(Asked(factor=6))
    samples = [item for item in task.samples(iter(video(scenes(2)))) if hasattr(item, "arrays")]
    assert [len(sample.arrays["times"]) for sample in samples] == [2, 2, 1]
    assert len(new_of(outcome(task, video(scenes(2))))) == 5


def test_large_gaps_of_a_batch_are_drawn_one_after_the_other(make, monkeypatch):
    monkeypatch.setattr("vidpc.tasks.synthesize._DRAWN_PIXELS", 2 * WIDTH * HEIGHT)
    task = make(Asked(factor=2))
    seen = []
    task.model.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    assert len(new_of(outcome(task, video(scenes(6)), batch=5))) == 5
    assert seen == [2, 2, 1]


@pytest.mark.parametrize("kind", [ArrayPicture, Deep])
def test_tiles_of_what_sees_single_pixels_are_as_the_whole(make, kind):
    pictures = [scene(k, 150, 130) for k in range(2)]
    whole = new_of(outcome(make(Asked(factor=2)), video(pictures, kind=kind)))
    tiled = new_of(outcome(make(Asked(factor=2), tile=64, overlap=16), video(pictures, kind=kind)))
    assert tiled[0].astype(int) == pytest.approx(whole[0].astype(int), abs=LEVEL)


def test_the_weights_say_how_large_a_tile_is(tmp_path):
    path = write_small(tmp_path / "m.safetensors", "motion-convtransformer", tile=256)
    seen = []
    task = SynthesizeTask(SynthesizeConfig(str(path)), weights.read(path), Asked(factor=2))
    task.model.register_forward_pre_hook(lambda _, arguments: seen.append(tuple(arguments[0].shape)))
    outcome(task, video([scene(k, 300, 40) for k in range(2)]))
    assert seen == [(1, 2, 3, 40, 256)] * 2


def test_a_picture_that_cannot_be_converted_ends_its_own_input_alone(make):
    found = outcome(make(Asked(factor=2)), video(scenes(3), kind=Broken), video(scenes(2), stream=1))
    closed = {item.stream: item for item in found if isinstance(item, Closed)}
    assert "cannot convert a strange picture" in str(closed[0].error)
    assert closed[1] == Closed(1, ("odd",))
    assert len(frames_of([item for item in found if item.stream == 1])) == 4


def test_an_input_that_could_not_be_opened_or_holds_no_frame(make):
    lost = Closed(0, error=OpenError("cannot open 0.mp4"))
    found = outcome(make(Asked(factor=2)), [lost], [Opened(1, info("1.mp4")), Closed(1, ("no frame lies from 9 s",))])
    assert found[0] == lost
    assert isinstance(found[2].error, DecodeError)
    assert str(found[2].error) == "cannot synthesize frames of 1.mp4 without a frame: no frame lies from 9 s"


def test_damage_in_the_middle_is_said_by_what_read_it(make):
    error = DecodeError("cannot read on")
    *items, _ = video(scenes(3))
    found = outcome(make(Asked(factor=2)), [*items, Closed(0, error=error)])
    assert found[-1] == Closed(0, error=error)


def test_weights_of_another_network_or_input_are_refused(tmp_path, monkeypatch):
    path = write_small(tmp_path / "m.safetensors", "motion-convtransformer", frames=4)
    with pytest.raises(WeightsError, match="ask for an input that vidpc synthesize does not make"):
        SynthesizeTask(SynthesizeConfig(str(path)), weights.read(path), Asked(factor=2))
    network, config = SMALL["motion-convtransformer"]
    path = write_weights(tmp_path / "o.safetensors", "transtrack", network, config)
    with pytest.raises(WeightsError, match="'transtrack', expected those of convtransformer or motion-convtransformer"):
        SynthesizeTask(SynthesizeConfig(str(path)), weights.read(path), Asked(factor=2))
    path = write_small(tmp_path / "t.safetensors", "motion-convtransformer", tile=128)
    with pytest.raises(PresetError, match="overlap is 64, expected at most a quarter of the tile, which is 128"):
        SynthesizeTask(SynthesizeConfig(str(path), overlap=64), weights.read(path), Asked(factor=2))


@pytest.mark.skipif(not torch.cuda.is_available() and "VIDPC_NEED_CUDA" not in os.environ, reason="no CUDA device")
@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize("kind", [ArrayPicture, Deep])
def test_cuda_draws_the_same(make, architecture, kind):
    inputs = [video(scenes(5), kind=kind)]
    task = make(Asked(factor=3), architecture, cut_threshold=0.0)
    expected = new_of(outcome(task, *inputs))
    task.model = prepare(task.model, choose("cuda"))
    scale = 257 if kind is Deep else 1
    for one, other in zip(expected, new_of(outcome(task, *inputs, batch=4, device="cuda")), strict=True):
        assert one.astype(int) == pytest.approx(other.astype(int), abs=GPU_LEVELS * scale)
