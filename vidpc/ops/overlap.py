"""How boxes overlap, in NumPy, for the rooms that know no tensors. All boxes are xyxy; an empty box overlaps nothing.

The arithmetic stays in the dtype of the boxes: the released association depends on float32.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def areas(boxes: Array) -> Array:
    """Areas f[n] of ``boxes`` f[n 4]; 0 where a box is turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersections(first: Array, second: Array) -> Array:
    """Shared areas f[n m] of ``first`` f[n 4] with ``second`` f[m 4]."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])  # f[n m 2]
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def iou(first: Array, second: Array) -> Array:
    """Intersection over union f[n m]."""
    shared = intersections(first, second)
    return _ratio(shared, areas(first)[:, None] + areas(second)[None] - shared)


def giou(first: Array, second: Array) -> Array:
    """Generalised intersection over union f[n m] in [-1, 1] (Rezatofighi et al. 2019)."""
    shared = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None] - shared
    top_left = np.minimum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.maximum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    hull = sides[..., 0] * sides[..., 1]
    return _ratio(shared, union) - _ratio(hull - union, hull)


def covered(first: Array, second: Array) -> Array:
    """Share f[n m] of each box of ``first`` that lies inside each box of ``second``."""
    return _ratio(intersections(first, second), np.broadcast_to(areas(first)[:, None], (len(first), len(second))))
