"""Resizing and crops of clips against the published programs of TimeSformer and VidTr."""

import json
from pathlib import Path

import fill
import numpy as np
import pytest
import torch
import vectors

from vidpc.ops import clip

HERE = Path(__file__).parent
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TIMESFORMER = {"mean": (0.45, 0.45, 0.45), "std": (0.225, 0.225, 0.225)}


def three_views(picture, rule, size, look):
    """f32[3 3 size size]: views, then colours."""
    resized = clip.resized(picture.astype(np.uint8), rule=rule, short_side=size)
    views = clip.views(resized, rule=rule, crop=size, crops=3, order="rgb")
    return clip.normalized(torch.from_numpy(views)[:, None], **look)[:, :, 0]


@pytest.mark.parametrize(("height", "width", "size"), [(90, 160, 56), (160, 90, 56), (64, 64, 64)])
def test_views_of_timesformer_are_the_released_ones(height, width, size):
    seed = json.loads((HERE / "timesformer.json").read_text())["seed"]
    views = three_views(fill.video(f"crop.{height}x{width}", 1, height, width, seed)[0], "float", size, TIMESFORMER)
    ours = {f"crop.{height}x{width}to{size}.view{number}": view[:, None] for number, view in enumerate(views)}
    rows = vectors.compare(HERE / "timesformer.npz", ours)
    assert len(rows) == 3
    assert all(passed for *_, passed in rows), rows


def test_views_of_vidtr_are_the_released_ones():
    meta = json.loads((HERE / "preprocessing.json").read_text())
    views = three_views(fill.make(meta["cases"]["frame"])[0], "opencv", 224, IMAGENET)
    rows = vectors.compare(HERE / "preprocessing.npz", {"vidtr.three_crops": views})
    assert rows
    assert all(passed for *_, passed in rows), rows
