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
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from vidpc.ops import winograd

Part = tuple[slice, slice]  # rows and columns

_WHOLE: Part = (slice(None), slice(None))
_MIXED_AROUND = 4  # features to every side that the convolutions of a block see: 1, then 2 (dilated), then 1
_DECODED_AROUND = 3  # the same for the decoder
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
        self.qkv = nn.Linear(config.channels, 3 * config.channels)
        self.out = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, visible: Sequence[Tensor] | None, asking: int) -> Tensor:
        """What the first ``asking`` frames of every window take from all of them, f32[b asking h w c] of ``x`` f32[b t h w c].

        ``visible``: see _visible. The convolution ``out`` is still to come.
        """
        split = (3, len(self.patches), -1)
        weight, bias = self.qkv.weight.unflatten(0, split), self.qkv.bias.unflatten(0, split)
        heads = [
            _attended(x, asking, patch, weight[:, i], bias[:, i], None if visible is None else visible[i])
            for i, patch in enumerate(self.patches)
        ]
        return torch.cat(heads, dim=-1)


class Block(nn.Module):
    """Attention and two convolutions, each added to what they see."""

    def __init__(self, config: STTNConfig) -> None:
        super().__init__()
        self.attention = PatchAttention(config)
        self.enter = nn.Conv2d(config.channels, config.channels, 3, padding=2, dilation=2)
        self.leave = nn.Conv2d(config.channels, config.channels, 3, padding=1)

    def forward(self, x: Tensor, visible: Sequence[Tensor] | None, painted: int, part: Part) -> Tensor:
        """f32[b painted h w c] of ``x`` f32[b t h w c]: a part of the first frames of every window."""
        attended = self.attention(x, visible, painted)[:, :, *part].flatten(0, 1)
        y = x[:, :painted, *part].flatten(0, 1) + _active(self.attention.out, attended)
        y = y + _active(self.leave, _active(self.enter, y))
        return y.unflatten(0, (len(x), painted))


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
            x = _active(layer, x)
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

    def forward(self, x: Tensor, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """f32[n 4h 4w 3] of ``x`` f32[n h w c], a part of a whole of ``size`` from ``corner`` on.

        Where the part ends inside the whole, its rim is not as in the whole.
        """
        first, second, third, last = self.layers
        x = _active(second, _active(first, _doubled(x, corner, size)))
        corner, size = (2 * corner[0], 2 * corner[1]), (2 * size[0], 2 * size[1])
        return _convolved(last, _active(third, _doubled(x, corner, size)))


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
        return self.encoder(frames.movedim(1, -1)).movedim(-1, 1)

    def infer(self, features: Tensor, holes: Tensor | None = None) -> Tensor:
        """Features f32[b t c h w] of windows, with the holes filled, of ``features`` of the same shape.

        ``holes`` f32[b t 1 4h 4w] is 1 where a frame is to be filled; only a network that ``masks_attention`` looks at it.
        """
        x, visible = features.movedim(2, -1), self._visible(holes)
        for block in self.blocks:
            x = block(x, visible, x.shape[1], _WHOLE)
        return x.movedim(-1, 2)

    def decode(self, features: Tensor) -> Tensor:
        """Frames f32[n 3 h w] of ``features`` f32[n c h/4 w/4]; their hyperbolic tangent is in -1..1."""
        return self.decoder(features.movedim(1, -1), (0, 0), features.shape[2:]).movedim(-1, 1)

    def paint(self, features: Tensor, holes: Tensor, painted: int, rows: slice, columns: slice) -> Tensor:
        """``decode`` of ``infer``: some rows and columns of the first frames of every window, f32[b painted 3 h w].

        Nothing is computed that they do not depend on.
        """
        x, visible, size = features.movedim(2, -1), self._visible(holes), features.shape[3:]
        for block in self.blocks[:-1]:
            x = block(x, visible, x.shape[1], _WHOLE)
        down, across = (_reach(wanted, length) for wanted, length in zip((rows, columns), size, strict=True))
        x = self.blocks[-1](x, visible, painted, (down.mixed, across.mixed)).flatten(0, 1)
        x = self.decoder(x[:, down.decoded, across.decoded], (down.first, across.first), size)
        return x[:, down.shown, across.shown].unflatten(0, (len(features), painted)).movedim(-1, 2)

    def _visible(self, holes: Tensor | None) -> list[Tensor] | None:
        if holes is None or not self.config.masks_attention:
            return None
        return [_visible(holes, patch) for patch in self.config.patches]


class _Reach(NamedTuple):
    """Along an axis, what some pixels of a frame come from: features that the last block mixes, of them those that are decoded,

    the first of these in the whole, and where the pixels lie in what the decoder makes.
    """

    mixed: slice
    decoded: slice
    first: int
    shown: slice


def _reach(wanted: slice, length: int) -> _Reach:
    """What the pixels ``wanted`` come from, in a map of ``length`` features."""
    first, last = max(0, wanted.start // 4 - _DECODED_AROUND), min(length, (wanted.stop - 1) // 4 + 1 + _DECODED_AROUND)
    start, stop = max(0, first - _MIXED_AROUND), min(length, last + _MIXED_AROUND)
    return _Reach(
        slice(start, stop), slice(first - start, last - start), first, slice(wanted.start - 4 * first, wanted.stop - 4 * first)
    )


def _visible(holes: Tensor, patch: tuple[int, int]) -> Tensor:
    """Which patches are keys, bool[b 1 n]: those that are not mostly hole, or all where all of a window are."""
    quarter = F.interpolate(holes.flatten(0, 1), scale_factor=0.25, mode="nearest")
    share = F.avg_pool2d(quarter, (patch[1], patch[0]), (patch[1], patch[0]))  # f32[b*t 1 i j]
    visible = rearrange(share <= _MOSTLY, "(b t) 1 i j -> b 1 (t i j)", b=len(holes))
    return visible | ~visible.any(dim=-1, keepdim=True)


def _attended(x: Tensor, asking: int, patch: tuple[int, int], weight: Tensor, bias: Tensor, visible: Tensor | None) -> Tensor:
    """One head's f32[b asking h w c/heads]; ``weight`` f32[3 c/heads c] makes its queries, keys and values."""
    width, height = patch
    sides = {"x": width, "y": height, "i": x.shape[2] // height, "j": x.shape[3] // width}
    cut = rearrange(x, "b t (i y) (j x) c -> b (t i j) (y x) c", **sides)
    asked = cut[:, : asking * sides["i"] * sides["j"]]
    q, k, v = (F.linear(part, weight[i], bias[i]).flatten(2) for i, part in enumerate((asked, cut, cut)))  # f32[b n d]
    # Written out, as torch's kernels are made for narrow heads: here d goes up to 414720, and theirs take up to twice as long.
    scores = torch.bmm(q * q.shape[2] ** -0.5, k.transpose(1, 2))  # scaled before: sums of so many would leave float16
    if visible is not None:
        scores = scores.masked_fill(~visible, -torch.inf)
    gathered = torch.bmm(scores.softmax(dim=-1), v)
    return rearrange(gathered, "b (t i j) (y x c) -> b t (i y) (j x) c", t=asking, **sides)


def _active(layer: nn.Module, x: Tensor) -> Tensor:
    return F.leaky_relu(_convolved(layer, x), 0.2, inplace=True)


def _convolved(layer: nn.Module, x: Tensor) -> Tensor:
    """f32[n h w o] of ``x`` f32[n h w c]."""
    assert isinstance(layer, nn.Conv2d)
    if layer.stride == (1, 1) and winograd.pays(x, layer.out_channels):
        return winograd.convolution(x, layer.weight, layer.bias, dilation=layer.dilation[0])
    return layer(x.movedim(-1, 1)).movedim(1, -1)


def _doubled(x: Tensor, corner: Sequence[int], size: Sequence[int]) -> Tensor:
    """f32[n 2h 2w c] of ``x`` f32[n h w c]: bilinear, the outermost pixels staying outermost.

    ``x`` is a part from ``corner`` on of a whole of ``size``; where it ends inside the whole, its last pixel is repeated.
    """
    for axis, (first, length) in enumerate(zip(corner, size, strict=True), start=1):
        count = x.shape[axis]
        place = torch.arange(first, first + count, device=x.device, dtype=torch.float32).view(-1, *[1] * (3 - axis))
        previous = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, count - 1)], dim=axis)
        following = torch.cat([x.narrow(axis, 1, count - 1), x.narrow(axis, count - 1, 1)], dim=axis)
        even = torch.lerp(x, previous, (place / (2 * length - 1)).to(x.dtype))
        odd = torch.lerp(x, following, ((length - 1 - place) / (2 * length - 1)).to(x.dtype))
        x = torch.stack([even, odd], dim=axis + 1).flatten(axis, axis + 1)
    return x
