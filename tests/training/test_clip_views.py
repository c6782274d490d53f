"""Views of clips: their spans by hand, and motion that stays that of the pictures."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from vidpc.ops.flow import optical_flow
from vidpc.training.clip_views import ClipViews, View, flipped, span, starts, varied
from vidpc.training.clips import LUMA, Clip, Footage, flow_of

SAME = ClipViews(least_crop=1, squeeze=0, flips=0, speed=0, contrast=0, brightness=0, tint=0, grey=0)
WAVES = np.random.default_rng(2).uniform(-1, 1, (12, 3))


def counted(count, flow=True):
    """Footage whose picture k is of grey k, and whose step k moves by (k + 1, 0)."""
    pictures = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 16, 16, 3))
    steps = np.zeros((count - 1, 2, 4, 4), np.float16)
    steps[:, 0] = np.arange(1, count)[:, None, None]
    return Footage(Clip(Path("x"), "hug", "g"), pictures, steps if flow else None)


def drifting(side=64, count=3, speed=(1.0, -0.5)):
    """A smooth picture that moves by ``speed`` pixels from picture to picture, with its flow."""
    y, x = np.mgrid[:side, :side].astype(float)
    shown = []
    for k in range(count):
        waves = sum(
            np.sin(2 * math.pi * (fx * (x - k * speed[0]) + fy * (y - k * speed[1])) / 17 + 6 * phase)
            for fx, fy, phase in WAVES
        )
        shown.append(np.repeat((128 + 20 * waves).clip(0, 255)[..., None], 3, axis=2))
    pictures = np.stack(shown).round().astype(np.uint8)
    return Footage(Clip(Path("x"), "pan", "g"), pictures, flow_of(pictures))


def greys(view):
    return (view.pictures[:, 0, 0, 0] * 255).round().int().tolist()


def steps(view):
    return view.flow[:, 0, 0, 0].int().tolist()


def test_a_span_holds_the_pictures_that_are_needed_and_the_motion_of_all_ticks():
    view = span(counted(20), np.arange(9), np.array([2, 6]), 5)
    assert view.pictures.shape == (2, 3, 16, 16)
    assert greys(view) == [7, 11]
    assert steps(view) == [6, 7, 8, 9, 10, 11, 12, 13]  # from picture 5 to 6, …, from 12 to 13


def test_a_span_past_the_end_repeats_the_last_picture_and_rests():
    view = span(counted(8), np.arange(9), np.array([2, 6]), 4)
    assert greys(view) == [6, 7]
    assert steps(view) == [5, 6, 7, 0, 0, 0, 0, 0]
    alone = span(counted(1), np.arange(9), np.array([2, 6]), 0)
    assert (greys(alone), steps(alone)) == ([0, 0], [0] * 8)


def test_a_span_of_pictures_that_are_not_neighbours():
    view = span(counted(20, flow=False), np.array([0, 4, 8]), np.arange(3), 3)
    assert greys(view) == [3, 7, 11]
    assert view.flow is None


@pytest.mark.parametrize(
    ("count", "length", "hop", "expected"),
    [(20, 9, 4, [0, 4, 8, 11]), (17, 9, 4, [0, 4, 8]), (9, 9, 4, [0]), (10, 9, 4, [0, 1]), (3, 9, 4, [0])],
)
def test_windows_side_by_side_end_with_the_clip(count, length, hop, expected):
    assert starts(counted(count), length, hop) == expected


def test_a_view_flipped_twice_is_the_same_and_once_has_its_motion_turned():
    footage = drifting()
    view = span(footage, np.arange(3), np.arange(3), 0)
    once = flipped(view)
    assert torch.equal(once.pictures[..., 0], view.pictures[..., -1])
    measured = torch.from_numpy(flow_of(np.ascontiguousarray(footage.pictures[:, :, ::-1])).astype(np.float32))
    # half precision; pyramids of an even side are mirrored exactly, sums of windows but for rounding
    torch.testing.assert_close(once.flow, measured, rtol=0, atol=0.01)
    again = flipped(once)
    assert torch.equal(again.pictures, view.pictures)
    assert torch.equal(again.flow, view.flow)
    bare = View(view.pictures, None)
    assert flipped(bare).flow is None


def test_a_view_that_may_not_differ_is_the_clip():
    view = span(drifting(), np.arange(3), np.arange(3), 0)
    same = varied(view, np.random.default_rng(0), SAME, 64)
    torch.testing.assert_close(same.pictures, view.pictures)
    torch.testing.assert_close(same.flow, view.flow)


def test_motion_is_scaled_with_the_crop():
    view = span(drifting(), np.arange(3), np.arange(3), 0)
    options = ClipViews(least_crop=0.5, squeeze=0.3, flips=0, speed=0, contrast=0, brightness=0, tint=0, grey=0)
    drawn = 0
    for seed in range(6):
        cut = varied(view, np.random.default_rng(seed), options, 48)
        assert cut.pictures.shape == (3, 3, 48, 48)
        luma = torch.einsum("tchw,c->thw", cut.pictures, torch.from_numpy(LUMA))
        measured = optical_flow(luma[None])[0, :, :, 2:-2, 2:-2].mean(dim=(0, 2, 3))
        scaled = cut.flow[:, :, 2:-2, 2:-2].mean(dim=(0, 2, 3))
        # The flow that is measured of pictures that were enlarged is as exact as that of tests/ops/test_flow.py.
        torch.testing.assert_close(scaled, measured, rtol=0.1, atol=0.1)
        drawn += abs(float(scaled[0] / scaled[1] + 2)) > 0.2  # squeezed: one axis is scaled by more than the other
    assert drawn >= 2


def test_a_larger_picture_without_motion_is_cropped_to_a_square():
    view = View(torch.rand(2, 3, 32, 56, generator=torch.Generator().manual_seed(0)), None)
    whole = varied(view, np.random.default_rng(3), SAME, 32)
    fits = [torch.allclose(whole.pictures, view.pictures[..., x : x + 32]) for x in range(0, 25, 4)]
    assert sum(fits) == 1
    assert whole.flow is None


def test_speed_multiplies_motion_and_nothing_else():
    view = span(drifting(), np.arange(3), np.arange(3), 0)
    faster = varied(view, np.random.default_rng(1), ClipViews(**{**fields(SAME), "speed": 0.5}), 64)
    factors = faster.flow / view.flow
    assert factors[view.flow != 0].std() < 1e-5
    assert abs(math.log(float(factors[view.flow != 0].mean()))) > 0.01
    torch.testing.assert_close(faster.pictures, view.pictures)


def test_light_changes_colours_alone_and_within_bounds():
    view = span(drifting(), np.arange(3), np.arange(3), 0)
    dimmed = varied(view, np.random.default_rng(1), ClipViews(**{**fields(SAME), "contrast": 0.3, "brightness": 0.15}), 64)
    torch.testing.assert_close(dimmed.flow, view.flow)
    before, after = view.pictures.flatten(), dimmed.pictures.flatten()
    # A line: contrast is its slope, and brightness what the middle is moved by.
    slope = float((after - after.mean()) @ (before - before.mean()) / ((before - before.mean()) ** 2).sum())
    torch.testing.assert_close(after - after.mean(), slope * (before - before.mean()), rtol=1e-3, atol=1e-4)
    assert 0.3 < slope < 3
    assert 0 < abs(float(after.mean() - before.mean())) < 0.75  # five deviations


def test_a_grey_view_has_no_colours_and_a_tinted_one_has():
    view = View(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), None)
    grey = varied(view, np.random.default_rng(0), ClipViews(**{**fields(SAME), "grey": 1.0}), 16).pictures[0]
    torch.testing.assert_close(grey[0], grey[2])
    torch.testing.assert_close(grey[0], view.pictures[0].mean(dim=0))
    tinted = varied(view, np.random.default_rng(0), ClipViews(**{**fields(SAME), "tint": 0.1}), 16).pictures[0]
    shifts = (tinted - view.pictures[0]).flatten(1)
    assert shifts.std(dim=1).max() < 1e-5
    assert len({round(float(shift), 3) for shift in shifts[:, 0]}) == 3


def test_equal_seeds_give_equal_views():
    view = span(drifting(), np.arange(3), np.arange(3), 0)
    first, second, third = (varied(view, np.random.default_rng(seed), ClipViews(), 32) for seed in (4, 4, 5))
    assert torch.equal(first.pictures, second.pictures)
    assert torch.equal(first.flow, second.flow)
    assert not torch.equal(first.pictures, third.pictures)


def test_crops_are_resized_between_pixels():
    view = View(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)), None)
    enlarged = varied(view, np.random.default_rng(0), SAME, 48).pictures
    torch.testing.assert_close(enlarged, interpolate(view.pictures, size=(48, 48), mode="bilinear", align_corners=False))


def fields(options):
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
