from pathlib import Path

import numpy as np
import pytest

from vidpc.errors import PresetError
from vidpc.ops.point_features import BlockPoints
from vidpc.training.scans import LabelledPoints, classes_of, joined, load, one_a_voxel, tiles

CODES = ((2,), (3, 4, 5))


def block(xyz: np.ndarray, **columns: np.ndarray) -> LabelledPoints:
    return LabelledPoints(BlockPoints(xyz.astype(np.float32), **columns), np.arange(len(xyz)))


def cube(side: int = 8, seed: int = 0) -> LabelledPoints:
    return block(np.random.default_rng(seed).uniform(0, side, (600, 3)))


def write(path: Path, label: list[int], xyz: np.ndarray) -> Path:
    np.savez(path, xyz=xyz, label=np.array(label))
    return path


def test_labels_become_classes_and_others_none():
    np.testing.assert_array_equal(classes_of(np.array([2, 5, 3, 6, 1]), CODES), [0, 1, 1, -1, -1])


def test_scans_lose_nothing_of_large_coordinates(tmp_path: Path):
    xyz = np.array([[770500.25, 6277500.5, 20.125], [770501.25, 6277500.5, 20.125]])
    (scan,) = load(write(tmp_path / "tile.npz", [2, 4], xyz), CODES)
    assert scan.name == "tile"
    np.testing.assert_array_equal(scan.block.xyz[1] - scan.block.xyz[0], [1, 0, 0])
    np.testing.assert_array_equal(scan.block.label, [0, 1])


def test_points_without_a_place_are_left_out(tmp_path: Path):
    xyz = np.array([[0, 0, 0], [np.nan, 0, 0], [1, 0, 0]])
    (scan,) = load(write(tmp_path / "tile.npz", [2, 4, 4], xyz), CODES)
    np.testing.assert_array_equal(scan.block.label, [0, 1])


def test_a_folder_gives_its_scans_by_name(tmp_path: Path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}.npz", [2], np.zeros((1, 3)))
    (tmp_path / "notes.md").write_text("not a scan")
    assert [scan.name for scan in load(tmp_path, CODES)] == ["a", "b"]


def test_a_folder_without_scans_is_refused(tmp_path: Path):
    with pytest.raises(PresetError, match="no scan in this folder"):
        load(tmp_path, CODES)


def test_points_without_labels_are_refused(tmp_path: Path):
    np.savez(tmp_path / "bare.npz", xyz=np.zeros((3, 3)))
    with pytest.raises(PresetError, match=r"bare\.npz: the points have no label"):
        load(tmp_path / "bare.npz", CODES)


def test_one_point_of_every_voxel_is_kept():
    points = cube()
    kept = one_a_voxel(points.xyz, 2.0, np.random.default_rng(3))
    assert len(np.unique(kept)) == len(kept)
    assert 4**3 <= len(kept) <= 5**3  # 4 cells along 8 m, 5 where the grid begins in between


def test_which_point_of_a_voxel_is_kept_is_chance():
    points = cube()
    first, again, other = (set(one_a_voxel(points.xyz, 2.0, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_point_is_in_one_tile_and_in_the_halo_of_its_neighbours():
    points = cube()
    seen = np.zeros(len(points), int)
    for near, inside in tiles(points, core_m=3.0, halo_m=1.0):
        seen[near[inside]] += 1
        low, high = points.xyz[near[inside], :2].min(0), points.xyz[near[inside], :2].max(0)
        assert ((points.xyz[near, :2] > low - 2) & (points.xyz[near, :2] < high + 2)).all()
        assert len(near) > inside.sum()
    assert (seen == 1).all()


def test_a_turned_box_holds_its_corners():
    corners = block(np.array([[1.4, 0, 0], [0.8, 0.8, 0], [1.2, 0, 0]]))
    np.testing.assert_array_equal(corners.in_box(np.zeros(2), 2.0), [False, True, False])
    np.testing.assert_array_equal(corners.in_box(np.zeros(2), 2.0, np.pi / 4), [True, False, True])


def test_joined_scans_keep_only_what_all_have():
    first = block(np.zeros((2, 3)), intensity=np.ones(2, np.float32), colour=np.zeros((2, 3), np.uint8))
    second = block(np.zeros((1, 3)), intensity=np.zeros(1, np.float32))
    both = joined([first, second])
    np.testing.assert_array_equal(both.points.intensity, [1, 1, 0])
    assert both.points.colour is None
    np.testing.assert_array_equal(both.label, [0, 1, 0])
