"""Filling holes of a frame from other frames that were aligned to it: the built-in variant of STTN.

STTN (Y. Zeng, J. Fu and H. Chao, Learning Joint Spatial-Temporal Transformations for Video Inpainting, ECCV 2020) lets patches
of several sizes, one to an attention head, look for what they miss in all frames, and draws every pixel anew. Here the other
frames are first aligned by the camera's motion (`ops.camera`); only the frame with the hole asks; patches that are mostly
hidden are really left out of the attention; and what comes out is, beside a drawn picture, how much every aligned frame
counts at every pixel, so that most of a hole is filled with pixels that were filmed, at whatever size the film has.

    frames ─► encoder ─► aligned ─► blocks of patch attention ─┬─► decoder ─► painted picture
                                                               └─► scores of every aligned frame ─► weights
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from vidpc.models.initial import keep_variance, quieten

STRIDE = 4  # pixels to a cell of features
_SLOPE = 0.2
_HIDDEN = 0.5  # share of a patch that is hidden above which nobody looks at it
_NEVER = -1e4


@dataclass(frozen=True, slots=True)
class AlignedSTTNConfig:
    """Sizes. ``patches``: width and height of each head's patches, in cells; a picture is a multiple of all of them."""

    width: int = 48
    blocks: int = 3
    patches: tuple[tuple[int, int], ...] = ((27, 15), (18, 10), (9, 5), (6, 5))
    score_width: int = 24

    def __post_init__(self) -> None:
        if self.width % len(self.patches) or self.width % 2:
            raise ValueError(f"width {self.width} is no even multiple of the {len(self.patches)} heads")

    @property
    def multiple(self) -> tuple[int, int]:
        """Width and height in pixels of which pictures are multiples."""
        across, down = (STRIDE * math.lcm(*sides) for sides in zip(*self.patches, strict=True))
        return across, down


class AlignedSTTN(nn.Module):
    """`encode` a frame once, then `fill` each frame from those around it."""

    def __init__(self, config: AlignedSTTNConfig) -> None:
        super().__init__()
        self.config = config
        width, half = config.width, config.width // 2
        self.encoder = nn.Sequential(
            nn.Conv2d(4, half, 3, 2, 1), _act(), nn.Conv2d(half, half, 3, 1, 1), _act(),
            nn.Conv2d(half, width, 3, 2, 1), _act(), nn.Conv2d(width, width, 3, 1, 1), _act(),
        )  # fmt: skip
        self.blocks = nn.ModuleList([_Block(config) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            _Doubled(), nn.Conv2d(width, half, 3, 1, 1), _act(), nn.Conv2d(half, half, 3, 1, 1), _act(),
            _Doubled(), nn.Conv2d(half, half, 3, 1, 1), _act(),
        )  # fmt: skip
        self.paint = nn.Conv2d(half, 3, 3, 1, 1)
        self.scores = _Scores(width, config.score_width)
        keep_variance(self, _SLOPE)
        for layer in (self.paint, self.scores.fit, self.scores.own_fit):
            quieten(layer, 0.2)

    def encode(self, frames: Tensor, holes: Tensor) -> Tensor:
        """f32[n 3 h w] in 0..1 and holes f32[n 1 h w] (1: to be filled) to features f32[n c h/4 w/4]."""
        seen = (frames * 2 - 1) * (1 - holes)
        features: Tensor = self.encoder(torch.cat([seen, holes], dim=1))
        return features

    def fill(self, features: Tensor, visible: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """How much each frame counts, f32[b k h w], and a painted picture f32[b 3 h w] in 0..1.

        Entry 0 of ``features`` f32[b k c h/4 w/4] is the frame to fill, the others are aligned to it, and so is ``visible``
        f32[b k 1 h/4 w/4]: 1 where a cell shows the film, 0 in holes and outside. ``offsets`` f32[b k] are frames from the one
        to fill. The weights sum to 1; those of entry 0 are the painted picture's, and a frame has none where, or next to
        where, it is not visible.
        """
        target = features[:, 0]
        for block in self.blocks:
            target = block(target, features, visible)
        painted = torch.sigmoid(self.paint(self.decoder(target)))
        scores = self.scores(target, features, visible, offsets)
        weights = F.interpolate(scores.softmax(dim=1), scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return weights, painted


class _Block(nn.Module):
    """Patches of the frame to fill look at those of all frames, a size to a head; then STTN's dilated feed-forward."""

    def __init__(self, config: AlignedSTTNConfig) -> None:
        super().__init__()
        self.patches, width = config.patches, config.width
        self.query, self.key, self.value = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.output = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), _act())
        self.feed_forward = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 2, dilation=2), _act(), nn.Conv2d(width, width, 3, 1, 1), _act()
        )

    def forward(self, target: Tensor, features: Tensor, visible: Tensor) -> Tensor:
        b, k = features.shape[:2]
        frames = torch.cat([target[:, None], features[:, 1:]], dim=1).flatten(0, 1)
        heads = len(self.patches)
        queries = self.query(target).chunk(heads, dim=1)
        keys, values = (x.unflatten(0, (b, k)).chunk(heads, dim=2) for x in (self.key(frames), self.value(frames)))
        told = [
            _attended(q[:, None], key, value, visible, size)
            for q, key, value, size in zip(queries, keys, values, self.patches, strict=True)
        ]
        target = target + self.output(torch.cat(told, dim=1))
        changed: Tensor = target + self.feed_forward(target)
        return changed


