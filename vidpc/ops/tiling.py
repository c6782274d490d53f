"""A tile of a scan thinned by voxel, cut into overlapping blocks, and the blocks' votes carried back to every point.

Thinner.add      points, piece by piece ──> one point a voxel (any, but always the same), found again by its key
cut              the thinned points in blocks: own points, and those around them
Votes            scores of a block added to its thinned points, weighted down towards the block's rim
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[Any]  # structured, with xyz f64[3]

_XY_BITS, _Z_BITS = 24, 15  # of a voxel's key: 800 km across, 1600 m high at 5 cm; what is further out shares the last voxels

_WIDEST = 1 << 12  # times a block's side: 49 km for blocks of 12 m, where float32 still has steps of 4 mm


class Thinner:
    """Keeps one point of every voxel: any of them, but the same whichever order they come in.

    Files are often sorted by object, where the first point of a voxel would favour some objects.
    """

    def __init__(self, voxel_m: float, *, shift: float = 0.0) -> None:
        """``shift`` moves the grid along all axes by this part of a voxel."""
        self._voxel_m, self._shift = voxel_m, shift
        self._base: F64 | None = None
        self.keys: I64 = np.empty(0, np.int64)  # ascending
        self._rows: Rows | None = None
        self.is_wanted: Mask = np.empty(0, np.bool_)  # by voxel: it holds a point that was wanted

    def add(self, rows: Rows, is_wanted: Mask) -> None:
        """Takes further points; ``is_wanted`` marks those that are going to ask for their voxel."""
        keys = self.keys_of(rows["xyz"])
        if self._rows is not None:
            keys = np.concatenate([self.keys, keys])
            rows = np.concatenate([self._rows, rows])
            is_wanted = np.concatenate([self.is_wanted, is_wanted])
        order = np.argsort(_shuffled(rows["index"], round(self._shift * 2**32)))
        self.keys, first, voxel = np.unique(keys[order], return_index=True, return_inverse=True)
        self._rows = rows[order[first]]
        self.is_wanted = np.bincount(voxel, weights=is_wanted[order], minlength=len(first)) > 0

    @property
    def rows(self) -> Rows:
        """The points that were kept, in the order of their voxels' keys."""
        if self._rows is None:
            raise ValueError("Thinner: no points were added")
        return self._rows

    def keys_of(self, xyz: F64) -> I64:
        """The voxel's key of each point, i64[n]."""
        cells = np.floor(xyz / self._voxel_m + self._shift)
        if self._base is None:  # the keys count from the first points; the grid itself hangs on the scan's origin
            half = np.array([1 << _XY_BITS, 1 << _XY_BITS, 1 << _Z_BITS]) / 2
            self._base = np.floor(np.median(cells, axis=0)) - half  # no stray point may move it
        last = [(1 << _XY_BITS) - 1, (1 << _XY_BITS) - 1, (1 << _Z_BITS) - 1]
        i, j, k = np.clip(cells - self._base, 0, last).astype(np.int64).T
        keys: I64 = (((i << _XY_BITS) + j) << _Z_BITS) + k
        return keys

    def find(self, xyz: F64) -> I64:
        """For points that were added, the number of their voxel, i64[n]."""
        return np.searchsorted(self.keys, self.keys_of(xyz))


def _shuffled(index: I64, seed: int) -> npt.NDArray[np.uint64]:
    """Numbers u64[n] as if drawn at random, a different one for each point of a scan: SplitMix64 (Steele et al. 2014)."""
    x = (index.astype(np.uint64) + np.uint64(seed << 31)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Block:
    """Thinned points that the model sees at once: their numbers i64[n], and the weight f32[n] of what it says of them."""

    index: I64
    weight: F32


@dataclass(frozen=True, slots=True)
class BlockShape:
    """A block has sides of at most ``side_m`` and ``most`` points, and around them a halo of ``halo_m``.

    With ``least`` points or fewer it may be wider, as far as float32 holds its coordinates: nothing is near them anyway, and a
    scan whose unit is not the metre would be a block a point.
    """

    side_m: float
    halo_m: float
    most: int
    least: int = 0


def cut(xy: F64, is_wanted: Mask, shape: BlockShape) -> Iterator[Block]:
    """Blocks that hold each wanted point of ``xy`` f64[n 2] once, with weight 1, and the points of their halo with less."""
    by_x = np.argsort(xy[:, 0], kind="stable")  # so that a block looks for its halo in a strip, not in the whole tile
    sorted_x = xy[by_x, 0]
    todo = [np.flatnonzero(is_wanted)]
    while todo:
        chosen = todo.pop()
        if not len(chosen):
            continue
        low, high = xy[chosen].min(axis=0), xy[chosen].max(axis=0)
        halves = _halves(xy[chosen], low, high - low, shape)
        if halves is not None:
            todo += [chosen[~halves], chosen[halves]]
            continue
        first = np.searchsorted(sorted_x, low[0] - shape.halo_m, side="left")
        last = np.searchsorted(sorted_x, high[0] + shape.halo_m, side="right")
        strip = np.sort(by_x[first:last])
        beyond = np.maximum(np.maximum(low - xy[strip], xy[strip] - high), 0).max(axis=1)
        is_near = beyond <= shape.halo_m
        weight = 1 - beyond[is_near] / (shape.halo_m or 1)
        yield Block(strip[is_near], np.maximum(weight, 0).astype(np.float32))


def _halves(xy: F64, low: F64, sides: F64, shape: BlockShape) -> Mask | None:
    """Which points go into the second half: where a side is too long by the side, where points are too many by the points."""
    axis = int(sides.argmax())
    side = float(sides[axis])
    is_small = side <= shape.side_m or (len(xy) <= shape.least and side <= _WIDEST * shape.side_m)
    if is_small and (len(xy) <= shape.most or not side):
        return None
    parts = int(np.ceil(side / shape.side_m))
    at = low[axis] + side * (parts // 2) / parts if parts > 1 else float(np.median(xy[:, axis]))
    second = xy[:, axis] > at
    return second if second.any() and not second.all() else xy[:, axis] > low[axis]


class Votes:
    """Sums of scores by thinned point, f32[n classes]."""

    def __init__(self, points: int, classes: int) -> None:
        self._scores = np.zeros((points, classes), np.float32)
        self._weight = np.zeros(points, np.float32)

    def add(self, block: Block, scores: F32) -> None:
        """What was said of a block's points, f32[n classes]; what is no number says nothing."""
        says = np.isfinite(scores).all(axis=1)
        index, weight = block.index[says], block.weight[says]
        self._scores[index] += scores[says] * weight[:, None]
        self._weight[index] += weight

    def mean(self, xyz: F64) -> F32:
        """The weighted mean of every point's scores; one of which nothing was said has those of the nearest that was seen."""
        is_seen = self._weight > 0
        weight: F32 = np.where(is_seen, self._weight, 1).astype(np.float32)
        means: F32 = np.divide(self._scores, weight[:, None], dtype=np.float32)
        if not is_seen.all() and is_seen.any():
            _, nearest = cKDTree(xyz[is_seen]).query(xyz[~is_seen])
            means[~is_seen] = means[is_seen][nearest]
        return means
