"""Training of networks that draw frames: what a sample is, and a run from footage to a weights file and on."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from make_media import Clip as Video
from make_media import write_video

from vidpc import weights
from vidpc.errors import PresetError
from vidpc.training import synthesize
from vidpc.training.clips import Clip
from vidpc.training.shots import Shot
from vidpc.training.synthesize_recipe import DIRECT, SynthesizeRecipe

SMALL = {"width": 8, "heads": 2, "synthesis": [8, 8, 8], "windows": [5], "crop": 64, "batch": 2}
QUICK = {**SMALL, "steps": 2, "warmup": 1, "log_every": 1, "check_every": 1, "check_samples": 2}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def numbered(count=12, height=80, width=96):
    """A shot whose frame i is i all over."""
    frames = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3))
    return Shot(Clip(Path("numbered"), "", ""), frames)


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    wall = np.random.default_rng(0).integers(0, 256, (12, 30, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    pictures = [np.ascontiguousarray(wall[:, 3 * k : 3 * k + 128]) for k in range(12)]
    video = Video(width=128, height=96, rate_fps=Fraction(10))
    return write_video(tmp_path_factory.mktemp("raw") / "clip.mp4", video, pictures)


@pytest.mark.parametrize("architecture", ["motion-convtransformer", DIRECT])
def test_the_wanted_frame_is_at_its_time_between_or_after_those_shown(architecture):
    recipe = SynthesizeRecipe(architecture=architecture, crop=64, frames=3, after=0.3)
    n = recipe.network().frames
    times = set()
    for seed in range(60):
        crops, time = synthesize._sample(numbered().frames, recipe, np.random.default_rng(seed))
        shown, wanted = crops[:-1, 0, 0, 0].astype(float), float(crops[-1, 0, 0, 0])
        assert crops.shape == (n + 1, 64, 64, 3)
        assert len(set(np.diff(shown))) <= 1  # evenly spaced
        assert wanted == pytest.approx(shown[0] + time * (shown[1] - shown[0]))
        times.add(time)
    assert n in times  # after the last one
    assert any(0 < time < 1 for time in times)


def test_larger_pictures_are_halved_and_smaller_ones_mirrored_at_their_border():
    assert synthesize._fitted(np.zeros((2, 128, 128, 3), np.uint8), 2, 64).shape == (2, 64, 64, 3)
    small = np.arange(4, dtype=np.uint8)[None, :, None, None].repeat(6, axis=2).repeat(3, axis=3)
    assert synthesize._fitted(small, 1, 6)[0, :, 0, 0].tolist() == [0, 1, 2, 3, 3, 2]


def test_questions_leave_out_the_frame_in_the_middle():
    first, *_, last = synthesize.samples([numbered()], 2)
    assert (first.frames[:, 0, 0, 0].tolist(), int(first.wanted[0, 0, 0]), first.time) == ([0, 2], 1, 0.5)
    assert (last.frames[:, 0, 0, 0].tolist(), int(last.wanted[0, 0, 0])) == ([9, 11], 10)
    of_four = synthesize.samples([numbered()], 4)[0]
    assert (of_four.frames[:, 0, 0, 0].tolist(), int(of_four.wanted[0, 0, 0]), of_four.time) == ([0, 2, 4, 6], 3, 1.5)
    assert len(synthesize.samples([numbered()], 2, 3)) == 3


def test_figures_are_of_the_frames_drawn_and_of_their_mean():
    class Second(torch.nn.Module):
        def forward(self, frames, times):
            return frames[:, 1:]

    question = synthesize.samples([numbered()], 2, 1)
    found = synthesize.figures(Second(), question)
    assert found["psnr"] == pytest.approx(20 * np.log10(255), abs=1e-3)  # one level off everywhere
    assert found["averaging"] == pytest.approx(10 * np.log10(255**2 / 1e-6), abs=1e-3)


@pytest.mark.parametrize("architecture", ["motion-convtransformer", DIRECT])
def test_a_run_writes_weights_that_load_again(footage, tmp_path, architecture):
    settings = {**QUICK, "architecture": architecture, "frames": 2, "spacings": [2]}
    run = synthesize.prepare("motion.train", settings, data=[footage], val=[footage], folder=tmp_path / "run")
    lines = list(synthesize.carry_out(run))
    assert lines[-1]["event"] == "end"
    assert lines[-1]["frames"] == 2
    out = tmp_path / "out.safetensors"
    synthesize.finish(out, run, licence="ours")
    file = weights.read(out)
    assert file.header.architecture == architecture
    checked = synthesize.measure_file(out, [footage], tmp_path / "run" / "shots")
    assert checked["frames"] == 10
    again = synthesize.prepare("motion.train", settings, data=[footage], val=[], folder=tmp_path / "run", init=str(out))
    synthesize.started(again.recipe).load_state_dict(again.init)


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(footage, tmp_path):
    def carried(folder, **settings):
        return synthesize.prepare("motion.train", {**QUICK, **settings}, data=[footage], val=[], folder=folder)

    whole = carried(tmp_path / "whole", steps=3)
    list(synthesize.carry_out(whole))
    stopped = carried(tmp_path / "stopped", steps=3, save_every=1)
    steps = synthesize.carry_out(stopped)
    while next(steps)["step"] < 2:
        pass
    steps.close()  # the checkpoint is that of the first step
    list(synthesize.carry_out(stopped, resume=True))
    one, other = (synthesize.read_checkpoint(run.folder / "checkpoint.pt")["average"] for run in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_footage_is_needed(tmp_path):
    with pytest.raises(PresetError, match="--data"):
        synthesize.prepare("motion.train", {}, data=[], val=[], folder=tmp_path)


@pytest.mark.parametrize("wrong", [{"architecture": "sttn"}, {"crop": 50}, {"spacings": (1,)}])
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(PresetError, match=next(iter(wrong))):
        replace(SynthesizeRecipe(), **wrong)
