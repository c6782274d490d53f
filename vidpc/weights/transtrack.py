"""The published layout of TransTrack checkpoints (PeizeSun/TransTrack), as data: which entries, how large, and our names.

Nothing here looks at the network: sizes are read from the shapes, and the entries that follow from them are listed.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError

from .files import Shapes, check_shapes

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

# Beginnings of names, theirs and ours. The first that fits decides.
_RENAMED = (
    ("transformer.encoder.layers.", "encoder."),
    ("transformer.decoder.layers.", "decoder."),
    ("transformer.decoder_track.layers.", "track_decoder."),
    ("transformer.", ""),
    ("backbone.0.body.", "backbone."),
    ("query_embed.weight", "query_embed"),
    ("", ""),
)
# The decoder holds the box heads a second time; one tensor in memory, two entries in the file.
_ALIAS = "transformer.decoder.bbox_embed."
# Left behind by a profiler, or by batch norms that are frozen here. The authors' own loader drops them too.
_IGNORED = ("total_params", "total_ops", "num_batches_tracked")

# Shapes give heads * points only as a product; every published checkpoint has 8 heads.
_HEADS = 8

METADATA = {
    "architecture": "transtrack",
    # Released networks have 20 logits, of which the second one was trained: a person.
    "labels": ["person"],
    "logits": [1],
    "input": {
        "order": "rgb",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "resize": "short-side",
        "short_side": 800,
        "long_side": 1333,
        "filter": "bilinear-antialiased",
    },
}


def convert(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file, from the entries of a published checkpoint.

    Raises ``WeightsError`` where an entry is unknown, missing or of another shape, or an alias differs from its original.
    """
    tensors = {name: tensor for name, tensor in checkpoint.items() if not name.endswith(_IGNORED)}
    for name in [name for name in tensors if name.startswith(_ALIAS)]:
        original = tensors.get(name.removeprefix("transformer.decoder."))
        if original is None or not original.equal(tensors.pop(name)):
            raise WeightsError(
                f"{owner}: {name!r} differs from {name.removeprefix('transformer.decoder.')!r}, expected one tensor"
            )
    config = infer_config({name: tuple(tensor.shape) for name, tensor in tensors.items()}, owner=owner)
    check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, entries(config), owner=owner)
    renamed = {_our_name(name): tensor for name, tensor in tensors.items()}
    for name in [name for name in renamed if name.endswith("running_var")]:
        renamed[name.replace("running_var", "num_batches_tracked")] = renamed[name].new_zeros((), dtype=_int64())
    return renamed, {**METADATA, "config": config}


def infer_config(shapes: Shapes, *, owner: str) -> dict[str, Any]:
    """The sizes of the network, read from the shapes of a published checkpoint."""
    try:
        levels, width = shapes["transformer.level_embed"]
        products = shapes["transformer.encoder.layers.0.self_attn.attention_weights.weight"][0]
        return {
            "block": "bottleneck" if "backbone.0.body.layer1.0.conv3.weight" in shapes else "basic",
            "depths": [_count(shapes, f"backbone.0.body.layer{stage}.") for stage in (1, 2, 3, 4)],
            "stem": shapes["backbone.0.body.conv1.weight"][0],
            "width": width,
            "heads": _HEADS,
            "encoder_layers": _count(shapes, "transformer.encoder.layers."),
            "decoder_layers": _count(shapes, "transformer.decoder.layers."),
            "feedforward": shapes["transformer.encoder.layers.0.linear1.weight"][0],
            "levels": levels,
            "points": products // (_HEADS * levels),
            "queries": shapes["query_embed.weight"][0],
            "classes": shapes["class_embed.0.weight"][0],
        }
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"{owner}: not a TransTrack checkpoint: no usable entry {error}") from error


