"""Published TimeSformer layouts: every entry is accounted for, whatever wraps it and whoever named it."""

from pathlib import Path

import fill
import pytest
import torch

from vidpc.errors import WeightsError
from vidpc.weights import timesformer
from vidpc.weights.convert import convert

PARITY = Path(__file__).parents[1] / "parity"
SMALL = {
    "size": [32, 32],
    "patch": 16,
    "frames": 2,
    "channels": 3,
    "width": 64,
    "depth": 2,
    "heads": 1,
    "mlp_ratio": 2.0,
    "classes": 5,
    "attention": "divided_space_time",
    "qkv_bias": True,
}
# The names that Hugging Face's class gives the entries of block 1, written out: the converter's own table is not asked.
HUGGING_FACE_BLOCK = [
    f"timesformer.encoder.layer.1.{name}.{part}"
    for name in (
        "attention.attention.qkv", "attention.output.dense", "intermediate.dense", "output.dense", "layernorm_before",
        "layernorm_after", "temporal_layernorm", "temporal_attention.attention.qkv", "temporal_attention.output.dense",
        "temporal_dense",
    )
    for part in ("weight", "bias")
]  # fmt: skip


def checkpoint(config=SMALL, names=timesformer._AUTHORS):
    rng = torch.Generator().manual_seed(1)
    return {row.theirs: torch.randn(row.shape, generator=rng) for row in timesformer.entries(config, names=names)}


def test_published_entries_are_listed_whole():
    keys = {name: shape for name, _, shape, *_ in fill.read_keys(PARITY / "timesformer_divst_b16_8x224_k400.keys.txt")}
    config = timesformer.infer_config(keys)
    assert (config["heads"], config["depth"], config["mlp_ratio"], config["size"]) == (12, 12, 4.0, [224, 224])
    assert {row.theirs: row.shape for row in timesformer.entries(config)} == keys


@pytest.mark.parametrize("kind", ["divided_space_time", "joint_space_time", "space_only"])
@pytest.mark.parametrize("names", [timesformer._AUTHORS, timesformer._HUGGING_FACE], ids=["authors", "hugging face"])
def test_sizes_are_read_from_the_shapes(names, kind):
    config = {**SMALL, "attention": kind, "frames": 8 if kind == "space_only" else 2, "qkv_bias": False}
    shapes = {row.theirs: row.shape for row in timesformer.entries(config, names=names)}
    assert timesformer.infer_config(shapes, names=names) == config


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "module.model."])
def test_prefixes_do_not_matter(prefix):
    state = checkpoint()
    tensors, _ = timesformer.convert({prefix + name: tensor for name, tensor in state.items()}, owner="x")
    assert tensors["blocks.1.feed.leave.weight"].equal(state["blocks.1.mlp.fc2.weight"])


def test_hugging_face_names_are_those_of_its_class():
    state = checkpoint(names=timesformer._HUGGING_FACE)
    assert sorted(name for name in state if ".layer.1." in name) == sorted(HUGGING_FACE_BLOCK)
    tensors, described = timesformer.convert_hugging_face(state, owner="x")
    assert tensors["blocks.0.time_attention.qkv.weight"].equal(
        state["timesformer.encoder.layer.0.temporal_attention.attention.qkv.weight"]
    )
    assert tensors["head.bias"].equal(state["classifier.bias"])
    assert described["config"] == SMALL


def test_both_layouts_make_one_file(tmp_path):
    named = timesformer._AUTHORS, timesformer._HUGGING_FACE
    theirs, hugging = ([row.theirs for row in timesformer.entries(SMALL, names=names)] for names in named)
    state = checkpoint()
    torch.save({"model_state": {f"model.{name}": state[name] for name in theirs}, "cfg": ""}, tmp_path / "a.pyth")
    torch.save({new: state[name] for name, new in zip(theirs, hugging, strict=True)}, tmp_path / "b.bin")
    first = convert(tmp_path / "a.pyth", tmp_path / "a.safetensors", layout="timesformer")
    second = convert(tmp_path / "b.bin", tmp_path / "b.safetensors", layout="timesformer-hf")
    assert (first.config, first.input, first.shapes) == (second.config, second.input, second.shapes)
    tensors = [(tmp_path / f"{name}.safetensors").read_bytes()[-1000:] for name in "ab"]
    assert tensors[0] == tensors[1]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"frames": 8, "classes": 400}, ("linspace", 32, 8 * 32 / 30, "rgb", "abseiling")),
        ({"frames": 96, "classes": 600}, ("linspace", 4, 96 * 4 / 30, "rgb", "abseiling")),
        ({"frames": 16, "classes": 174}, ("segments", 0, 4.0, "bgr", "Approaching something with your camera")),
        ({"frames": 96, "classes": 1059}, ("linspace", 32, 96 * 32 / 30, "rgb", "class_0")),
    ],
)
def test_clips_are_made_as_for_the_data_set_of_so_many_classes(config, expected):
    _, described = timesformer.convert(checkpoint({**SMALL, **config}), owner="x")
    look = described["input"]
    assert (look["sampling"], look["rate"], look["window_s"], look["order"], described["labels"][0]) == expected
    assert (look["frames"], look["short_side"], look["crop"], look["mean"][0]) == (config["frames"], 32, 32, 0.45)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra.weight": torch.ones(1)}, "unknown tensor 'extra.weight'"),
        ({"blocks.1.temporal_fc.bias": None}, "missing tensor 'blocks.1.temporal_fc.bias'"),
        ({"head.bias": torch.ones(4)}, r"'head.bias' is \[4\], expected \[5\]"),
        ({"patch_embed.proj.weight": None}, "not a TimeSformer checkpoint of this layout: no usable entry 'patch_embed.proj"),
        ({"pos_embed": torch.ones(1, 6, 64)}, "of 5 places, expected a square"),
    ],
)
def test_entries_that_do_not_fit_are_named(change, message):
    changed = {name: tensor for name, tensor in {**checkpoint(), **change}.items() if tensor is not None}
    with pytest.raises(WeightsError, match=message):
        timesformer.convert(changed, owner="x")
