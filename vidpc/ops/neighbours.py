"""Which points lie near which, in packed clouds: k nearest neighbours, farthest-point sampling, three-point interpolation.

Clouds lie end to end: ``offsets`` i64[b] are their running ends, so cloud i is ``points[offsets[i - 1]:offsets[i]]``. No
cloud sees another, and no result depends on what it is packed with. On a CPU the searches are scipy's k-d trees; anywhere
else, plain tensor arithmetic.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree
from torch import Tensor

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# What the authors' kernel says of a neighbour that does not exist: the cloud's first point, at this squared distance.
ABSENT_SQUARED = 1e10
_BLOCK_ENTRIES = 1 << 26  # of a table of distances that is held at once
_INTERPOLATION_EPSILON = 1e-8


def nearest(points: Tensor, offsets: Tensor, queries: Tensor, query_offsets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` nearest points of every query's cloud, nearest first: index i64[m k] into ``points``, distance f32[m k].

    ``points`` f32[n 3] and ``queries`` f32[m 3] are packed by ``offsets`` and ``query_offsets`` i64[b]. Where a cloud has
    fewer than ``k`` points, the rest are its first point at a distance of 1e5, as in the authors' kernel.
    """
    _check_occupied(offsets, query_offsets)
    search = _nearest_by_tree if points.device.type == "cpu" else _nearest_by_table
    return search(points, offsets, queries, query_offsets, k)


def farthest(points: Tensor, offsets: Tensor, kept_offsets: Tensor) -> Tensor:
    """Farthest-point sampling, i64[m] into ``points`` f32[n 3]: ``kept_offsets`` i64[b] are the running ends of the samples.

    A cloud's first sample is its first point, each further one the point farthest from all samples so far, the first of
    equals. Exact: distances are the same float32 sums, whichever way is taken.
    """
    _check_occupied(offsets, kept_offsets)
    counts = lengths(kept_offsets)
    most = int(counts.max()) if len(counts) else 0
    if points.device.type != "cpu":
        picks, _ = _farthest_in_turn(points, offsets, most)
        return picks[torch.arange(most, device=picks.device) < counts[:, None]]
    picks, squared = _farthest_in_turn(points, offsets, min(most, _IN_TURN))
    return torch.from_numpy(
        _farthest_in_levels(points.numpy(), offsets.numpy(), picks.numpy(), squared.numpy(), counts.numpy())
    )


