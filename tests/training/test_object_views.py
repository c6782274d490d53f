import numpy as np
import pytest

from vidpc.training.object_views import ViewOptions, view

PLAIN = ViewOptions(stretch=0, shear=0, tilt_deg=0, noise=0, cut=0, uneven=0)


@pytest.fixture
def box():
    """A box twice as long as wide, upright, f32[600 3]."""
    rng = np.random.default_rng(0)
    return (rng.uniform(-1, 1, (600, 3)) * (0.6, 0.3, 0.7)).astype(np.float32)


def distances(cloud):
    return np.sort(np.linalg.norm(cloud[:, None] - cloud[None], axis=-1).ravel())


def test_a_plain_view_is_the_shape_turned_about_the_vertical(box):
    for seed in range(5):
        seen = view(box, 600, np.random.default_rng(seed), PLAIN)
        scale = 1 / np.linalg.norm(box - (box.max(axis=0) + box.min(axis=0)) / 2, axis=1).max()
        assert np.allclose(np.sort(seen[:, 2]), np.sort(scale * box[:, 2]), atol=0.02)
        assert np.allclose(distances(seen) / distances(seen).max(), distances(box) / distances(box).max(), atol=1e-4)


@pytest.mark.parametrize("points", [256, 600, 1000])
def test_views_have_the_points_that_were_asked_for_within_distance_one(box, points):
    seen = view(box, points, np.random.default_rng(1), ViewOptions())
    assert (seen.shape, seen.dtype) == ((points, 3), np.float32)
    assert np.linalg.norm(seen, axis=1).max() == pytest.approx(1, abs=1e-6)
    assert np.allclose((seen.max(axis=0) + seen.min(axis=0)) / 2, 0, atol=0.35)


def test_no_point_is_seen_twice_where_there_are_enough(box):
    seen = view(box, 600, np.random.default_rng(2), PLAIN)
    assert len(np.unique(seen, axis=0)) == 600


def test_equal_seeds_give_equal_views_and_others_do_not(box):
    a, b, c = (view(box, 300, np.random.default_rng(seed), ViewOptions()) for seed in (3, 3, 4))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)


def test_a_cut_takes_one_side_away(box):
    options = ViewOptions(stretch=0, shear=0, tilt_deg=0, noise=0, cut=1, cut_share=0.5, uneven=0)
    kept = [len(np.unique(view(box, 600, np.random.default_rng(seed), options), axis=0)) for seed in range(20)]
    assert min(kept) < 400
    assert min(kept) >= 300


def test_an_uneven_view_has_a_denser_side(box):
    sides = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        seen = view(box, 200, rng, ViewOptions(stretch=0, shear=0, tilt_deg=0, noise=0, cut=0, uneven=1))
        sides.append(np.linalg.norm(seen.mean(axis=0)))
    even = [np.linalg.norm(view(box, 200, np.random.default_rng(seed), PLAIN).mean(axis=0)) for seed in range(30)]
    assert np.mean(sides) > 1.5 * np.mean(even)
