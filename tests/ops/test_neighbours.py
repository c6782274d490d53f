"""Searches against plain loops, on clouds that are packed together, tiny, full of ties or of doubles."""

import os

import numpy as np
import pytest
import torch

from vidpc.ops import neighbours
from vidpc.ops.neighbours import farthest, interpolation, nearest

ABSENT = 1e5  # distance of a neighbour that does not exist
ROUNDING = 1e-6  # float32 distances of about 1, summed another way


def slow_nearest(points, queries, k):
    """One query after the other, all distances in float64, sorted."""
    index, distance = [], []
    for query in queries.double():
        far = (points.double() - query).square().sum(1).sqrt()
        order = far.argsort(stable=True)[:k].tolist()
        index.append(order + [0] * (k - len(order)))
        distance.append(far[order].tolist() + [ABSENT] * (k - len(order)))
    return torch.tensor(index), torch.tensor(distance)


def slow_farthest(points, count):
    """One sample after the other in float32: what the authors' kernel does."""
    x, y, z = points.numpy().T
    squared, samples = np.full(len(x), 1e10, dtype=np.float32), [0]
    for _ in range(count - 1):
        dx, dy, dz = x - x[samples[-1]], y - y[samples[-1]], z - z[samples[-1]]
        squared = np.minimum(squared, dx * dx + dy * dy + dz * dz)
        samples.append(int(squared.argmax()))
    return samples


def packed(*clouds):
    """Clouds as one tensor and their running ends."""
    clouds = [torch.as_tensor(np.asarray(cloud), dtype=torch.float32) for cloud in clouds]
    return torch.cat(clouds), torch.tensor([len(cloud) for cloud in clouds]).cumsum(0)


def grid(side):
    """Points of a cubic lattice: nothing but ties."""
    return np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3) * 0.1


@pytest.fixture
def random():
    return np.random.default_rng(5)


