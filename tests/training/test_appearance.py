import numpy as np

from vidpc.training.appearance import COSINES, LEVELS, Look, apply_look, draw_look

SAME = np.tile((LEVELS * 255).round().astype(np.uint8), (3, 1))
PLAIN = Look(SAME, grey=False, shrink=1.0, quality=0, noise=0.0)


def picture():
    rng = np.random.default_rng(3)
    return np.repeat(np.repeat(rng.integers(0, 256, (5, 7, 3), np.uint8), 8, axis=0), 8, axis=1)[:37, :51]


def look(**changes):
    return Look(**{"curves": SAME, "grey": False, "shrink": 1.0, "quality": 0, "noise": 0.0, **changes})


def test_a_plain_look_changes_nothing():
    assert (apply_look(picture(), PLAIN, np.random.default_rng(0)) == picture()).all()


def test_curves_act_on_each_colour():
    inverted = SAME.copy()
    inverted[1] = 255 - SAME[1]
    seen = apply_look(picture(), look(curves=inverted), np.random.default_rng(0))
    assert (seen[..., 1] == 255 - picture()[..., 1]).all()
    assert (seen[..., [0, 2]] == picture()[..., [0, 2]]).all()


def test_grey_has_one_value_a_pixel():
    seen = apply_look(picture(), look(grey=True), np.random.default_rng(0))
    assert (seen == seen[..., :1]).all()


def test_the_block_transform_keeps_lengths():
    np.testing.assert_allclose(COSINES @ COSINES.T, np.eye(8), atol=1e-6)


def test_compression_loses_more_at_lower_quality_and_nothing_of_a_flat_picture():
    rng = np.random.default_rng(1)
    noisy = rng.integers(60, 200, (32, 48, 3), np.uint8)
    losses = [np.abs(apply_look(noisy, look(quality=quality), rng).astype(int) - noisy).mean() for quality in (30, 60, 95)]
    assert losses[0] > losses[1] > losses[2] > 0
    flat = np.full((32, 48, 3), 128, np.uint8)
    assert np.abs(apply_look(flat, look(quality=60), rng).astype(int) - 128).max() <= 4


def test_drawn_looks_keep_size_and_type():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        seen = apply_look(picture(), draw_look(rng), rng)
        assert (seen.shape, seen.dtype) == (picture().shape, np.uint8)
