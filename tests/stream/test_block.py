"""Points by place: what comes back tile by tile is what went in, in memory and on disk, with what lies around it."""

import gc
import shutil
import tempfile
import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from vidpc.errors import OutputError
from vidpc.stream.block import LabelStore, PointStore, StoreSize, Tile

SIZE = StoreSize(cell_m=1.0, tile_points=500)
ON_DISK = StoreSize(cell_m=1.0, tile_points=500, memory_points=300)


def scan(count: int = 2000, side_m: float = 20.0, seed: int = 0) -> np.ndarray:
    """Points in a square at map coordinates, not in any order."""
    random = np.random.default_rng(seed)
    return random.uniform(0, side_m, (count, 3)) + np.array([484_649, 6_632_630, 100])


def stored(xyz: np.ndarray, size: StoreSize, chunk: int = 170) -> PointStore:
    store = PointStore(size)
    for first in range(0, len(xyz), chunk):
        part = xyz[first : first + chunk]
        store.append(
            np.arange(first, first + len(part)), part, {"grey": (np.arange(first, first + len(part)) % 251).astype("u1")}
        )
    return store


def held(tile: Tile, halo_m: float = 0.0) -> np.ndarray:
    return np.concatenate([rows["index"] for rows in tile.pieces(halo_m=halo_m, points=64)])


def temporary_files() -> set[str]:
    """What open files of this process have no name any more."""
    links = Path("/proc/self/fd").iterdir()
    return {target for link in links if "(deleted)" in (target := str(link.readlink() if link.is_symlink() else ""))}


@pytest.mark.parametrize("size", [SIZE, ON_DISK], ids=["memory", "disk"])
def test_every_point_is_in_one_tile_with_all_its_values(size: StoreSize):
    xyz = scan()
    store = stored(xyz, size)
    tiles = store.tiles()
    assert store.is_on_disk == (size is ON_DISK)
    assert len(tiles) >= 4
    assert sorted(np.concatenate([held(tile) for tile in tiles])) == list(range(2000))
    for tile in tiles:
        assert tile.count == len(held(tile))
        assert tile.count <= 500 or (tile.low == tile.high).all()  # cells are no further divided
        for rows in tile.pieces():
            np.testing.assert_array_equal(rows["xyz"], xyz[rows["index"]])
            np.testing.assert_array_equal(rows["grey"], rows["index"] % 251)
            assert tile.owns(rows["xyz"]).all()


@pytest.mark.parametrize("size", [SIZE, ON_DISK], ids=["memory", "disk"])
@pytest.mark.parametrize("halo_m", [0.3, 1.0, 4.5])
def test_a_halo_is_what_lies_within_its_distance_of_the_tile(size: StoreSize, halo_m: float):
    xyz = scan()
    for tile in stored(xyz, size).tiles():
        low, high = tile.box
        near = ((xyz[:, :2] >= low - halo_m) & (xyz[:, :2] < high + halo_m)).all(axis=1)
        assert sorted(held(tile, halo_m)) == np.flatnonzero(near).tolist()
        own = np.concatenate([rows["index"][tile.owns(rows["xyz"])] for rows in tile.pieces(halo_m=halo_m)])
        assert sorted(own) == sorted(held(tile))


def test_pieces_are_no_larger_than_asked():
    [tile] = stored(scan(), StoreSize(cell_m=1.0, tile_points=10_000)).tiles()
    sizes = [len(rows) for rows in tile.pieces(points=64)]
    assert (max(sizes), sum(sizes)) == (64, 2000)


def test_cells_follow_the_density():
    sparse = stored(scan(side_m=10_000), StoreSize(cell_m=1.0, tile_points=500))
    assert len(sparse.tiles()) < 20
    assert sparse.cell_m >= 1024  # 2000 points on 100 km²: 64 in a cell of more than a kilometre
    dense = stored(scan(side_m=1.5), StoreSize(cell_m=4.0, tile_points=500))
    assert max(tile.count for tile in dense.tiles()) <= 500
    assert dense.cell_m < 1


def test_points_far_out_do_not_disturb():
    xyz = np.concatenate([scan(), [[1e9, -1e9, 0], [-1e9, 1e9, 5]]])
    tiles = stored(xyz, SIZE).tiles()
    assert sorted(np.concatenate([held(tile) for tile in tiles])) == list(range(2002))
    assert max(tile.count for tile in tiles) <= 500 + 2


@pytest.mark.parametrize("count", [1, 700])
def test_points_at_one_place_are_one_tile(count: int):
    store = stored(np.ones((count, 3)), ON_DISK)
    [tile] = store.tiles()
    assert sorted(held(tile, 2.0)) == list(range(count))


def test_no_points_are_no_tiles():
    store = PointStore(SIZE)
    store.append(np.empty(0, np.int64), np.empty((0, 3)), {})
    assert store.tiles() == []


def test_what_lies_on_disk_is_gone_when_the_store_is_closed_or_dropped():
    gc.collect()
    before = temporary_files()
    store = stored(scan(), ON_DISK)
    assert len(temporary_files() - before) == 1
    assert list(Path(tempfile.gettempdir()).glob("vidpc-*")) == []  # it never has a name
    store.close()
    store.close()
    assert temporary_files() == before
    with pytest.raises(ValueError, match="read after close"):
        store.read(0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dropped = stored(scan(), ON_DISK)
        assert dropped.is_on_disk
        del dropped
        gc.collect()
    assert temporary_files() == before


def test_a_disk_that_is_too_small_is_told_before_it_is_full(monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 10**9))
    stored(scan(), ON_DISK).close()
    with pytest.raises(OutputError, match=r"needs 41\.0 GB in the folder .* and 1\.0 GB are free: name another .* TMPDIR"):
        stored(scan(), StoreSize(1.0, 500, memory_points=300, expected_points=10**9 * 41 // 33))
    with pytest.raises(OutputError, match=r"needs 1\.8 GB in the folder"):
        LabelStore(300_000_000)


@pytest.mark.parametrize("memory_points", [0, 1000], ids=["disk", "memory"])
def test_labels_come_back_in_the_order_of_the_file(memory_points: int):
    labels = LabelStore(10, memory_points=memory_points)
    labels.put(np.array([7, 2]), np.array([3, 1]), np.array([0.5, 0.25], np.float32))
    labels.put(np.array([0]), np.array([12]), np.array([1], np.float32))
    for _ in range(2):
        runs = list(labels.runs(4, points=4))
        assert [(run.stream, run.first, len(run)) for run in runs] == [(4, 0, 4), (4, 4, 4), (4, 8, 2)]
        assert np.concatenate([run.label for run in runs]).tolist() == [12, -1, 1, -1, -1, -1, -1, 3, -1, -1]
        assert np.concatenate([run.confidence for run in runs]).tolist() == [1, 0, 0.25, 0, 0, 0, 0, 0.5, 0, 0]


def test_a_scan_without_points_has_no_labels():
    assert list(LabelStore(0).runs(0)) == []
