"""torchvision's own checkpoints of its video transformers: Swin3D T, S, B and MViT v1 B, v2 S.

Which network a checkpoint is of shows in a few shapes; that every entry is there shows when the network takes them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidpc.errors import WeightsError

from .class_names import class_names
from .entries import count_up

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]

_SWIN_SIZES = {(96, 6): "t", (96, 18): "s", (128, 18): "b"}  # width, blocks of the third stage
_HEADS = {"swin3d": "head.", "mvit": "head.1."}
LOOKS: dict[str, dict[str, Any]] = {
    "swin3d": {"frames": 32, "rate": 2, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "mvit": {"frames": 16, "rate": 4, "mean": [0.45, 0.45, 0.45], "std": [0.225, 0.225, 0.225]},
}
RULES = {
    "sampling": "steps",
    "resize": "antialiased",
    "short_side": 256,
    "crop": 224,
    "order": "rgb",
    "combine": "scores",
}


def convert(checkpoint: Tensors, *, owner: str) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Our tensors and the metadata of their file. Raises ``WeightsError`` for a checkpoint of another network."""
    try:
        architecture, size = _network(checkpoint)
        head = _HEADS[architecture]
        classes = len(checkpoint[f"{head}weight"])
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{owner}: not one of torchvision's video transformers: no usable entry {error}") from error
    tensors = {
        name.replace(head, "head.") if name.startswith(head) else f"network.{name}": tensor
        for name, tensor in checkpoint.items()
        if tensor.is_floating_point()  # the rest are tables of indices that the network makes itself
    }
    config, look = {"size": size, "classes": classes}, LOOKS[architecture]
    rules = {**look, "window_s": look["frames"] * look["rate"] / 30, **RULES}
    return tensors, {"architecture": architecture, "config": config, "labels": class_names(classes), "input": rules}


def _network(checkpoint: Tensors) -> tuple[str, str]:
    """The architecture and the size."""
    if "conv_proj.weight" in checkpoint:
        return "mvit", "v2_s" if "blocks.0.attn.rel_pos_h" in checkpoint else "v1_b"
    width = len(checkpoint["patch_embed.proj.weight"])
    return "swin3d", _SWIN_SIZES[width, count_up(checkpoint, "features.4.{}.attn.qkv.weight")]
