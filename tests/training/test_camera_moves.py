"""Camera moves: their ways have the sign and the size that they claim, and the pictures show them."""

import math

import numpy as np
import pytest

from vidpc.training import camera_moves
from vidpc.training.camera_moves import MOVES, MoveOptions, Path, filmed, path
from vidpc.training.clips import flow_of

COUNT, RATE_FPS = 31, 15.0  # two seconds
SECONDS = 2.0
OPTIONS = MoveOptions()
SEEDS = range(12)
EASED = (0.15, 2.0)  # how much slower or faster than drawn a way may be on the whole: its ease and its unsteadiness
WAVES_AT_MOST = math.sqrt(12)  # six waves at once, of deviation 1 together
JITTER = OPTIONS.hand * WAVES_AT_MOST


def way(move, seed, count=COUNT, **options):
    return path(move, count, RATE_FPS, np.random.default_rng(seed), MoveOptions(**options))


def texture(side=320):
    """A picture u8[side side 3] with detail of 20 pixels and more."""
    y, x = np.mgrid[:side, :side].astype(float)
    waves = np.random.default_rng(0).uniform(-1, 1, (16, 3))
    luma = 128 + 18 * sum(np.sin(2 * math.pi * (fx * x + fy * y) / 24 + 6 * phase) for fx, fy, phase in waves)
    return np.repeat(luma.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)


def seen(move, seed, count=13, **options):
    """The flow f32[count-1 2 16 16] of a move over the texture, without the outermost cells."""
    rng = np.random.default_rng((seed, 7))
    shown = filmed(texture()[None], way(move, seed, count, **options), rng, 64)
    return flow_of(shown)[:, :, 2:-2, 2:-2].astype(np.float64)


@pytest.mark.parametrize(
    ("move", "axis", "sign"), [("pan left", 0, -1), ("pan right", 0, 1), ("tilt up", 1, -1), ("tilt down", 1, 1)]
)
def test_a_pan_and_a_tilt_go_where_they_say_and_hardly_aside(move, axis, sign):
    for seed in SEEDS:
        moved = way(move, seed)
        along, aside = sign * moved.middle[:, axis], moved.middle[:, 1 - axis]
        gone = along[-1] - along[0]
        slowest, fastest = OPTIONS.pan
        assert slowest * EASED[0] * SECONDS - 2 * JITTER <= gone <= fastest * EASED[1] * SECONDS + 2 * JITTER
        assert (np.diff(along) > -2 * JITTER).all()
        assert np.abs(aside - aside[0]).max() <= OPTIONS.aside * (gone + 2 * JITTER) + 2 * JITTER
        assert not moved.size.any()
        assert not moved.turn.any()


@pytest.mark.parametrize(("move", "sign"), [("zoom in", -1), ("zoom out", 1)])
def test_a_zoom_changes_the_size_of_the_view(move, sign):
    for seed in SEEDS:
        moved = way(move, seed)
        grown = sign * (moved.size[-1] - moved.size[0])
        assert OPTIONS.zoom[0] * EASED[0] * SECONDS <= grown <= OPTIONS.zoom[1] * EASED[1] * SECONDS
        assert (sign * np.diff(moved.size) > 0).all()
        assert np.abs(moved.middle - moved.middle[0]).max() <= OPTIONS.aside * grown + 2 * JITTER


def test_a_roll_turns_the_view_either_way():
    turned = [way("roll", seed).turn for seed in SEEDS]
    for turn in turned:
        steps = np.diff(turn)
        assert (steps > 0).all() or (steps < 0).all()
        assert OPTIONS.roll[0] * EASED[0] * SECONDS <= abs(turn[-1]) <= OPTIONS.roll[1] * EASED[1] * SECONDS
    assert {np.sign(turn[-1]) for turn in turned} == {-1, 1}


def test_a_shake_goes_to_and_fro_and_nowhere():
    for seed in SEEDS:
        moved = way("shake", seed, count=91)
        deviations = moved.middle.std(axis=0)
        # A view is shaken by 0.4 to 1 of the strength that is drawn; the deviation of six seconds of waves is near their own.
        assert (0.4 * OPTIONS.shake[0] * 0.6 < deviations).all()
        assert (deviations < OPTIONS.shake[1] * 1.5).all()
        steps = np.diff(moved.middle, axis=0)
        turns = (steps[1:] * steps[:-1] < 0).sum(axis=0)
        assert (turns >= 2 * OPTIONS.shake_hz[0] * 6 * 0.7).all()  # a wave turns twice in its period


def test_a_camera_that_stands_does_not_move_at_all():
    stood = way("still", 3)
    assert not np.concatenate([stood.middle.ravel(), stood.size, stood.turn]).any()


