"""The authors' test of Point Transformer: passes over voxels, each in chunks that overlap, as their code has them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vidpc.ops.voxels import Voxels

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SEED = 123  # of the authors' test
_FNV_START, _FNV_PRIME = 14695981039346656037, 1099511628211


def hashed_voxels(xyz: F64, size_m: float) -> Voxels:
    """The cubes that points f64[n 3], least coordinates 0, lie in, in the order of their 64-bit FNV-1 hashes.

    Points whose hashes are equal count as one cube's, and keep their own order.
    """
    hashes = fnv(np.floor(xyz / size_m).astype(np.int64))
    order = hashes.argsort(kind="stable")
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return Voxels(size_m, inverse.astype(np.int64), order, counts.cumsum())


def fnv(cells: I64) -> npt.NDArray[np.uint64]:
    """The FNV-1 hash of every row of ``cells`` i64[n c], a number at a time, u64[n]."""
    hashes = np.full(len(cells), _FNV_START, np.uint64)
    for column in cells.astype(np.uint64).T:
        hashes *= np.uint64(_FNV_PRIME)
        hashes ^= column
    return hashes


def potential_chunks(xyz: F64, most: int, potential: F64) -> Iterator[I64]:
    """The points of ``xyz`` f64[n 3] in chunks of the ``most`` nearest to a centre, i64[m], until every point was in one.

    The next centre is the point with the least ``potential`` f64[n], which small random numbers begin; a chunk raises that of
    its points, near its centre the most. A cloud of at most ``most`` points is one chunk.
    """
    if len(xyz) <= most:
        yield np.arange(len(xyz))
        return
    potential = potential.copy()
    is_seen = np.zeros(len(xyz), np.bool_)
    while not is_seen.all():
        squared = np.square(xyz - xyz[potential.argmin()]).sum(axis=1)
        chunk = np.argpartition(squared, most - 1)[:most]
        chunk = chunk[np.argsort(squared[chunk], kind="stable")]  # nearest first, as the authors have them
        near = squared[chunk]
        potential[chunk] += np.square(1 - near / max(near[-1], np.finfo(np.float64).tiny))
        is_seen[chunk] = True
        yield chunk
