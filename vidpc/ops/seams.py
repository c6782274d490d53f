"""Seams of a fill taken away: its light is moved to that of what is around the hole.

Other frames were filmed a little brighter or darker. What they differ by is known in a ring around the hole, where the fill and
the film both are, and is spread smoothly over the hole: coarse where the ring is far, fine where it is near.
"""

import torch.nn.functional as F
from torch import Tensor

RING_PX = 12  # around a hole, in which fill and film are compared
_LIGHT = 0.12  # a larger difference is no matter of light: something moved, or the camera was not followed
_CELL = 4  # pixels, below which nothing is told apart
_SURE = 0.25  # share of a cell that must lie in the ring to speak for itself


def without_seams(fill: Tensor, film: Tensor, hole: Tensor) -> Tensor:
    """``fill`` f32[3 h w] in the light of ``film`` f32[3 h w], which counts outside of ``hole`` bool[h w]."""
    difference = film - fill
    counts = (~hole & (difference.abs().amax(dim=0) < _LIGHT)).to(fill.dtype)[None, None]
    values, weights = _pooled(difference[None] * counts, _CELL), _pooled(counts, _CELL)
    if not float(weights.amax()) > 0:
        return fill
    spread = _spread(values, weights)
    lifted: Tensor = fill + F.interpolate(spread, size=fill.shape[1:], mode="bilinear", align_corners=False)[0]
    return lifted


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    """Values f32[1 c h w], as far as ``weights`` f32[1 1 h w] say that they are known, over all places."""
    own = values / weights.clamp(min=1e-6)
    if max(values.shape[-2:]) == 1:
        return own
    coarse = _spread(_pooled(values, 2), _pooled(weights, 2))
    around = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    known = (weights / _SURE).clamp(max=1)
    return known * own + (1 - known) * around


def _pooled(x: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(x, side, ceil_mode=True)