def entries(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every entry that a published checkpoint of these sizes holds, without the aliases."""
    width, classes = config["width"], config["classes"]
    shapes: dict[str, tuple[int, ...]] = {"transformer.level_embed": (config["levels"], width)}
    for i in range(config["encoder_layers"]):
        shapes |= _layer(f"transformer.encoder.layers.{i}", config, attentions=("self_attn",))
    for decoder in ("decoder", "decoder_track"):
        for i in range(config["decoder_layers"]):
            prefix = f"transformer.{decoder}.layers.{i}"
            shapes |= _layer(prefix, config, attentions=("cross_attn",)) | _norm(f"{prefix}.norm3", width)
            shapes |= {
                f"{prefix}.self_attn.in_proj_weight": (3 * width, width),
                f"{prefix}.self_attn.in_proj_bias": (3 * width,),
            }
            shapes |= _linear(f"{prefix}.self_attn.out_proj", width, width)
    shapes |= _linear("transformer.reference_points", width, 2)
    for i in range(config["decoder_layers"]):
        shapes |= _linear(f"class_embed.{i}", width, classes)
        for layer, out in enumerate((width, width, 4)):
            shapes |= _linear(f"bbox_embed.{i}.layers.{layer}", width, out)
    shapes["query_embed.weight"] = (config["queries"], 2 * width)
    shapes |= {"combine.weight": (width, 2 * width, 1, 1), "combine.bias": (width,)}
    return shapes | dict(_projections(config)) | dict(_backbone(config))


def _layer(prefix: str, config: Mapping[str, Any], *, attentions: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """What encoder and decoder layers share: deformable attention, two norms and the feed-forward part."""
    width, samples = config["width"], config["heads"] * config["levels"] * config["points"]
    shapes: dict[str, tuple[int, ...]] = {}
    for attention in attentions:
        for name, out in {
            "sampling_offsets": 2 * samples,
            "attention_weights": samples,
            "value_proj": width,
            "output_proj": width,
        }.items():
            shapes |= _linear(f"{prefix}.{attention}.{name}", width, out)
    shapes |= _linear(f"{prefix}.linear1", width, config["feedforward"]) | _linear(
        f"{prefix}.linear2", config["feedforward"], width
    )
    return shapes | _norm(f"{prefix}.norm1", width) | _norm(f"{prefix}.norm2", width)


def _projections(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A convolution and a group norm a level; levels beyond the backbone's are strided convolutions of its last map."""
    width, expansion = config["width"], 4 if config["block"] == "bottleneck" else 1
    for level in range(config["levels"]):
        channels = config["stem"] * expansion * 2 ** min(level + 1, 3) if level <= 3 else width
        kernel = 1 if level < 3 else 3
        yield f"input_proj.{level}.0.weight", (width, channels, kernel, kernel)
        yield f"input_proj.{level}.0.bias", (width,)
        yield from _norm(f"input_proj.{level}.1", width).items()


def _backbone(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A ResNet as torchvision names it, its batch norms frozen."""
    prefix, stem = "backbone.0.body", config["stem"]
    kernels, expansion = ((1, 3, 1), 4) if config["block"] == "bottleneck" else ((3, 3), 1)
    yield f"{prefix}.conv1.weight", (stem, 3, 7, 7)
    yield from _frozen_norm(f"{prefix}.bn1", stem)
    channels = stem
    for stage, depth in enumerate(config["depths"]):
        width = stem * 2**stage
        for block in range(depth):
            name = f"{prefix}.layer{stage + 1}.{block}"
            before = channels
            for i, kernel in enumerate(kernels, 1):
                out = width * expansion if i == len(kernels) else width
                yield f"{name}.conv{i}.weight", (out, before, kernel, kernel)
                yield from _frozen_norm(f"{name}.bn{i}", out)
                before = out
            if block == 0 and (stage > 0 or channels != before):
                yield f"{name}.downsample.0.weight", (before, channels, 1, 1)
                yield from _frozen_norm(f"{name}.downsample.1", before)
            channels = before


def _linear(name: str, channels: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, channels), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _frozen_norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (width,)


def _count(shapes: Shapes, prefix: str) -> int:
    """How many members a numbered list of that prefix has."""
    return len({name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)})


def _our_name(name: str) -> str:
    theirs, ours = next(pair for pair in _RENAMED if name.startswith(pair[0]))
    return ours + name.removeprefix(theirs)


def _int64() -> "torch.dtype":
    import torch

    return torch.int64
