"""The grain of a film: how strong it is somewhere, and grain of that strength.

What is measured is what a second difference in both directions leaves (J. Immerkær, Fast Noise Variance Estimation, 1996),
in the calmest quarter of the place, because in the rest it is texture as well.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 10 / 255  # deviation above which it is no grain
_CALM = 0.25
_KERNEL = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
_SIDE = 7  # pixels of the squares in which calm is told
_STEP = 3  # from square to square
_CALM_BIAS = 0.855  # what that quarter gives for pure noise of deviation 1
LUMA = (0.299, 0.587, 0.114)


def strength(picture: Tensor, place: Tensor) -> float:
    """The deviation of the grain of f32[3 h w] where ``place`` bool[h w] is set, up to ``MOST``; 0 where that is too small."""
    if min(place.shape) < _SIDE + 2:
        return 0.0
    luma = torch.einsum("chw,c->hw", picture, picture.new_tensor(LUMA))[None, None]
    left = F.conv2d(luma, luma.new_tensor(_KERNEL)[None, None] / 6)
    squares = F.avg_pool2d(left * left, _SIDE, _STEP)
    inside = F.avg_pool2d(place[None, None].float(), _SIDE + 2, _STEP) > 0.999  # squares that see the place alone
    values = squares[inside]
    if not len(values):
        return 0.0
    return min(MOST, float(values.kthvalue(1 + int(_CALM * (len(values) - 1))).values.sqrt()) / _CALM_BIAS)


def grain(height: int, width: int, *, deviation: float, seed: int) -> Tensor:
    """Grain f32[1 h w] of that deviation, the same for the same seed on every machine."""
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(1, height, width, generator=numbers) * deviation