def _attended(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, size: tuple[int, int]) -> Tensor:
    """f32[b 1 c h w] asks f32[b k c h w]: f32[b c h w]. Patches that are mostly hidden answer only if all are."""
    h, w = query.shape[-2:]
    hidden = _patches(1 - visible, size).mean(dim=-1) > _HIDDEN
    bias = torch.where(hidden, _NEVER, 0.0).to(query.dtype)[:, None]
    told = F.scaled_dot_product_attention(_patches(query, size), _patches(key, size), _patches(value, size), attn_mask=bias)
    return rearrange(told, "b (y x) (c p q) -> b c (y p) (x q)", y=h // size[1], x=w // size[0], p=size[1], q=size[0])


def _patches(x: Tensor, size: tuple[int, int]) -> Tensor:
    return rearrange(x, "b k c (y p) (x q) -> b (k y x) (c p q)", p=size[1], q=size[0])


class _Scores(nn.Module):
    """How well every aligned frame fits at every cell, before the softmax; entry 0 stands for the painted picture."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.target = nn.Conv2d(width, inside, 3, 1, 1)
        self.frame = nn.Conv2d(width, inside, 1)
        self.compare = nn.Sequential(nn.Conv2d(4 * inside + 2, inside, 3, 1, 1), _act())
        self.fit = nn.Conv2d(inside, 1, 3, 1, 1)
        self.own = nn.Sequential(nn.Conv2d(2 * inside + 1, inside, 3, 1, 1), _act())
        self.own_fit = nn.Conv2d(inside, 1, 3, 1, 1)

    def forward(self, target: Tensor, features: Tensor, visible: Tensor, offsets: Tensor) -> Tensor:
        b, k, _, h, w = features.shape
        if k == 1:
            return target.new_zeros(b, 1, h, w)
        wanted = self.target(target)
        frames = self.frame(features[:, 1:].flatten(0, 1)).unflatten(0, (b, k - 1))
        seen = -F.max_pool2d(-visible[:, 1:].flatten(0, 1), 3, 1, 1).unflatten(0, (b, k - 1))
        agreed = (frames * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)  # what the frames that see a place have there
        anywhere = seen.amax(dim=1)
        own = self.own_fit(self.own(torch.cat([wanted, agreed, anywhere], dim=1)))
        distance = (offsets[:, 1:].abs() / 16).log1p()[:, :, None, None, None].expand(b, k - 1, 1, h, w)
        around = torch.cat([wanted, agreed], dim=1)[:, None].expand(b, k - 1, -1, h, w)
        pairs = torch.cat([around, frames, (frames - agreed[:, None]).abs(), distance, seen], dim=2)
        fits = self.fit(self.compare(pairs.flatten(0, 1))).unflatten(0, (b, k - 1))
        fits = torch.where(seen > 0.99, fits - distance, _NEVER)[:, :, 0]
        # The painted picture begins low where a frame sees the place.
        return torch.cat([own - 4 * anywhere, fits], dim=1)


class _Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def _act() -> nn.Module:
    return nn.LeakyReLU(_SLOPE)