def interpolation(points: Tensor, offsets: Tensor, queries: Tensor, query_offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The three points that a query's value is blended of, i64[m 3], and their shares f32[m 3]: inverse distance, sum 1."""
    index, distance = nearest(points, offsets, queries, query_offsets, 3)
    inverse = 1 / (distance + _INTERPOLATION_EPSILON)
    return index, inverse / inverse.sum(dim=1, keepdim=True)


def lengths(offsets: Tensor) -> Tensor:
    """How many points each cloud has, i64[b], from running ends."""
    return offsets.diff(prepend=offsets.new_zeros(1))


def clouds_of(offsets: Tensor) -> Tensor:
    """Which cloud each point is of, i64[n], from running ends."""
    return torch.arange(len(offsets), device=offsets.device).repeat_interleave(lengths(offsets))


def _check_occupied(offsets: Tensor, query_offsets: Tensor) -> None:
    """Raises ``ValueError`` where something is asked of a cloud without points."""
    if len(offsets) != len(query_offsets):
        raise ValueError(f"{len(offsets)} clouds of points, but {len(query_offsets)} of queries")
    bare = (lengths(offsets) == 0) & (lengths(query_offsets) > 0)
    if bool(bare.any()):
        raise ValueError(f"cloud {int(bare.nonzero()[0])} has no points, but something is asked of it")


def _nearest_by_tree(points: Tensor, offsets: Tensor, queries: Tensor, query_offsets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``nearest`` with one k-d tree over all clouds, which a fourth coordinate keeps apart."""
    cloud = clouds_of(query_offsets)
    if not len(queries):
        return queries.new_zeros(0, k, dtype=torch.int64), queries.new_zeros(0, k)
    both = _apart(torch.cat([points, queries]), torch.cat([clouds_of(offsets), cloud]))
    tree: Any = cKDTree(both[: len(points)], compact_nodes=False, balanced_tree=False)
    found, index_found = tree.query(both[len(points) :], k=range(1, k + 1), workers=torch.get_num_threads())
    distance, index = torch.from_numpy(found).float(), torch.from_numpy(index_found)
    count = lengths(offsets)
    if int(count[lengths(query_offsets) > 0].min()) < k:
        absent = torch.arange(k) >= count[cloud][:, None]  # own points come first: other clouds are farther away
        index = torch.where(absent, (offsets - count)[cloud][:, None], index)
        distance = distance.masked_fill(absent, ABSENT_SQUARED**0.5)
    return index, distance


def _nearest_by_table(points: Tensor, offsets: Tensor, queries: Tensor, query_offsets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``nearest`` from all distances, a block of queries at a time against the clouds that the block touches."""
    cloud, count = clouds_of(query_offsets), lengths(offsets)
    first, end = offsets - count, offsets.tolist()
    rows = max(1, _BLOCK_ENTRIES // max(1, int(count.max()) if len(count) else 1))
    indices, distances = [], []
    for block, of in zip(queries.split(rows), cloud.split(rows), strict=True):
        low, high = int(first[of[0]]), end[int(of[-1])]
        squared = _squared(block[:, None], points[None, low:high])  # f32[rows columns]
        column = torch.arange(low, high, device=points.device)
        foreign = (column < first[of][:, None]) | (column >= offsets[of][:, None])
        squared.masked_fill_(foreign, torch.inf)
        best = squared.topk(min(k, high - low), largest=False)
        value = torch.nn.functional.pad(best.values, (0, k - best.values.shape[1]), value=torch.inf)
        index = torch.nn.functional.pad(best.indices + low, (0, k - best.indices.shape[1]))
        absent = torch.arange(k, device=points.device) >= count[of][:, None]
        indices.append(torch.where(absent, first[of][:, None], index))
        distances.append(value.masked_fill(absent, ABSENT_SQUARED).sqrt())
    if not indices:
        return queries.new_zeros(0, k, dtype=torch.int64), queries.new_zeros(0, k)
    return torch.cat(indices), torch.cat(distances)


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of broadcast points, summed x, y, z in this order: equal on every device and in numpy."""
    x, y, z = (a[..., axis] - b[..., axis] for axis in range(3))
    return x * x + y * y + z * z


def _apart(points: Tensor, cloud: Tensor) -> F64:
    """Points for a tree, f64[n 4]: the clouds lie farther apart in the fourth coordinate than any two points of one."""
    xyz = points.numpy().astype(np.float64)
    if not len(cloud) or int(cloud.max()) == 0:
        return xyz
    gap = 2 * float(np.linalg.norm(np.ptp(xyz, axis=0))) + 1
    return np.concatenate([xyz, cloud.numpy()[:, None] * gap], axis=1)


_IN_TURN = 192  # samples of a cloud that are taken one by one before whole levels are
_LEVEL = 0.5  # lower end of a level, as a share of the largest squared distance
_LEVEL_POINTS = 3000  # about how many points a level may hold: their pairs are listed


def _farthest_in_turn(points: Tensor, offsets: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` samples of every cloud, i64[b count], one after the other, and what the points are from them.

    The second result f32[n] is the squared distance of every point to the nearest sample.
    """
    length = lengths(offsets)
    first = offsets - length
    widest = int(length.max()) if len(length) else 0
    own = torch.arange(widest, device=points.device) < length[:, None]  # bool[b widest]
    padded = points.new_zeros(len(offsets), widest, 3)
    padded[own] = points
    x, y, z = padded.unbind(dim=2)
    squared = torch.where(own, ABSENT_SQUARED, -1.0).to(points.dtype)
    picks = torch.zeros(len(offsets), count, dtype=torch.int64, device=points.device)
    for step in range(count):
        if step:
            picks[:, step] = squared.argmax(dim=1)
        pick = picks[:, step, None]
        dx, dy, dz = x - x.gather(1, pick), y - y.gather(1, pick), z - z.gather(1, pick)
        torch.minimum(squared, dx.mul_(dx).add_(dy.mul_(dy)).add_(dz.mul_(dz)), out=squared)
    return picks + first[:, None], squared[own]


def _farthest_in_levels(xyz: F32, offsets: I64, picks: I64, squared: F32, counts: I64) -> I64:
    """All samples i64[m] of clouds whose first samples ``picks`` i64[b s] are known: the rest, many at a time.

    A point that no point farther out could come closer to is surely sampled, at the distance that it has. So a level, all
    points in a range of distances, is settled in a few rounds (``_settle``); then the rest learn of its samples. Sorted by
    their distance, the samples of a level are in the order in which they would have been found.
    """
    ends = counts.cumsum()
    samples = np.repeat(offsets - np.diff(offsets, prepend=0), counts)  # points that are equal to samples give their first
    done = np.minimum(counts, picks.shape[1])
    head = np.arange(picks.shape[1]) < done[:, None]
    samples[((ends - counts)[:, None] + np.arange(picks.shape[1]))[head]] = picks[head]
    if np.array_equal(done, counts):
        return samples
    cloud = np.repeat(np.arange(len(offsets)), np.diff(offsets, prepend=0))
    placed = _apart(torch.from_numpy(xyz), torch.from_numpy(cloud))
    tree: Any = cKDTree(placed, compact_nodes=False, balanced_tree=False)
    while True:
        squared[(done >= counts)[cloud]] = 0
        reach = squared.max()
        if reach == 0:
            return samples
        level = _level(squared, reach)
        new, value = _settle(xyz, placed, level, squared)
        order = np.lexsort((new, -value, cloud[new]))
        new = new[order]
        rank = np.arange(len(new)) - np.searchsorted(cloud[new], cloud[new])
        fits = rank < (counts - done)[cloud[new]]
        new, rank = new[fits], rank[fits]
        samples[(ends - counts + done)[cloud[new]] + rank] = new
        done += np.bincount(cloud[new], minlength=len(done))
        _learn(xyz, placed, tree, new, reach, squared)


def _level(squared: F32, reach: np.float32) -> I64:
    """The points of the next level: a range of distances below ``reach`` that holds not many more than it may."""
    level = np.flatnonzero(squared >= _LEVEL * reach)
    if len(level) > _LEVEL_POINTS:
        lowest = np.partition(squared[level], len(level) - _LEVEL_POINTS)[len(level) - _LEVEL_POINTS]
        level = level[squared[level] >= lowest]
    return level


def _settle(xyz: F32, placed: F64, level: I64, squared: F32) -> tuple[I64, F32]:
    """The samples among the points ``level``, in no order, and the squared distance at which each is found."""
    distance = squared[level]
    lowest, reach = distance.min(), float(distance.max()) ** 0.5 * (1 + 1e-6)
    tree: Any = cKDTree(placed[level], compact_nodes=False, balanced_tree=False)
    a, b = tree.query_pairs(reach, output_type="ndarray").T  # a < b, so of equals a comes first
    between = _squared_rows(xyz[level[a]], xyz[level[b]])
    samples, values = [], []
    live = np.ones(len(level), dtype=bool)
    while live.any():
        nearer = np.minimum(distance[a], distance[b])
        matters = (between < nearer) & (nearer >= lowest)
        a, b, between = a[matters], b[matters], between[matters]
        waits = np.zeros(len(level), dtype=bool)
        waits[np.where(distance[a] >= distance[b], b, a)] = True
        found = np.flatnonzero(live & ~waits)
        samples.append(level[found])
        values.append(distance[found])
        taken = np.zeros(len(level), dtype=bool)
        taken[found] = True
        np.minimum.at(distance, b[taken[a]], between[taken[a]])
        np.minimum.at(distance, a[taken[b]], between[taken[b]])
        distance[found] = 0
        live = distance >= lowest
    return np.concatenate(samples), np.concatenate(values)


def _learn(xyz: F32, placed: F64, tree: Any, new: I64, reach: np.float32, squared: F32) -> None:
    """Lowers ``squared`` to the distances to the ``new`` samples, none of which matters beyond ``reach`` (squared)."""
    new_tree: Any = cKDTree(placed[new], compact_nodes=False, balanced_tree=False)
    pairs = new_tree.sparse_distance_matrix(tree, float(reach) ** 0.5 * (1 + 1e-6), output_type="ndarray")
    sample, point = new[pairs["i"]], pairs["j"]
    np.minimum.at(squared, point, _squared_rows(xyz[point], xyz[sample]))


def _squared_rows(a: F32, b: F32) -> F32:
    """``_squared`` of rows, in numpy."""
    x, y, z = (a - b).T
    squared: F32 = x * x + y * y + z * z
    return squared
