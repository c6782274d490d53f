"""Pictures read at other places: along a flow, or along the motion of a camera."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(frames: Tensor, flow: Tensor) -> Tensor:
    """f32[n c h w] read at every pixel's place plus its ``flow`` f32[n 2 h w] (x, y): bilinear, the border repeats."""
    h, w = frames.shape[-2:]
    x, y = (torch.arange(side, device=flow.device, dtype=flow.dtype) for side in (w, h))
    across, down = x + flow[:, 0] + 0.5, y[:, None] + flow[:, 1] + 0.5
    grid = torch.stack([across * (2 / w) - 1, down * (2 / h) - 1], dim=-1)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
