"""Cuts told from everything that is none: movement, light, noise, repeats."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from make_media import scene

from vidpc.media.read import read_videos
from vidpc.ops import cuts
from vidpc.types import Frame

WIDTH, HEIGHT = cuts.WIDTH, cuts.HEIGHT
# Real cuts by clip. The index has one more in arm_wrestling, where pictures show a camera that swings on, and misses the one in
# woman_throws_disc, before its last frame.
REAL = {"arm_wrestling": [], "house_a": [75, 125], "watermelon": [5], "woman_throws_disc": [149]}


def texture(seed):
    """A picture of large soft spots, so that a movement can be followed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (9, 16, 3)).astype(np.float32)
    rows, columns = np.linspace(0, 7.99, 2 * HEIGHT), np.linspace(0, 14.99, 2 * WIDTH)
    y, x = rows.astype(int), columns.astype(int)
    fy, fx = (rows - y)[:, None, None], (columns - x)[None, :, None]
    top = coarse[y][:, x] * (1 - fx) + coarse[y][:, x + 1] * fx
    low = coarse[y + 1][:, x] * (1 - fx) + coarse[y + 1][:, x + 1] * fx
    return top * (1 - fy) + low * fy


def panned(seed, count, speed):
    """Small pictures u8[54 96 3] of a camera that moves over a texture."""
    wide = texture(seed)
    return [wide[20 : 20 + HEIGHT, 5 + speed * k : 5 + speed * k + WIDTH].astype(np.uint8) for k in range(count)]


def scores(pictures):
    """The score of every step of a video."""
    glances = [cuts.glance(picture) for picture in pictures]
    steps = [cuts.step(one, other) for one, other in pairwise(glances)]
    return [
        cuts.score(one, steps[max(0, k - cuts.BEFORE) : k] + steps[k + 1 : k + 1 + cuts.AFTER]) for k, one in enumerate(steps)
    ]


def found(pictures):
    """The frames that begin a shot."""
    return [k + 1 for k, score in enumerate(scores(pictures)) if score >= cuts.THRESHOLD]


def test_a_cut_is_found_where_it_is():
    assert found(panned(0, 8, 2) + panned(1, 8, 2)) == [8]
    assert found(panned(0, 8, 0) + panned(1, 8, 0)) == [8]


def test_a_cut_at_the_first_and_at_the_last_step_is_found():
    assert found(panned(0, 1, 0) + panned(1, 6, 2)) == [1]
    assert found(panned(0, 6, 2) + panned(1, 1, 0)) == [6]
    assert found([panned(0, 1, 0)[0], panned(1, 1, 0)[0]]) == [1]


@pytest.mark.parametrize("speed", [1, 4, 10])
def test_a_pan_is_no_cut_however_fast(speed):
    assert found(panned(0, 8, speed)) == []


def test_noise_still_pictures_and_black_are_no_cuts():
    rng = np.random.default_rng(0)
    noisy = [np.clip(p + rng.normal(0, 8, p.shape), 0, 255).astype(np.uint8) for p in panned(0, 6, 0)]
    assert found(noisy) == []
    assert found([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 5) == []


def test_a_fade_is_no_cut():
    bright = panned(0, 12, 1)
    assert found([(p * (1 - k / 12)).astype(np.uint8) for k, p in enumerate(bright)]) == []


def test_a_repeat_before_fast_movement_is_no_reason_for_a_cut():
    frames = panned(0, 9, 8)
    assert found([*frames[:4], frames[3], *frames[5:]]) == []


def test_a_repeat_is_told_from_a_small_movement():
    still = scene(0, WIDTH, HEIGHT)
    coded = np.clip(still + np.random.default_rng(0).normal(0, 0.35, still.shape).round(), 0, 255).astype(np.uint8)
    moved = still.copy()
    moved[20:28, 40:52] = moved[20:28, 42:54]
    moved[20:28, 48:54] = 200
    one, again, other = map(cuts.glance, (still, coded, moved))
    assert cuts.repeats(one, again)
    assert not cuts.repeats(one, other)


@pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA names no folder of clips")
@pytest.mark.parametrize("name", REAL)
def test_cuts_of_real_clips(name):
    frames = read_videos([Path(os.environ["VIDPC_DATA"]) / "clips" / "raw" / f"{name}.mp4"])
    assert found([frame.rgb(WIDTH, HEIGHT) for frame in frames if isinstance(frame, Frame)]) == REAL[name]
