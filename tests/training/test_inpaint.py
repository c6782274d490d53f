"""Training of networks that fill holes: how holes move, what a sample is, and a run from footage to a weights file."""

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
from vidpc.models.aligned_sttn import AlignedSTTN, AlignedSTTNConfig
from vidpc.ops.camera import aligned
from vidpc.training import inpaint
from vidpc.training.camera_paths import camera_path
from vidpc.training.clips import Clip
from vidpc.training.holes import moving_hole
from vidpc.training.inpaint_recipe import Holes, InpaintRecipe
from vidpc.training.shots import Shot

NETWORK = AlignedSTTNConfig(width=8, blocks=1, patches=((3, 2), (2, 2)), score_width=4)
RECIPE = InpaintRecipe(network=NETWORK, size=(72, 48), run_size=(144, 96), batch=2, references=3, farthest=6)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def panned(count=14):
    """A shot of a camera that goes 4 pixels to the right in every frame."""
    cells = torch.rand(1, 3, 12, 30, generator=torch.Generator().manual_seed(0))
    wall = torch.nn.functional.interpolate(cells, scale_factor=12, mode="bicubic").clamp(0, 1).mul(255).byte()[0]
    frames = wall.permute(1, 2, 0).numpy()
    return np.stack([frames[:, 4 * k : 4 * k + 216] for k in range(count)])


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    video = Video(width=216, height=144, rate_fps=Fraction(10))
    return write_video(tmp_path_factory.mktemp("raw") / "clip.mp4", video, list(map(np.ascontiguousarray, panned())))


@pytest.fixture(scope="module")
def scene(footage, tmp_path_factory):
    shot = Shot(Clip(Path(footage), "", ""), panned())
    return inpaint.Scene(shot, camera_path(shot, tmp_path_factory.mktemp("paths")))


def test_the_path_of_a_camera_is_measured_from_frame_to_frame(scene):
    expected = np.array([[1, 0, -2 * 4 / 216], [0, 1, 0]], np.float32)
    assert scene.path.shape == (13, 2, 3)  # what is seen moves to the left
    np.testing.assert_allclose(scene.path, np.broadcast_to(expected, scene.path.shape), atol=4e-3)


def test_a_hole_goes_its_way_and_turns_back_at_the_border():
    options = Holes(smallest=0.2, largest=0.2, still=0.0, fastest=0.05, round_share=0.0)
    times = np.arange(0, 60)
    holes = moving_hole(times, 100, 80, options, np.random.default_rng(3))
    assert holes[0].sum() == pytest.approx(20 * 16, abs=40)
    assert all(hole.any() for hole in holes)
    middles = np.array([np.argwhere(hole).mean(axis=0) for hole in holes])
    steps = np.linalg.norm(np.diff(middles, axis=0), axis=1)
    assert 0 < steps.max() <= 0.05 * 100 * 2**0.5 + 1


def test_a_hole_that_stands_is_the_same_at_all_times():
    holes = moving_hole(np.array([-9, 0, 30]), 60, 40, Holes(still=1.0), np.random.default_rng(0))
    assert np.array_equal(holes[0], holes[1])
    assert np.array_equal(holes[1], holes[2])


def test_the_references_of_a_sample_lie_over_its_first_picture(scene):
    """Away from borders, a picture that is read where the camera's motion leads is the first picture again."""
    for seed in range(4):
        batch = inpaint.sample(scene, RECIPE, np.random.default_rng(seed))
        pictures, motions = batch.pictures[0], batch.motions[0]
        assert float(batch.offsets[0, 0]) == 0
        assert float(batch.offsets.abs().max()) <= 6
        seen = aligned(torch.ones(4, 1, 48, 72), motions) > 0.999
        difference = (aligned(pictures, motions) - pictures[:1]).abs()
        assert float((difference * seen).mean()) < 0.02


def test_only_holes_are_filled(scene):
    torch.manual_seed(0)
    batch = inpaint.batch_of([inpaint.sample(scene, RECIPE, np.random.default_rng(seed)) for seed in range(2)])
    made, painted = inpaint.filled(AlignedSTTN(NETWORK).eval(), batch)
    assert made.shape == painted.shape == (2, 3, 48, 72)
    kept = batch.holes[:, 0].expand_as(made) == 0
    assert torch.equal(made[kept], batch.pictures[:, 0][kept])


def test_a_run_writes_weights_that_say_how_they_are_used(footage, tmp_path):
    settings = {"steps": 2, "warmup": 1, "log_every": 1, "check_every": 1, "check_samples": 1, "batch": 1, "blocks": 1}
    run = inpaint.prepare(
        "aligned.train", {**settings, "width": 8, "score_width": 4}, data=[footage], val=[footage], folder=tmp_path / "run"
    )
    lines = list(inpaint.carry_out(run))
    assert lines[-1]["event"] == "end"
    assert np.isfinite(lines[-1]["psnr"])
    out = tmp_path / "out.safetensors"
    inpaint.finish(out, run, licence="ours")
    file = weights.read(out)
    assert (file.header.input["width"], file.header.input["height"]) == (432, 240)
    assert 0 not in file.header.input["references"]
    checked = inpaint.measure_file(out, [footage], tmp_path / "run" / "shots")
    assert (checked["frames"], np.isfinite(checked["psnr"])) == (60, True)
    again = inpaint.prepare(
        "aligned.train",
        {**settings, "width": 8, "score_width": 4},
        data=[footage],
        val=[],
        folder=tmp_path / "run",
        init=str(out),
    )
    AlignedSTTN(again.recipe.network).load_state_dict(again.init)


def test_footage_is_needed(tmp_path):
    with pytest.raises(PresetError, match="--data"):
        inpaint.prepare("aligned.train", {}, data=[], val=[], folder=tmp_path)


@pytest.mark.parametrize("wrong", [{"size": (100, 60)}, {"run_size": (432,)}, {"references": 0}])
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(PresetError, match=next(iter(wrong))):
        replace(RECIPE, **wrong)
