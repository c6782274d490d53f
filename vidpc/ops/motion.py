"""What moves where, as a few numbers a cell: the motion input of small networks.

Half-wave rectified motion channels after A. Efros et al., Recognizing Action at a Distance (2003), of the flow itself and, so
that a moving camera tells less, of the changes of its two components from place to place (motion boundary histograms: N. Dalal
et al., Human Detection Using Oriented Histograms of Flow and Appearance, 2006).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS = 8
MOTION_CHANNELS = 3 * DIRECTIONS + 1  # flow, changes of x and of y, stillness
_STILL_PX = 0.15  # below it nothing moves, as far as the flow can be trusted
_STILL_SHARE = 0.3  # of a cell at rest, on the scale of the other channels
_ROOT = 1e-4  # keeps the slope of the square root finite


def channels(tube: int) -> int:
    """How many numbers ``motion_cells`` gives a cell, of ``tube`` pictures."""
    return MOTION_CHANNELS + DIRECTIONS + 2 * tube


def motion_cells(flow: Tensor, luma: Tensor) -> Tensor:
    """f32[b t c h/2 w/2] of ``flow`` f32[b t*tube 2 h w] and ``luma`` f32[b t h w] in 0..1, one picture a tube.

    Rectified in 8 directions: the flow without its median over the picture, the changes of both its components, each the
    mean over the tube; the gradient of luma; all as square roots. Then the flow as it is, picture by picture, as signed
    logarithms: that is where a camera shows itself.
    """
    b, t = luma.shape[:2]
    tube = flow.shape[1] // t
    own = flow - flow.flatten(3).median(dim=-1).values[..., None, None]
    x, y = own.unbind(dim=2)
    still = ((x * x + y * y).sqrt() < _STILL_PX).to(flow.dtype) * _STILL_SHARE
    motion = torch.cat([_rectified(x, y), _rectified(*_gradient(x)), _rectified(*_gradient(y)), still[:, :, None]], dim=2)
    motion = _halved(motion).unflatten(1, (t, tube)).mean(dim=2)
    edges = _halved(_rectified(*_gradient(luma)))
    raw = _halved(flow).reshape(b, t, 2 * tube, *edges.shape[-2:])
    return torch.cat([(motion + _ROOT).sqrt(), (edges + _ROOT).sqrt(), raw.sign() * (2 * raw.abs()).log1p()], dim=2)


def _rectified(x: Tensor, y: Tensor) -> Tensor:
    """Vectors f32[b t h w] as what they have of each direction, never below 0: f32[b t 8 h w]."""
    angles = torch.arange(DIRECTIONS, device=x.device, dtype=x.dtype) * (2 * math.pi / DIRECTIONS)
    return F.relu(x[:, :, None] * angles.cos()[:, None, None] + y[:, :, None] * angles.sin()[:, None, None])


def _gradient(values: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of f32[b t h w] along x and y; the border repeats."""
    padded = F.pad(values, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _halved(values: Tensor) -> Tensor:
    """Means of 2 x 2 places of f32[b t c h w]."""
    halved: Tensor = F.avg_pool2d(values.flatten(0, 1), 2).unflatten(0, values.shape[:2])
    return halved
