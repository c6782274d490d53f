"""The colour of every class: where a benchmark has made one customary that one, else hues far from one another."""

import colorsys
from collections.abc import Mapping, Sequence

Colour = tuple[int, int, int]

# S3DIS as PointNet's authors paint it, and what maps of airborne scans use.
_CUSTOMARY: Mapping[str, Colour] = {
    "ceiling": (0, 255, 0),
    "floor": (0, 0, 255),
    "wall": (0, 255, 255),
    "beam": (255, 255, 0),
    "column": (255, 0, 255),
    "window": (100, 100, 255),
    "door": (200, 200, 100),
    "table": (170, 120, 200),
    "chair": (255, 0, 0),
    "sofa": (200, 100, 100),
    "bookcase": (10, 200, 100),
    "board": (200, 200, 200),
    "clutter": (50, 50, 50),
    "ground": (170, 120, 70),
    "vegetation": (40, 150, 50),
    "building": (220, 60, 50),
    "water": (60, 120, 220),
    "other": (150, 150, 150),
}
UNLABELLED: Colour = (90, 90, 90)
_TURN = 0.618034  # of the colour circle, from one class to the next: the golden section keeps any number of hues apart


def palette(names: Sequence[str]) -> dict[int, Colour]:
    """RGB by label, of classes with these names; -1 is what has no label."""
    colours = {label: _CUSTOMARY.get(name) or _hue(label) for label, name in enumerate(names)}
    return {-1: UNLABELLED, **colours}


def _hue(number: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(number * _TURN % 1, 0.75, 0.55 + 0.35 * (number % 2))
    return round(red * 255), round(green * 255), round(blue * 255)
