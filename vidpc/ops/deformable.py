"""Multi-scale deformable attention, its sampling step in plain PyTorch (Zhu et al., Deformable DETR, section 4.1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LevelShapes = Sequence[tuple[int, int]]  # (h, w) of every level, finest first


def sample_levels(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of bilinear samples, f32[b q heads*d] (equation 2 without the projections).

    ``value`` f32[b tokens heads d]: the levels' tokens, row by row, one level after the other. ``locations``
    f32[b q heads levels points 2]: (x, y) in 0..1 of a level, pixel centres at (i + 0.5) / size, zero outside.
    ``weights`` f32[b q heads levels points].

    Both ways below give the same sums. Measured on two CPU cores with 4 heads of 32: the bags take a quarter of the
    grid's time forwards, but twice as long backwards.
    """
    if value.is_cuda or torch.is_grad_enabled():
        return sample_by_grid(value, shapes, locations, weights)
    return sample_by_bags(value, shapes, locations, weights)


def level_starts(shapes: LevelShapes) -> list[int]:
    """The first token of every level."""
    starts, total = [], 0
    for height, width in shapes:
        starts.append(total)
        total += height * width
    return starts


def sample_by_grid(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """``sample_levels`` with one ``grid_sample`` a level."""
    b, _, heads, d = value.shape
    q = locations.shape[1]
    grids = 2 * locations.transpose(1, 2).flatten(0, 1) - 1  # f32[b*heads q levels points 2]
    samples = []
    for level, ((height, width), start) in enumerate(zip(shapes, level_starts(shapes), strict=True)):
        picture = value[:, start : start + height * width].permute(0, 2, 3, 1).reshape(b * heads, d, height, width)
        samples.append(F.grid_sample(picture, grids[:, :, level].to(picture.dtype), align_corners=False))
    stacked = torch.stack(samples, dim=-2)  # f32[b*heads d q levels points]
    shares = weights.transpose(1, 2).reshape(b * heads, 1, q, *weights.shape[3:]).to(stacked.dtype)
    return (stacked * shares).sum(dim=(-2, -1)).view(b, heads * d, q).transpose(1, 2)


def sample_by_bags(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """``sample_levels`` as sums of rows of one table, which is what ``embedding_bag`` does without storing a sample."""
    b, tokens, heads, d = value.shape
    q = locations.shape[1]
    corners = [
        _level_corners(locations[..., level, :, :], weights[..., level, :], height, width, start)
        for level, ((height, width), start) in enumerate(zip(shapes, level_starts(shapes), strict=True))
    ]
    token = torch.cat([index for index, _ in corners], dim=-1)  # i32[b q heads samples]
    share = torch.cat([part for _, part in corners], dim=-1)  # f32[b q heads samples]
    batch_start = torch.arange(b, device=value.device, dtype=torch.int32).view(b, 1, 1, 1) * tokens
    head = torch.arange(heads, device=value.device, dtype=torch.int32).view(1, 1, heads, 1)
    row = (batch_start + token).mul_(heads).add_(head)
    table = value.reshape(b * tokens * heads, d)
    bags = F.embedding_bag(row.flatten(0, 2), table, mode="sum", per_sample_weights=share.flatten(0, 2).to(table.dtype))
    return bags.view(b, q, heads * d)


def _level_corners(xy: Tensor, weight: Tensor, height: int, width: int, start: int) -> tuple[Tensor, Tensor]:
    """The four tokens around every location and their shares: i32 and f32 [b q heads 4*points]."""
    x = xy[..., 0] * width - 0.5
    y = xy[..., 1] * height - 0.5
    left, top = x.floor(), y.floor()
    x_right, y_below = x - left, y - top
    columns = [_line(left, 1 - x_right, width), _line(left + 1, x_right, width)]
    lines = [_line(top, (1 - y_below) * weight, height), _line(top + 1, y_below * weight, height)]
    tokens = [line * width + (column + start) for column, _ in columns for line, _ in lines]
    shares = [x_share * y_share for _, x_share in columns for _, y_share in lines]
    return torch.cat(tokens, dim=-1), torch.cat(shares, dim=-1)


def _line(position: Tensor, share: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """A row or column number inside the level, i32, and its share: zero where the number had to be moved inside."""
    inside = position.clamp(0, size - 1)
    return inside.int(), share * (inside == position)
