"""Cubes against plain dictionaries, at extents that no packed key could hold."""

import numpy as np
import pytest

from vidpc.ops import voxels as module
from vidpc.ops.voxels import voxels


def slow_cubes(xyz, size_m):
    """Points by cube, cubes in ascending order."""
    cubes = {}
    for i, point in enumerate(xyz):
        cubes.setdefault(tuple(np.floor(point / size_m)), []).append(i)
    return [cubes[cube] for cube in sorted(cubes)]


def scattered(scale, count=400):
    return (np.random.default_rng(3).random((count, 3)) - 0.5) * scale


CASES = {
    "room": (scattered([8, 6, 3]), 0.5),
    "metres of a map projection": (np.add(scattered([60, 60, 20]), [512_000, 5_430_000, 300]), 2.0),
    "a point a thousand kilometres off": (np.concatenate([scattered(4), [[1e9, -1e9, 5e8]], scattered(4)]), 0.5),
    "wider than 64 bits": (scattered(1e21), 0.01),
    "all in one": (scattered(1) + 5.0, 100.0),
    "on the borders": (np.random.default_rng(4).integers(-3, 3, (200, 3)).astype(np.float64), 1.0),
}


@pytest.mark.parametrize(("xyz", "size_m"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("keys", [1 << 62, 1 << 40, 1])  # sorted with their places, without, and numbered in between
def test_points_share_a_cube_as_in_the_slow_version(xyz, size_m, keys, monkeypatch):
    monkeypatch.setattr(module, "_KEYS", keys if keys > 1 else 1 << 34)
    if keys == 1:
        monkeypatch.setattr(module, "_SPAN", 1)  # every column is numbered by its values
    expected = slow_cubes(xyz, size_m)
    found = voxels(xyz, size_m)
    assert [cube.tolist() for cube in np.split(found.order, found.ends[:-1])] == expected
    assert [np.flatnonzero(found.inverse == i).tolist() for i in range(len(found))] == expected
    assert found.counts.tolist() == [len(cube) for cube in expected]


def test_rules_pick_the_first_the_next_and_the_most_central():
    xyz = np.array([[0.1, 0.1, 0.1], [2.9, 0.5, 0.5], [0.6, 0.5, 0.5], [0.9, 0.9, 0.9], [2.5, 0.4, 0.5], [2.5, 0.6, 0.5]])
    found = voxels(xyz, 1.0)  # cubes of points 0 2 3 and 1 4 5
    assert found.first().tolist() == [0, 1]
    assert [found.turn(i).tolist() for i in range(4)] == [[0, 1], [2, 4], [3, 5], [0, 1]]
    assert found.central(xyz).tolist() == [2, 4]  # of the equals 4 and 5 the first


def test_turns_start_over_in_a_cube_that_holds_fewer():
    found = voxels(np.array([[0.5, 0, 0], [1.5, 0, 0], [1.6, 0, 0], [1.7, 0, 0]]), 1.0)
    assert [found.turn(i).tolist() for i in range(4)] == [[0, 1], [0, 2], [0, 3], [0, 1]]


def test_drawn_points_lie_in_their_cubes_and_every_one_gets_its_turn():
    found = voxels(np.array([[0.5, 0, 0], [1.5, 0, 0], [1.6, 0, 0], [1.7, 0, 0]]), 1.0)
    random = np.random.default_rng(0)
    draws = {tuple(found.drawn(random).tolist()) for _ in range(60)}
    assert draws == {(0, 1), (0, 2), (0, 3)}
    again = [found.drawn(np.random.default_rng(7)).tolist() for _ in range(2)]
    assert again[0] == again[1]


def test_clouds_share_no_cube_and_come_one_after_the_other():
    xyz = np.array([[5.5, 0, 0], [0.5, 0, 0], [0.5, 0, 0], [0.6, 0, 0]])
    found = voxels(xyz, 1.0, cloud=np.array([0, 0, 1, 1]))
    assert found.first().tolist() == [1, 0, 2]


def test_no_points_lie_in_no_cubes():
    found = voxels(np.empty((0, 3)), 1.0)
    assert len(found) == 0
    assert found.first().tolist() == found.central(np.empty((0, 3))).tolist() == []
