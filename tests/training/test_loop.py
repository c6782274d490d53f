import json

import numpy as np
import pytest
import torch

from vidpc import weights
from vidpc.errors import PresetError, WeightsError
from vidpc.models.transtrack import TransTrack
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.export import export
from vidpc.training.loop import Run, thinned, train
from vidpc.training.peers import Peers, together
from vidpc.training.pictures import Clip, Marks, Picture
from vidpc.training.recipe import Recipe, parse_size, parse_stage, parse_weight
from vidpc.training.runs import first_weights

TINY = Recipe(
    stem=8, width=32, heads=2, decoder_layers=1, feedforward=32, queries=8, steps=4, warmup=1, decay_from=99, decoders_from=1,
    sizes=("0: 96x64", "3: 128x64"), pairs=1, learning_rate=1e-3, log_every=1, save_every=2,
    check_every=2, seed=5, set_weights=(),
)  # fmt: skip


def clips():
    made = []
    for number in range(4):
        pixels = np.full((64, 96, 3), 60 + 30 * number, np.uint8)
        left = 10 + 15 * number
        pixels[10:54, left : left + 18] = (250, 30, 30)
        marks = Marks(np.array([[left, 10, left + 18, 54]], np.float32), np.array([1]), np.array([False]))
        made.append(Clip("boxes", (Picture(pixels, marks),)))
    return made


def run_in(folder, **changes):
    return Run(**{"folder": folder, "train": clips(), "val": [], "device": torch.device("cpu"), "workers": 0, **changes})


def averaged(folder):
    return read_checkpoint(folder / "checkpoint.pt")["average"]


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def changed(recipe, **changes):
    return Recipe(**{**{name: getattr(recipe, name) for name in recipe.__dataclass_fields__}, **changes})


def test_the_loss_falls(tmp_path):
    lines = list(train(changed(TINY, steps=40, decoders_from=0), run_in(tmp_path)))
    losses = [line["total"] for line in lines if line["event"] == "step"]
    assert np.median(losses[-10:]) < 0.85 * np.median(losses[:10])  # a batch may show nobody
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in logged] == ["start", *["step"] * 40]


def test_equal_seeds_give_equal_weights_and_others_do_not(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        list(train(changed(TINY, seed=seed), run_in(tmp_path / name)))
    assert_equal(averaged(tmp_path / "a"), averaged(tmp_path / "b"))
    name = "backbone.conv1.weight"
    assert not torch.equal(averaged(tmp_path / "a")[name], averaged(tmp_path / "c")[name])


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    list(train(TINY, run_in(tmp_path / "whole")))
    for line in train(TINY, run_in(tmp_path / "broken")):
        if line["event"] == "step" and line["step"] == 3:
            break  # after the checkpoint of step 2
    list(train(TINY, run_in(tmp_path / "broken"), resume=True))
    assert_equal(averaged(tmp_path / "whole"), averaged(tmp_path / "broken"))


def test_a_process_that_prepares_batches_changes_nothing(tmp_path):
    for name, workers in (("without", 0), ("with", 1)):
        list(train(changed(TINY, steps=2), run_in(tmp_path / name, workers=workers)))
    assert_equal(averaged(tmp_path / "without"), averaged(tmp_path / "with"))


def test_checks_name_every_set(tmp_path):
    lines = [
        line for line in train(changed(TINY, steps=2), run_in(tmp_path, val=clips()[:2])) if line["event"] in ("check", "end")
    ]
    assert [line["event"] for line in lines] == ["check", "end"]
    assert lines[1]["all"]["pictures"] == lines[1]["boxes"]["pictures"] == 2


def test_averaged_weights_are_exported_in_half_precision_and_can_begin_another_run(tmp_path):
    list(train(changed(TINY, steps=2), run_in(tmp_path)))
    digest = export(tmp_path / "w.safetensors", averaged(tmp_path), TINY, licence="mine", source="a test")
    file = weights.read(tmp_path / "w.safetensors")
    assert (file.sha256, file.header.licence, file.header.labels) == (digest, "mine", ("person",))
    assert {tensor.dtype for tensor in file.tensors.values()} == {torch.float16}
    assert file.header.input["order"] == "rgb"
    init = first_weights(tmp_path / "w.safetensors", TINY)
    TransTrack(TINY.model()).load_state_dict(init)
    with pytest.raises(WeightsError, match="does not fit"):
        first_weights(tmp_path / "w.safetensors", changed(TINY, width=64))


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(PresetError, match="no picture"):
        next(train(TINY, run_in(tmp_path, train=[])))


def test_a_checkpoint_that_is_none(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match="resuming from"):
        next(train(TINY, run_in(tmp_path), resume=True))


def _answer(peers):
    tensors = [torch.tensor([1.0, 2.0]) * (peers.rank + 1), torch.tensor([[4.0]]) * (peers.rank + 1)]
    peers.average(tensors)
    assert tensors[1].item() == 6


def test_peers_share_the_mean():
    threads = torch.get_num_threads()
    with together(2, _answer) as peers:
        tensors = [torch.tensor([1.0, 2.0]), torch.tensor([[4.0]])]
        peers.average(tensors)
    torch.set_num_threads(threads)
    assert [tensor.tolist() for tensor in tensors] == [[1.5, 3.0], [[6.0]]]
    assert Peers().count == 1


def test_the_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=100, warmup=10, decay_from=60, learning_rate=1.0, final_rate=0.1)
    rates = [recipe.rate_at(step) for step in (0, 9, 60, 80, 100)]
    assert rates == pytest.approx([0.1, 1, 1, 0.55, 0.1])


def test_clips_are_thinned_evenly():
    assert len(thinned(clips(), 2)) == 2
    assert len(thinned(clips(), 100)) == 4


@pytest.mark.parametrize("text", ["640", "640x", "32x640", "axb"])
def test_sizes_that_are_none(text):
    with pytest.raises(PresetError, match="expected WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize("sizes", [(), ("5: 96x64",), ("0: 96x64", "9: 64x64", "4: 96x64")])
def test_stages_begin_at_the_start_and_follow_each_other(sizes):
    with pytest.raises(PresetError, match="expected the first at 0"):
        changed(TINY, sizes=sizes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"depths": (2, 2)}, "four stages"), ({"width": 40}, "multiple of 32"), ({"heads": 5}, "multiple of")],
)
def test_networks_that_cannot_be(changes, reason):
    with pytest.raises(PresetError, match=reason):
        changed(TINY, **changes)


def test_a_stage_without_sizes():
    with pytest.raises(PresetError, match="expected STEP"):
        parse_stage("900:")


def test_sizes_and_weights_are_read_from_words():
    assert parse_size("640x352") == (640, 352)
    assert parse_stage("900: 384x320 448x256") == (900, [(384, 320), (448, 256)])
    assert parse_weight("street=2.5") == ("street", 2.5)
    with pytest.raises(PresetError, match="expected NAME=NUMBER"):
        parse_weight("street")
