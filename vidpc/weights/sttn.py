"""The published layout of STTN's generator (researchmm/STTN), as data: which entries, how large, and our names.

A checkpoint of the authors holds it under ``netG``, without a prefix. Queries, keys and values, which are entries of their own
there, are one here, a matrix.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError

from .entries import Row, count_up
from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

# Not to be seen in shapes: the released network has these, (width, height) in feature pixels, and discards its mask.
_PATCHES = [[108, 60], [36, 20], [18, 10], [9, 5]]
_SIZE = {"width": 432, "height": 240}

_PARTS = ("query", "key", "value")


def convert(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint's generator.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape.
    """
    import torch

    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.items()}
    try:
        config = infer_config(shapes)
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(f"{owner}: not the generator of an STTN checkpoint: no usable entry {error}") from error
    rows = list(entries(config))
    check_shapes(shapes, {row.theirs: row.shape for row in rows}, owner=owner)
    parts: dict[str, list[torch.Tensor]] = {}
    for row in rows:
        tensor = checkpoint[row.theirs]
        parts.setdefault(row.ours, []).append(tensor.flatten(1) if row.shape[2:] == (1, 1) else tensor)
    tensors = {name: torch.cat(found) if len(found) > 1 else found[0] for name, found in parts.items()}
    described = {"architecture": "sttn", "config": {**config, "patches": _PATCHES, "masks_attention": False}}
    return tensors, described | {"labels": [], "input": _SIZE}


def infer_config(shapes: Shapes) -> dict[str, Any]:
    """The sizes of the network, read from the shapes of a published checkpoint."""
    return {
        "channels": shapes["transformer.0.attention.query_embedding.weight"][0],
        "blocks": count_up(shapes, "transformer.{}.attention.query_embedding.weight"),
    }


def entries(config: Mapping[str, Any]) -> Iterator[Row]:
    """Every entry that a published checkpoint of these sizes holds; entries that are one of ours follow each other."""
    width = config["channels"]
    for i in range(config["blocks"]):
        theirs, ours = f"transformer.{i}", f"blocks.{i}"
        for part in _PARTS:
            yield from _convolution(f"{theirs}.attention.{part}_embedding", f"{ours}.attention.qkv", width, width, side=1)
        yield from _convolution(f"{theirs}.attention.output_linear.0", f"{ours}.attention.out", width, width)
        yield from _convolution(f"{theirs}.feed_forward.conv.0", f"{ours}.enter", width, width)
        yield from _convolution(f"{theirs}.feed_forward.conv.2", f"{ours}.leave", width, width)
    encoder, decoder = [3, width // 4, width // 4, width // 2, width], [width, width // 2, width // 4, width // 4, 3]
    for i, name in enumerate(("encoder.0", "encoder.2", "encoder.4", "encoder.6")):
        yield from _convolution(name, f"encoder.layers.{i}", encoder[i], encoder[i + 1])
    for i, name in enumerate(("decoder.0.conv", "decoder.2", "decoder.4.conv", "decoder.6")):
        yield from _convolution(name, f"decoder.layers.{i}", decoder[i], decoder[i + 1])


def _convolution(theirs: str, ours: str, channels: int, out: int, *, side: int = 3) -> Iterator[Row]:
    yield Row(f"{theirs}.weight", f"{ours}.weight", (out, channels, side, side))
    yield Row(f"{theirs}.bias", f"{ours}.bias", (out,))
