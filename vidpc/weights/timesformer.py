"""The published layouts of TimeSformer checkpoints, as data: which entries, how large, and our names.

The authors' code (facebookresearch/TimeSformer) and Hugging Face's TimesformerForVideoClassification are one network under
other names. A third layout is a ViT for pictures, which becomes the start of training a divided network, as the authors
start: time attention is a copy of space attention, and its way out is zero.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError

from .class_names import class_names
from .entries import Row, count_up, linear, norm
from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
Names = Mapping[str, str]

_AUTHORS: Names = {
    "patch_embed": "patch_embed.proj",
    "cls_token": "cls_token",
    "pos_embed": "pos_embed",
    "time_embed": "time_embed",
    "blocks": "blocks.{}",
    "time_norm": "temporal_norm1",
    "time_attention.qkv": "temporal_attn.qkv",
    "time_attention.out": "temporal_attn.proj",
    "time_change": "temporal_fc",
    "block_norm": "norm1",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "feed_norm": "norm2",
    "feed.enter": "mlp.fc1",
    "feed.leave": "mlp.fc2",
    "norm": "norm",
    "head": "head",
}
_HUGGING_FACE: Names = {
    "patch_embed": "timesformer.embeddings.patch_embeddings.projection",
    "cls_token": "timesformer.embeddings.cls_token",
    "pos_embed": "timesformer.embeddings.position_embeddings",
    "time_embed": "timesformer.embeddings.time_embeddings",
    "blocks": "timesformer.encoder.layer.{}",
    "time_norm": "temporal_layernorm",
    "time_attention.qkv": "temporal_attention.attention.qkv",
    "time_attention.out": "temporal_attention.output.dense",
    "time_change": "temporal_dense",
    "block_norm": "layernorm_before",
    "attention.qkv": "attention.attention.qkv",
    "attention.out": "attention.output.dense",
    "feed_norm": "layernorm_after",
    "feed.enter": "intermediate.dense",
    "feed.leave": "output.dense",
    "norm": "timesformer.layernorm",
    "head": "classifier",
}

_HEAD_WIDTH, _FEWER_HEADS = 64, 4  # not to be seen in shapes: 64 channels in every ViT; narrow networks get four heads
_RATES = {8: 32, 16: 16, 96: 4}  # frames -> rate of the Kinetics networks
_SOMETHING_SOMETHING, _HOWTO100M = 174, 1059  # classes
_SOMETHING_S = 4.0  # about what a clip of Something-Something lasts, all of which the network is to see
_IMAGE_FRAMES = 8


def _convert(checkpoint: Tensors, *, owner: str, names: Names) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape.
    """
    tensors = {_plain(name): tensor for name, tensor in checkpoint.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        config = infer_config(shapes, names=names)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{owner}: not a TimeSformer checkpoint of this layout: no usable entry {error}") from error
    rows = list(entries(config, names=names))
    check_shapes(shapes, {row.theirs: row.shape for row in rows}, owner=owner)
    described = {"architecture": "timesformer", "config": config, "labels": class_names(config["classes"])}
    return {row.ours: tensors[row.theirs] for row in rows}, described | {"input": look(config)}


convert: Callable[..., tuple[dict[str, "torch.Tensor"], dict[str, Any]]] = partial(_convert, names=_AUTHORS)
convert_hugging_face: Callable[..., tuple[dict[str, "torch.Tensor"], dict[str, Any]]] = partial(_convert, names=_HUGGING_FACE)


def convert_image(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """As ``convert``, of a ViT for pictures: what is missing for time is made as the authors make it."""
    import torch

    tensors = {_plain(name): tensor for name, tensor in checkpoint.items()}
    started = dict(tensors)
    for name, tensor in tensors.items():
        for theirs, copy in ((".attn.", ".temporal_attn."), (".norm1.", ".temporal_norm1.")):
            if theirs in name:
                started.setdefault(name.replace(theirs, copy), tensor.clone())
        if name.endswith(".attn.proj.weight"):
            block, width = name.removesuffix("attn.proj.weight"), len(tensor)
            started.setdefault(f"{block}temporal_fc.weight", torch.zeros(width, width))
            started.setdefault(f"{block}temporal_fc.bias", torch.zeros(width))
            started.setdefault("time_embed", torch.zeros(1, _IMAGE_FRAMES, width))
    return convert(started, owner=owner)


def infer_config(shapes: Shapes, *, names: Names = _AUTHORS) -> dict[str, Any]:
    """The sizes of the network, read from the shapes of a published checkpoint."""
    width, channels, patch, _ = shapes[f"{names['patch_embed']}.weight"]
    places, block = shapes[names["pos_embed"]][1] - 1, names["blocks"]
    side = math.isqrt(places)
    if side * side != places:
        raise ValueError(f"{names['pos_embed']!r} of {places} places, expected a square")
    divided = f"{block.format(0)}.{names['time_change']}.weight" in shapes
    timed = names["time_embed"] in shapes
    return {
        "size": [side * patch, side * patch],
        "patch": patch,
        "frames": shapes[names["time_embed"]][1] if timed else _IMAGE_FRAMES,
        "channels": channels,
        "width": width,
        "depth": count_up(shapes, f"{block}.{names['attention.qkv']}.weight"),
        "heads": width // _HEAD_WIDTH if width % _HEAD_WIDTH == 0 else _FEWER_HEADS,
        "mlp_ratio": shapes[f"{block.format(0)}.{names['feed.enter']}.weight"][0] / width,
        "classes": shapes[f"{names['head']}.weight"][0],
        "attention": "divided_space_time" if divided else "joint_space_time" if timed else "space_only",
        "qkv_bias": f"{block.format(0)}.{names['attention.qkv']}.bias" in shapes,
    }


def entries(config: Mapping[str, Any], *, names: Names = _AUTHORS) -> Iterator[Row]:
    """Every entry that a published checkpoint of these sizes holds."""
    width, patch, (height, across) = config["width"], config["patch"], config["size"]
    yield Row(f"{names['patch_embed']}.weight", "patch_embed.weight", (width, config["channels"], patch, patch))
    yield Row(f"{names['patch_embed']}.bias", "patch_embed.bias", (width,))
    yield Row(names["cls_token"], "cls_token", (1, 1, width))
    yield Row(names["pos_embed"], "pos_embed", (1, 1 + (height // patch) * (across // patch), width))
    if config["attention"] != "space_only":
        yield Row(names["time_embed"], "time_embed", (1, config["frames"], width))
    for i in range(config["depth"]):
        yield from _block(names, i, config)
    yield from norm(names["norm"], "norm", width)
    yield from linear(names["head"], "head", width, config["classes"])


def _block(names: Names, number: int, config: Mapping[str, Any]) -> Iterator[Row]:
    theirs, ours = names["blocks"].format(number), f"blocks.{number}"
    width, hidden, bias = config["width"], int(config["width"] * config["mlp_ratio"]), config["qkv_bias"]
    if config["attention"] == "divided_space_time":
        yield from norm(f"{theirs}.{names['time_norm']}", f"{ours}.time_norm", width)
        yield from linear(f"{theirs}.{names['time_attention.qkv']}", f"{ours}.time_attention.qkv", width, 3 * width, bias=bias)
        yield from linear(f"{theirs}.{names['time_attention.out']}", f"{ours}.time_attention.out", width, width)
        yield from linear(f"{theirs}.{names['time_change']}", f"{ours}.time_change", width, width)
    yield from norm(f"{theirs}.{names['block_norm']}", f"{ours}.norm", width)
    yield from linear(f"{theirs}.{names['attention.qkv']}", f"{ours}.attention.qkv", width, 3 * width, bias=bias)
    yield from linear(f"{theirs}.{names['attention.out']}", f"{ours}.attention.out", width, width)
    yield from norm(f"{theirs}.{names['feed_norm']}", f"{ours}.feed_norm", width)
    yield from linear(f"{theirs}.{names['feed.enter']}", f"{ours}.feed.enter", width, hidden)
    yield from linear(f"{theirs}.{names['feed.leave']}", f"{ours}.feed.leave", hidden, width)


def look(config: Mapping[str, Any]) -> dict[str, Any]:
    """How the authors' test makes clips for the network of these sizes."""
    frames, classes, side = config["frames"], config["classes"], config["size"][0]
    something = classes == _SOMETHING_SOMETHING  # read with OpenCV, whose pictures are blue, green, red
    rate = 0 if something else 32 if classes == _HOWTO100M else _RATES.get(frames, max(256 // frames, 1))
    return {
        "frames": frames,
        "rate": rate,
        "window_s": _SOMETHING_S if something else frames * rate / 30,
        "sampling": "segments" if something else "linspace",
        "resize": "float",
        "short_side": side,
        "crop": side,
        "order": "bgr" if something else "rgb",
        "mean": [0.45, 0.45, 0.45],
        "std": [0.225, 0.225, 0.225],
        "combine": "logits",
    }


def _plain(name: str) -> str:
    """The name without what wrappers put in front of it."""
    return name.removeprefix("module.").removeprefix("model.")
