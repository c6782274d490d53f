"""Boxes as tensors: conversions, overlaps and the inverse of the logistic function."""

import torch
from torch import Tensor


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """(centre x, centre y, width, height) -> (left, top, right, bottom), f32[... 4]."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """(left, top, right, bottom) -> (centre x, centre y, width, height), f32[... 4]."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def area(boxes: Tensor) -> Tensor:
    """Areas of xyxy boxes, f32[...]; zero where a side is negative."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Common areas of every pair, f32[n m], of f32[n 4] and f32[m 4] xyxy boxes."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clamp(min=0).prod(dim=-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair, f32[n m]; zero where both boxes are empty."""
    common = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - common
    return common / union.clamp(min=torch.finfo(common.dtype).tiny)


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of every pair, f32[n m] in -1..1 (Rezatofighi et al. 2019, algorithm 1)."""
    common = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - common
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    hull = (high - low).clamp(min=0).prod(dim=-1)
    tiny = torch.finfo(common.dtype).tiny
    return common / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


def inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    """The logit of ``x``, both ``x`` and ``1 - x`` kept at or above ``eps`` as released detectors do."""
    x = x.clamp(min=0, max=1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))
