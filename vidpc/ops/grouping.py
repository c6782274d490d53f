"""Sampling and grouping in clouds of equal size, f32[b n 3]: a few thousand points at most, a batch at a time.

For clouds of their own sizes, laid end to end, see ``neighbours``.
"""

import torch
from torch import Tensor


@torch.no_grad()
def farthest_rows(xyz: Tensor, count: int, *, core: float = 0.0) -> Tensor:
    """Rows i64[b m] of ``count`` points (all, where there are fewer), each the farthest from those before it.

    The first is row 0, ties go to the lowest row. Points whose squared distance to the origin is at most ``core`` are left
    out, but for row 0, as the published networks on small objects do.
    """
    count = min(count, xyz.shape[1])
    x, y, z = (axis.contiguous() for axis in xyz.unbind(dim=-1))  # f32[b n], three times faster than f32[b n 3]
    nearest = torch.where(x * x + y * y + z * z > core, torch.inf, -1.0) if core else torch.full_like(x, torch.inf)
    rows = torch.zeros(len(xyz), count, dtype=torch.long, device=xyz.device)
    for i in range(1, count):
        last = rows[:, i - 1 : i]
        distance = (x - x.gather(1, last)).square_()
        distance += (y - y.gather(1, last)).square_()
        distance += (z - z.gather(1, last)).square_()
        torch.minimum(nearest, distance, out=nearest)
        rows[:, i] = nearest.argmax(dim=1)
    return rows


@torch.no_grad()
def nearest_rows(queries: Tensor, xyz: Tensor, count: int) -> Tensor:
    """Rows i64[b m k] of the ``count`` points of ``xyz`` that lie nearest to each query f32[b m 3], in no order."""
    # Products instead of differences would be faster and lose the near ones to rounding.
    distances = torch.cdist(queries, xyz, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.topk(min(count, xyz.shape[1]), largest=False, sorted=False).indices


def rows_at(values: Tensor, rows: Tensor) -> Tensor:
    """``values`` f32[b n c] at ``rows`` i64[b …]: f32[b … c]."""
    b, _, c = values.shape
    flat = rows.reshape(b, -1, 1).expand(-1, -1, c)
    return values.gather(1, flat).view(*rows.shape, c)
