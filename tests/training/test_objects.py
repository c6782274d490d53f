"""Training of a classifier: what it learns, that it can be resumed, and the file that it leaves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_objects import CONFIG, LABELS, shape, write_weights, write_xyz

from vidpc import weights
from vidpc.cli.main import main
from vidpc.errors import PresetError, WeightsError
from vidpc.ops.clouds import fitted
from vidpc.tasks.classify import build_model
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.object_views import ViewOptions
from vidpc.training.objects import ObjectRecipe, Run, accuracy, carry_out, draw, finish, prepare
from vidpc.training.shapes import Shapes
from vidpc.training.trainee import Schedule

SCHEDULE = Schedule(
    steps=40, warmup=5, decay_from=10, learning_rate=1e-2, average=0.9, log_every=10, save_every=3, check_every=1000, seed=4
)
RECIPE = ObjectRecipe(network=CONFIG, batch=6, points=(256,), mixed=0.0, votes=1, schedule=SCHEDULE)


def shapes(count=4, first=0):
    rows = [(label, seed) for label in LABELS for seed in range(first, first + count)]
    clouds = tuple(fitted(shape(label, seed=seed)) for label, seed in rows)
    return Shapes(clouds, np.array([LABELS.index(label) for label, _ in rows]), LABELS)


def averaged(folder):
    return read_checkpoint(folder / "checkpoint.pt")["average"]


def test_shapes_that_nobody_could_confuse_are_learnt(tmp_path):
    run = Run(replace(RECIPE, schedule=replace(SCHEDULE, steps=150)), shapes(count=8), shapes(first=50), tmp_path)
    lines = list(carry_out(run))
    assert lines[-1]["accuracy"] >= 0.9
    digest = finish(tmp_path / "out.safetensors", run, licence="mine")
    file = weights.read(tmp_path / "out.safetensors")
    assert (file.sha256, file.header.labels, file.header.licence) == (digest, LABELS, "mine")
    assert {tensor.dtype for tensor in file.tensors.values()} == {torch.float16}
    assert accuracy(build_model(file), shapes(first=50), votes=2) >= 0.9


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    recipe = replace(RECIPE, schedule=replace(SCHEDULE, steps=6, log_every=1))
    list(carry_out(Run(recipe, shapes(), None, tmp_path / "whole")))
    for line in carry_out(Run(recipe, shapes(), None, tmp_path / "broken")):
        if line["event"] == "step" and line["step"] == 4:
            break  # after the checkpoint of step 3
    list(carry_out(Run(recipe, shapes(), None, tmp_path / "broken"), resume=True))
    whole, broken = averaged(tmp_path / "whole"), averaged(tmp_path / "broken")
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_a_run_may_begin_with_the_weights_of_another(tmp_path):
    run = Run(replace(RECIPE, schedule=replace(SCHEDULE, steps=1, learning_rate=0.0)), shapes(), None, tmp_path)
    first = write_weights(tmp_path / "first.safetensors")
    list(carry_out(run, init=first))
    ours, theirs = averaged(tmp_path), build_model(weights.read(first)).state_dict()
    assert torch.equal(ours["stem.first.linear.weight"], theirs["stem.first.linear.weight"])
    wider = replace(run, recipe=replace(RECIPE, network=replace(CONFIG, fused=32)))
    with pytest.raises(WeightsError, match="weights of other sizes or labels"):
        next(carry_out(wider, init=first))


def test_labels_go_with_the_points_where_clouds_are_mixed():
    learned = shapes(count=2)
    recipe = replace(RECIPE, smoothing=0.0, view=ViewOptions(cut=0, uneven=0))
    plain, mixed = (draw(learned, replace(recipe, mixed=share), np.random.default_rng(3)) for share in (0.0, 1.0))
    foreign = (mixed.xyz != plain.xyz).any(dim=-1).float().mean(dim=1)  # f32[b], share of points that came from elsewhere
    assert 0 < foreign.max() <= 0.5
    lost = 1 - (mixed.shares * plain.shares).sum(dim=1)
    taken = lost > 0  # from a cloud of another label
    assert taken.any()
    assert torch.allclose(lost[taken], foreign[taken], atol=1e-6)
    assert torch.allclose(mixed.shares.sum(dim=1), torch.ones(recipe.batch))


def test_smoothing_leaves_the_label_most_of_the_share():
    batch = draw(shapes(), replace(RECIPE, smoothing=0.3), np.random.default_rng(0))
    assert batch.xyz.shape == (6, 256, 3)
    assert sorted({round(float(share), 4) for share in batch.shares.flatten()}) == [0.1, 0.8]


def test_what_cannot_be_trained_is_told_first(tmp_path):
    write_xyz(tmp_path / "one" / "ball" / "1.xyz", shape("ball"))
    with pytest.raises(PresetError, match="expected at least two"):
        prepare("objects.train", {"hold_out": 0.0}, data=[tmp_path / "one"], val=[], folder=tmp_path)
    with pytest.raises(PresetError, match="needs labelled objects"):
        prepare("objects.train", {}, data=[], val=[], folder=tmp_path)
    with pytest.raises(PresetError, match="expected numbers from 256 on"):
        ObjectRecipe(points=(64,))
    with pytest.raises(PresetError, match="batch is 1, expected at least 2"):
        ObjectRecipe(batch=1)


def test_the_command_trains_on_a_users_folder(tmp_path, capfd):
    for label in LABELS:
        for seed in range(4):
            write_xyz(tmp_path / "data" / label / f"{seed}.xyz", shape(label, count=300, seed=seed))
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        "stem = 8\nsampled = [16, 8]\nneighbours = [4, 4]\nwidths = [8, 16]\ncore = 0.0\nattention_layers = 1\nfused = 16\n"
        "head = [8, 8]\nbatch = 4\npoints = [256]\nvotes = 1\nlog_every = 1\n"
    )
    out = tmp_path / "mine.safetensors"
    arguments = ["train", "classify", "--data", str(tmp_path / "data"), "--recipe", str(recipe), "--steps", "2"]
    arguments += ["--set", "hold_out=0.25", "--run", str(tmp_path / "run"), "--out", str(out)]
    assert main(arguments) == 0
    captured = capfd.readouterr()
    assert f"{out}  sha256 " in captured.out
    assert "accuracy" in captured.err
    assert main(arguments) == 1  # the file exists
    assert main(["train", "check", str(out), "--val", str(tmp_path / "data")]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert figures.keys() == {"1024 points", "512 points", "256 points"}
    assert main(["classify", str(tmp_path / "data" / "ball" / "0.xyz"), "--model", str(out)]) == 0
