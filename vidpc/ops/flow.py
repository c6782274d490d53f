"""Dense optical flow that costs little: pyramidal Lucas-Kanade on locally normalised luma.

B. Lucas and T. Kanade, An Iterative Image Registration Technique with an Application to Stereo Vision (1981), in the inverse
form of S. Baker and I. Matthews (2004): the gradients of the first picture serve every iteration. It is meant as the motion
input of a small network: displacements of a few pixels of a small picture, averaged over cells.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.warp import warp

STRIDE = 4  # pixels of a picture to a cell of its flow
LEVELS = 3  # the finest works at half of the pictures' size, each further one at half of the one before
ITERATIONS = 2  # at each level
_WINDOW = 5  # side of the neighbourhood that moves as one, in pixels of a level
_LARGEST_STEP = 1.0  # of an iteration, in pixels of a level: larger ones come from the coarser levels or are mistakes
_FLOOR = 0.02  # of the gradients' second moments, on values of deviation 1: below it there is nothing to follow
_FLAT = 0.02  # of the local deviation of luma in 0..1: below it a place is flat
_BETWEEN_COARSEST = 4  # pixels of the short side of the pyramid's top, at least, where motion may be large
_BETWEEN_ITERATIONS = 6
_BETWEEN_STEP = 2.0  # the largest of an iteration, in pixels of a level
_BETWEEN_ERROR = 0.5  # that counts half, on luma of deviation 1: things that move differently meet in a window


def optical_flow(luma: Tensor) -> Tensor:
    """f32[b t h w] luma in 0..1 -> f32[b t-1 2 h/4 w/4]: where each cell of 4 x 4 pixels moves to in the next picture.

    Displacements are (x, y) in pixels of the given pictures. ``h`` and ``w`` are multiples of 16.
    """
    b, t, h, w = luma.shape
    pyramid = _pyramid(luma.reshape(b * t, 1, h, w))
    flow = luma.new_zeros(b * (t - 1), 2, 1, 1)
    for level in reversed(pyramid):
        size = level.shape[-2:]
        frames = level.unflatten(0, (b, t))
        flow = 2 * F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
        flow = _refine(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1), flow)
    cells = F.avg_pool2d(flow, 2) * 2  # the finest level has half of the pictures' size
    found: Tensor = cells.unflatten(0, (b, t - 1))
    return found


def flow_between(first: Tensor, second: Tensor, at: Tensor, window: int) -> Tensor:
    """Where what is seen at a time goes from the first to the second picture: f32[n 2 h/2 w/2] of luma f32[n 1 h w] in 0..1.

    ``at`` f32[n 1 1 1] is the time: 0 at the first picture, 1 at the second. What is seen at a place then was at minus ``at``
    times the flow there in the first picture, and is at (1 - ``at``) times the flow in the second one (bilateral motion:
    B.-T. Choi and others, 2000). A neighbourhood of ``window`` pixels moves as one, at every level. Displacements are (x, y) in
    pixels of the given pictures, whose sides are even.
    """
    levels = []
    while True:
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        levels.append((normalized(first), normalized(second)))
        if min(first.shape[-2:]) < 2 * _BETWEEN_COARSEST:
            break
        odd = (0, first.shape[-1] % 2, 0, first.shape[-2] % 2)
        first, second = (F.pad(x, odd, mode="replicate") for x in (first, second))
    flow = first.new_zeros(len(first), 2, *levels[-1][0].shape[-2:])
    for one, other in reversed(levels):
        h, w = one.shape[-2:]
        if flow.shape[-2:] != (h, w):
            flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)[..., :h, :w]
        flow = _median(_refine_between(one, other, flow, at, window))
    return 2 * flow  # the finest level has half of the pictures' size


def _refine_between(first: Tensor, second: Tensor, flow: Tensor, at: Tensor, window: int) -> Tensor:
    """``flow`` improved by Gauss-Newton steps of every neighbourhood, seen from the time between."""
    before, after = (torch.cat([picture, *_gradient(picture)], dim=1) for picture in (first, second))
    for _ in range(_BETWEEN_ITERATIONS):
        one, other = warp(before, -at * flow), warp(after, (1 - at) * flow)
        error = other[:, :1] - one[:, :1]
        dx, dy = ((1 - at) * other[:, 1:] + at * one[:, 1:]).split(1, dim=1)
        weight = 1 / (1 + (error / _BETWEEN_ERROR) ** 2)
        moments = _smooth(weight * torch.cat([dx * dx, dy * dy, dx * dy, dx * error, dy * error], dim=1), window)
        xx, yy, xy, ex, ey = moments.split(1, dim=1)
        xx, yy = xx + _FLOOR, yy + _FLOOR
        step = torch.cat([yy * ex - xy * ey, xx * ey - xy * ex], dim=1) / (xx * yy - xy * xy)
        flow = flow - step.clamp(-_BETWEEN_STEP, _BETWEEN_STEP)
    return flow


def _median(flow: Tensor) -> Tensor:
    """The median of 5 medians of 5 around every place of f32[n 2 h w], each component for itself."""
    h, w = flow.shape[-2:]
    padded = F.pad(flow, (2, 2, 2, 2), mode="replicate")
    rows = _median_of_5([padded[..., x : x + w] for x in range(5)])
    return _median_of_5([rows[..., y : y + h, :] for y in range(5)])


def _median_of_5(values: list[Tensor]) -> Tensor:
    """Without the largest and the smallest of four, the middle of the other two and the fifth."""
    a, b, c, d, e = values
    low = torch.maximum(torch.minimum(a, b), torch.minimum(c, d))
    high = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    return torch.maximum(low, torch.minimum(high, e))


def _gradient(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of f32[n 1 h w] along x and y; the border repeats."""
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _pyramid(frames: Tensor) -> list[Tensor]:
    """Locally normalised pictures, the finest first."""
    levels = []
    for _ in range(LEVELS):
        frames = F.avg_pool2d(frames, 2)
        levels.append(normalized(frames))
    return levels


