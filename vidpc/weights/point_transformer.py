"""The published layouts of Point Transformer checkpoints, as data: which entries, how large, and our names.

The authors' network (POSTECH-CVLab/point-transformer) and Pointcept's are one; they differ in the name of the attention, in
what they are fed, and in the order of the thirteen classes. Entries carry the prefix ``module.`` where several GPUs trained.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from vidpc.errors import WeightsError

from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

# Not to be seen in shapes: every published network has these.
_NEIGHBOURS, _STRIDES = [8, 16, 16, 16, 16], [1, 4, 4, 4, 4]

_S3DIS_AUTHORS = [
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "chair", "table", "bookcase", "sofa", "board", "clutter",
]  # fmt: skip
_S3DIS_POINTCEPT = [
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa", "bookcase", "board", "clutter",
]  # fmt: skip


class Row(NamedTuple):
    """One entry of a checkpoint: its name, its shape, and which of our tensors its columns go to, with where they start."""

    theirs: str
    shape: tuple[int, ...]
    ours: tuple[tuple[str, int], ...]


class Layout(NamedTuple):
    """What tells one code base's checkpoints from the other's."""

    attention: str
    labels: list[str]
    features: list[str]


_LAYOUTS = {
    "point-transformer": Layout("transformer2", _S3DIS_AUTHORS, ["place", "rgb"]),
    "pointcept-ptv1": Layout("transformer", _S3DIS_POINTCEPT, ["place", "rgb"]),
}


def _convert(checkpoint: Tensors, *, owner: str, layout: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape.
    """
    tensors = {
        name.removeprefix("module."): tensor for name, tensor in checkpoint.items() if not name.endswith("num_batches_tracked")
    }
    known, shapes = _LAYOUTS[layout], {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        config = infer_config(shapes, layout=layout)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{owner}: not a checkpoint of layout {layout!r}: no usable entry {error}") from error
    rows = list(entries(config, layout=layout))
    check_shapes(shapes, {row.theirs: row.shape for row in rows}, owner=owner)
    converted = {}
    for row in rows:
        starts = [start for _, start in row.ours]
        for (name, start), end in zip(row.ours, [*starts[1:], None], strict=True):
            converted[name] = tensors[row.theirs][:, start:end] if len(row.ours) > 1 else tensors[row.theirs]
    classes = config["classes"]
    labels = known.labels if classes == len(known.labels) else [f"class_{i}" for i in range(classes)]
    rules = {"features": known.features, "voxel_m": 0.04}
    return converted, {"architecture": "point-transformer", "config": config, "labels": labels, "input": rules}


convert: Callable[..., tuple[dict[str, "torch.Tensor"], dict[str, Any]]] = partial(_convert, layout="point-transformer")
convert_pointcept: Callable[..., tuple[dict[str, "torch.Tensor"], dict[str, Any]]] = partial(_convert, layout="pointcept-ptv1")


def infer_config(shapes: Shapes, *, layout: str) -> dict[str, Any]:
    """The sizes of the network, read from the shapes of a published checkpoint."""
    depth = _count(shapes, "enc{}.0.linear.weight")
    if not 1 <= depth <= len(_STRIDES):
        raise ValueError(f"{depth} levels, expected 1 to {len(_STRIDES)}")
    (width, channels), (classes, _) = shapes["enc1.0.linear.weight"], shapes["cls.3.weight"]
    return {
        "channels": channels,
        "classes": classes,
        "widths": [shapes[f"enc{i + 1}.0.linear.weight"][0] for i in range(depth)],
        "blocks": [_count(shapes, f"enc{i + 1}.{{}}.linear1.weight") for i in range(depth)],
        "neighbours": _NEIGHBOURS[:depth],
        "strides": _STRIDES[:depth],
        "share": width // shapes[f"enc1.1.{_LAYOUTS[layout].attention}.linear_w.2.weight"][0],
        "sampling": "farthest",
    }


def entries(config: Mapping[str, Any], *, layout: str) -> Iterator[Row]:
    """Every entry that a published checkpoint of these sizes holds, but for the counters of its batch norms."""
    widths, attention, share = config["widths"], _LAYOUTS[layout].attention, config["share"]
    for i, width in enumerate(widths):
        theirs, ours = f"enc{i + 1}", f"encoder.{i}"
        if i == 0:
            yield from _linear(f"{theirs}.0.linear", f"{ours}.enter.linear", config["channels"], width, bias=False)
            yield from _norm(f"{theirs}.0.bn", f"{ours}.enter.norm", width)
        else:
            columns = ((f"{ours}.enter.place.weight", 0), (f"{ours}.enter.linear.weight", 3))
            yield Row(f"{theirs}.0.linear.weight", (width, 3 + widths[i - 1]), columns)
            yield from _norm(f"{theirs}.0.bn", f"{ours}.enter.norm", width)
        for block in range(config["blocks"][i]):
            yield from _block(f"{theirs}.{block + 1}", f"{ours}.blocks.{block}", width, share, attention)
        theirs, ours = f"dec{i + 1}", f"decoder.{i}"
        if i == len(widths) - 1:
            yield from _linear_norm(f"{theirs}.0.linear1", f"{ours}.up.merge", 2 * width, width)
            yield from _linear(f"{theirs}.0.linear2.0", f"{ours}.up.mean", width, width)
        else:
            yield from _linear_norm(f"{theirs}.0.linear1", f"{ours}.up.skip", width, width)
            yield from _linear_norm(f"{theirs}.0.linear2", f"{ours}.up.deep", widths[i + 1], width)
        yield from _block(f"{theirs}.1", f"{ours}.block", width, share, attention)
    yield from _linear_norm("cls", "head", widths[0], widths[0])
    yield from _linear("cls.3", "classify", widths[0], config["classes"])


def _block(theirs: str, ours: str, width: int, share: int, attention: str) -> Iterator[Row]:
    """Vector attention between two linear layers."""
    looks, weights = f"{theirs}.{attention}", width // share
    yield from _linear(f"{theirs}.linear1", f"{ours}.enter.linear", width, width, bias=False)
    yield from _norm(f"{theirs}.bn1", f"{ours}.enter.norm", width)
    for their_part, our_part in {"linear_q": "query", "linear_k": "key", "linear_v": "value"}.items():
        yield from _linear(f"{looks}.{their_part}", f"{ours}.attention.{our_part}", width, width)
    yield from _linear_norm(f"{looks}.linear_p", f"{ours}.attention.place_in", 3, 3)
    yield from _linear(f"{looks}.linear_p.3", f"{ours}.attention.place_out", 3, width)
    yield from _norm(f"{looks}.linear_w.0", f"{ours}.attention.norm", width)
    yield from _linear(f"{looks}.linear_w.2", f"{ours}.attention.weigh_in.linear", width, weights)
    yield from _norm(f"{looks}.linear_w.3", f"{ours}.attention.weigh_in.norm", weights)
    yield from _linear(f"{looks}.linear_w.5", f"{ours}.attention.weigh_out", weights, weights)
    yield from _norm(f"{theirs}.bn2", f"{ours}.norm", width)
    yield from _linear(f"{theirs}.linear3", f"{ours}.leave.linear", width, width, bias=False)
    yield from _norm(f"{theirs}.bn3", f"{ours}.leave.norm", width)


def _linear_norm(theirs: str, ours: str, channels: int, out: int) -> Iterator[Row]:
    """A linear layer and its batch norm, the first two of a sequence."""
    yield from _linear(f"{theirs}.0", f"{ours}.linear", channels, out)
    yield from _norm(f"{theirs}.1", f"{ours}.norm", out)


def _linear(theirs: str, ours: str, channels: int, out: int, *, bias: bool = True) -> Iterator[Row]:
    yield Row(f"{theirs}.weight", (out, channels), ((f"{ours}.weight", 0),))
    if bias:
        yield Row(f"{theirs}.bias", (out,), ((f"{ours}.bias", 0),))


def _norm(theirs: str, ours: str, width: int) -> Iterator[Row]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield Row(f"{theirs}.{part}", (width,), ((f"{ours}.{part}", 0),))


def _count(shapes: Shapes, template: str) -> int:
    """How many entries there are whose names run on from 1."""
    return sum(1 for _ in takewhile(lambda i: template.format(i) in shapes, count(1)))
