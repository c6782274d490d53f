"""A labelled scan as a picture: three views, coloured by class, with a legend. Drawn in NumPy, so that no display is needed.

Points are discs in a depth buffer of twice the size; edges are darkened where the depth jumps (eye-dome lighting, Boucheny
2009), which shows shape without normals. A room is looked into from above: its ceiling is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from vidpc.outputs import canvas
from vidpc.outputs.canvas import Colour
from vidpc.outputs.point_sample import PointSample
from vidpc.types import F32, I64, U8

WIDTH, HEIGHT = 1920, 1080
CEILING = "ceiling"
_LEGEND_ROW, _TEXT = 38, 24  # pixels
_GAP = 12
_BACKGROUND: Colour = (236, 238, 242)
_FINE = 2  # pixels are drawn this much finer a side, then averaged
_VIEW_RAD = 0.3  # half of the angle of view
_MOST_RADIUS = 7.0  # of a disc, in fine pixels
_DARK, _DARKEST, _REACHES = 2.5, 0.25, (2, 7)  # strength of the shading, and how many fine pixels away it looks
_RIM = 0.03  # how far behind the scan (as a share) its surroundings seem to lie
_FILLED = 0.47  # of a side, from the middle to the outermost point
_CUBES = 100  # along the longest side of the scan, to estimate density
_BELOW_CEILING_M = 0.25


@dataclass(frozen=True, slots=True)
class View:
    """Where one looks from (``azimuth_rad`` counter-clockwise from east), and which rectangle of the picture it fills."""

    azimuth_rad: float
    elevation_rad: float
    left: int
    top: int
    width: int
    height: int


def draw_picture(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour], title: str) -> U8:
    """The picture u8[h w 3] of the sample."""
    entries = _entries(sample, names, palette)
    rows = _legend_rows(entries)
    picture = np.empty((HEIGHT + _LEGEND_ROW * len(rows) + _GAP, WIDTH, 3), np.uint8)
    picture[:] = _BACKGROUND
    shown = inside_of(sample, names)
    table = _colours(palette, len(names))
    for view in _views(indoors=CEILING in names):
        tile = draw_view(sample.xyz[shown], table[np.clip(sample.label[shown], -1, len(names) - 1) + 1], view)
        picture[view.top : view.top + view.height, view.left : view.left + view.width] = tile
    canvas.plate(picture, _BACKGROUND, title, _GAP, _GAP, _TEXT)
    for number, row in enumerate(rows):
        _draw_row(picture, row, HEIGHT + number * _LEGEND_ROW)
    return picture


def inside_of(sample: PointSample, names: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which points are shown: all of them, but in a room nothing of the ceiling or just below it."""
    if CEILING not in names:
        return np.ones(len(sample), np.bool_)
    ceiling = sample.label == names.index(CEILING)
    if not ceiling.any():
        return np.ones(len(sample), np.bool_)
    level = float(np.median(sample.xyz[ceiling, 2]))
    return np.asarray(~ceiling & (sample.xyz[:, 2] < level - _BELOW_CEILING_M))


@dataclass(frozen=True, slots=True)
class _Dots:
    """Points as discs: ``column`` and ``row`` i64[n] and ``radius`` f32[n] in fine pixels, ``depth`` f32[n]."""

    column: I64
    row: I64
    depth: F32
    radius: F32


def draw_view(xyz: F32, colour: U8, view: View) -> U8:
    """One view u8[height width 3] of points f32[n 3] in colours u8[n 3]."""
    height, width = view.height * _FINE, view.width * _FINE
    dots = _projected(xyz, view, width, height)
    nearest, owner = _depth_buffer(dots, width, height)
    fine = np.empty((height, width, 3), np.float32)
    fine[:] = _BACKGROUND
    hit = owner >= 0
    fine[hit] = colour[owner[hit]]
    fine *= _shade(nearest)[..., None]
    blocks = fine.reshape(view.height, _FINE, view.width, _FINE, 3)
    return np.asarray(blocks.mean(axis=(1, 3)) + 0.5, np.uint8)


def _views(*, indoors: bool) -> list[View]:
    """A large view from one side, a small one from the other side, one from above."""
    wide = WIDTH * 2 // 3
    steep, half = (1.0 if indoors else 0.62), HEIGHT // 2
    return [
        View(-2.1, steep, 0, 0, wide, HEIGHT),
        View(1.04, steep, wide, 0, WIDTH - wide, half),
        View(-np.pi / 2, np.pi / 2 - 1e-3, wide, half, WIDTH - wide, HEIGHT - half),
    ]


def _projected(xyz: F32, view: View, width: int, height: int) -> _Dots:
    """The points as seen from as near as shows them all."""
    ca, sa, ce, se = np.cos(view.azimuth_rad), np.sin(view.azimuth_rad), np.cos(view.elevation_rad), np.sin(view.elevation_rad)
    axes = np.array([[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]], np.float32)  # right, up, to the eye
    x, y, near = np.asarray(xyz @ axes.T, np.float32).T
    if not len(xyz):
        return _Dots(np.empty(0, np.int64), np.empty(0, np.int64), near, near)
    x, y = x - (x.max() + x.min()) / 2, y - (y.max() + y.min()) / 2
    focal = _FILLED * min(width, height) / np.tan(_VIEW_RAD)
    away = max(float((np.abs(v) * focal / (_FILLED * side) + near).max()) for v, side in ((x, width), (y, height)))
    depth = np.asarray(away - near, np.float32)
    scale = focal / np.maximum(depth, 1e-6)
    column, row = (width / 2 + x * scale).astype(np.int64), (height / 2 - y * scale).astype(np.int64)
    return _Dots(column, row, depth, np.clip(0.75 * scale * spacing(xyz), 1.0, _MOST_RADIUS))


