"""Training of recognisers: what they see and learn, what is held out, what stays as it is, and the file that they leave."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from tiny_actions import write_weights
from tiny_walks import LABELS, RATE_FPS, TINY, write_walk, write_walks

from vidpc import weights
from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.errors import OpenError, PresetError, WeightsError
from vidpc.media.read import read_videos
from vidpc.media.sources import expand
from vidpc.presets import RecognizeConfig
from vidpc.stream.batch import group
from vidpc.tasks.recognisers import build_model
from vidpc.tasks.recognize import ActionResult, RecognizeTask
from vidpc.training import folds as cross_validation
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.clips import Clip, Footage, decoded
from vidpc.training.folds import crossed, folds
from vidpc.training.recognize import carry_out, draw, figures, finish, measure_file, pace_of, started, told
from vidpc.training.recognize_recipe import RecognizeRecipe
from vidpc.training.recognize_runs import Labelled, Run, own, prepare, ticks_of
from vidpc.training.trainee import paced
from vidpc.types import Actions

RECIPE = "fight.train"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_walks(tmp_path_factory.mktemp("walks"), val=("d",))


@pytest.fixture
def make(table, tmp_path):
    """A run on the walks; ``changes`` are settings of the recipe."""

    def make(folder="run", split="train", **changes):
        named = {name: changes.pop(name, ()) for name in ("also", "val", "scene", "val_scene")}
        data, init = changes.pop("data", [table]), changes.pop("init", None)
        return prepare(RECIPE, {**TINY, **changes}, data=data, init=init, split=split, folder=tmp_path / folder, **named)

    return make


def averaged(folder):
    return read_checkpoint(folder / "checkpoint.pt")["average"]


def own_weights(run, path):
    """The weights file of a run that learnt for a moment."""
    list(carry_out(run))
    finish(path, run, licence="mine")
    return path


# what is learnt


def test_walks_to_either_side_are_told_apart(make, table, tmp_path):
    run = make(val=[table], steps=30, learning_rate=1e-2, check_every=50, drop_head=0.0)
    lines = list(carry_out(run))
    assert [line["accuracy"] for line in lines if line["event"] == "end"] == [1.0]
    assert lines[-1]["clips"] == 2  # of the group whose split is val
    digest = finish(tmp_path / "walks.safetensors", run, licence="mine")
    file = weights.read(tmp_path / "walks.safetensors")
    assert (file.sha256, file.header.labels, file.header.licence) == (digest, LABELS, "mine")
    assert file.header.metadata["source"] == "vidpc train recognize, 30 steps, seed 1"
    assert {tensor.dtype for tensor in file.tensors.values()} == {torch.float16}
    found = measure_file(tmp_path / "walks.safetensors", [table], tmp_path / "kept")
    assert (found["accuracy"], found["confusion"]) == (1.0, [[1, 0], [0, 1]])


@pytest.mark.parametrize("count", [9, 20, 5])
def test_training_and_the_task_see_the_same(make, tmp_path, count):
    """One window, several, and a clip that is shorter than one.

    Both look at pictures 0.1 s apart; the windows of the task are told to begin where those of training do, every 4 pictures.
    """
    run = make(steps=1)
    file = weights.read(own_weights(run, tmp_path / "w.safetensors"))
    model = build_model(file)
    with torch.no_grad():
        model.head.weight.mul_(50)  # so that scores differ from clip to clip
    clip = write_walk(tmp_path / "clip.mp4", "right", 3, count)
    (footage,) = decoded([Clip(clip, "right", "")], own(run.recipe)[1], tmp_path / "kept")
    scores = told(model, Labelled((footage,), np.array([1])), run)[0]

    task = RecognizeTask([RecognizeConfig("w", hop_s=0.4)], [file])
    task.recognisers[0].model = model
    items = read_videos(expand([str(clip)]))
    results = task.results(infer(group(task.samples(items), size=2, max_bytes=1 << 30), task.step, device=choose("cpu")))
    [answer] = [item.found for item in results if isinstance(item, ActionResult) and isinstance(item.found, Actions)]
    assert answer.windows == {9: 1, 20: 4, 5: 1}[count]
    # Training keeps flow of a few pixels in half precision: a thousandth of it, which the head enlarges.
    np.testing.assert_allclose(answer.scores[0], scores, atol=1e-3)
    assert abs(scores[0] - 0.5) > 0.02


def test_pictures_of_a_window_are_the_middles_of_its_tubes(make):
    run = make()
    ticks, needed = ticks_of(run.subject, run.recipe)
    assert ticks.tolist() == list(range(9))
    numbered = torch.arange(9.0).view(1, 9, 1, 1, 1)
    middles = run.subject.start().middles(numbered)
    assert middles.flatten().tolist() == needed.tolist() == [2, 6]


def test_pictures_of_a_published_network_are_those_of_its_sampling(make, tmp_path):
    # 4 pictures at the centres of a second, of 10 kept in it: at 0.125, 0.375, 0.625 and 0.875 s
    run = make(init=str(write_weights(tmp_path / "first.safetensors")))
    ticks, needed = ticks_of(run.subject, run.recipe)
    assert (ticks.tolist(), needed.tolist()) == ([1, 3, 6, 8], [0, 1, 2, 3])
    batch = draw(started(run), run, np.random.default_rng(0))
    assert batch.inputs[0].shape == (4, 3, 4, 32, 32)


def test_labels_are_drawn_alike_and_shares_follow_what_is_mixed(make):
    run = make(smoothing=0.2, batch=64)
    few = replace(run, train=run.train.take(np.array([True, True, False, True, False, False])))  # one left, two right
    labels = few.train.labels.tolist()
    assert sorted(labels) == [0, 1, 1]
    model = started(run)
    shares = draw(model, few, np.random.default_rng(0)).shares
    assert sorted({round(float(share), 4) for share in shares.flatten()}) == [0.1, 0.9]
    assert 0.3 < float((shares[:, 0] > 0.5).float().mean()) < 0.7
    mixed = draw(model, replace(few, recipe=replace(run.recipe, mixed=1.0)), np.random.default_rng(0)).shares
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(64))
    assert len({round(float(share), 4) for share in mixed.flatten()}) == 4  # the two labels, and what is between them


def test_labels_of_the_data_may_count_as_others(make, table):
    other = make(classes_of=["there: right", "back: left"], val=[table])
    assert other.classes == ("back", "there")
    assert other.val.labels.tolist() == [0, 1]
    with pytest.raises(PresetError, match="classes_of 'there right': expected CLASS: LABEL"):
        make(classes_of=["there right"])


def test_figures_by_hand():
    scores = np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0], [0.1, 0.3, 0.6], [0.8, 0.1, 0.1]])
    found = figures(scores, np.array([0, 0, 1, 1, 0]), ("a", "b", "c"))
    assert found == {
        "accuracy": 0.6,
        "mean_class_accuracy": 0.5833,  # of 2/3 and 1/2; there is no clip of c
        "clips": 5,
        "classes": ["a", "b", "c"],
        "confusion": [[2, 1, 0], [0, 1, 1], [0, 0, 0]],
    }


# how it goes on


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(make):
    list(carry_out(make("whole")))
    broken = make("broken")
    for line in carry_out(broken):
        if line["event"] == "step" and line["step"] == 3:
            break  # after the checkpoint of step 2
    list(carry_out(broken, resume=True))
    whole, again = (averaged(broken.folder.parent / name) for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_head_alone_learns_and_the_rest_stays_bit_by_bit(make, tmp_path):
    first = own_weights(make("first"), tmp_path / "first.safetensors")
    run = make("second", init=str(first), learns="head", learning_rate=0.1)
    last = own_weights(run, tmp_path / "last.safetensors")
    before, after = weights.read(first).tensors, weights.read(last).tensors
    assert before.keys() == after.keys()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}
    learnt = read_checkpoint(run.folder / "checkpoint.pt")["model"]
    assert all(torch.equal(learnt[name].half(), before[name]) for name in before if not name.startswith("head."))


def test_a_published_network_gets_a_new_head_and_keeps_its_input(make, table, tmp_path):
    first = write_weights(tmp_path / "first.safetensors")
    run = make(init=str(first), learns="head", learning_rate=0.1, val=[table])
    out = own_weights(run, tmp_path / "out.safetensors")
    ours, theirs = weights.read(out), weights.read(first)
    assert ours.header.architecture == "timesformer"
    assert ours.header.labels == LABELS
    assert ours.header.input == theirs.header.input
    assert ours.tensors["head.weight"].shape == (2, 16)
    assert torch.equal(ours.tensors["blocks.0.attention.qkv.weight"], theirs.tensors["blocks.0.attention.qkv.weight"].half())
    assert measure_file(out, [table], tmp_path / "kept")["clips"] == 2


def test_earlier_blocks_learn_less(make):
    run = make(depth=3, layer_decay=0.5)
    model = started(run)
    shares = {
        name: share for share, values in paced(model, pace_of(model, run.recipe)).items() for name in names(model, values)
    }
    expected = {
        "motion_embed.weight": 1 / 16,
        "trunk.patch_embed.weight": 1 / 16,
        "trunk.pos_embed": 1 / 16,
        "trunk.blocks.0.attention.qkv.weight": 1 / 8,
        "trunk.blocks.1.attention.qkv.weight": 1 / 4,
        "trunk.blocks.2.feed.enter.weight": 1 / 2,
        "trunk.norm.weight": 1 / 2,
        "head.weight": 1,
    }
    assert {name: shares[name] for name in expected} == expected
    assert shares.keys() == dict(model.named_parameters()).keys()


def names(model, values):
    return [name for name, value in model.named_parameters() if any(value is one for one in values)]


def test_masked_tubes_leave_no_trace_in_the_file(make, table, tmp_path):
    plain = own_weights(make("plain"), tmp_path / "plain.safetensors")
    run = make("masked", masked=1.0, hidden=0.5, scene=[table], val=[table])
    assert len(run.unlabelled) == 6  # all but those of the split val
    lines = list(carry_out(run))
    assert all(line["masked"] > 0 for line in lines if line["event"] == "step")
    finish(tmp_path / "masked.safetensors", run, licence="mine")
    found = weights.read(tmp_path / "masked.safetensors")
    assert found.header.shapes == weights.read(plain).header.shapes
    assert figures(told(build_model(found), run.val, run), run.val.labels, LABELS)["clips"] == 2
    crossing = list(crossed(replace(run, val=None, folder=tmp_path / "crossed"), 2))
    assert crossing[-1]["clips"] == 6


# cross-validation


def grouped(*groups):
    """A run on clips of which only the groups are known."""
    items = tuple(Footage(Clip(None, "x", name), np.zeros((1, 16, 16, 3), np.uint8), None) for name in groups)
    labels = np.arange(len(groups)) % 2
    return Run(RecognizeRecipe(), None, ("x", "y"), Labelled(items, labels), None, None)


def test_folds_keep_groups_whole_and_hold_every_clip_once():
    run = grouped(*"aaaabbbccdefg")
    for count, sizes in ((2, [6, 7]), (3, [4, 4, 5]), (0, [1, 1, 1, 1, 2, 3, 4]), (20, [1, 1, 1, 1, 2, 3, 4])):
        held = folds(run, count)
        assert sorted(np.concatenate(held).tolist()) == list(range(13))
        assert sorted(map(len, held)) == sizes
        owners = [{run.train.footage[i].clip.group for i in fold} for fold in held]
        assert sum(map(len, owners)) == 7  # no group is in two folds
    assert [fold.tolist() for fold in folds(run, 3)] == [fold.tolist() for fold in folds(run, 3)]


def test_clips_of_no_group_are_learnt_from_and_never_held_out():
    held = folds(grouped("a", "", "b", ""), 2)
    assert sorted(np.concatenate(held).tolist()) == [0, 2]


@pytest.mark.parametrize(("groups", "count"), [("aaa", 0), ("ab", 1)])
def test_folds_that_would_leave_nothing_are_refused(groups, count):
    with pytest.raises(PresetError, match="expected two or more, to hold out one of them"):
        folds(grouped(*groups), count)


def test_what_is_measured_was_never_learnt_from(make, monkeypatch):
    learnt, measured = [], []

    def nothing_learnt(part, *, resume):
        part.folder.mkdir(parents=True)
        learnt.append({item.clip.group for item in part.train.footage})
        return iter([{"event": "step", "step": 1, "total": 0.0, "s": 0.0}])

    def always_left(part):
        measured.append({item.clip.group for item in part.val.footage})
        return [[0.8, 0.2]] * len(part.val.labels)

    monkeypatch.setattr(cross_validation, "carry_out", nothing_learnt)
    monkeypatch.setattr(cross_validation, "_scores_of", always_left)
    run = make(split="all")
    *_, last = crossed(run, 0)
    assert sorted(name for names in measured for name in names) == ["a", "b", "c", "d"]
    for inside, outside in zip(learnt, measured, strict=True):
        assert inside | outside == {"a", "b", "c", "d"}
        assert not inside & outside
    assert last == {
        "event": "end",
        "accuracy": 0.5,
        "mean_class_accuracy": 0.5,
        "clips": 8,
        "classes": ["left", "right"],
        "confusion": [[4, 0], [4, 0]],
        "folds": 4,
        "fold_accuracies": [0.5] * 4,
        "deviation": 0.0,
    }


def test_folds_that_are_done_are_not_trained_again_and_those_of_another_run_are(make, monkeypatch):
    run = make(steps=2)
    lines = list(crossed(run, 3))
    assert [line["fold"] for line in lines if line["event"] == "fold"] == [0, 1, 2]
    assert [line["event"] for line in crossed(run, 3, resume=True)] == ["fold", "fold", "fold", "end"]
    (run.folder / "fold-1" / "scores.json").unlink()
    again = list(crossed(run, 3, resume=True))
    assert again[-1] == lines[-1]
    other = replace(run, recipe=replace(run.recipe, learns="head"))
    for line in crossed(other, 3):
        if line["event"] == "fold":
            break  # stopped in the first fold of a run that replaces the one before
    left = [path.parent.name for path in run.folder.glob("fold-*/scores.json")]
    assert left == ["fold-0"]
    assert sum(line["event"] == "step" for line in crossed(other, 3, resume=True)) == 4  # both steps of the other two


# what cannot be


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"learns": "tail"}, "learns is 'tail', expected one of all, head"),
        ({"batch": 1}, "batch 1, .* expected at least 2"),
        ({"smoothing": 1.0}, "smoothing 1.0"),
        ({"layer_decay": 0.0}, "layer_decay 0.0"),
        ({"rate_fps": 0.0}, "rate_fps 0.0"),
        ({"hidden": 0.0}, "hidden 0.0"),
        ({"mixed": -1.0}, "mixed -1.0"),
        ({"tube": 5}, "9 pictures in tubes of 5"),
        ({"width": 15}, "width 15 over 2 heads"),
        ({"masked": 1.0}, "masked tubes need a network of the built-in kind, and clips: name some with --scenes"),
        ({"simulated": 4, "streets": 0}, "simulated camera moves need scenes"),
        ({"tubes": 4}, "unknown setting 'tubes'; did you mean 'tube'"),
    ],
)
def test_a_recipe_that_cannot_be_is_told(make, setting, reason):
    with pytest.raises(PresetError, match=reason):
        make(**setting)


def test_data_that_cannot_be_learnt_from_is_told(make, table, tmp_path):
    with pytest.raises(PresetError, match="training needs labelled clips: name a folder"):
        make(data=[])
    one = table.parent / "one.csv"
    one.write_text("file,label\na/left.mp4,left\nb/left.mp4,left\n")
    with pytest.raises(PresetError, match=r"the clips have the labels \('left',\), expected at least two"):
        make(data=[one])
    other = table.parent / "other.csv"
    other.write_text("file,label\na/left.mp4,up\n")
    with pytest.raises(PresetError, match=r"clips of --val have labels that no clip of --data has: up"):
        make(val=[other])
    gone = table.parent / "gone.csv"
    gone.write_text("file,label\na/left.mp4,left\na/gone.mp4,right\n")
    with pytest.raises(OpenError, match=r"cannot open the clip .*gone\.mp4: No such file"):
        make(data=[gone])
    with pytest.raises(PresetError, match="nothing is learnt from --scenes: set simulated or masked"):
        make(scene=[table])


def test_weights_that_no_training_can_begin_with_are_told(make, tmp_path):
    with pytest.raises(WeightsError, match="an input that vidpc recognize does not make"):
        make(init="people")
    with pytest.raises(WeightsError, match="no such file"):
        make(init=str(tmp_path / "gone.safetensors"))
    first = own_weights(make("first"), tmp_path / "first.safetensors")
    with pytest.raises(PresetError, match="rate_fps is 15, expected 10"):
        make(init=str(first), rate_fps=15.0)
    with pytest.raises(PresetError, match="masked tubes need a network of the built-in kind"):
        make(init=str(first), masked=1.0, scene=[tmp_path / "clip.mp4"])


def test_a_measured_file_knows_its_labels_and_its_rate(make, table, tmp_path):
    file = own_weights(make("run"), tmp_path / "own.safetensors")
    assert measure_file(file, [table], tmp_path / "kept")["clips"] == 2
    ((kept,),) = [{len(np.load(path)) for path in (tmp_path / "kept").glob("*.npy") if ".flow" not in path.name}]
    assert kept == 9  # a picture every tenth of a second, as it was trained
    other = table.parent / "up.csv"
    other.write_text("file,label\na/left.mp4,up\n")
    with pytest.raises(PresetError, match="does not know the labels up"):
        measure_file(file, [other], tmp_path / "kept")
    assert RATE_FPS == 10


def test_settings_of_a_recipe_have_names_of_their_own():
    found = []

    def collect(value):
        for field in fields(value):
            inner = getattr(value, field.name)
            collect(inner) if is_dataclass(inner) else found.append(field.name)

    collect(RecognizeRecipe())
    assert len(found) == len(set(found))


def test_metadata_of_a_file_is_that_of_its_run(make, tmp_path):
    run = make()
    file = weights.read_header(own_weights(run, tmp_path / "own.safetensors"))
    assert {name: file.config[name] for name in ("size", "frames", "tube", "classes")} == {
        "size": 32,
        "frames": 9,
        "tube": 4,
        "classes": 2,
    }
    assert (file.input["frames"], file.input["window_s"], file.input["sampling"]) == (9, 0.9, "centres")


def test_an_offset_is_added_to_the_logit_of_its_label_alone(make, tmp_path):
    plain, offset = make("run", steps=1), make("run", steps=1, offsets=[f"{LABELS[0]}: -0.5"])
    list(carry_out(plain))
    for run, name in ((plain, "plain"), (offset, "offset")):
        finish(tmp_path / f"{name}.safetensors", run, licence="none")
    before, after = (
        weights.read(tmp_path / f"{name}.safetensors").tensors["head.bias"].float() for name in ("plain", "offset")
    )
    changes = dict(zip(plain.classes, (after - before).tolist(), strict=True))
    assert changes == pytest.approx({LABELS[0]: -0.5, LABELS[1]: 0.0}, abs=1e-3)  # half precision


@pytest.mark.parametrize(
    ("offsets", "reason"), [(["left"], "expected LABEL: NUMBER"), (["up: 1"], "labels that the clips have not: up")]
)
def test_an_offset_that_fits_no_label_is_refused(make, offsets, reason):
    with pytest.raises(PresetError, match=reason):
        make("run", offsets=offsets)
