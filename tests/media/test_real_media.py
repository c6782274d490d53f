"""Files that cameras, phones and other people's tools made, in the folder that VIDPC_DATA names."""

import csv
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vidpc.media.read import read_videos
from vidpc.types import Closed, Frame, Opened, ReadOptions

DATA = Path(os.environ.get("VIDPC_DATA", "/nonexistent"))
pytestmark = pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA is not set")
MATRICES = {"1": "bt709", "5": "bt601", "6": "bt601", "9": "bt2020"}


def odd_files():
    index = DATA / "odd" / "index.csv"
    return list(csv.DictReader(index.read_text().splitlines())) if index.exists() else []


ODD = {row["file"]: row for row in odd_files()}


def read(path, **options):
    items = list(read_videos([path], ReadOptions(**options)))
    infos = [item.info for item in items if isinstance(item, Opened)]
    frames = [item for item in items if isinstance(item, Frame)]
    assert isinstance(items[-1], Closed)
    return (infos[0] if infos else None), frames, items[-1]


@pytest.mark.parametrize("name", [name for name, row in ODD.items() if row["opens"] == "1"])
def test_odd_files_are_read_as_their_index_says(name):
    row = ODD[name]
    info, frames, closed = read(DATA / "odd" / name)
    # Of corrupted.mp4 the index counts the frames before the damage; those behind it are read, too.
    assert len(frames) == (49 if name == "corrupted.mp4" else int(row["decoded_frames"]))
    assert (info.coded_width, info.coded_height, info.pixel_format) == (int(row["width"]), int(row["height"]), row["pix_fmt"])
    assert float(frames[0].time_s) == pytest.approx(float(row["first_pts_s"]), abs=1e-3)
    assert info.rotation_deg == -int(row["rotation"]) % 360
    assert info.full_range == (row["color_range"] == "2")
    if row["colorspace"] in MATRICES:
        assert info.matrix == MATRICES[row["colorspace"]]
    assert closed.error is None
    assert bool(closed.warnings) == (name in ("corrupted.mp4", "truncated_half.avi"))
    size = (info.width, info.height)
    assert frames[-1].rgb().shape == (size[1], size[0], 3)


@pytest.mark.parametrize("name", [name for name, row in ODD.items() if row["opens"] == "0"])
def test_odd_files_that_cannot_be_opened_say_so(name):
    _, frames, closed = read(DATA / "odd" / name)
    assert frames == []
    assert str(closed.error).startswith("cannot open")


KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


@pytest.mark.skipif(not ODD, reason="no odd/ folder")
@pytest.mark.parametrize(
    "name",
    [
        "bt601_full_range",
        "bt601_limited_range",
        "bt709_full_range",
        "bt2020_limited_range",
        "unspecified_full_range",
        "testsrc2",
    ],
)
def test_colours_of_real_files_equal_a_plain_conversion_of_their_planes(name):
    """At half size, where luma is averaged over 2x2 and chroma is taken as it is; edges of chroma differ by its siting."""
    info, frames, _ = read(DATA / "odd" / f"{name}.mp4")
    planes = frames[5].image.planes()
    h, w = planes.u.shape
    y = planes.y.reshape(h, 2, w, 2).mean(axis=(1, 3))
    kr, kb = KR_KB[planes.matrix]
    low, luma, chroma = (0, 255, 255) if planes.full_range else (16, 219, 224)
    light, cb, cr = (y - low) / luma, (planes.u - 128.0) / chroma, (planes.v - 128.0) / chroma
    red, blue = light + 2 * (1 - kr) * cr, light + 2 * (1 - kb) * cb
    green = (light - kr * red - kb * blue) / (1 - kr - kb)
    expected = np.clip(np.stack([red, green, blue], axis=-1), 0, 1) * 255
    difference = np.abs(frames[5].rgb(info.width // 2, info.height // 2) - expected)
    assert np.median(difference) <= 1
    assert np.mean(difference > 3) < 0.1


@pytest.mark.skipif(not ODD, reason="no odd/ folder")
def test_uneven_times_of_a_real_file():
    times = [frame.time_s for frame in read(DATA / "odd" / "nasa_13013_vfr.mp4")[1]]
    steps = {b - a for a, b in pairwise(times)}
    assert steps == {Fraction(2002, 30000), Fraction(3003, 30000)}


@pytest.mark.parametrize("name", ["walking.mp4", "one-by-one-person-detection.mp4", "car-detection.mp4"])
def test_demo_clips_are_whole(name):
    path = DATA / "demo" / name
    if not path.exists():
        pytest.skip(f"no {name}")
    info, frames, closed = read(path, stride=20)
    assert closed.warnings == ()
    assert frames[-1].index >= info.frame_count - 20
