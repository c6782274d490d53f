"""The published layout of VidTr checkpoints (amazon-science/gluonmm), as data: which entries, how large, and our names.

The whole and the compact network share it; entries carry the prefix ``module.``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError

from .class_names import class_names
from .entries import Row, count_up, linear, norm
from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

# Not to be seen in shapes.
_HEAD_WIDTH = 64
_COMPACT_PLACES = 196  # the authors' grid is 14 x 14 in every network
_DROPPED = {8: [0, 2, 0, 2, 0, 2], 16: [0, 8, 4, 0, 2]}  # frames of a compact network -> those dropped in its first layers
_ALL_LAYERS_PLACED_FRAMES = 16  # VidTr-M alone adds its position embedding in every layer
_SAMPLED_SPAN = 64  # pictures of the video that a clip spans: 8 x 8, 16 x 4, 32 x 2


def convert(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint of either network.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape.
    """
    tensors = {name.removeprefix("module."): tensor for name, tensor in checkpoint.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        config = infer_config(shapes)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{owner}: not a VidTr checkpoint: no usable entry {error}") from error
    rows = list(entries(config))
    check_shapes(shapes, {row.theirs: row.shape for row in rows}, owner=owner)
    converted = {row.ours: tensors[row.theirs] for row in rows}
    converted["patch_embed.weight"] = converted["patch_embed.weight"].squeeze(2)  # of depth one
    architecture = "cvidtr" if "dropped" in config else "vidtr"
    described = {"architecture": architecture, "config": config, "labels": class_names(config["classes"])}
    return converted, described | {"input": look(config)}


def infer_config(shapes: Shapes) -> dict[str, Any]:
    """The sizes of the network, read from the shapes of a published checkpoint."""
    width, _, _, patch, _ = shapes["conv_stem.weight"]
    config: dict[str, Any] = {
        "patch": patch,
        "width": width,
        "depth": count_up(shapes, "encoder.layers.{}.linear1.weight"),
        "heads": width // _HEAD_WIDTH,
        "feedforward": shapes["encoder.layers.0.linear1.weight"][0],
        "classes": shapes["fc.weight"][0],
    }
    tokens = shapes["pos_embedding"][1]
    if "cls" in shapes:
        frames, places = (tokens - 1) // _COMPACT_PLACES, _COMPACT_PLACES
        if frames not in _DROPPED:
            raise ValueError(f"'pos_embedding' of {tokens} tokens: a compact network of {frames} frames is not known")
        config["dropped"] = _DROPPED[frames]
    else:
        frames, places = shapes["cls_s"][0], shapes["cls_t"][1] - 1
        config["placed_layers"] = config["depth"] if frames == _ALL_LAYERS_PLACED_FRAMES else 1
    side = math.isqrt(places) * patch
    return {"size": [side, side], "frames": frames, **config}


def entries(config: Mapping[str, Any]) -> Iterator[Row]:
    """Every entry that a published checkpoint of these sizes holds."""
    width, frames, patch = config["width"], config["frames"], config["patch"]
    places = (config["size"][0] // patch) * (config["size"][1] // patch)
    yield Row("conv_stem.weight", "patch_embed.weight", (width, 3, 1, patch, patch))
    yield Row("conv_stem.bias", "patch_embed.bias", (width,))
    if "dropped" in config:
        yield Row("cls", "cls_token", (1, 1, width))
        yield Row("pos_embedding", "pos_embed", (1, 1 + frames * places, width))
    else:
        yield Row("cls_s", "cls_s", (frames, 1, width))
        yield Row("cls_t", "cls_t", (1, 1 + places, width))
        yield Row("pos_embedding", "pos_embed", (1, (1 + frames) * (1 + places), width))
    for i in range(config["depth"]):
        yield from _layer(f"encoder.layers.{i}", f"layers.{i}", width, config["feedforward"])
    yield from norm("encoder.norm", "norm", width)
    yield from linear("fc", "head", width, config["classes"])


def _layer(theirs: str, ours: str, width: int, hidden: int) -> Iterator[Row]:
    projections = f"{ours}.attention.projections"
    yield Row(f"{theirs}.self_attn.in_proj_weight", f"{projections}.qkv.weight", (3 * width, width))
    yield Row(f"{theirs}.self_attn.in_proj_bias", f"{projections}.qkv.bias", (3 * width,))
    yield from linear(f"{theirs}.self_attn.out_proj", f"{projections}.out", width, width)
    yield from linear(f"{theirs}.linear1", f"{ours}.feed.enter", width, hidden)
    yield from linear(f"{theirs}.linear2", f"{ours}.feed.leave", hidden, width)
    yield from norm(f"{theirs}.norm1", f"{ours}.norm", width)
    yield from norm(f"{theirs}.norm2", f"{ours}.feed_norm", width)


def look(config: Mapping[str, Any]) -> dict[str, Any]:
    """How the authors' test makes clips for the network of these sizes."""
    frames, side = config["frames"], config["size"][0]
    rate = max(_SAMPLED_SPAN // frames, 1)
    return {
        "frames": frames,
        "rate": rate,
        "window_s": frames * rate / 30,
        "sampling": "steps",
        "resize": "opencv",
        "short_side": side,
        "crop": side,
        "order": "rgb",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "combine": "scores",
    }
