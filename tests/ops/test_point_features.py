import numpy as np
import pytest

from vidpc.errors import PresetError
from vidpc.ops.point_features import BlockPoints, check_names, features_width, point_features

GROUPS = ("ground", "room", "shape", "returns", "intensity", "colour")


def grid(nx: int, ny: int, step: float = 0.5) -> np.ndarray:
    """A level grid of points at z = 0."""
    x, y = np.meshgrid(np.arange(nx) * step, np.arange(ny) * step, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.zeros(nx * ny)], axis=1).astype(np.float32)


def columns(points: BlockPoints, name: str) -> np.ndarray:
    return point_features(points, [name])


def test_unknown_groups_name_the_nearest():
    with pytest.raises(PresetError, match="intensity"):
        check_names(["intensty"])


def test_groups_stand_side_by_side_in_the_order_of_their_names():
    points = BlockPoints(grid(6, 6), returns=np.ones((36, 2), np.float32))
    both = point_features(points, ["returns", "ground"])
    np.testing.assert_array_equal(both[:, :3], columns(points, "returns"))
    np.testing.assert_array_equal(both[:, 3:], columns(points, "ground"))
    assert both.dtype == np.float32


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_points_give_finite_columns(count: int):
    found = point_features(BlockPoints(grid(5, 1)[:count]), GROUPS)
    assert found.shape == (count, features_width(GROUPS))
    assert np.isfinite(found).all()


def test_points_that_all_lie_at_one_place_give_finite_columns():
    assert np.isfinite(point_features(BlockPoints(np.ones((40, 3), np.float32)), GROUPS)).all()


def test_height_is_above_the_lowest_point_of_each_window():
    xyz = np.array([[0, 0, 100], [0.5, 0, 102], [11, 0, 95]], np.float32)  # the third is 2 cells of 4 m and 1 of 10 m away
    found = columns(BlockPoints(xyz), "ground")
    np.testing.assert_allclose(found[:, 0], [0, 2 / 4, 0], atol=1e-6)
    np.testing.assert_allclose(found[:, 1], [5 / 10, 7 / 10, 0], atol=1e-6)
    np.testing.assert_allclose(found[:, 3], [2 / 4, 0, 0], atol=1e-6)  # below the highest of the small window


def test_room_columns_are_metres_from_floor_and_ceiling():
    floor = grid(21, 21, 0.2)
    room = np.concatenate([floor, floor + np.array([0, 0, 3], np.float32), [[2.0, 2.0, 1.0]]]).astype(np.float32)
    last = columns(BlockPoints(room), "room")[-1]
    np.testing.assert_allclose(last[:3], [1, 2, 1 / 3], atol=1e-3)


def test_a_filled_column_is_told_from_two_levels():
    wall = np.stack([np.full(90, 0.05), np.full(90, 0.05), np.linspace(0.05, 2.95, 90)], axis=1)
    levels = np.array([[1.05, 0.05, 0.05], [1.05, 0.05, 2.95]])
    found = columns(BlockPoints(np.concatenate([wall, levels]).astype(np.float32)), "room")
    assert found[:90, 3].min() > 0.9
    assert found[90:, 3].max() < 0.1


def test_shape_tells_level_upright_and_line():
    level = grid(12, 12)
    upright = level[:, [0, 2, 1]] + np.array([100, 0, 0], np.float32)
    line = np.stack([np.zeros(60), np.zeros(60) - 100, np.arange(60) * 0.1], axis=1).astype(np.float32)
    found = columns(BlockPoints(np.concatenate([level, upright, line]).astype(np.float32)), "shape")
    middle = 5 * 12 + 5
    assert found[middle, 3] > 0.99  # the normal points up
    assert found[144 + middle, 3] < 0.01
    assert found[middle, 1] > 0.5  # planar
    assert found[288 + 30, 0] > 0.99  # linear
    assert found[288 + 30, 4] > 0.99  # along the vertical


def test_nothing_depends_on_where_the_block_lies():
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 20, (300, 3)).astype(np.float32)
    moved = xyz + np.array([64, -32, 8], np.float32)
    for name in ("ground", "room", "shape"):
        np.testing.assert_allclose(columns(BlockPoints(xyz), name), columns(BlockPoints(moved), name), atol=2e-3)


def test_returns_say_several_last_and_known():
    points = BlockPoints(grid(3, 1), returns=np.array([[1, 1], [1, 2], [2, 2]], np.float32))
    np.testing.assert_array_equal(columns(points, "returns"), [[0, 1, 1], [1, 0, 1], [1, 1, 1]])


def test_intensity_is_the_same_in_any_unit():
    values = np.arange(100, dtype=np.float32)
    first = columns(BlockPoints(grid(10, 10), intensity=values), "intensity")
    second = columns(BlockPoints(grid(10, 10), intensity=values * 600 + 50), "intensity")
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert first[49, 0] == pytest.approx(-0.5 / 79.2, abs=1e-6)  # 49 between median 49.5, deciles 9.9 and 89.1


@pytest.mark.parametrize(
    "points",
    [
        BlockPoints(grid(4, 1)),
        BlockPoints(grid(4, 1), np.zeros((4, 3), np.uint8), np.full(4, 7, np.float32)),
    ],
    ids=["absent", "constant"],
)
def test_what_is_missing_is_zero_and_says_so(points: BlockPoints):
    assert not point_features(points, ["intensity", "colour", "returns"]).any()


def test_colours_run_from_minus_one_to_one():
    colour = np.array([[0, 255, 0]], np.uint8)
    np.testing.assert_allclose(columns(BlockPoints(grid(1, 1), colour), "colour"), [[-1, 1, -1, 1]])
