"""The published layouts of PCT checkpoints, as data: which entries, how large, and our names.

Two networks share the layout's name: the classifier of Strawberry-Eat-Mango/PCT_Pytorch, whose entries may carry the prefix
``module.``, and the part-segmentation network of MenghaoGuo/PCT, whose kernels (Jittor) are f32[o i 1 1] under ``.conv.``.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from vidpc.errors import WeightsError

from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

# The names of modelnet40_ply_hdf5_2048, in the order of its labels.
_MODELNET40 = [
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup", "curtain",
    "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop", "mantel", "monitor",
    "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa", "stairs", "stool", "table",
    "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
]  # fmt: skip
# ShapeNetPart: the categories in the order of their numbers, with their parts; the parts' labels run on through them all.
_SHAPENET_PARTS = {
    "airplane": 4, "bag": 2, "cap": 2, "car": 4, "chair": 4, "earphone": 3, "guitar": 3, "knife": 2,
    "lamp": 4, "laptop": 2, "motorbike": 6, "mug": 2, "pistol": 3, "rocket": 3, "skateboard": 3, "table": 3,
}  # fmt: skip

# Not to be seen in shapes: every published checkpoint was trained with these.
_SAMPLED, _NEIGHBOURS, _CORE = [512, 256], [32, 32], 1e-3


class Row(NamedTuple):
    """One entry of a checkpoint: their name, ours, and the shape, without axes of length one at its end."""

    theirs: str
    ours: str
    shape: tuple[int, ...]


def convert(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint of either network.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape, or a query's weights are not its key's.
    """
    tensors = {_plain(name): _matrix(tensor) for name, tensor in checkpoint.items() if not name.endswith("num_batches_tracked")}
    for name in [name for name in tensors if name.endswith("q_conv.weight")]:
        key = name.replace("q_conv", "k_conv")
        if key not in tensors or not tensors[key].equal(tensors.pop(name)):
            raise WeightsError(f"{owner}: {name!r} differs from {key!r}, expected one tensor")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        described, rows = _parts(shapes) if "label_conv.0.weight" in shapes else _classifier(shapes)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{owner}: not a PCT checkpoint: no usable entry {error}") from error
    check_shapes(shapes, {row.theirs: row.shape for row in rows}, owner=owner)
    return {row.ours: tensors[row.theirs] for row in rows}, described


def _classifier(shapes: Shapes) -> tuple[dict[str, Any], list[Row]]:
    (stem, _), (fused, _), (first, _) = shapes["conv1.weight"], shapes["conv_fuse.0.weight"], shapes["linear1.weight"]
    (second, _), (classes, _) = shapes["linear2.weight"], shapes["linear3.weight"]
    widths = [shapes[f"gather_local_{i}.conv1.weight"][0] for i in range(_count(shapes, "gather_local_{}.conv1.weight"))]
    width, layers = widths[-1], _count(shapes, "pt_last.sa{}.v_conv.weight", first=1)
    rows = [*_two("conv{}", "bn{}", "stem", 3, stem)]
    for i, (channels, out) in enumerate(zip([stem, *widths], widths, strict=False)):
        rows += _two(f"gather_local_{i}.conv{{}}", f"gather_local_{i}.bn{{}}", f"groups.{i}.local", 2 * channels, out)
    rows += _two("pt_last.conv{}", "pt_last.bn{}", "embedding", width, width)
    rows += _attention("pt_last.sa", width, layers)
    rows += _dense("conv_fuse.0", "conv_fuse.1", "fuse", width * (layers + 1), fused)
    rows += _dense("linear1", "bn6", "head.0", fused, first)
    rows += _dense("linear2", "bn7", "head.1", first, second, bias=True)
    rows += _linear("linear3", "classify", second, classes)
    config = {
        "stem": stem, "sampled": _SAMPLED, "neighbours": _NEIGHBOURS, "widths": widths, "core": _CORE,
        "attention_layers": layers, "fused": fused, "head": [first, second], "classes": classes,
    }  # fmt: skip
    labels = _MODELNET40 if classes == len(_MODELNET40) else [f"class_{i}" for i in range(classes)]
    rules = {"points": 1024, "centre": "mean", "up": "y"}
    return {"architecture": "pct", "config": config, "labels": labels, "input": rules}, rows


