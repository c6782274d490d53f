"""Views of labelled scans: what they hold of scans that are empty, unlabelled or large."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidpc.media.points import open_points
from vidpc.outputs.palette import palette
from vidpc.outputs.point_sample import draw_sample
from vidpc.outputs.render_points import render
from vidpc.types import ModelInfo, PointLabels, ScanHeader, ScanInfo

NAMES = ("ceiling", "floor </script>")


def header(path: Path) -> ScanHeader:
    return ScanHeader(str(path), ScanInfo(str(path), "npz", 0, ()), ModelInfo("rooms", "x", "", "", NAMES), {}, "0")


def rendered(folder: Path, xyz: np.ndarray, label: np.ndarray, form: str) -> tuple[bytes, list[str]]:
    path, file = folder / "scan.npz", BytesIO()
    np.savez(path, xyz=xyz)
    runs = [PointLabels(0, 0, label, np.full(len(label), 0.5, np.float32))] if len(label) else []
    with open_points(str(path)) as source:
        warnings = render(source, runs, file, form, header(path), palette(NAMES))
    return file.getvalue(), warnings


def record(page: bytes) -> dict[str, object]:
    """What the page's script starts from."""
    text = page.decode()
    start = text.index('{"title"')
    found, _ = json.JSONDecoder().raw_decode(text[start:])
    assert isinstance(found, dict)
    return found


def test_a_page_holds_every_point_and_its_label(tmp_path: Path):
    xyz = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 1.0], [1, 2, 3]])
    page, warnings = rendered(tmp_path, xyz, np.array([1, 1, -1, 0]), "html")
    found = record(page)
    assert (found["count"], warnings) == (4, [])
    says = np.frombuffer(base64.b64decode(str(found["says"])), np.uint8).reshape(4, 3)
    assert says[:, 0].tolist() == [1, 1, 255, 0]
    classes = [(row["name"], row["share"], row["shown"]) for row in found["classes"]]  # type: ignore[attr-defined]
    assert classes == [
        ("floor </script>", "50.0 %", True),
        ("not labelled", "25.0 %", True),
        ("ceiling", "25.0 %", False),
    ]
    assert b"floor </script>" not in page


@pytest.mark.parametrize("form", ["png", "html"])
@pytest.mark.parametrize("count", [0, 5])
def test_a_scan_without_places_is_an_empty_view_and_a_warning(tmp_path: Path, form: str, count: int):
    content, warnings = rendered(tmp_path, np.full((count, 3), np.nan), np.full(count, -1), form)
    assert warnings == ["the view is empty: no point has coordinates"]
    if form == "png":
        assert Image.open(BytesIO(content)).size[0] == 1920
    else:
        assert record(content)["count"] == 0


def test_a_picture_shows_classes_in_their_colours(tmp_path: Path):
    flat = np.random.default_rng(0).uniform(0, 4, (4000, 3)) * [1, 1, 0]
    content, _ = rendered(tmp_path, flat, np.ones(4000, np.int64), "png")
    pixels = np.asarray(Image.open(BytesIO(content)).convert("RGB")).reshape(-1, 3)
    colour = np.array(palette(NAMES)[1])
    assert (np.abs(pixels - colour).max(axis=1) <= 1).mean() > 0.05


def test_a_sample_is_bounded_and_counts_every_point(tmp_path: Path):
    path, count = tmp_path / "large.npz", 5000
    np.savez(path, xyz=np.random.default_rng(0).uniform(0, 9, (count, 3)))
    labels = [PointLabels(0, 0, np.arange(count) % 2, np.ones(count, np.float32))]
    with open_points(str(path)) as source:
        sample = draw_sample(source, labels, 2, most=1000)
    assert 0.8 * 1000 < len(sample) <= 1000
    assert sample.counts.tolist() == [0, 2500, 2500]
