"""Thinning, blocks and votes of a tile, against plain slow versions."""

import numpy as np
import pytest

from vidpc.ops.tiling import Block, BlockShape, Thinner, Votes, cut


def rows_of(xyz: np.ndarray) -> np.ndarray:
    rows = np.empty(len(xyz), [("index", "<i8"), ("xyz", "<f8", (3,))])
    rows["index"], rows["xyz"] = np.arange(len(xyz)), xyz
    return rows


def cloud(count: int = 500, side_m: float = 4.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, side_m, (count, 3)) + np.array([484_649, 6_632_630, -3])


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_one_point_of_every_voxel_is_kept_whatever_the_order(shift: float):
    xyz = cloud()
    rows, cells = rows_of(xyz), [tuple(cell) for cell in np.floor(xyz / 0.8 + shift)]
    kept = []
    for order in (np.arange(len(rows)), np.random.default_rng(1).permutation(len(rows))):
        thinner = Thinner(0.8, shift=shift)
        for part in np.array_split(rows[order], 7):
            thinner.add(part, np.ones(len(part), np.bool_))
        kept.append(thinner.rows["index"][thinner.find(xyz)].tolist())
    assert kept[0] == kept[1]
    assert [cells[number] for number in kept[0]] == cells
    assert len(set(kept[0])) == len(set(cells))


def test_no_part_of_a_file_is_preferred():
    """The points of two halves of a file, one after the other, fill the same voxels."""
    xyz = np.concatenate([cloud(20_000), cloud(20_000) + 0.001])
    thinner = Thinner(0.5)
    thinner.add(rows_of(xyz), np.ones(len(xyz), np.bool_))
    assert 0.4 < (thinner.rows["index"] < 20_000).mean() < 0.6
    again = Thinner(0.5, shift=0.5)
    again.add(rows_of(xyz), np.ones(len(xyz), np.bool_))
    assert len(set(again.rows["index"]) & set(thinner.rows["index"])) < 0.1 * len(thinner.rows)


def test_a_voxel_is_wanted_where_any_of_its_points_is():
    xyz = np.array([[0.1, 0, 0], [1.5, 0, 0], [0.2, 0, 0], [3, 0, 0]])
    thinner = Thinner(1.0)
    thinner.add(rows_of(xyz)[:2], np.array([False, False]))
    thinner.add(rows_of(xyz)[2:], np.array([True, False]))
    assert dict(zip(thinner.rows["xyz"][:, 0].tolist(), thinner.is_wanted.tolist(), strict=True)) == {
        0.1: True,
        1.5: False,
        3.0: False,
    }


def test_points_far_out_have_voxels_as_well():
    xyz = np.array([[0.0, 0, 0], [1e9, 0, 0], [-1e9, 1e9, -1e9], [0, 0, 0]])
    thinner = Thinner(0.05)
    thinner.add(rows_of(xyz), np.ones(4, np.bool_))
    found = thinner.find(xyz)
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize("shape", [BlockShape(10, 1, 60), BlockShape(1.5, 0.5, 10_000), BlockShape(10, 0, 499)])
def test_every_wanted_point_is_in_one_block_with_full_weight(shape: BlockShape):
    xy, is_wanted = cloud()[:, :2], np.arange(500) % 3 > 0
    blocks = list(cut(xy, is_wanted, shape))
    assert len(blocks) > 1 or shape.most > 333
    own = [set(block.index[(block.weight == 1) & is_wanted[block.index]].tolist()) for block in blocks]
    assert set.union(*own) == set(np.flatnonzero(is_wanted).tolist())
    for block in blocks:
        core = xy[block.index[block.weight == 1]]
        low, high = core.min(axis=0), core.max(axis=0)
        assert (high - low).max() <= shape.side_m + 1e-9
        beyond = np.maximum(np.maximum(low - xy, xy - high), 0).max(axis=1)
        assert set(block.index.tolist()) == set(np.flatnonzero(beyond <= shape.halo_m).tolist())
        np.testing.assert_allclose(block.weight, 1 - beyond[block.index] / (shape.halo_m or 1), atol=1e-6)


def test_few_points_may_share_a_wide_block():
    xy = np.random.default_rng(0).uniform(0, 1000, (300, 2))
    narrow, wide = BlockShape(1, 0.5, 10_000), BlockShape(1, 0.5, 10_000, least=64)
    assert len(list(cut(xy, np.ones(300, np.bool_), narrow))) > 290
    blocks = list(cut(xy, np.ones(300, np.bool_), wide))
    assert len(blocks) <= 300 / 64 * 4
    assert sorted(np.concatenate([block.index[block.weight == 1] for block in blocks])) == list(range(300))
    far = np.concatenate([xy, [[1e9, 0]]])  # float32 has steps of 64 m there
    [alone] = [block for block in cut(far, np.ones(301, np.bool_), wide) if 300 in block.index]
    assert alone.index.tolist() == [300]


def test_points_at_one_place_are_one_block_however_many():
    assert [len(block.index) for block in cut(np.ones((50, 2)), np.ones(50, np.bool_), BlockShape(1, 1, 10))] == [50]


def test_nothing_wanted_is_no_block():
    assert list(cut(cloud()[:, :2], np.zeros(500, np.bool_), BlockShape(1, 1, 10))) == []


def test_votes_are_weighted_means_and_silent_points_ask_their_nearest_neighbour():
    votes = Votes(4, 2)
    votes.add(Block(np.array([0, 1]), np.array([1, 0.5], np.float32)), np.array([[1, 0], [1, 0]], np.float32))
    votes.add(Block(np.array([1, 2]), np.array([1.5, 1], np.float32)), np.array([[0, 1], [np.nan, 1]], np.float32))
    xyz = np.array([[0, 0, 0], [10, 0, 0], [9, 0, 0], [1, 0, 0.0]])
    # point 1: (0.5 of the first, 1.5 of the second) / 2; point 2 was told no number, its nearest is 1; nobody spoke of 3
    np.testing.assert_allclose(votes.mean(xyz), [[1, 0], [0.25, 0.75], [0.25, 0.75], [1, 0]])


def test_votes_that_were_never_cast_are_zero():
    assert Votes(2, 3).mean(np.zeros((2, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]
