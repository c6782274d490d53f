"""The published VidTr layout: both networks, their quirks by size, and the settings that lie beside the tensors."""

import sys
import types
from pathlib import Path

import fill
import pytest
import torch

from vidpc.errors import WeightsError
from vidpc.weights import vidtr
from vidpc.weights.convert import convert

PARITY = Path(__file__).parents[1] / "parity"
SMALL = {"patch": 16, "width": 64, "depth": 2, "heads": 1, "feedforward": 8, "classes": 5}
WHOLE = {"size": [32, 32], "frames": 2, **SMALL, "placed_layers": 1}
COMPACT = {"size": [224, 224], "frames": 8, **SMALL, "depth": 7, "dropped": [0, 2, 0, 2, 0, 2]}


def checkpoint(config):
    rng = torch.Generator().manual_seed(1)
    return {f"module.{row.theirs}": torch.randn(row.shape, generator=rng) for row in vidtr.entries(config)}


@pytest.mark.parametrize(
    ("name", "special"), [("vidtr_s", ("placed_layers", 1)), ("cvidtr_s", ("dropped", [0, 2, 0, 2, 0, 2]))]
)
def test_published_entries_are_listed_whole(name, special):
    keys = {name: shape for name, _, shape, *_ in fill.read_keys(PARITY / f"{name}.keys.txt")}
    config = vidtr.infer_config(keys)
    assert (config["frames"], config["heads"], config["feedforward"], config["size"]) == (8, 12, 3072, [224, 224])
    assert config[special[0]] == special[1]
    assert {row.theirs: row.shape for row in vidtr.entries(config)} == keys


def test_vidtr_m_alone_adds_places_in_every_layer():
    config = {**WHOLE, "frames": 16}
    found = [vidtr.convert(checkpoint({**config, "frames": t}), owner="x")[1] for t in (8, 16, 32)]
    assert [described["config"]["placed_layers"] for described in found] == [1, 2, 1]  # of two layers
    assert [described["input"]["rate"] for described in found] == [8, 4, 2]


def test_the_compact_network_of_16_frames_drops_eight_four_and_two():
    _, described = vidtr.convert(checkpoint({**COMPACT, "frames": 16, "dropped": [0, 8, 4, 0, 2]}), owner="x")
    assert (described["architecture"], described["config"]["dropped"]) == ("cvidtr", [0, 8, 4, 0, 2])


def test_a_compact_network_of_an_unknown_size_is_refused():
    with pytest.raises(WeightsError, match="a compact network of 4 frames is not known"):
        vidtr.convert(checkpoint({**COMPACT, "frames": 4}), owner="x")


@pytest.mark.parametrize("config", [WHOLE, COMPACT], ids=["whole", "compact"])
def test_a_released_file_with_its_settings_converts_without_running_anything(tmp_path, monkeypatch, config):
    class CfgNode(dict):
        """As yacs pickles it: a dictionary with attributes."""

        def __init__(self, items):
            super().__init__(items)
            self.__dict__.update({"__immutable__": False, "__deprecated_keys__": set()})

    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", types.ModuleType("yacs.config"))
        sys.modules["yacs.config"].CfgNode = CfgNode
        state = {"model": checkpoint(config), "max_accuracy": 77.7, "config": CfgNode({"MODEL": CfgNode({"SIZES": [1, 2]})})}
        torch.save(state, tmp_path / "released.pth")
    header = convert(tmp_path / "released.pth", tmp_path / "ours.safetensors", layout="vidtr")
    assert header.config == config
    assert header.shapes["patch_embed.weight"] == (64, 3, 16, 16)
    assert "yacs" not in sys.modules
