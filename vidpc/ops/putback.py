"""What a network found out about a hole in a small window, put back into the picture at full size.

Filmed pixels of other frames count as the network says, and where none of them shows the place the painted picture does. So
the fill is as sharp as the film, not as the network's own size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.masks import Box

_COUNTS = 0.02  # a frame whose greatest weight is smaller is left out
_SURE = 0.99  # share of a sampled pixel that must be visible
_SPARE = 3  # pixels around what is read, for the bicubic kernel


@dataclass(frozen=True, slots=True)
class Reference:
    """Another frame through the same window: ``pixels`` f or u[3 h w] of full scale ``scale``, ``hidden`` bool[h w] of them,

    and the ``motion`` f32[1 2 3] from places in the window to places in this one.
    """

    pixels: Tensor
    hidden: Tensor
    motion: Tensor
    scale: float


def composed(weights: Tensor, painted: Tensor, references: Sequence[Reference], box: Box, size: tuple[int, int]) -> Tensor:
    """The fill f32[3 bh bw] of a ``box`` in a window of ``size`` (height, width) pixels, in 0..1.

    ``weights`` f32[k h w] and ``painted`` f32[3 h w] are the network's, of its own size; weight 0 belongs to ``painted``, each
    further one to a reference.
    """
    part = _part_map(box, size, painted)
    shape = (box[3] - box[1], box[2] - box[0])
    shares = _read(weights[None], part, shape)[0].clamp(min=0)
    fill = _read(painted[None], part, shape)[0]
    total, known = shares[:1] * fill, shares[:1].clone()
    for share, reference in zip(shares[1:], references, strict=True):
        if float(share.amax()) < _COUNTS:
            continue
        pixels, seen = _aligned(reference, part, shape)
        share = share[None] * (seen > _SURE)
        total += share * pixels
        known += share
    return torch.where(known > _COUNTS, total / known.clamp(min=_COUNTS), fill)


def _aligned(reference: Reference, part: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Pixels f32[3 bh bw] of a reference at the places of a part of the window, and what of them is visible f32[1 bh bw].

    Only the rectangle that is read is converted.
    """
    height, width = reference.hidden.shape
    motion = reference.motion
    turned = torch.cat([motion[:, :, :2] @ part[:, :, :2], motion[:, :, :2] @ part[:, :, 2:] + motion[:, :, 2:]], dim=2)
    grid = F.affine_grid(turned, [1, 1, *shape], align_corners=False)
    x, y = (grid[..., 0] + 1) * (width / 2), (grid[..., 1] + 1) * (height / 2)  # borders of the window at 0 and its size
    left, right = (int(v) for v in (x.amin().floor() - _SPARE, x.amax().ceil() + _SPARE))
    top, bottom = (int(v) for v in (y.amin().floor() - _SPARE, y.amax().ceil() + _SPARE))
    left, right, top, bottom = max(0, left), min(width, right), max(0, top), min(height, bottom)
    if right <= left or bottom <= top:
        return torch.zeros(3, *shape, device=part.device), torch.zeros(1, *shape, device=part.device)
    own = torch.stack([(x - left) * (2 / (right - left)) - 1, (y - top) * (2 / (bottom - top)) - 1], dim=-1)
    pixels = reference.pixels[:, top:bottom, left:right].float()[None] / reference.scale
    seen = 1 - reference.hidden[top:bottom, left:right].float()[None, None]
    read = F.grid_sample(pixels, own, mode="bicubic", padding_mode="border", align_corners=False)
    visible = F.grid_sample(seen, own, mode="bilinear", padding_mode="zeros", align_corners=False)
    return read[0].clamp(0, 1), visible[0]


def _part_map(box: Box, size: tuple[int, int], like: Tensor) -> Tensor:
    """The map f32[1 2 3] from coordinates of a box to those of its window, both from -1 to 1."""
    (x1, y1, x2, y2), (height, width) = box, size
    across, down = (x2 - x1) / width, (y2 - y1) / height
    return like.new_tensor([[[across, 0, (x1 + x2) / width - 1], [0, down, (y1 + y2) / height - 1]]])


def _read(pictures: Tensor, part: Tensor, shape: tuple[int, int]) -> Tensor:
    """f32[1 c h w] at the places of a part of the window, at full size."""
    grid = F.affine_grid(part, [1, 1, *shape], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