@pytest.mark.parametrize("move", MOVES)
def test_equal_seeds_give_equal_pictures(move):
    first, second, third = (filmed(texture(96)[None], way(move, s, 5), np.random.default_rng(s), 32) for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert (first.shape, first.dtype) == ((5, 32, 32, 3), np.uint8)


# what the pictures show


@pytest.mark.parametrize(
    ("move", "axis", "sign"), [("pan left", 0, 1), ("pan right", 0, -1), ("tilt up", 1, 1), ("tilt down", 1, -1)]
)
def test_content_moves_against_the_camera(move, axis, sign):
    for seed in (1, 2):
        flow = np.median(seen(move, seed, pan=(0.2, 0.8)), axis=(2, 3))
        assert (sign * flow[:, axis] > 0.1).all()
        assert np.abs(flow[:, 1 - axis]).sum() < 0.4 * np.abs(flow[:, axis]).sum()


def around(flow):
    """What every step of the flow grows by and turns by, per pixel of distance from the middle."""
    cells = (np.arange(flow.shape[-1]) - (flow.shape[-1] - 1) / 2) * 4
    y, x = np.meshgrid(cells, cells, indexing="ij")
    far = (x * x + y * y).sum()
    growth = (flow[:, 0] * x + flow[:, 1] * y).sum(axis=(1, 2)) / far
    turn = (flow[:, 1] * x - flow[:, 0] * y).sum(axis=(1, 2)) / far
    return growth, turn


@pytest.mark.parametrize(("move", "sign"), [("zoom in", 1), ("zoom out", -1)])
def test_content_grows_under_a_camera_that_zooms_in(move, sign):
    for seed in (1, 2):
        growth, turn = around(seen(move, seed, zoom=(0.3, 0.6)))
        expected = -np.diff(way(move, seed, 13, zoom=(0.3, 0.6)).size)
        assert (sign * growth > 0).all()
        np.testing.assert_allclose(growth, expected, atol=0.01)
        assert np.abs(turn).max() < 0.01


def test_content_turns_against_a_camera_that_rolls():
    for seed in (1, 2, 3):
        growth, turn = around(seen("roll", seed, roll=(0.3, 0.8)))
        expected = -np.diff(way("roll", seed, 13, roll=(0.3, 0.8)).turn)
        np.testing.assert_allclose(turn, expected, atol=0.01)
        assert np.abs(growth).max() < 0.01


def test_a_shaken_picture_turns_back_often_and_a_still_one_rests():
    flow = np.median(seen("shake", 1, count=25, shake=(0.03, 0.04)), axis=(2, 3))
    turns = (flow[1:] * flow[:-1] < 0).sum(axis=0)
    assert (turns >= 3).all()
    assert (np.abs(flow).max(axis=0) > 0.3).all()
    rest = np.median(seen("still", 1), axis=(2, 3))
    assert np.abs(rest).max() < 0.05  # the noise of a sensor moves nothing on the whole


@pytest.mark.parametrize(("zoom", "turn"), [(0.0, 0.0), (-0.3, 0.4)])
def test_the_view_is_where_the_way_says(zoom, turn):
    side = 400
    y, x = np.mgrid[:side, :side] + 0.5
    places = np.stack([x / side * 255, y / side * 255, 0 * x], axis=-1)  # colours say where a pixel was read
    t = np.linspace(0, 1, 5)
    moved = Path(np.stack([0.5 * t, -0.2 * t], axis=1), zoom * t, turn * t)
    shown = filmed(places.round().astype(np.uint8)[None], moved, np.random.default_rng(0), 64)
    u = (np.arange(64) + 0.5) / 64 - 0.5
    slopes = np.tensordot(shown[..., :2].astype(float), u, axes=(2, 0)).mean(axis=1) / (u**2).sum() / 255  # along a row: x, y
    middles = shown[..., :2].mean(axis=(1, 2)) / 255
    widths, turns = np.hypot(*slopes.T), np.arctan2(slopes[:, 1], slopes[:, 0])
    np.testing.assert_allclose(widths / widths[0], np.exp(moved.size), atol=0.01)
    np.testing.assert_allclose(turns, moved.turn, atol=0.01)
    np.testing.assert_allclose((middles - middles[0]), moved.middle * widths[:, None], atol=0.005)


@pytest.mark.parametrize("move", MOVES)
def test_the_view_never_leaves_the_pictures(move, monkeypatch):
    read = []
    sample = camera_moves.F.grid_sample
    monkeypatch.setattr(
        camera_moves.F, "grid_sample", lambda source, grid, **how: read.append(grid) or sample(source, grid, **how)
    )
    picture = texture(96)[None]
    shown = [filmed(picture, way(move, seed, 5), np.random.default_rng(seed), 64) for seed in SEEDS]
    assert len(read) == sum(pictures is not None for pictures in shown) > 6
    assert max(float(grid.abs().max()) for grid in read) <= 1


def test_pictures_that_move_themselves_are_shown_in_their_order():
    pictures = np.stack([np.full((64, 64, 3), 40 * k, np.uint8) for k in range(5)])
    shown = filmed(pictures, way("pan left", 0, 5), np.random.default_rng(0), 32)
    # Noise is cut off below 0, which the first picture lies at: half of its deviation of 3 at most
    np.testing.assert_allclose(shown.mean(axis=(1, 2, 3)), [0, 40, 80, 120, 160], atol=1.5)


def test_a_way_that_is_too_long_for_its_picture_is_not_filmed():
    far = Path(np.stack([np.linspace(0, 30, 5), np.zeros(5)], axis=1), np.zeros(5), np.zeros(5))
    assert filmed(texture(320)[None], far, np.random.default_rng(0), 64) is None