def spacing(xyz: F32) -> F32:
    """About how far from a point its neighbours on the same surface are, f32[n]: by how many share its cube."""
    if not len(xyz):
        return np.empty(0, np.float32)
    size = float((xyz.max(axis=0) - xyz.min(axis=0)).max()) / _CUBES + 1e-9
    cubes = np.floor((xyz - xyz.min(axis=0)) / size).astype(np.int64)
    _, place, counts = np.unique(cubes @ np.array([1 << 40, 1 << 20, 1]), return_inverse=True, return_counts=True)
    return np.asarray(size / np.sqrt(counts[place]), np.float32)


def _depth_buffer(dots: _Dots, width: int, height: int) -> tuple[F32, I64]:
    """The nearest distance f32[h w] (inf: nothing) and whose it is i64[h w] (-1), every point a disc."""
    pad = int(_MOST_RADIUS)  # around the picture: discs over its rim need no tests
    full = width + 2 * pad
    nearest = np.full(full * (height + 2 * pad), np.inf, np.float32)
    owner = np.full(len(nearest), -1, np.int64)
    inside = (dots.column >= 0) & (dots.column < width) & (dots.row >= 0) & (dots.row < height)
    order = np.argsort(-dots.depth, kind="stable")  # of points on one pixel the last one written stays: the nearest
    order = order[inside[order]]
    middle, depth, radius = ((dots.row + pad) * full + dots.column + pad)[order], dots.depth[order], dots.radius[order]
    for reach, steps in groupby(_disc(float(radius.max(initial=0))), key=lambda step: float(np.hypot(*step))):
        drawn = np.flatnonzero(radius >= reach)
        at, far, who = middle[drawn], depth[drawn], order[drawn]
        for dx, dy in steps:
            place = at + (dy * full + dx)
            closer = np.flatnonzero(far < nearest[place])
            place = place[closer]
            nearest[place], owner[place] = far[closer], who[closer]
    shape, within = (height + 2 * pad, full), (slice(pad, pad + height), slice(pad, pad + width))
    return nearest.reshape(shape)[within], owner.reshape(shape)[within]


def _disc(radius: float) -> list[tuple[int, int]]:
    """Steps from the middle of a disc to all of its pixels, the shortest first."""
    reach = range(-int(radius), int(radius) + 1)
    steps = [(dx, dy) for dx in reach for dy in reach if np.hypot(dx, dy) <= radius]
    return sorted(steps, key=lambda step: float(np.hypot(*step)))


def _shade(nearest: F32) -> F32:
    """How bright every pixel is, f32[h w]: darker the farther it lies behind its neighbours, near ones and less near ones."""
    solid = np.isfinite(nearest)
    if not solid.any():
        return np.ones_like(nearest)
    depth = np.log(np.where(solid, nearest, np.float32(1)))
    depth[~solid] = depth[solid].max() + _RIM
    behind = np.zeros_like(depth)
    for reach in _REACHES:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            behind += np.maximum(0, depth - np.roll(depth, (dy * reach, dx * reach), axis=(0, 1)))
    return np.where(solid, np.maximum(np.exp(-_DARK * behind), _DARKEST), 1.0).astype(np.float32)


def _colours(palette: Mapping[int, Colour], classes: int) -> U8:
    return np.array([palette[label] for label in range(-1, classes)], np.uint8)


def _entries(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour]) -> list[tuple[str, Colour]]:
    """What the legend says: every class that occurs, the most frequent first, with its share."""
    total = max(int(sample.counts.sum()), 1)
    shown = [("not labelled" if label < 0 else names[label], label) for label in range(-1, len(names))]
    shown.sort(key=lambda entry: -sample.counts[entry[1] + 1])
    return [
        (f"{name} {100 * sample.counts[label + 1] / total:.1f} %", palette[label])
        for name, label in shown
        if sample.counts[label + 1]
    ]


def _legend_rows(entries: list[tuple[str, Colour]]) -> list[list[tuple[str, Colour, int]]]:
    """Entries with their left edges, in as many rows as they need."""
    rows: list[list[tuple[str, Colour, int]]] = [[]]
    left = _GAP
    for text, colour in entries:
        width = canvas.text_size(text, _TEXT)[0]
        if rows[-1] and left + width > WIDTH - _GAP:
            rows.append([])
            left = _GAP
        rows[-1].append((text, colour, left))
        left += width + _GAP
    return rows


def _draw_row(picture: U8, row: list[tuple[str, Colour, int]], top: int) -> None:
    for text, colour, left in row:
        canvas.plate(picture, colour, text, left, top, _TEXT)