def _parts(shapes: Shapes) -> tuple[dict[str, Any], list[Row]]:
    (width, _), (fused, _), (category_width, categories) = (
        shapes[f"{name}.weight"] for name in ("conv1", "conv_fuse.0", "label_conv.0")
    )
    (first, _), (second, _), (parts, _) = (shapes[f"convs{i}.weight"] for i in (1, 2, 3))
    layers = _count(shapes, "sa{}.v_conv.weight", first=1)
    rows = [*_two("conv{}", "bn{}", "stem", 3, width), *_attention("sa", width, layers)]
    rows += _dense("conv_fuse.0", "conv_fuse.1", "fuse", width * layers, fused)
    rows += _dense("label_conv.0", "label_conv.1", "category", categories, category_width)
    rows += _dense("convs1", "bns1", "head.0", 3 * fused + category_width, first, bias=True)
    rows += _dense("convs2", "bns2", "head.1", first, second, bias=True)
    rows += _linear("convs3", "classify", second, parts)
    config = {
        "width": width, "attention_layers": layers, "fused": fused, "categories": categories,
        "category_width": category_width, "head": [first, second], "parts": parts,
    }  # fmt: skip
    named = [f"{category}/{i}" for category, number in _SHAPENET_PARTS.items() for i in range(number)]
    labels = named if parts == len(named) else [f"part_{i}" for i in range(parts)]
    rules = {"points": 2048, "centre": "mean", "up": "y"}
    described = {"architecture": "pct-parts", "config": config, "labels": labels, "input": rules}
    return {**described, "categories": list(_SHAPENET_PARTS)[:categories]}, rows


def _two(linear: str, norm: str, ours: str, channels: int, out: int) -> Iterator[Row]:
    """The two dense layers of an embedding, which are numbered from 1."""
    yield from _dense(linear.format(1), norm.format(1), f"{ours}.first", channels, out)
    yield from _dense(linear.format(2), norm.format(2), f"{ours}.second", out, out)


def _attention(theirs: str, width: int, layers: int) -> Iterator[Row]:
    for i in range(layers):
        layer, ours = f"{theirs}{i + 1}", f"attention.{i}"
        yield Row(f"{layer}.k_conv.weight", f"{ours}.key.weight", (width // 4, width))
        yield from _linear(f"{layer}.v_conv", f"{ours}.value", width, width)
        yield from _dense(f"{layer}.trans_conv", f"{layer}.after_norm", f"{ours}.change", width, width, bias=True)


def _dense(linear: str, norm: str, ours: str, channels: int, out: int, *, bias: bool = False) -> Iterator[Row]:
    """A linear layer and its batch norm."""
    rows = _linear(linear, f"{ours}.linear", channels, out)
    yield from rows if bias else rows[:1]
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield Row(f"{norm}.{part}", f"{ours}.norm.{part}", (out,))


def _linear(theirs: str, ours: str, channels: int, out: int) -> list[Row]:
    return [Row(f"{theirs}.weight", f"{ours}.weight", (out, channels)), Row(f"{theirs}.bias", f"{ours}.bias", (out,))]


def _plain(name: str) -> str:
    """The name without what wrappers put into it."""
    return re.sub(r"\.conv\.(weight|bias)$", r".\1", name.removeprefix("module."))


def _matrix(tensor: "torch.Tensor") -> "torch.Tensor":
    """A kernel of width one as the matrix that it is."""
    return tensor.flatten(1) if tensor.ndim > 2 and tensor.shape[2:].numel() == 1 else tensor


def _count(shapes: Shapes, template: str, *, first: int = 0) -> int:
    """How many entries there are whose names run on from ``first``."""
    return sum(1 for _ in takewhile(lambda i: template.format(i) in shapes, count(first)))
