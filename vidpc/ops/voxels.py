"""Points by the cube of space they lie in: a cloud thinned to one point a cube, whatever its extent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_KEYS = 1 << 62  # numbers that a key may have
_SPAN = 1 << 31  # of one column: as many times as many points as fit into memory are fewer than _KEYS


@dataclass(frozen=True, slots=True)
class Voxels:
    """Which of n points lie together in which of m occupied cubes; the rules pick a point of each."""

    size_m: float
    inverse: I64  # i64[n], the cube of every point
    order: I64  # i64[n], points by cube; those of one cube in their own order
    ends: I64  # i64[m], running ends in ``order``

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def counts(self) -> I64:
        """How many points every cube holds, i64[m]."""
        return np.diff(self.ends, prepend=0)

    def first(self) -> I64:
        """Each cube's first point, i64[m]."""
        return self.turn(0)

    def turn(self, i: int) -> I64:
        """Each cube's point number ``i`` modulo how many it has, i64[m]: enough turns show every point."""
        points: I64 = self.order[self.ends - self.counts + i % self.counts]
        return points

    def drawn(self, random: np.random.Generator) -> I64:
        """A point of each cube, drawn evenly, i64[m]."""
        points: I64 = self.order[self.ends - self.counts + random.integers(self.counts)]
        return points

    def central(self, xyz: F64) -> I64:
        """Each cube's point nearest to the cube's middle, the first of equals, i64[m]."""
        if not len(self):
            return self.first()
        off = xyz[self.order] / self.size_m
        squared = np.square(off - np.floor(off) - 0.5).sum(axis=1)
        least = np.minimum.reduceat(squared, self.ends - self.counts)
        nearest = np.flatnonzero(squared == least.repeat(self.counts))
        points: I64 = self.order[nearest[np.searchsorted(nearest, self.ends - self.counts)]]
        return points


def voxels(xyz: F64, size_m: float, *, cloud: I64 | None = None) -> Voxels:
    """The cubes of a fixed grid, ``size_m`` wide, that finite points ``xyz`` f64[n 3] lie in, x slowest.

    The grid starts at zero, so a point's cube does not depend on the other points. Points of different clouds ``cloud``
    i64[n], ascending, share no cube, and the cubes come cloud by cloud.
    """
    if not len(xyz):
        return Voxels(size_m, *(np.empty(0, dtype=np.int64) for _ in range(3)))
    cells = np.floor(xyz / size_m)
    return grouped([*([] if cloud is None else [cloud.astype(np.float64)]), *cells.T], size_m)


def grouped(columns: Sequence[F64], size_m: float) -> Voxels:
    """Points that are equal in all ``columns`` of whole numbers f64[n] together, the first column slowest."""
    n = len(columns[0])
    key, keys = _keys(columns)
    if keys * n < _KEYS:  # sorting numbers is several times faster than sorting places by them
        both = np.sort(key * n + np.arange(n))
        order, ordered = both % n, both // n
    else:
        order = key.argsort(kind="stable")
        ordered = key[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    ends = np.flatnonzero(last) + 1
    inverse = np.empty(n, dtype=np.int64)
    inverse[order] = np.cumsum(last) - last
    return Voxels(size_m, inverse, order, ends)


def _keys(columns: Sequence[F64]) -> tuple[I64, int]:
    """A number for every row, i64[n], equal for equal rows and in the order of rows, and how many numbers there may be."""
    key, keys = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        low = column.min()
        span = int(column.max() - low) + 1
        if span > _SPAN:  # a point far out: count the values that there are
            number, span = _ranked(column)
        else:
            number = (column - low).astype(np.int64)
        if keys * span > _KEYS:
            key, keys = _ranked(key)
        key, keys = key * span + number, keys * span
    return key, keys


def _ranked(column: npt.NDArray[Any]) -> tuple[I64, int]:
    """The place of every value among all different ones, i64[n], and how many there are."""
    values, rank = np.unique(column, return_inverse=True)
    return rank.astype(np.int64), len(values)
