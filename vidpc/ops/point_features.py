"""What the built-in point networks read of every point besides its place. Training and inference both call this.

A group of columns is named in a weights file; each group is a function of the thinned points of one block. What is relative to
something (local ground, ceiling, brightness) is relative to the block, so a block is as wide as what has to be seen at once.
No group tells where in the block a point lies: rooms and tiles have no preferred corner.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree

from vidpc.errors import PresetError, unknown_name

F32 = npt.NDArray[np.float32]

NEIGHBOURS = (12, 32)  # of the two local shapes: a stroke of a few points, and the surface around it
GROUND_CELLS_M = (4.0, 10.0, 30.0)  # a point's ground is looked for in the 3x3 cells around it: 12, 30 and 90 m wide
COLUMN_CELL_M = 0.2  # upright things fill the column of this width that they stand in
COLUMN_STEP_M = 0.1


@dataclass(frozen=True, slots=True)
class BlockPoints:
    """The thinned points of one block, z up.

    ``xyz`` f32[n 3] metres from an origin near the block, ``colour`` u8[n 3], ``intensity`` f32[n] as stored, ``returns``
    f32[n 2] the number of the return and how many its pulse had: None where the scan has none.
    """

    xyz: F32
    colour: npt.NDArray[np.uint8] | None = None
    intensity: F32 | None = None
    returns: F32 | None = None


def point_features(points: BlockPoints, names: Sequence[str]) -> F32:
    """The columns of the named groups side by side, f32[n c]. Values are about -3 to 3; what is missing is 0 and says so."""
    check_names(names)
    if not len(points.xyz):
        return np.zeros((0, features_width(names)), np.float32)
    return np.concatenate([_GROUPS[name][1](points) for name in names], axis=1, dtype=np.float32)


def features_width(names: Sequence[str]) -> int:
    """How many columns the named groups have together."""
    check_names(names)
    return sum(_GROUPS[name][0] for name in names)


def check_names(names: Sequence[str]) -> None:
    """Raises ``PresetError`` for a group that does not exist."""
    for name in names:
        if name not in _GROUPS:
            raise PresetError(unknown_name("group of point features", name, sorted(_GROUPS)))


def _ground(points: BlockPoints) -> F32:
    """Height above the lowest point of three windows, and depth below the highest of the smallest window."""
    heights = [np.clip((points.xyz[:, 2] - _lowest(points.xyz, cell)) / cell, 0, 3) for cell in GROUND_CELLS_M]
    upside_down = points.xyz * np.array([1, 1, -1], np.float32)
    depth = upside_down[:, 2] - _lowest(upside_down, GROUND_CELLS_M[0])
    return np.stack([*heights, np.clip(depth / GROUND_CELLS_M[0], 0, 3)], axis=1)


def _lowest(xyz: F32, cell_m: float) -> F32:
    """The least z in the 3x3 cells around every point, f32[n]."""
    cells = np.floor((xyz[:, :2] - xyz[:, :2].min(0)) / cell_m).astype(np.int64) + 1  # an empty cell on every side
    grid = np.full(cells.max(0) + 2, np.inf, np.float32)
    np.minimum.at(grid, (cells[:, 0], cells[:, 1]), xyz[:, 2])
    around = [grid[cells[:, 0] + dx, cells[:, 1] + dy] for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    lowest: F32 = np.minimum.reduce(around)
    return lowest


def _room(points: BlockPoints) -> F32:
    """Height above the floor, depth below the ceiling, place between both, and how much of the point's column is filled."""
    z = points.xyz[:, 2]
    floor, ceiling = np.quantile(z, [0.005, 0.995])
    tall = max(float(ceiling - floor), COLUMN_STEP_M)
    filled, below = _columns(points.xyz)
    steps = tall / COLUMN_STEP_M
    columns = [np.clip(z - floor, -1, 4), np.clip(ceiling - z, -1, 4), np.clip((z - floor) / tall, -0.5, 1.5)]
    return np.stack([*columns, np.clip(filled / steps, 0, 1), np.clip(below / steps, 0, 1)], axis=1).astype(np.float32)


