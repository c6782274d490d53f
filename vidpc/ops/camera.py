"""The motion of a camera between two pictures as an affine map, measured on what both of them show.

Gauss-Newton over a pyramid on locally normalised luma, with weights that let things that move on their own count little
(P. Anandan and others, Hierarchical Model-Based Motion Estimation, 1992; Geman-McClure weights as in M. Black and
P. Anandan, The Robust Estimation of Multiple Motions, 1996).

Maps are f32[b 2 3] in coordinates from -1 to 1 over the picture (its borders, not the middles of its outer pixels): whatever
the size of a picture, they stay as they are. They take places of a first picture to places of a second one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.flow import normalized

_COARSEST = 12  # pixels of the short side of the pyramid's top, at least
_ITERATIONS = 6  # at each level
_SCALE = 0.7  # of the errors that count half, on luma of deviation 1
_DAMPING = 1e-3
_LARGEST_STEP = 0.2  # of an iteration, in those coordinates
_SEEN = 0.99  # share of a place that must be visible


def camera_motion(
    first: Tensor, second: Tensor, visible_first: Tensor, visible_second: Tensor, start: Tensor | None = None
) -> Tensor:
    """The affine map f32[b 2 3] from places of ``first`` to places of ``second``, both luma f32[b 1 h w] in 0..1.

    Only places that are ``visible`` (f32[b 1 h w], 1 or 0) in both of them count. With a ``start`` that is nearly right only
    the two finest levels are used. Where nothing is visible the map stays what it was at the start, by default the identity.
    """
    pyramid = list(_pyramid(first, second, visible_first, visible_second))
    found = identity(first) if start is None else start
    for level in reversed(pyramid if start is None else pyramid[:2]):
        for _ in range(_ITERATIONS):
            found = _improved(found, *level)
    return found


def identity(like: Tensor) -> Tensor:
    """The map f32[b 2 3] of a camera that stands still, for pictures ``like`` f32[b ...]."""
    return torch.eye(2, 3, dtype=like.dtype, device=like.device).expand(len(like), 2, 3)


def chained(one: Tensor, then: Tensor) -> Tensor:
    """The map of ``one`` followed by ``then``, all f32[b 2 3]."""
    return torch.cat([then[:, :, :2] @ one[:, :, :2], then[:, :, :2] @ one[:, :, 2:] + then[:, :, 2:]], dim=2)


def inverse(motion: Tensor) -> Tensor:
    """The map back."""
    turned = torch.linalg.inv(motion[:, :, :2])
    return torch.cat([turned, -turned @ motion[:, :, 2:]], dim=2)


def aligned(frames: Tensor, motion: Tensor) -> Tensor:
    """``frames`` f32[b c h w] read where ``motion`` f32[b 2 3] leads; 0 where that is outside: bilinear."""
    grid = F.affine_grid(motion, [*frames.shape], align_corners=False)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def in_window(motion: Tensor, first_window: Tensor, second_window: Tensor) -> Tensor:
    """The same map in the coordinates of two crops, f32[b 4] each: x1 y1 x2 y2 in the coordinates of the pictures."""
    return chained(chained(_placed(first_window), motion), inverse(_placed(second_window)))


def _placed(window: Tensor) -> Tensor:
    """The map from coordinates of a crop to those of its picture."""
    half = (window[:, 2:] - window[:, :2]) / 2
    middle = (window[:, 2:] + window[:, :2]) / 2
    return torch.cat([torch.diag_embed(half), middle[:, :, None]], dim=2)


def _pyramid(
    first: Tensor, second: Tensor, visible_first: Tensor, visible_second: Tensor
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Locally normalised pictures and what is visible of them, the finest first."""
    levels = []
    while True:
        levels.append((normalized(first), normalized(second), visible_first, visible_second))
        if min(first.shape[-2:]) < 2 * _COARSEST:
            return levels
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        visible_first, visible_second = (F.avg_pool2d(x, 2) for x in (visible_first, visible_second))


def _improved(motion: Tensor, first: Tensor, second: Tensor, visible_first: Tensor, visible_second: Tensor) -> Tensor:
    """One weighted Gauss-Newton step."""
    b, _, h, w = first.shape
    seen = aligned(torch.cat([second, visible_second], dim=1), motion)
    error = seen[:, :1] - first
    counts = ((visible_first >= _SEEN) & (seen[:, 1:] >= _SEEN)).to(first.dtype)
    weights = counts * (_SCALE**2 / (_SCALE**2 + error * error)) ** 2
    dx, dy = _gradient(seen[:, :1])
    x = ((torch.arange(w, device=first.device) * 2 + 1) / w - 1).to(first.dtype).expand(b, 1, h, w)
    y = ((torch.arange(h, device=first.device) * 2 + 1) / h - 1).to(first.dtype)[:, None].expand(b, 1, h, w)
    slopes = torch.cat([dx * x, dx * y, dx, dy * x, dy * y, dy], dim=1).flatten(2)
    weighted = slopes * weights.flatten(2)
    damping = _DAMPING * (weighted * slopes).sum(dim=2).mean(dim=1).clamp(min=1e-6)
    normal = weighted @ slopes.transpose(1, 2) + torch.eye(6, dtype=first.dtype, device=first.device) * damping[:, None, None]
    step = torch.linalg.solve(normal, weighted @ error.flatten(2).transpose(1, 2))
    better: Tensor = motion - step.reshape(b, 2, 3).clamp(-_LARGEST_STEP, _LARGEST_STEP)
    return better


def _gradient(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of f32[b 1 h w] along x and y, for a unit of the coordinates."""
    h, w = picture.shape[-2:]
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * (w / 4)
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * (h / 4)
    return dx, dy
