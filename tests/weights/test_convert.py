"""Published checkpoints: nothing in them runs, every entry is accounted for."""

import argparse
import json
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import fill
import pytest
import torch

from vidpc import weights
from vidpc.errors import WeightsError
from vidpc.weights import transtrack
from vidpc.weights.convert import convert, load_checkpoint

PARITY = Path(__file__).parents[1] / "parity"
ALIAS = "transformer.decoder."
SMALL = {
    "block": "basic",
    "depths": [1, 2, 1, 1],
    "stem": 8,
    "width": 32,
    "heads": 8,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feedforward": 48,
    "levels": 4,
    "points": 2,
    "queries": 5,
    "classes": 20,
}


def checkpoint(config=SMALL):
    """Entries in the published layout, filled with numbers, with the aliases that released files have."""
    state = {
        name: torch.randn(shape, generator=torch.Generator().manual_seed(1))
        for name, shape in transtrack.entries(config).items()
    }
    aliases = {f"{ALIAS}{name}": tensor for name, tensor in state.items() if name.startswith("bbox_embed.")}
    return OrderedDict(state | aliases)


def training_file(path, state, **more):
    """What the authors' training loop saves."""
    options = argparse.Namespace(
        lr=2e-4, batch_size=2, dataset_file="mot", device="cuda", frozen_weights=None, betas=[0.9, 0.999]
    )
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    schedule = {"step_size": 100, "gamma": 0.1, "base_lrs": [2e-4], "last_epoch": 3, "_last_lr": [2e-4]}
    torch.save({"model": state, "optimizer": optimizer, "lr_scheduler": schedule, "epoch": 3, "args": options, **more}, path)
    return path


