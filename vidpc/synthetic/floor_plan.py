"""Which floor and which wall of a room is still free. A room is a polygon, counter-clockwise, of straight walls."""

from dataclasses import dataclass
from math import atan2

import numpy as np

from vidpc.types import F32, F64

from .solids import Mesh, moved, turned

CELL_M = 0.05
_TRIES = 40
_EDGE_M = 0.02  # furniture this far inside a wall is still in the room


@dataclass(frozen=True, slots=True)
class Wall:
    """A wall from ``start`` on along ``yaw_rad``; the room lies to its left. Places on it: along the wall, and up."""

    start: tuple[float, float]
    yaw_rad: float
    length_m: float

    def place(self, mesh: Mesh, along_m: float, into_m: float = 0.0, up_m: float = 0.0) -> Mesh:
        """A piece with its back at the wall."""
        return self.lay(moved(mesh, (along_m, into_m, up_m)))

    def lay(self, mesh: Mesh) -> Mesh:
        """A mesh from the wall's own axes (along, into the room, up)."""
        return moved(turned(mesh, self.yaw_rad), (*self.start, 0.0))

    def point(self, along_m: float, into_m: float) -> tuple[float, float]:
        """A place on the floor from the wall's own axes."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return float(self.start[0] + c * along_m - s * into_m), float(self.start[1] + s * along_m + c * into_m)


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle on a wall, half-open."""

    left_m: float
    right_m: float
    low_m: float
    high_m: float

    def meets(self, other: "Patch") -> bool:
        """Whether both have something in common."""
        return (
            self.left_m < other.right_m
            and other.left_m < self.right_m
            and self.low_m < other.high_m
            and other.low_m < self.high_m
        )


class FloorPlan:
    """A room of ``height_m``: its walls, and what of floor and walls is taken."""

    def __init__(self, outline: F64, height_m: float) -> None:
        self.outline, self.height_m = outline, height_m
        self.walls = [_wall(a, b) for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True)]
        self.patches: list[list[Patch]] = [[] for _ in self.walls]
        self._low = outline.min(axis=0)
        shape = np.ceil((outline.max(axis=0) - self._low) / CELL_M).astype(int)
        centres = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) * CELL_M + CELL_M / 2
        self._taken = ~inside(centres + self._low, outline)

    @property
    def is_rectangle(self) -> bool:
        """Whether it has four corners."""
        return len(self.outline) == 4

    @property
    def area_m2(self) -> float:
        """The floor's area."""
        x, y = self.outline.T
        return float(0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))

    def on_wall(
        self, rng: np.random.Generator, wide_m: float, low_m: float, high_m: float, deep_m: float = 0.0
    ) -> tuple[Wall, float] | None:
        """A wall and a place along it for the middle of something, which is taken from now on; None where none was found.

        With ``deep_m`` it stands on the floor, too.
        """
        lengths = np.array([max(wall.length_m - wide_m, 0.0) for wall in self.walls])
        if high_m > self.height_m or not lengths.any():
            return None
        for _ in range(_TRIES):
            index = int(rng.choice(len(lengths), p=lengths / lengths.sum()))
            wall, along = self.walls[index], float(wide_m / 2 + rng.uniform(0, lengths[index]))
            if rng.random() < 0.3:  # corners are where most things end up
                along = float(rng.choice([wide_m / 2, wall.length_m - wide_m / 2]))
            if self.take_wall(index, Patch(along - wide_m / 2, along + wide_m / 2, low_m, high_m), deep_m):
                return wall, along
        return None

    def take_wall(self, index: int, patch: Patch, deep_m: float = 0.0) -> bool:
        """Takes a piece of wall, and of the floor before it, where all of it is free, and says whether it was."""
        free = self.wall_is_free(index, patch) and patch.high_m <= self.height_m
        corners = _corners(self.walls[index], patch.left_m, patch.right_m, _EDGE_M, deep_m)
        if not free or (deep_m > 0 and not self.take(corners)):
            return False
        self.patches[index].append(patch)
        return True

    def wall_is_free(self, index: int, patch: Patch) -> bool:
        """Whether nothing is there yet."""
        return not any(patch.meets(other) for other in self.patches[index])

    def on_floor(self, rng: np.random.Generator, wide_m: float, deep_m: float) -> tuple[float, float, float] | None:
        """x, y of the middle of the back edge and the turn of something that stands free; its floor is taken from now on."""
        for _ in range(_TRIES):
            x, y = rng.uniform(self._low, self.outline.max(axis=0)).tolist()
            yaw = float(rng.choice([0, 0.5, 1, 1.5]) * np.pi + (rng.normal(0, 0.1) if rng.random() < 0.5 else 0.0))
            spot = Wall((x, y), yaw, 0.0)
            if self.take(_corners(spot, -wide_m / 2, wide_m / 2, 0.0, deep_m)):
                return x, y, yaw
        return None

    def take(self, corners: F64) -> bool:
        """Takes the floor of a rectangle f64[4 2] where all of it is free, and says whether it was."""
        cells = self._cells(corners)
        if cells is None or self._taken[cells].any():
            return False
        self._taken[cells] = True
        return True

    def free_points(self) -> F32:
        """The middles of all free cells, f32[n 2]."""
        return np.asarray(np.argwhere(~self._taken) * CELL_M + CELL_M / 2 + self._low, np.float32)

    def _cells(self, corners: F64) -> tuple[np.ndarray, np.ndarray] | None:
        along, across = corners[1] - corners[0], corners[3] - corners[0]
        steps = [int(np.ceil(np.linalg.norm(side) / (0.7 * CELL_M))) + 1 for side in (along, across)]
        u, v = (np.linspace(0, 1, n) for n in steps)
        points = corners[0] + u[:, None, None] * along + v[None, :, None] * across
        index = np.floor((points.reshape(-1, 2) - self._low) / CELL_M).astype(int)
        if (index < 0).any() or (index >= self._taken.shape).any():
            return None
        return index[:, 0], index[:, 1]


def inside(points: F64, outline: F64) -> np.ndarray:
    """Whether points f64[... 2] lie inside a polygon f64[k 2]: an odd number of its edges is to their right."""
    result = np.zeros(points.shape[:-1], bool)
    x, y = points[..., 0], points[..., 1]
    for (x1, y1), (x2, y2) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y1 != y2:
            result ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return result


def _wall(start: F64, end: F64) -> Wall:
    x, y = (end - start).tolist()
    return Wall((float(start[0]), float(start[1])), atan2(y, x), float(np.hypot(x, y)))


def _corners(wall: Wall, left_m: float, right_m: float, back_m: float, front_m: float) -> F64:
    left_m, right_m = left_m + _EDGE_M, right_m - _EDGE_M
    return np.array(
        [wall.point(*place) for place in ((left_m, back_m), (right_m, back_m), (right_m, front_m), (left_m, front_m))]
    )
