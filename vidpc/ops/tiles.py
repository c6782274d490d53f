"""Pictures drawn piece by piece: overlapping tiles of equal size, joined by linear ramps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of at most ``side`` pixels, of which neighbours share at least ``overlap``, a quarter of the side or less."""

    side: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= self.side // 4:
            raise ValueError(f"Tiling: side {self.side}, overlap {self.overlap}: expected an overlap of 1 to a quarter")

    def starts(self, length: int) -> list[int]:
        """Where the tiles begin along an axis of ``length`` pixels: evenly spread, as few as can be."""
        if length <= self.side:
            return [0]
        count = ceil((length - self.overlap) / (self.side - self.overlap))
        return [round(k * (length - self.side) / (count - 1)) for k in range(count)]


def tiled(draw: Callable[[slice, slice], Tensor], *, height: int, width: int, tiling: Tiling) -> Tensor:
    """f32[… height width] put together from what ``draw(rows, columns)`` gives, f32[… rows columns].

    Along a seam the one tile fades out while the other fades in, over half of what they share at least: what lies nearer to
    the rim of a tile, where it lacks surroundings, is not used. A picture of one tile is what ``draw`` gives.
    """
    rows, columns = list(_shares(height, tiling)), list(_shares(width, tiling))
    if len(rows) == len(columns) == 1:
        return draw(slice(0, height), slice(0, width))
    whole: Tensor | None = None
    for down, share_down in rows:
        for across, share_across in columns:
            part = draw(down, across)
            if whole is None:
                whole = part.new_zeros(*part.shape[:-2], height, width)
            whole[..., down, across] += part * (share_down.to(part)[:, None] * share_across.to(part))
    if whole is None:
        raise ValueError(f"tiled: a picture of {width}x{height} has no tiles")
    return whole


def _shares(length: int, tiling: Tiling) -> Iterator[tuple[slice, Tensor]]:
    """Each tile's place along an axis and its share there f32[side]; the shares of all tiles add up to one everywhere."""
    starts, side = tiling.starts(length), min(length, tiling.side)
    seams = [(one + side + other) / 2 for one, other in pairwise(starts)]
    for k, start in enumerate(starts):
        middles = torch.arange(start, start + side) + 0.5
        share = torch.ones(side)
        if k > 0:
            share = share * _rise(middles, seams[k - 1], tiling.overlap / 2)
        if k < len(seams):
            share = share * (1 - _rise(middles, seams[k], tiling.overlap / 2))
        yield slice(start, start + side), share


def _rise(middles: Tensor, seam: float, width: float) -> Tensor:
    """From 0 to 1 around the seam."""
    return ((middles - seam) / width + 0.5).clamp(0, 1)
