from dataclasses import replace

import numpy as np
import pytest

from vidpc.errors import PresetError
from vidpc.ops.point_features import BlockPoints
from vidpc.training.scan_views import ViewOptions, area_m2, view
from vidpc.training.scans import LabelledPoints

STILL = ViewOptions(
    thinned=0, uneven=0, faded=0, stretch=0, stretch_z=0, slope=0, jitter_m=0, holes=0, strays=0, mixed=0,
    no_intensity=0, no_returns=0, no_colour=0,
)  # fmt: skip


def ground(count: int = 4000, side: float = 20.0) -> LabelledPoints:
    rng = np.random.default_rng(0)
    xyz = np.stack([rng.uniform(0, side, count), rng.uniform(0, side, count), np.zeros(count)], axis=1)
    points = BlockPoints(
        xyz.astype(np.float32),
        np.full((count, 3), 100, np.uint8),
        np.full(count, 50, np.float32),
        np.ones((count, 2), np.float32),
    )
    return LabelledPoints(points, np.arange(count) % 3)


def seen(options: ViewOptions, seed: int = 0, block: LabelledPoints | None = None) -> LabelledPoints:
    block = block or ground()
    return view(block, lambda: block, options, np.random.default_rng(seed))


def test_the_area_is_that_of_the_ground_covered():
    assert area_m2(ground().xyz) == pytest.approx(400, rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_turning_keeps_distances_and_heights(seed: int):
    before, after = ground(50), seen(STILL, seed, ground(50))
    np.testing.assert_allclose(after.xyz[:, 2], before.xyz[:, 2], atol=1e-5)
    lengths = [np.linalg.norm(b.xyz[:, None] - b.xyz[None], axis=-1) for b in (before, after)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-3)


def test_half_of_the_views_are_mirrored():
    def sense(block: LabelledPoints) -> float:
        a, b = (block.xyz[1:3] - block.xyz[0])[:, :2]
        return float(np.sign(a[0] * b[1] - a[1] * b[0]))

    before = sense(ground(3))
    mirrored = [sense(seen(STILL, seed, ground(3))) != before for seed in range(40)]
    assert 10 <= sum(mirrored) <= 30


def test_densities_of_every_order_of_magnitude_are_seen():
    counts = np.array([len(seen(replace(STILL, thinned=1, least_density=0.1), seed)) for seed in range(40)])
    assert counts.min() < 200  # own density is 10 a square metre: 4000 points
    assert counts.max() > 2000
    assert 5 <= (counts < 400).sum() <= 35


def test_classes_are_thinned_each_to_a_share_of_its_own():
    counts = np.bincount(seen(replace(STILL, uneven=1)).label)
    assert counts.min() >= 0.2 * 4000 / 3
    assert counts.max() - counts.min() > 100


def test_holes_are_round_and_empty():
    options = replace(STILL, holes=1, hole_m=4)
    assert len(seen(options)) < 4000


def test_slopes_leave_walls_upright():
    block = ground(400)
    above = LabelledPoints(replace(block.points, xyz=block.xyz + np.array([0, 0, 5], np.float32)), block.label)
    both = LabelledPoints(BlockPoints(np.concatenate([block.xyz, above.xyz])), np.concatenate([block.label, above.label]))
    tilted = seen(replace(STILL, slope=0.5), 5, both).xyz
    np.testing.assert_allclose(tilted[400:] - tilted[:400], np.tile([0, 0, 5], (400, 1)), atol=1e-3)
    assert np.ptp(tilted[:400, 2]) > 0.05


def test_strays_have_no_class():
    found = seen(replace(STILL, strays=1))
    assert 4000 < len(found) <= 4005
    assert (found.label[4000:] == -1).all()
    assert (np.abs(found.xyz[4000:, 2]) >= 1 - 1e-6).all()


def test_a_piece_of_another_block_stands_on_the_same_ground():
    other = ground()
    other = LabelledPoints(replace(other.points, xyz=other.xyz + np.array([500, 0, 70], np.float32)), np.full(len(other), 9))
    found = view(ground(), lambda: other, replace(STILL, mixed=1, piece_m=4), np.random.default_rng(2))
    piece = found.label == 9
    assert 20 < piece.sum() < 2000
    np.testing.assert_allclose(found.xyz[piece, 2], 0, atol=1e-4)
    assert np.ptp(found.xyz[piece, :2], axis=0).max() <= 8 + 1e-3


def test_columns_are_missing_as_often_as_asked():
    options = replace(STILL, no_intensity=0.5, no_colour=1)
    views = [seen(options, seed, ground(60)).points for seed in range(40)]
    assert 10 <= sum(points.intensity is None for points in views) <= 30
    assert all(points.colour is None for points in views)
    assert all(points.returns is not None for points in views)


def test_shares_are_shares():
    with pytest.raises(PresetError, match=r"no_colour is 1\.5"):
        replace(STILL, no_colour=1.5)
