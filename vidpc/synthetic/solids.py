"""Labelled triangles, and the few solids that rooms and furniture are made of.

Metres, z up. A piece is built near the origin, its back along the x axis and its front towards +y, then turned and moved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from vidpc.types import F32, I64

LABELS = (
    "ceiling", "floor", "wall", "beam", "column", "window", "door",
    "chair", "table", "bookcase", "sofa", "board", "clutter",
)  # fmt: skip
CEILING, FLOOR, WALL, BEAM, COLUMN, WINDOW, DOOR, CHAIR, TABLE, BOOKCASE, SOFA, BOARD, CLUTTER = range(len(LABELS))

Paint = tuple[float, float, float]  # red, green, blue in 0..1, before light and exposure
Point = tuple[float, float, float]

# The six faces of a box by its eight corners (bit 0: x, bit 1: y, bit 2: z), counter-clockwise from outside.
_FACES = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
_BITS = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)], dtype=bool)


@dataclass(frozen=True, slots=True)
class Mesh:
    """``corners`` f32[m 3 3], counter-clockwise from outside; ``label`` i64[m]; ``paint`` f32[m 3]; ``returned`` f32[m], the
    share of rays that come back (little from glass)."""

    corners: F32
    label: I64
    paint: F32
    returned: F32

    def __len__(self) -> int:
        return len(self.label)

    @property
    def low(self) -> F32:
        """The least x, y and z."""
        return np.asarray(self.corners.min(axis=(0, 1)), np.float32)

    @property
    def high(self) -> F32:
        """The greatest x, y and z."""
        return np.asarray(self.corners.max(axis=(0, 1)), np.float32)


def join(meshes: Iterable[Mesh]) -> Mesh:
    """All triangles of all meshes."""
    parts = [nothing(), *meshes]
    return Mesh(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.paint for part in parts]),
        np.concatenate([part.returned for part in parts]),
    )


def nothing() -> Mesh:
    """No triangles."""
    empty = np.empty(0, np.float32)
    return Mesh(empty.reshape(0, 3, 3), np.empty(0, np.int64), empty.reshape(0, 3), empty)


def quads(corners: F32, label: int, paint: Paint, returned: float = 1.0) -> Mesh:
    """Plane pieces from their corners f32[n 4 3], counter-clockwise from the side that is seen."""
    triangles = np.asarray(corners, np.float32)[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    m = len(triangles)
    paints = np.broadcast_to(np.asarray(paint, np.float32), (m, 3)).copy()
    return Mesh(triangles, np.full(m, label, np.int64), paints, np.full(m, returned, np.float32))


def box(low: Point, high: Point, label: int, paint: Paint, returned: float = 1.0) -> Mesh:
    """A box between two corners."""
    return boxes(np.array([low]), np.array([high]), label, np.array([paint]), returned)


def boxes(low: F32 | np.ndarray, high: F32 | np.ndarray, label: int, paints: F32 | np.ndarray, returned: float = 1.0) -> Mesh:
    """Many boxes between corners f[n 3] and f[n 3], in paints f[n 3]."""
    corners = np.where(_BITS, np.asarray(high)[:, None], np.asarray(low)[:, None]).astype(np.float32)  # f32[n 8 3]
    mesh = quads(corners[:, _FACES].reshape(-1, 4, 3), label, (0, 0, 0), returned)
    return Mesh(mesh.corners, mesh.label, np.repeat(np.asarray(paints, np.float32), 12, axis=0), mesh.returned)


def cylinder(base: Point, top: Point, radius_m: float | tuple[float, float], label: int, paint: Paint, sides: int = 10) -> Mesh:
    """A closed cylinder from ``base`` to ``top``, or a cone where two radii are given."""
    low, high = np.array(base, np.float64), np.array(top, np.float64)
    axis = (high - low) / max(float(np.linalg.norm(high - low)), 1e-9)
    across = np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0))
    across /= np.linalg.norm(across)
    turn = 2 * pi * np.arange(sides) / sides
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * np.cross(axis, across)
    at_low, at_high = radius_m if isinstance(radius_m, tuple) else (radius_m, radius_m)
    near, far = low + at_low * ring, high + at_high * ring
    mantle = np.stack([near, np.roll(near, -1, 0), np.roll(far, -1, 0), far], axis=1)
    lids = [np.stack([np.roll(r, -1, 0), r, c + 0 * r, c + 0 * r], axis=1) for r, c in ((near, low), (far[::-1], high))]
    return quads(np.concatenate([mantle, *lids]), label, paint)


def blob(rng: np.random.Generator, size: Point, centre: Point, label: int, paint: Paint, dent: float = 0.18) -> Mesh:
    """A rounded lump inside a box of ``size`` around ``centre``: bags, cushions, plants, clothes."""
    up, around = np.linspace(0, pi, 7), np.linspace(0, 2 * pi, 11)
    radius = 1 + dent * rng.standard_normal((7, 11))
    radius[:, -1] = radius[:, 0]
    radius[0], radius[-1] = radius[0, 0], radius[-1, 0]
    x = radius * np.sin(up)[:, None] * np.cos(around)
    y = radius * np.sin(up)[:, None] * np.sin(around)
    z = radius * np.cos(up)[:, None]
    points = np.stack([x, y, z + 0 * x], axis=-1) * (0.5 * np.array(size)) + np.array(centre)
    corners = np.stack([points[1:, :-1], points[1:, 1:], points[:-1, 1:], points[:-1, :-1]], axis=2)
    return quads(corners.reshape(-1, 4, 3), label, paint)


def turned(mesh: Mesh, yaw_rad: float) -> Mesh:
    """The mesh, turned counter-clockwise about the z axis."""
    c, s = cos(yaw_rad), sin(yaw_rad)
    return _with(mesh, mesh.corners @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32))


def tilted(mesh: Mesh, pitch_rad: float) -> Mesh:
    """The mesh, turned about the x axis: +y goes up."""
    c, s = cos(pitch_rad), sin(pitch_rad)
    return _with(mesh, mesh.corners @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]], np.float32))


def moved(mesh: Mesh, by: Sequence[float]) -> Mesh:
    """The mesh, moved."""
    return _with(mesh, mesh.corners + np.asarray(by, np.float32))


def _with(mesh: Mesh, corners: F32) -> Mesh:
    return Mesh(np.asarray(corners, np.float32), mesh.label, mesh.paint, mesh.returned)