def _columns(xyz: F32) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How many steps of every point's column hold points, and how many of them lie below the point, i64[n] each."""
    sizes = np.array([COLUMN_CELL_M, COLUMN_CELL_M, COLUMN_STEP_M])
    cells = np.floor((xyz - xyz.min(0)) / sizes).astype(np.int64)
    extent = cells.max(0) + 1
    column = cells[:, 0] * extent[1] + cells[:, 1]
    steps, place = np.unique(column * extent[2] + cells[:, 2], return_inverse=True)  # sorted by column, then height
    _, first, own, count = np.unique(steps // extent[2], return_index=True, return_inverse=True, return_counts=True)
    return count[own][place], (np.arange(len(steps)) - first[own])[place]


def _shape(points: BlockPoints) -> F32:
    """What the nearest points look like together: line, surface or bulk, upright or level, above or below their middle."""
    count = min(max(NEIGHBOURS), len(points.xyz))
    tree = cKDTree(points.xyz, balanced_tree=False, compact_nodes=False)
    # i64[n k], nearest first, the point itself among them
    _, neighbours = tree.query(points.xyz, k=range(1, count + 1), workers=torch.get_num_threads())
    offsets = points.xyz[neighbours] - points.xyz[:, None]  # f32[n k 3]
    return np.concatenate([_form(offsets[:, :near]) for near in NEIGHBOURS], axis=1)


def _form(offsets: F32) -> F32:
    """Seven figures of every point's neighbourhood, from the eigenvalues of its covariance, f32[n 7]."""
    mean = offsets.mean(1)
    centred = offsets - mean[:, None]
    covariance = np.matmul(centred.transpose(0, 2, 1), centred) / np.float32(offsets.shape[1])
    values, vectors = np.linalg.eigh(covariance)  # ascending
    low, middle, high = values.clip(1e-12).T.astype(np.float32)
    spread = np.sqrt(low + middle + high)
    level = vectors[:, 2, 0] ** 2  # 1 on level surfaces, 0 on upright ones
    along = vectors[:, 2, 2] ** 2  # 1 on upright strokes
    return np.stack(
        [
            (high - middle) / high,
            (middle - low) / high,
            np.sqrt(low / high),
            level,
            along,
            mean[:, 2] / spread,
            np.clip(np.log(spread), -4, 4) / 2,
        ],
        axis=1,
    ).astype(np.float32)


def _returns(points: BlockPoints) -> F32:
    """Whether the pulse had several returns, whether this is its last, and that it is known."""
    if points.returns is None:
        return np.zeros((len(points.xyz), 3), np.float32)
    number, of = points.returns.T
    return np.stack([of > 1, number >= of, np.ones(len(of))], axis=1).astype(np.float32)


def _intensity(points: BlockPoints) -> F32:
    """Brightness between the block's dark and bright points, and that it is known: units differ from scanner to scanner."""
    columns = np.zeros((len(points.xyz), 2), np.float32)
    if points.intensity is not None:
        dark, middle, bright = np.quantile(points.intensity, [0.1, 0.5, 0.9])
        if bright > dark:
            columns[:, 0] = np.clip((points.intensity - middle) / (bright - dark), -2, 2)
            columns[:, 1] = 1
    return columns


def _colour(points: BlockPoints) -> F32:
    """Red, green, blue from -1 to 1, and that they are known."""
    columns = np.zeros((len(points.xyz), 4), np.float32)
    if points.colour is not None and points.colour.any():  # many files have colours that are all black
        columns[:, :3] = points.colour / np.float32(127.5) - 1
        columns[:, 3] = 1
    return columns


def _position(points: BlockPoints) -> F32:
    """Metres from the least coordinates of the block: what published networks read, and no built-in one."""
    low: F32 = points.xyz.min(axis=0)
    return points.xyz - low


def _rgb(points: BlockPoints) -> F32:
    """Red, green, blue from 0 to 1, black where there is no colour, as published networks have it."""
    if points.colour is None:
        return np.zeros((len(points.xyz), 3), np.float32)
    return points.colour.astype(np.float32) / np.float32(255)


_GROUPS: dict[str, tuple[int, Callable[[BlockPoints], npt.NDArray[Any]]]] = {
    "ground": (4, _ground),
    "room": (5, _room),
    "shape": (7 * len(NEIGHBOURS), _shape),
    "returns": (3, _returns),
    "intensity": (2, _intensity),
    "colour": (4, _colour),
    "position": (3, _position),
    "rgb": (3, _rgb),
}
