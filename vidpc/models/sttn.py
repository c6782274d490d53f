"""STTN: Learning Joint Spatial-Temporal Transformations for Video Inpainting (Zeng et al. 2020, arXiv 2007.10247).

Loads the published checkpoint of researchmm/STTN (``weights/`` converts its layout ``sttn``).

    frames, holes blanked ─► encoder ─► features at a quarter of the size, each frame for itself
         ─► blocks: every head cuts all frames of a window into patches of its own size, each patch attends to all patches
            ─► 3x3 convolutions ─► decoder ─► the frames whole

What differs from the paper is as in the released network: the attention does not leave out patches that are mostly hole.
``masks_attention`` makes it do so, for weights that were trained that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

_MOSTLY = 0.5  # of a patch that is hole: it is no key (section 3.2 of the paper)


@dataclass(frozen=True, slots=True)
class STTNConfig:
    """Sizes; the defaults are those of the released network. A head for each of ``patches`` (width, height), in feature pixels,

    into which the features of a frame, a quarter of its sides, have to divide.
    """

    channels: int = 256
    blocks: int = 8
    patches: tuple[tuple[int, int], ...] = ((108, 60), (36, 20), (18, 10), (9, 5))
    masks_attention: bool = False

    def __post_init__(self) -> None:
        if self.channels % 4 or self.channels % len(self.patches):
            raise ValueError(f"{self.channels} channels: expected a multiple of 4 and of the {len(self.patches)} patch sizes")


class PatchAttention(nn.Module):
    """Attention among the patches of all frames of a window, in a head a patch size (section 3.2)."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        self.patches = config.patches
        self.qkv = nn.Conv2d(config.channels, 3 * config.channels, 1)
        self.out = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, visible: Sequence[Tensor] | None) -> Tensor:
        """What the first frames of every window take from all of them, f32[b t c h w] of ``x``; ``visible``: see _visible."""
        b = len(x)
        q, k, v = rearrange(self.qkv(x.flatten(0, 1)), "(b t) (n m c) h w -> n m b t c h w", b=b, n=3, m=len(self.patches))
        attended = [
            self._head(q[i], k[i], v[i], patch, None if visible is None else visible[i]) for i, patch in enumerate(self.patches)
        ]
        y = torch.cat(attended, dim=2).flatten(0, 1)
        return F.leaky_relu(self.out(y), 0.2).unflatten(0, (b, -1))

    def _head(self, q: Tensor, k: Tensor, v: Tensor, patch: tuple[int, int], visible: Tensor | None) -> Tensor:
        """f32[b t c h w] of one head; its queries, keys and values have the same shape."""
        width, height = patch
        sides = {"x": width, "y": height}
        cut = "b t c (i y) (j x) -> b (t i j) (y x c)"
        q_cut, k_cut, v_cut = (rearrange(part, cut, **sides) for part in (q, k, v))  # f32[b n d], d = y * x * c
        gathered = F.scaled_dot_product_attention(q_cut, k_cut, v_cut, attn_mask=visible)  # scaled by the root of d
        whole = "b (t i j) (y x c) -> b t c (i y) (j x)"
        return rearrange(gathered, whole, t=q.shape[1], i=q.shape[3] // height, j=q.shape[4] // width, **sides)


class Block(nn.Module):
    """Attention and two convolutions, each added to what they see."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        self.attention = PatchAttention(config)
        self.enter = nn.Conv2d(config.channels, config.channels, 3, padding=2, dilation=2)
        self.leave = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, visible: Sequence[Tensor] | None) -> Tensor:
        x = x + self.attention(x, visible)
        y = x.flatten(0, 1)
        y = F.leaky_relu(self.leave(F.leaky_relu(self.enter(y), 0.2)), 0.2)
        return x + y.unflatten(0, x.shape[:2])


class Encoder(nn.Module):
    """Features of single frames."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        quarter, half = config.channels // 4, config.channels // 2
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3, quarter, 3, stride=2, padding=1),
                nn.Conv2d(quarter, quarter, 3, padding=1),
                nn.Conv2d(quarter, half, 3, stride=2, padding=1),
                nn.Conv2d(half, config.channels, 3, padding=1),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x


class Decoder(nn.Module):
    """Frames of features."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        quarter, half = config.channels // 4, config.channels // 2
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(config.channels, half, 3, padding=1),  # twice as large
                nn.Conv2d(half, quarter, 3, padding=1),
                nn.Conv2d(quarter, quarter, 3, padding=1),  # twice as large
                nn.Conv2d(quarter, 3, 3, padding=1),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, last = self.layers
        x = F.leaky_relu(second(F.leaky_relu(first(_doubled(x)), 0.2)), 0.2)
        return last(F.leaky_relu(third(_doubled(x)), 0.2))


class STTN(nn.Module):
    """Windows of frames with holes into frames without."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.decoder = Decoder(config)

    def encode(self, frames: Tensor) -> Tensor:
        """Features f32[n c h/4 w/4] of ``frames`` f32[n 3 h w] in -1..1, whose holes are 0."""
        return self.encoder(frames)

    def infer(self, features: Tensor, holes: Tensor | None = None) -> Tensor:
        """Features f32[b t c h w] of windows, with the holes filled, of ``features`` of the same shape.

        ``holes`` f32[b t 1 4h 4w] is 1 where a frame is to be filled; only a network that ``masks_attention`` looks at it.
        """
        visible = None
        if self.config.masks_attention and holes is not None:
            visible = [_visible(holes, patch) for patch in self.config.patches]
        for block in self.blocks:
            features = block(features, visible)
        return features

    def decode(self, features: Tensor) -> Tensor:
        """Frames f32[n 3 h w] of ``features`` f32[n c h/4 w/4]; their hyperbolic tangent is in -1..1."""
        return self.decoder(features)

    def paint(self, features: Tensor, holes: Tensor, painted: int, rows: slice, columns: slice) -> Tensor:
        """A part of the first ``painted`` frames of every window, f32[b painted 3 h w], as ``decode`` makes them."""
        filled = self.infer(features, holes)[:, :painted]
        return self.decode(filled.flatten(0, 1))[..., rows, columns].unflatten(0, filled.shape[:2])


def _visible(holes: Tensor, patch: tuple[int, int]) -> Tensor:
    """Which patches are keys, bool[b 1 n]: those that are not mostly hole, or all where all of a window are."""
    quarter = F.interpolate(holes.flatten(0, 1), scale_factor=0.25, mode="nearest")
    share = F.avg_pool2d(quarter, (patch[1], patch[0]), (patch[1], patch[0]))  # f32[b*t 1 i j]
    visible = rearrange(share <= _MOSTLY, "(b t) 1 i j -> b 1 (t i j)", b=len(holes))
    return visible | ~visible.any(dim=-1, keepdim=True)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
