"""A labelled scan as one page that a browser can turn: everything is inside, nothing is fetched.

Places are 16 bits an axis over the scan's size; label, confidence and the distance to neighbours a byte each; all in base64.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from vidpc.outputs.canvas import Colour
from vidpc.outputs.point_picture import CEILING, inside_of, spacing
from vidpc.outputs.point_sample import PointSample

_TEMPLATE, _SLOT = "point_page.html", "@DATA@"
_STEPS = 65535
_UNLABELLED_KEY = 255
_MOST_CLASSES = 255  # keys of a byte, but for the one that says: not labelled


def page(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour], title: str, facts: str) -> str:
    """The page as HTML. ``facts`` is a line below the title."""
    template = files("vidpc.outputs").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    text = json.dumps(_record(sample, names, palette, title, facts), allow_nan=False, separators=(",", ":"))
    # A name must not be able to end the script that it stands in.
    return template.replace(_SLOT, text.replace("<", "\\u003c"))


def _record(
    sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour], title: str, facts: str
) -> dict[str, object]:
    size = np.abs(sample.xyz).max(axis=0, initial=0) * 2 if len(sample) else np.zeros(3)
    places = np.rint((sample.xyz / np.maximum(size, 1e-9) + 0.5) * _STEPS).clip(0, _STEPS).astype("<u2")
    key = np.where(sample.label < 0, _UNLABELLED_KEY, np.minimum(sample.label, _MOST_CLASSES - 1)).astype(np.uint8)
    sure = np.rint(sample.confidence.clip(0, 1) * 255).astype(np.uint8)
    gaps = spacing(sample.xyz)
    step = float(gaps.max(initial=0)) / 255
    gap = np.rint(gaps / max(step, 1e-12)).astype(np.uint8)
    return {
        "title": title,
        "facts": facts,
        "count": len(sample),
        "size": size.tolist(),
        "step": step,
        "cut": _cut(sample, names),
        "indoors": CEILING in names,
        "classes": _classes(sample, names, palette),
        "places": _encoded(places),
        "says": _encoded(np.stack([key, sure, gap], axis=1)),
        "rgb": None if sample.colour is None else _encoded(sample.colour),
    }


def _classes(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour]) -> list[dict[str, object]]:
    """The classes that occur, the most frequent first. A ceiling would hide its room: it is there, but not shown at first."""
    total = max(int(sample.counts.sum()), 1)
    labels = [label for label in np.argsort(-sample.counts, kind="stable") - 1 if sample.counts[label + 1]]
    return [
        {
            "key": _UNLABELLED_KEY if label < 0 else min(int(label), _MOST_CLASSES - 1),
            "name": "not labelled" if label < 0 else names[label],
            "rgb": list(palette[int(label)]),
            "share": f"{100 * sample.counts[label + 1] / total:.1f} %",
            "shown": bool(label < 0) or names[label] != CEILING,
        }
        for label in labels
    ]


def _cut(sample: PointSample, names: Sequence[str]) -> float:
    """Up to which share of its height a scan is shown at first: a room to below its ceiling."""
    shown = sample.xyz[inside_of(sample, names), 2]
    if CEILING not in names or not len(shown):
        return 1.0
    half = float(np.abs(sample.xyz[:, 2]).max())
    return float(shown.max() / max(2 * half, 1e-9) + 0.5)


def _encoded(array: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