SEARCHES = {"tree": neighbours._nearest_by_tree, "table": neighbours._nearest_by_table}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("block", [1 << 26, 900])  # of the table: all at once, and a few queries at a time
def test_neighbours_are_those_of_the_slow_search_cloud_by_cloud(random, search, block, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_ENTRIES", block)
    clouds = [random.random((300, 3)), random.random((5, 3)), random.random((120, 3)) * 40 + 1000, random.random((1, 3))]
    asked = [random.random((40, 3)), random.random((7, 3)), np.empty((0, 3)), random.random((3, 3)) * 90]
    points, offsets = packed(*clouds)
    queries, query_offsets = packed(*asked)
    index, distance = search(points, offsets, queries, query_offsets, 8)
    begin = 0
    for end, asked_end, asked_begin in zip(
        offsets.tolist(), query_offsets.tolist(), [0, *query_offsets.tolist()], strict=False
    ):
        expected, far = slow_nearest(points[begin:end], queries[asked_begin:asked_end], 8)
        assert index[asked_begin:asked_end].equal(expected.reshape(-1, 8) + begin)
        assert torch.allclose(distance[asked_begin:asked_end], far.reshape(-1, 8), rtol=ROUNDING, atol=ROUNDING)
        begin = end


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_doubles_are_neighbours_at_no_distance(search):
    points, offsets = packed([[1, 2, 3]] * 4, [[1, 2, 3], [1, 2, 4]])
    index, distance = search(points, offsets, points, offsets, 3)
    assert distance.tolist() == [[0, 0, 0]] * 4 + [[0, 1, pytest.approx(ABSENT)]] * 2
    assert index[:4].max() < 4
    assert index[4:].tolist() == [[4, 5, 4], [5, 4, 4]]


def test_nothing_asked_gives_nothing():
    points, offsets = packed([[0, 0, 0]])
    index, distance = nearest(points, offsets, torch.empty(0, 3), torch.tensor([0]), 4)
    assert index.shape == distance.shape == (0, 4)
    assert farthest(points, offsets, torch.tensor([0])).shape == (0,)


def test_a_cloud_without_points_cannot_be_asked():
    points, offsets = packed([[0, 0, 0]], np.empty((0, 3)))
    with pytest.raises(ValueError, match="cloud 1 has no points"):
        nearest(points, offsets, points, torch.tensor([0, 1]), 1)
    with pytest.raises(ValueError, match="cloud 1 has no points"):
        farthest(points, offsets, torch.tensor([1, 2]))


def clouds_to_sample(random):
    scattered = random.random((900, 3))
    return {
        "scattered": scattered,
        "flat": random.random((1500, 3)) * [20, 10, 0.01],
        "ties": grid(9),
        "doubles": np.repeat(random.random((200, 3)), 4, axis=0),
        "dense spot": np.concatenate([random.random((500, 3)) * 100, random.random((700, 3))]),
        "one point": scattered[:1],
        "far from zero": random.random((800, 3)) * 3 + 5000,
    }


@pytest.mark.parametrize("in_turn", [8, 192])
@pytest.mark.parametrize("level_points", [60, 3000])
@pytest.mark.parametrize("share", [0.25, 0.9])
def test_samples_are_those_of_the_slow_loop_in_its_order(random, monkeypatch, in_turn, level_points, share):
    monkeypatch.setattr(neighbours, "_IN_TURN", in_turn)
    monkeypatch.setattr(neighbours, "_LEVEL_POINTS", level_points)
    points, offsets = packed(*clouds_to_sample(random).values())
    counts = [max(1, int(share * n)) for n in neighbours.lengths(offsets).tolist()]
    found = farthest(points, offsets, torch.tensor(counts).cumsum(0)).tolist()
    begin, expected = 0, []
    for end, count in zip(offsets.tolist(), counts, strict=True):
        expected += [begin + sample for sample in slow_farthest(points[begin:end], count)]
        begin = end
    assert found == expected


def test_sampling_in_turn_alone_gives_the_same(random):
    points, offsets = packed(*clouds_to_sample(random).values())
    counts = torch.tensor([max(1, n // 4) for n in neighbours.lengths(offsets).tolist()])
    picks, _ = neighbours._farthest_in_turn(points, offsets, int(counts.max()))
    in_turn = picks[torch.arange(picks.shape[1]) < counts[:, None]]
    assert in_turn.equal(farthest(points, offsets, counts.cumsum(0)))


def test_sampling_everything_of_doubles_repeats_the_first_point():
    points, offsets = packed([[9, 9, 9]], [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert farthest(points, offsets, offsets).tolist() == [0, 1, 3, 1, 1]


def test_interpolation_shares_fall_with_distance_not_its_square():
    points, offsets = packed([[0, 0, 0], [4, 0, 0], [9, 0, 0], [100, 0, 0]])
    index, share = interpolation(points, offsets, torch.tensor([[1.0, 0, 0]]), torch.tensor([1]))
    assert index.tolist() == [[0, 1, 2]]  # 1, 3 and 8 away: 24, 8 and 3 parts of 35
    assert share[0].tolist() == pytest.approx([24 / 35, 8 / 35, 3 / 35], rel=1e-6)


def test_interpolation_at_a_point_is_that_point():
    points, offsets = packed([[0, 0, 0], [4, 0, 0], [9, 0, 0]])
    _, share = interpolation(points, offsets, points, offsets)
    assert share.amax(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available() and os.environ.get("VIDPC_NEED_CUDA") != "1", reason="no GPU")
def test_the_gpu_finds_the_same(random):
    points, offsets = packed(*clouds_to_sample(random).values())
    counts = torch.tensor([max(1, n // 4) for n in neighbours.lengths(offsets).tolist()]).cumsum(0)
    there = farthest(points.cuda(), offsets.cuda(), counts.cuda())
    assert there.cpu().equal(farthest(points, offsets, counts))
    _, distance = nearest(points.cuda(), offsets.cuda(), points.cuda(), offsets.cuda(), 16)
    assert torch.allclose(distance.cpu(), nearest(points, offsets, points, offsets, 16)[1], rtol=1e-5, atol=1e-6)
