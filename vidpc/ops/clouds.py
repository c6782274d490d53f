"""Clouds f32[n 3] moved into the frame that a classifier knows."""

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError

F32 = npt.NDArray[np.float32]


def fitted(xyz: npt.NDArray[np.floating], centre: str = "box") -> F32:
    """The cloud around the origin, its farthest point at distance 1.

    ``box`` puts the middle of the extent at the origin, which does not depend on how densely which side was scanned;
    ``mean`` the mean of the points. Raises ``PointCloudError`` where all points are one.
    """
    middle = (xyz.min(axis=0) + xyz.max(axis=0)) / 2 if centre == "box" else xyz.mean(axis=0)
    moved = xyz - middle  # in the cloud's own precision: float32 would lose metres of map coordinates
    radius = np.sqrt((moved * moved).sum(axis=1).max())
    if not radius > 0:
        raise PointCloudError(f"{len(xyz)} points at one place: no shape to recognise")
    small: F32 = (moved / radius).astype(np.float32)
    return small


def turned(xyz: F32, angle_rad: float) -> F32:
    """The cloud turned about its vertical, the third axis, counter-clockwise seen from above."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    matrix = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)
    return xyz @ matrix


def upright(xyz: F32) -> F32:
    """The cloud whose vertical is the third axis, laid so that the second axis is its vertical."""
    x, y, z = xyz.T
    return np.stack([x, z, -y], axis=-1)