def normalized(frames: Tensor) -> Tensor:
    """Without the local mean and of local deviation 1: changes of light move nothing."""
    mean = _smooth(frames, 9)
    centred = frames - mean
    return centred / (_smooth(centred * centred, 9).sqrt() + _FLAT)


def _refine(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """``flow`` f32[n 2 h w] improved by a few Gauss-Newton steps of every neighbourhood."""
    dx, dy = _gradient(first)
    gradients = torch.cat([dx, dy], dim=1)
    xx, yy, xy = _smooth(torch.cat([dx * dx, dy * dy, dx * dy], dim=1), _WINDOW).split(1, dim=1)
    xx, yy = xx + _FLOOR, yy + _FLOOR
    determinant = xx * yy - xy * xy
    for _ in range(ITERATIONS):
        error = warp(second, flow) - first
        ex, ey = _smooth(gradients * error, _WINDOW).split(1, dim=1)
        step = torch.cat([yy * ex - xy * ey, xx * ey - xy * ex], dim=1) / determinant
        flow = flow - step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    return _smooth(flow, 3)


def _smooth(x: Tensor, side: int) -> Tensor:
    """The mean over a square of that side; at the border over the part that is there.

    Sums of shifted copies: PyTorch's average pooling takes three to five times as long on a CPU.
    """
    h, w = x.shape[-2:]
    counts = _counts(h, side, x)[:, None] * _counts(w, side, x)
    return _run_sums(_run_sums(x, side, -2), side, -1) / counts


def _run_sums(x: Tensor, side: int, dim: int) -> Tensor:
    """Sums of ``side`` neighbours along ``dim``, zeros beyond the border."""
    reach, length = side // 2, x.shape[dim]
    padded = F.pad(x, (0, 0, reach, reach) if dim == -2 else (reach, reach))
    sums = padded.narrow(dim, 0, length) + padded.narrow(dim, 1, length)
    for shift in range(2, side):
        sums = sums + padded.narrow(dim, shift, length)
    return sums


def _counts(length: int, side: int, like: Tensor) -> Tensor:
    """How many neighbours each place of a line has, itself among them."""
    place = torch.arange(length, device=like.device, dtype=like.dtype)
    return (place + side // 2).clamp(max=length - 1) - (place - side // 2).clamp(min=0) + 1
