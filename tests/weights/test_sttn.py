"""The published STTN layout: its entries, one set of queries, keys and values, and what its training writes beside it."""

from pathlib import Path

import fill
import pytest
import torch

from vidpc.errors import WeightsError
from vidpc.weights import sttn
from vidpc.weights.convert import convert

PARITY = Path(__file__).parents[1] / "parity"
SMALL = {"channels": 8, "blocks": 2}


def checkpoint():
    rng = torch.Generator().manual_seed(1)
    return {row.theirs: torch.randn(row.shape, generator=rng) for row in sttn.entries(SMALL)}


def test_published_entries_are_listed_whole():
    keys = {name: shape for name, _, shape, *_ in fill.read_keys(PARITY / "sttn.keys.txt")}
    config = sttn.infer_config(keys)
    assert config == {"channels": 256, "blocks": 8}
    assert {row.theirs: row.shape for row in sttn.entries(config)} == keys


def test_queries_keys_and_values_become_one_in_this_order(tmp_path):
    state = checkpoint()
    torch.save({"netG": state}, tmp_path / "gen_00010.pth")  # as the training writes it, and as it was released
    header = convert(tmp_path / "gen_00010.pth", tmp_path / "ours.safetensors", layout="sttn")
    assert header.config == {**SMALL, "patches": [[108, 60], [36, 20], [18, 10], [9, 5]], "masks_attention": False}
    assert (header.architecture, header.input) == ("sttn", {"width": 432, "height": 240})
    tensors, _ = sttn.convert(state, owner="x")
    parts = [state[f"transformer.1.attention.{part}_embedding.bias"] for part in ("query", "key", "value")]
    assert tensors["blocks.1.attention.qkv.bias"].equal(torch.cat(parts))
    assert tensors["blocks.1.attention.qkv.weight"].shape == (24, 8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"netD": {"conv.0.bias": torch.zeros(3)}}, "the discriminator of a training of STTN"),
        ({"epoch": 1, "optimG": {"state": {}}, "optimD": {}}, "the state of the optimisers of a training of STTN"),
    ],
    ids=["discriminator", "optimisers"],
)
def test_what_lies_beside_the_network_is_named(tmp_path, content, reason):
    torch.save(content, tmp_path / "beside.pth")
    with pytest.raises(WeightsError, match=reason):
        convert(tmp_path / "beside.pth", tmp_path / "ours.safetensors", layout="sttn")


def test_another_network_is_refused():
    with pytest.raises(WeightsError, match="not the generator of an STTN checkpoint"):
        sttn.convert({"conv1.weight": torch.zeros(3, 3)}, owner="x")


def test_an_entry_too_many_is_told():
    with pytest.raises(WeightsError, match="unknown tensor 'decoder"):
        sttn.convert({**checkpoint(), "decoder.8.bias": torch.zeros(3)}, owner="x")
