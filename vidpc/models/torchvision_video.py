"""torchvision's video transformers behind the interface of the others: logits of clips, and what the head sees.

Video Swin Transformer (Liu et al. 2021, arXiv 2106.13230) and MViT (Fan et al. 2021, arXiv 2104.11227; version 2: Li et al.
2021, arXiv 2112.01526). Loads torchvision's Kinetics-400 weights (``weights/`` converts them, layout ``torchvision``).

    clip ─► torchvision's network without its head ─► head ─► logits
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

_SWIN = {"t": "swin3d_t", "s": "swin3d_s", "b": "swin3d_b"}
_MVIT = {"v1_b": "mvit_v1_b", "v2_s": "mvit_v2_s"}


@dataclass(frozen=True, slots=True)
class Swin3DConfig:
    """``size``: t, s or b. Clips may have any size and any number of frames."""

    size: str = "t"
    classes: int = 400

    def __post_init__(self) -> None:
        if self.size not in _SWIN:
            raise ValueError(f"size {self.size!r}, expected one of {', '.join(_SWIN)}")


@dataclass(frozen=True, slots=True)
class MViTConfig:
    """``size``: v1_b or v2_s. Clips have 16 frames of 224 x 224."""

    size: str = "v2_s"
    classes: int = 400

    def __post_init__(self) -> None:
        if self.size not in _MVIT:
            raise ValueError(f"size {self.size!r}, expected one of {', '.join(_MVIT)}")


class Swin3D(nn.Module):
    """Class logits of clips."""

    def __init__(self, config: Swin3DConfig) -> None:
        super().__init__()
        self.config = config
        self.network: Any = _untrained(_SWIN[config.size])
        self.head = nn.Linear(self.network.head.in_features, config.classes)
        self.network.head = nn.Identity()

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b 3 t h w]."""
        return self.head(self.features(clips))

    def features(self, clips: Tensor) -> Tensor:
        """What the head sees of ``clips``, f32[b width]."""
        features: Tensor = self.network(clips)
        return features


class MViT(nn.Module):
    """Class logits of clips."""

    def __init__(self, config: MViTConfig) -> None:
        super().__init__()
        self.config = config
        self.network: Any = _untrained(_MVIT[config.size])
        self.dropout, linear = self.network.head
        self.head = nn.Linear(linear.in_features, config.classes)
        self.network.head = nn.Identity()

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b 3 16 224 224]."""
        return self.head(self.dropout(self.features(clips)))

    def features(self, clips: Tensor) -> Tensor:
        """What the head sees of ``clips``, f32[b width]."""
        features: Tensor = self.network(clips)
        return features


def _untrained(name: str) -> Any:
    from torchvision.models import video  # takes as long as torch itself: only for those who use it

    return getattr(video, name)(weights=None)
