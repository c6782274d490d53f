"""Resizing against the two published programs of TransTrack."""

import json
from pathlib import Path

import fill
import pytest
import torch
import vectors

from vidpc.ops import image

HERE = Path(__file__).parent
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


META = json.loads((HERE / "preprocessing.json").read_text())


@pytest.mark.parametrize(("height", "width", "resized_height", "resized_width"), META["transtrack_sizes"])
def test_sizes_are_the_released_ones(height, width, resized_height, resized_width):
    fit = image.fit(width, height, short_side=800, long_side=1333)
    assert (fit.height, fit.width) == (resized_height, resized_width)


@pytest.mark.parametrize(
    ("key", "frame", "resize"),
    [
        ("transtrack.evaluation_path", "frame", image.resize_antialiased),
        ("transtrack.evaluation_path_downscale", "large_frame", image.resize_antialiased),
        ("transtrack.demo_path_downscale", "large_frame", image.resize_plain),
    ],
)
def test_resized_pictures_are_the_released_ones(key, frame, resize):
    pixels = torch.from_numpy(fill.make(META["cases"][frame]))[0]
    picture = pixels.to(torch.uint8).permute(2, 0, 1)[None]
    fit = image.fit(picture.shape[3], picture.shape[2], short_side=800, long_side=1333)
    ours = image.normalize(resize(picture, height=fit.height, width=fit.width), **IMAGENET)[0]
    rows = vectors.compare(HERE / "preprocessing.npz", {key: ours})
    assert rows
    assert all(passed for *_, passed in rows), rows


def test_fit_takes_boxes_back():
    fit = image.fit(1280, 720, short_side=384, long_side=640)
    assert (fit.width, fit.height) == (640, 360)
    assert fit.undo([[0.25, 0.5, 0.75, 1.0]]).tolist() == [[320.0, 360.0, 960.0, 720.0]]