class Bomb:
    """Runs code when it is unpickled: makes a file, so that a test sees it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_published_entries_are_listed_whole():
    rows = {name: shape for name, _, shape, _, _, alias in fill.read_keys(PARITY / "transtrack.keys.txt") if alias is None}
    config = transtrack.infer_config(rows, owner="keys")
    assert (config["queries"], config["classes"], config["depths"], config["points"]) == (500, 20, [3, 4, 6, 3], 4)
    assert transtrack.entries(config) == rows


@pytest.mark.parametrize("config", [SMALL, {**SMALL, "block": "bottleneck", "levels": 3}], ids=["basic", "bottleneck"])
def test_sizes_are_read_from_the_shapes(config):
    assert transtrack.infer_config(transtrack.entries(config), owner="x") == config


def test_training_file_becomes_a_weights_file_that_describes_itself(tmp_path):
    state = checkpoint()
    header = convert(training_file(tmp_path / "c.pth", state), tmp_path / "w.safetensors", layout="transtrack", licence="MIT")
    assert (header.architecture, header.config, header.labels, header.logits) == ("transtrack", SMALL, ("person",), (1,))
    assert (header.licence, header.metadata["source"]) == ("MIT", "c.pth")
    assert header.metadata["source_sha256"] == weights.files.sha256(tmp_path / "c.pth")
    tensors = weights.read(tmp_path / "w.safetensors").tensors
    assert tensors["decoder.1.cross_attn.value_proj.weight"].equal(
        state["transformer.decoder.layers.1.cross_attn.value_proj.weight"]
    )
    assert tensors["track_decoder.0.norm3.bias"].equal(state["transformer.decoder_track.layers.0.norm3.bias"])
    assert tensors["backbone.layer2.1.bn2.running_var"].equal(state["backbone.0.body.layer2.1.bn2.running_var"])
    assert tensors["query_embed"].equal(state["query_embed.weight"])
    assert not [name for name in tensors if "transformer" in name or "body" in name]


def test_converted_entries_are_the_networks(tmp_path):
    from vidpc.models.transtrack import TransTrack, TransTrackConfig

    torch.save({"model": checkpoint()}, tmp_path / "c.pth")
    header = convert(tmp_path / "c.pth", tmp_path / "w.safetensors", layout="transtrack")
    model = TransTrack(TransTrackConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in header.config.items()}))
    assert header.shapes == {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("wrap", [lambda state: {"model": state}, lambda state: state], ids=["model", "bare"])
def test_stripped_files_and_old_ones_are_read(tmp_path, wrap):
    torch.save(wrap(checkpoint()), tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    assert len(load_checkpoint(tmp_path / "c.pth")) == len(checkpoint())


def test_profilers_leftovers_are_dropped(tmp_path):
    state = checkpoint() | {"total_ops": torch.zeros(1), "backbone.0.total_params": torch.zeros(1)}
    torch.save(state, tmp_path / "c.pth")
    convert(tmp_path / "c.pth", tmp_path / "w.safetensors", layout="transtrack")


@pytest.mark.parametrize("protocol", ["zip", "old"])
def test_code_in_a_checkpoint_does_not_run(tmp_path, protocol):
    file = tmp_path / "c.pth"
    torch.save({"model": checkpoint(), "hook": Bomb(tmp_path / "ran")}, file, _use_new_zipfile_serialization=protocol == "zip")
    with pytest.raises(WeightsError, match=r"refused: .* more than tensors.*--allow-pickle"):
        convert(file, tmp_path / "w.safetensors", layout="transtrack")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "w.safetensors").exists()


def test_allow_pickle_unpickles(tmp_path):
    torch.save({"model": checkpoint(), "hook": Bomb(tmp_path / "ran")}, tmp_path / "c.pth")
    convert(tmp_path / "c.pth", tmp_path / "w.safetensors", layout="transtrack", allow_pickle=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update({"bbox_embed.0.layers.0.wieght": s.pop("bbox_embed.0.layers.0.weight")}), "differs from|wieght"),
        (
            lambda s: s.update({"combine.wieght": s.pop("combine.weight")}),
            "unknown tensor 'combine.wieght'; did you mean 'combine.weight'",
        ),
        (lambda s: s.pop("combine.bias"), "missing tensor 'combine.bias'"),
        (lambda s: s.update({"combine.bias": torch.zeros(3)}), r"'combine.bias' is \[3\], expected \[32\]"),
        (
            lambda s: s.update({f"{ALIAS}bbox_embed.1.layers.0.bias": torch.zeros(32)}),
            "differs from 'bbox_embed.1.layers.0.bias'",
        ),
        (lambda s: s.pop("transformer.level_embed"), "not a TransTrack checkpoint"),
        (lambda s: s["combine.bias"].fill_(float("nan")), "not finite"),
        (lambda s: s.clear(), "no named tensors"),
    ],
)
def test_other_entries_are_named(tmp_path, change, words):
    state = dict(checkpoint())
    change(state)
    torch.save({"model": state}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=words):
        convert(tmp_path / "c.pth", tmp_path / "w.safetensors", layout="transtrack")


def test_unknown_layout_is_answered_with_a_near_one(tmp_path):
    with pytest.raises(WeightsError, match="unknown layout 'transtrak'; did you mean 'transtrack'"):
        convert(tmp_path / "c.pth", tmp_path / "w.safetensors", layout="transtrak")


def test_archive_that_would_inflate_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10_000_000))
    with pytest.raises(WeightsError, match="that would become 10000000"):
        load_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("step", [3, 5])
def test_damaged_checkpoints_are_refused(tmp_path, step):
    file = training_file(tmp_path / "c.pth", {"w": torch.zeros(4)})
    content = file.read_bytes()
    for length in range(0, len(content), len(content) // (20 + step)):
        file.write_bytes(content[:length])
        with pytest.raises(WeightsError):
            load_checkpoint(file)


def test_flipped_bytes_never_give_anything_but_an_answer_or_a_weights_error(tmp_path):
    file = training_file(tmp_path / "c.pth", {"w": torch.zeros(4)})
    content = bytearray(file.read_bytes())
    for place in range(0, len(content), 29):
        content[place] ^= 0x41
        file.write_bytes(content)
        content[place] ^= 0x41
        with suppress(WeightsError):
            assert all(isinstance(tensor, torch.Tensor) for tensor in load_checkpoint(file).values())


def test_plain_pickles_and_text_are_refused(tmp_path):
    for name, content in (
        ("p.pth", pickle.dumps({"w": 1})),
        ("t.pth", b"hello"),
        ("j.pth", json.dumps({}).encode()),
        ("e.pth", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError):
            load_checkpoint(tmp_path / name)
