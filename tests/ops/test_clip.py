"""Pictures of clips: sizes, crops, colours; against torchvision's own transform."""

import numpy as np
import pytest
import torch
from torchvision.transforms._presets import VideoClassification

from vidpc.ops import clip

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ROUNDING = 1e-6  # of a normalised value


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(90, 161), (161, 90), (64, 64), (33, 200), (256, 300)])
def test_torchvision_makes_the_same_clips(height, width):
    pictures = [noise(height, width, seed) for seed in range(2)]
    reference = VideoClassification(crop_size=(56, 56), resize_size=(64,), mean=MEAN, std=STD)
    expected = reference(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
    seen = [
        clip.views(clip.resized(picture, rule="antialiased", short_side=64), rule="antialiased", crop=56, crops=1, order="rgb")[
            0
        ]
        for picture in pictures
    ]
    found = clip.normalized(torch.from_numpy(np.stack(seen))[None], mean=MEAN, std=STD)[0]
    torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("height", "width", "resized"),
    [(90, 160, (56, 99, 3)), (160, 90, (99, 56, 3)), (64, 64, (56, 56, 3)), (20, 21, (56, 58, 3))],
)
@pytest.mark.parametrize("rule", ["float", "opencv", "antialiased"])
def test_the_short_side_is_met_and_the_long_one_rounded_down(rule, height, width, resized):
    found = clip.resized(noise(height, width), rule=rule, short_side=56)
    assert found.shape == resized
    assert found.dtype == (np.float32 if rule == "float" else np.uint8)


def test_a_picture_that_fits_is_left_as_it_is():
    picture = noise(56, 80)
    for rule in ("float", "opencv", "antialiased"):
        assert np.array_equal(clip.resized(picture, rule=rule, short_side=56), picture)


@pytest.mark.parametrize(
    ("rule", "height", "width", "corners"),
    [
        ("float", 56, 99, [(0, 0), (0, 22), (0, 43)]),  # the gap of 43 is halved upwards
        ("float", 99, 56, [(0, 0), (22, 0), (43, 0)]),
        ("opencv", 56, 99, [(0, 0), (0, 42), (0, 21)]),  # left, right, middle; twice 43 // 2
        ("opencv", 99, 56, [(0, 0), (42, 0), (21, 0)]),
        ("antialiased", 56, 99, [(0, 0), (0, 22), (0, 43)]),
        ("antialiased", 64, 97, [(4, 0), (4, 20), (4, 41)]),  # 20.5 is rounded to the even neighbour
        ("float", 56, 56, [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_three_views_lie_from_side_to_side_in_the_order_of_the_rule(rule, height, width, corners):
    assert clip.offsets(height, width, rule=rule, crop=56, crops=3) == corners
    middle = corners[2] if rule == "opencv" else corners[1]
    assert clip.offsets(height, width, rule=rule, crop=56, crops=1) == [middle]


def test_views_are_cut_where_they_lie_and_their_colours_turned_on_demand():
    picture = noise(8, 12)
    views = clip.views(picture, rule="float", crop=8, crops=3, order="rgb")
    assert np.array_equal(views, np.stack([picture[:, 0:8], picture[:, 2:10], picture[:, 4:12]]))
    assert np.array_equal(clip.views(picture, rule="float", crop=8, crops=3, order="bgr"), views[..., ::-1])


def test_normalised_clips_are_channels_first():
    clips = torch.from_numpy(np.stack([noise(4, 5), noise(4, 5, 1)]))[None]
    found = clip.normalized(clips, mean=MEAN, std=STD)
    assert found.shape == (1, 3, 2, 4, 5)
    assert found.is_contiguous()
    value = (clips[0, 1, 2, 3, 2].item() / 255 - MEAN[2]) / STD[2]
    assert found[0, 2, 1, 2, 3].item() == pytest.approx(value, abs=ROUNDING)
