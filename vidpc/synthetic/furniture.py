"""Furniture and the things that lie about, each drawn anew: kinds, sizes, paint and disorder.

A piece stands at z = 0 with its middle at x = 0, its back along the x axis and its front towards +y.
"""

from collections.abc import Callable
from itertools import pairwise
from math import cos, pi, sin

import numpy as np

from .solids import (
    BOARD,
    BOOKCASE,
    CHAIR,
    CLUTTER,
    SOFA,
    TABLE,
    Mesh,
    Paint,
    blob,
    box,
    boxes,
    cylinder,
    join,
    moved,
    tilted,
    turned,
)

Maker = Callable[[np.random.Generator], Mesh]

_WOODS: tuple[Paint, ...] = (
    (0.62, 0.45, 0.28), (0.45, 0.28, 0.16), (0.78, 0.64, 0.45), (0.82, 0.8, 0.76), (0.35, 0.22, 0.14), (0.55, 0.55, 0.55),
)  # fmt: skip
_FABRICS: tuple[Paint, ...] = (
    (0.1, 0.1, 0.11), (0.12, 0.16, 0.32), (0.3, 0.1, 0.1), (0.35, 0.35, 0.36), (0.15, 0.28, 0.2), (0.6, 0.5, 0.38),
)  # fmt: skip
_METALS: tuple[Paint, ...] = ((0.2, 0.2, 0.21), (0.6, 0.6, 0.62), (0.85, 0.85, 0.84))


def wood(rng: np.random.Generator) -> Paint:
    """The paint of something wooden."""
    return _near(rng, _WOODS)


def fabric(rng: np.random.Generator) -> Paint:
    """The paint of something covered."""
    return _near(rng, _FABRICS)


def metal(rng: np.random.Generator) -> Paint:
    """The paint of something of metal."""
    return _near(rng, _METALS)


def any_paint(rng: np.random.Generator) -> Paint:
    """Any paint, mostly dull."""
    grey, colour = rng.uniform(0.08, 0.9), rng.normal(0, 0.16, 3)
    return _paint(grey + colour)


def _near(rng: np.random.Generator, paints: tuple[Paint, ...]) -> Paint:
    return _paint(np.array(paints[rng.integers(len(paints))]) + rng.normal(0, 0.04, 3))


def _paint(rgb: np.ndarray) -> Paint:
    red, green, blue = np.clip(rgb, 0.03, 0.97).tolist()
    return red, green, blue


# Tables


def desk(rng: np.random.Generator) -> Mesh:
    """A desk: on legs or on panels, some with drawers, some around a corner."""
    width, depth, height = rng.uniform(1.0, 1.9), rng.uniform(0.55, 0.85), rng.uniform(0.69, 0.8)
    paint, thick = wood(rng), rng.uniform(0.02, 0.05)
    parts = [box((-width / 2, 0, height - thick), (width / 2, depth, height), TABLE, paint)]
    parts.append(_legs(rng, width, depth, height - thick) if rng.random() < 0.35 else _panels(rng, width, depth, height, paint))
    if rng.random() < 0.55:
        parts.append(_drawers(rng, width, depth, height - thick, paint))
    if rng.random() < 0.3:
        side, wing = rng.choice([-1.0, 1.0]), rng.uniform(0.45, 0.65)
        x, reach = side * (width / 2 - wing / 2), depth + rng.uniform(0.4, 1.0)
        parts.append(box((x - wing / 2, depth, height - thick), (x + wing / 2, reach, height), TABLE, paint))
        parts.append(box((x - wing / 2, reach - 0.04, 0), (x + wing / 2, reach, height - thick), TABLE, paint))
    return join(parts)


def _legs(rng: np.random.Generator, width: float, depth: float, height: float) -> Mesh:
    thick, paint, inset = rng.uniform(0.03, 0.07), metal(rng), rng.uniform(0.0, 0.06)
    xs, ys = (-width / 2 + inset, width / 2 - inset - thick), (inset, depth - inset - thick)
    low = np.array([(x, y, 0.0) for x in xs for y in ys])
    return boxes(low, low + np.array([thick, thick, height]), TABLE, np.array([paint] * 4))


def _panels(rng: np.random.Generator, width: float, depth: float, height: float, paint: Paint) -> Mesh:
    thick, back = rng.uniform(0.02, 0.04), rng.uniform(0.0, 0.4)
    low = [(-width / 2, 0, 0), (width / 2 - thick, 0, 0), (-width / 2, back * depth * 0.5, rng.uniform(0, 0.35))]
    high = [(-width / 2 + thick, depth, height - 0.01), (width / 2, depth, height - 0.01)]
    high.append((width / 2, back * depth * 0.5 + thick, height - 0.01))
    return boxes(np.array(low), np.array(high), TABLE, np.array([paint] * 3))


def _drawers(rng: np.random.Generator, width: float, depth: float, height: float, paint: Paint) -> Mesh:
    """Drawers under the top, their fronts apart by a groove."""
    wide, side = rng.uniform(0.35, 0.48), rng.choice([-1.0, 1.0])
    x = side * (width / 2 - wide / 2 - 0.04)
    edges = np.linspace(rng.choice([0.03, 0.08]), height - 0.01, int(rng.integers(3, 5)))
    low = [(x - wide / 2 + 0.01, 0.06, edges[0])] + [(x - wide / 2, depth - 0.05, z + 0.008) for z in edges[:-1]]
    high = [(x + wide / 2 - 0.01, depth - 0.05, height)] + [(x + wide / 2, depth - 0.03, z - 0.008) for z in edges[1:]]
    return boxes(np.array(low), np.array(high), TABLE, np.array([paint] * len(low)))


def table(rng: np.random.Generator) -> Mesh:
    """A free-standing table: round, square or long."""
    height, thick, paint = rng.uniform(0.68, 0.78), rng.uniform(0.02, 0.05), wood(rng)
    if rng.random() < 0.4:
        return _round_table(rng, rng.uniform(0.35, 0.75), height, thick, paint)
    width, depth = rng.uniform(0.7, 2.0), rng.uniform(0.6, 1.0)
    top = box((-width / 2, 0, height - thick), (width / 2, depth, height), TABLE, paint)
    return join([top, _legs(rng, width, depth, height - thick)])


def low_table(rng: np.random.Generator) -> Mesh:
    """A coffee table or a side table."""
    height, thick, paint = rng.uniform(0.32, 0.58), rng.uniform(0.02, 0.06), wood(rng)
    if rng.random() < 0.4:
        return _round_table(rng, rng.uniform(0.22, 0.5), height, thick, paint)
    width, depth = rng.uniform(0.45, 1.3), rng.uniform(0.4, 0.75)
    top = box((-width / 2, 0, height - thick), (width / 2, depth, height), TABLE, paint)
    return join([top, _legs(rng, width, depth, height - thick)])


def _round_table(rng: np.random.Generator, radius: float, height: float, thick: float, paint: Paint) -> Mesh:
    y, foot = radius, metal(rng)
    parts = [cylinder((0, y, height - thick), (0, y, height), radius, TABLE, paint, sides=24)]
    parts.append(cylinder((0, y, 0), (0, y, height - thick), rng.uniform(0.03, 0.08), TABLE, foot))
    parts.append(cylinder((0, y, 0), (0, y, 0.03), (0.6 * radius, 0.55 * radius), TABLE, foot, sides=16))
    return join(parts)


def meeting_table(rng: np.random.Generator, width: float, depth: float) -> Mesh:
    """A long table on two or more feet, of the given size."""
    height, thick, paint = rng.uniform(0.7, 0.77), rng.uniform(0.03, 0.08), wood(rng)
    parts = [box((-width / 2, 0, height - thick), (width / 2, depth, height), TABLE, paint)]
    feet = max(2, round(width / 1.4))
    panel = rng.random() < 0.6
    for x in np.linspace(-width / 2 + 0.35, width / 2 - 0.35, feet):
        if panel:
            parts.append(box((x - 0.04, 0.2 * depth, 0), (x + 0.04, 0.8 * depth, height - thick), TABLE, paint))
        else:
            parts.append(cylinder((x, depth / 2, 0), (x, depth / 2, height - thick), 0.09, TABLE, metal(rng)))
    return join(parts)


# Chairs


def office_chair(rng: np.random.Generator) -> Mesh:
    """A swivel chair on five castors, with arm rests or without."""
    cover, frame = fabric(rng), metal(rng)
    seat_z, wide, deep = rng.uniform(0.42, 0.55), rng.uniform(0.44, 0.54), rng.uniform(0.42, 0.52)
    y, thick = deep / 2 + 0.06, rng.uniform(0.05, 0.1)
    parts = [box((-wide / 2, y - deep / 2, seat_z - thick), (wide / 2, y + deep / 2, seat_z), CHAIR, cover)]
    parts.append(cylinder((0, y, 0.08), (0, y, seat_z - thick), 0.035, CHAIR, frame))
    turn = rng.uniform(0, 2 * pi)
    for k in range(5):
        x_end, y_end = 0.3 * cos(turn + 0.4 * pi * k), 0.3 * sin(turn + 0.4 * pi * k)
        parts.append(cylinder((0, y, 0.11), (x_end, y + y_end, 0.08), (0.035, 0.022), CHAIR, frame, sides=6))
        parts.append(cylinder((x_end - 0.02, y + y_end, 0.03), (x_end + 0.02, y + y_end, 0.03), 0.03, CHAIR, frame, sides=6))
    parts.append(_back(rng, wide, seat_z, rng.uniform(0.85, 1.12), cover))
    if rng.random() < 0.65:
        parts.append(_arms(wide + 0.08, y, seat_z, rng.uniform(0.18, 0.25), frame))
    return join(parts)


def _back(rng: np.random.Generator, wide: float, seat_z: float, top_z: float, cover: Paint) -> Mesh:
    """A back rest that leans back, from a gap above the seat on."""
    gap, lean, thick = rng.uniform(0.0, 0.16), rng.uniform(0.08, 0.3), rng.uniform(0.03, 0.08)
    half = wide / 2 * rng.uniform(0.8, 1.0)
    parts = [box((-half, -thick, gap), (half, 0, top_z - seat_z), CHAIR, cover)]
    if gap > 0.03:
        parts.append(box((-0.04, -0.03, -0.06), (0.04, 0, gap), CHAIR, (0.1, 0.1, 0.1)))
    return moved(tilted(join(parts), lean), (0, 0.09, seat_z))


def _arms(wide: float, y: float, seat_z: float, up: float, frame: Paint) -> Mesh:
    parts = []
    for x in (-wide / 2, wide / 2):
        parts.append(box((x - 0.03, y - 0.13, seat_z + up - 0.03), (x + 0.03, y + 0.13, seat_z + up), CHAIR, frame))
        parts.append(box((x - 0.015, y - 0.03, seat_z - 0.06), (x + 0.015, y + 0.03, seat_z + up), CHAIR, frame))
    return join(parts)


def chair(rng: np.random.Generator) -> Mesh:
    """A chair on four legs, or on a bent tube."""
    cover, frame = (fabric(rng), metal(rng)) if rng.random() < 0.7 else (wood(rng), wood(rng))
    wide, deep, seat_z = rng.uniform(0.4, 0.56), rng.uniform(0.4, 0.52), rng.uniform(0.42, 0.48)
    thick, leg = rng.uniform(0.02, 0.08), rng.uniform(0.012, 0.025)
    parts = [box((-wide / 2, 0.05, seat_z - thick), (wide / 2, 0.05 + deep, seat_z), CHAIR, cover)]
    xs, front, back = (-wide / 2 + leg, wide / 2 - leg), deep + 0.05 - leg, 0.05 + leg
    for x in xs:
        parts.append(cylinder((x, front, 0), (x, front, seat_z - thick), leg, CHAIR, frame, sides=6))
        if rng.random() < 0.7:
            parts.append(cylinder((x, back, 0), (x, back, seat_z), leg, CHAIR, frame, sides=6))
        else:
            parts.append(cylinder((x, back - 0.1, leg), (x, front, leg), leg, CHAIR, frame, sides=6))
    parts.append(_back(rng, wide, seat_z, rng.uniform(0.75, 0.95), cover))
    if rng.random() < 0.35:
        parts.append(_arms(wide, deep / 2 + 0.05, seat_z, rng.uniform(0.16, 0.24), frame))
    return join(parts)


def stool(rng: np.random.Generator) -> Mesh:
    """A stool, low or high."""
    height, radius = float(rng.choice([rng.uniform(0.42, 0.5), rng.uniform(0.6, 0.78)])), rng.uniform(0.16, 0.21)
    seat = cylinder((0, 0.25, height - 0.05), (0, 0.25, height), radius, CHAIR, fabric(rng), sides=14)
    foot = cylinder((0, 0.25, 0), (0, 0.25, 0.03), radius, CHAIR, metal(rng), sides=14)
    return join([seat, foot, cylinder((0, 0.25, 0), (0, 0.25, height - 0.05), 0.03, CHAIR, metal(rng))])


# Bookcases


def bookcase(rng: np.random.Generator) -> Mesh:
    """A case of shelves from the floor: tall or low, open, closed below, or closed."""
    height = float(rng.choice([rng.uniform(0.75, 1.2), rng.uniform(1.5, 2.3)], p=[0.4, 0.6]))
    return _case(rng, rng.uniform(0.7, 1.8), rng.uniform(0.25, 0.45), 0.0, height)


def wall_shelf(rng: np.random.Generator) -> Mesh:
    """Shelves or a cupboard on the wall, over a desk."""
    low = rng.uniform(1.1, 1.5)
    return _case(rng, rng.uniform(0.8, 1.9), rng.uniform(0.22, 0.4), low, min(2.35, low + rng.uniform(0.35, 0.9)))


def plain_shelves(rng: np.random.Generator) -> Mesh:
    """Boards on the wall without sides, with books and things on them."""
    wide, deep, paint = rng.uniform(0.8, 2.0), rng.uniform(0.2, 0.35), wood(rng)
    parts = []
    for z in rng.uniform(1.1, 1.4) + rng.uniform(0.28, 0.4) * np.arange(rng.integers(1, 4)):
        parts.append(box((-wide / 2, 0, z), (wide / 2, deep, z + 0.025), BOOKCASE, paint))
        parts.append(_books(rng, wide, deep, float(z) + 0.025, rng.uniform(0.22, 0.3)))
    return join(parts)


def _case(rng: np.random.Generator, wide: float, deep: float, low: float, high: float) -> Mesh:
    paint, thick = wood(rng) if rng.random() < 0.75 else metal(rng), rng.uniform(0.018, 0.03)
    levels = max(1, round((high - low) / rng.uniform(0.28, 0.42)))
    edges = np.linspace(low + (0.06 if low == 0 else 0), high - thick, levels + 1)
    sides = [(-wide / 2, 0, low), (wide / 2 - thick, 0, low), (-wide / 2, 0, low)]
    tops = [(-wide / 2 + thick, deep, high), (wide / 2, deep, high), (wide / 2, 0.012, high)]
    sides += [(-wide / 2, 0, z) for z in edges]
    tops += [(wide / 2, deep, z + thick) for z in edges]
    parts = [boxes(np.array(sides), np.array(tops), BOOKCASE, np.array([paint] * len(sides)))]
    style, fill = rng.choice(["open", "closed", "half"], p=[0.6, 0.2, 0.2]), rng.uniform(0.35, 1.0)
    for level, (z, above) in enumerate(pairwise(edges)):
        if style == "closed" or (style == "half" and level < levels / 2):
            parts.append(_doors(rng, wide, deep, float(z), float(above), paint))
        elif rng.random() < fill:
            parts.append(_books(rng, wide - 2 * thick, deep, float(z) + thick, above - z - 2 * thick))
    return join(parts)


def _doors(rng: np.random.Generator, wide: float, deep: float, low: float, high: float, paint: Paint) -> Mesh:
    count = max(1, round(wide / 0.5))
    edges = np.linspace(-wide / 2, wide / 2, count + 1)
    lows = np.array([(x + 0.003, deep - 0.02, low + 0.005) for x in edges[:-1]])
    highs = np.array([(x - 0.003, deep + 0.005 + 0.008 * rng.random(), high - 0.002) for x in edges[1:]])
    return boxes(lows, highs, BOOKCASE, np.array([paint] * count))


def _books(rng: np.random.Generator, wide: float, deep: float, z: float, room: float) -> Mesh:
    """A row of books with gaps, fallen ones and a box or two among them."""
    widths = rng.uniform(0.015, 0.07, int(wide / 0.03) + 2)
    ends = np.cumsum(widths)
    last = int(np.searchsorted(ends, wide - 0.02))
    keep = np.sin(np.arange(last) * rng.uniform(0.1, 0.5) + rng.uniform(0, 6)) > rng.uniform(-1.2, 0.3)
    chosen = np.flatnonzero(keep)
    if not len(chosen):
        return boxes(np.empty((0, 3)), np.empty((0, 3)), BOOKCASE, np.empty((0, 3)))
    n = len(chosen)
    left = -wide / 2 + ends[chosen] - widths[chosen]
    back = rng.uniform(0.012, 0.05, n)
    front = np.clip(deep * rng.uniform(0.6, 1.05) + rng.normal(0, 0.02, n), back + 0.05, deep + 0.03)
    top = z + np.clip(room * rng.uniform(0.55, 0.95) + rng.normal(0, 0.03, n), 0.05, room)
    low = np.stack([left, back, np.full(n, z)], axis=1)
    high = np.stack([left + widths[chosen] - 0.002, front, top], axis=1)
    paints = np.clip(rng.uniform(0.1, 0.8, (n, 1)) + rng.normal(0, 0.2, (n, 3)), 0.03, 0.97)
    return boxes(low, high, BOOKCASE, paints)


# Sofas and boards


def sofa(rng: np.random.Generator) -> Mesh:
    """A sofa of one to three seats, or an armchair."""
    seats, cover = int(rng.integers(1, 4)), fabric(rng)
    one, deep, seat_z = rng.uniform(0.5, 0.75), rng.uniform(0.7, 0.95), rng.uniform(0.36, 0.48)
    arm, back_z, thick = rng.uniform(0.0, 0.22), rng.uniform(0.68, 0.95), rng.uniform(0.15, 0.28)
    wide, foot = seats * one + 2 * arm, rng.uniform(0.0, 0.12)
    parts = [box((-wide / 2, 0, foot), (wide / 2, deep, seat_z - 0.12), SOFA, cover)]
    parts.append(tilted(box((-wide / 2, 0, foot), (wide / 2, thick, back_z), SOFA, cover), rng.uniform(0.0, 0.12)))
    for k in range(seats):
        x = -wide / 2 + arm + k * one
        parts.append(box((x + 0.01, thick, seat_z - 0.12), (x + one - 0.01, deep + 0.02, seat_z), SOFA, cover))
        parts.append(box((x + 0.02, thick - 0.03, seat_z), (x + one - 0.02, thick + 0.13, back_z + 0.03), SOFA, cover))
    if arm > 0.06:
        up = rng.uniform(0.5, 0.68)
        parts += [box((x, 0, foot), (x + arm, deep, up), SOFA, cover) for x in (-wide / 2, wide / 2 - arm)]
    if rng.random() < 0.3:
        size, place = (0.4, 0.2, 0.4), (rng.uniform(-0.3, 0.3) * wide, thick + 0.18, seat_z + 0.18)
        parts.append(blob(rng, size, place, SOFA, fabric(rng), dent=0.06))
    return join(parts)


def board(rng: np.random.Generator, wide: float, high: float) -> Mesh:
    """A writing board, flat on the wall, with its frame and tray."""
    thick, rim, frame = rng.uniform(0.015, 0.04), rng.uniform(0.01, 0.05), metal(rng) if rng.random() < 0.6 else wood(rng)
    face: Paint = (0.9, 0.91, 0.92) if rng.random() < 0.8 else (0.12, 0.3, 0.22)
    parts = [box((-wide / 2, 0, 0), (wide / 2, thick, high), BOARD, face)]
    low = [(-wide / 2, 0, 0), (-wide / 2, 0, high - rim), (-wide / 2, 0, 0), (wide / 2 - rim, 0, 0)]
    top = [(wide / 2, 0, rim), (wide / 2, 0, high), (-wide / 2 + rim, 0, high), (wide / 2, 0, high)]
    out = thick + 0.008
    parts.append(boxes(np.array(low), np.array(top) + np.array([0, out, 0]), BOARD, np.array([frame] * 4)))
    if rng.random() < 0.6:
        parts.append(box((-0.4 * wide, 0, -0.02), (0.4 * wide, 0.09, 0.0), BOARD, frame))
    return join(parts)


# Clutter


def monitor(rng: np.random.Generator) -> Mesh:
    """A screen on its foot, or an older one with depth."""
    wide, high, foot = rng.uniform(0.38, 0.72), rng.uniform(0.28, 0.42), rng.uniform(0.08, 0.18)
    depth = rng.uniform(0.03, 0.06) if rng.random() < 0.8 else rng.uniform(0.25, 0.4)
    case: Paint = (0.07, 0.07, 0.08) if rng.random() < 0.75 else (0.75, 0.74, 0.7)
    parts = [box((-wide / 2, 0.08, foot), (wide / 2, 0.08 + depth, foot + high), CLUTTER, case)]
    parts.append(box((-0.04, 0.06, 0), (0.04, 0.1, foot + 0.1), CLUTTER, case))
    parts.append(box((-0.13, 0, 0), (0.13, 0.2, 0.015), CLUTTER, case))
    return join(parts)


def computer(rng: np.random.Generator) -> Mesh:
    """A case that stands or lies."""
    size = np.array([rng.uniform(0.16, 0.22), rng.uniform(0.38, 0.5), rng.uniform(0.35, 0.48)])
    size = size if rng.random() < 0.75 else size[[2, 1, 0]]
    return _block(size, metal(rng))


def carton(rng: np.random.Generator) -> Mesh:
    """A box or a stack of them, put down anyhow."""
    parts, z = [], 0.0
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        size = rng.uniform((0.2, 0.2, 0.12), (0.55, 0.45, 0.42))
        paint = (0.6, 0.45, 0.3) if rng.random() < 0.5 else any_paint(rng)
        parts.append(moved(turned(_block(size, paint), rng.uniform(-0.3, 0.3)), (0, 0, z)))
        z += float(size[2])
    return join(parts)


def cabinet(rng: np.random.Generator) -> Mesh:
    """A low cabinet of drawers on its own, a printer or a refrigerator: clutter in this order of classes."""
    size, paint = rng.uniform((0.38, 0.4, 0.5), (0.65, 0.65, 1.0)), metal(rng)
    edges = np.linspace(0.05, size[2] - 0.02, int(rng.integers(2, 5)))
    fronts = [box((-size[0] / 2, size[1], a + 0.01), (size[0] / 2, size[1] + 0.02, b - 0.01), CLUTTER, paint)
              for a, b in pairwise(edges)]  # fmt: skip
    return join([_block(size, paint), *fronts])


def bin_(rng: np.random.Generator) -> Mesh:
    """A waste bin, round or square."""
    high, radius, paint = rng.uniform(0.28, 0.7), rng.uniform(0.12, 0.25), any_paint(rng)
    if rng.random() < 0.5:
        return cylinder((0, radius, 0), (0, radius, high), (0.8 * radius, radius), CLUTTER, paint, sides=12)
    return _block(np.array([2 * radius, 1.4 * radius, high]), paint)


def bag(rng: np.random.Generator) -> Mesh:
    """A bag, a rucksack or a heap of clothes."""
    size = rng.uniform((0.25, 0.2, 0.2), (0.6, 0.5, 0.55))
    return blob(rng, _point(size), (0, size[1] / 2, 0.45 * size[2]), CLUTTER, fabric(rng))


def plant(rng: np.random.Generator) -> Mesh:
    """A plant in a pot."""
    pot, high = rng.uniform(0.1, 0.2), rng.uniform(0.4, 1.6)
    parts = [cylinder((0, pot, 0), (0, pot, 1.6 * pot), (0.7 * pot, pot), CLUTTER, (0.5, 0.3, 0.2))]
    parts.append(cylinder((0, pot, 0), (0, pot, high * 0.8), 0.015, CLUTTER, (0.3, 0.25, 0.15), sides=5))
    for _ in range(int(rng.integers(3, 8))):
        place = (rng.normal(0, 0.12), pot + rng.normal(0, 0.12), rng.uniform(0.45, 1.0) * high)
        parts.append(
            blob(rng, _point(rng.uniform(0.15, 0.4, 3)), place, CLUTTER, (0.15, rng.uniform(0.25, 0.45), 0.12), dent=0.35)
        )
    return join(parts)


def coat_stand(rng: np.random.Generator) -> Mesh:
    """A pole with coats on it."""
    high = rng.uniform(1.6, 1.9)
    parts = [cylinder((0, 0.25, 0), (0, 0.25, high), 0.025, CLUTTER, metal(rng), sides=6)]
    for _ in range(int(rng.integers(0, 4))):
        place = (rng.normal(0, 0.08), 0.25 + rng.normal(0, 0.08), high - rng.uniform(0.4, 0.6))
        parts.append(blob(rng, (0.3, 0.3, rng.uniform(0.7, 1.0)), place, CLUTTER, fabric(rng)))
    return join(parts)


def person(rng: np.random.Generator) -> Mesh:
    """Somebody who stood still while the scan was made."""
    high, cloth, legs = rng.uniform(1.55, 1.9), fabric(rng), fabric(rng)
    parts = [cylinder((x, 0.2, 0), (x, 0.2, 0.5 * high), 0.075, CLUTTER, legs, sides=8) for x in (-0.1, 0.1)]
    parts.append(blob(rng, (0.46, 0.28, 0.36 * high), (0, 0.2, 0.66 * high), CLUTTER, cloth, dent=0.05))
    parts.append(blob(rng, (0.17, 0.2, 0.24), (0, 0.2, 0.93 * high), CLUTTER, (0.7, 0.5, 0.4), dent=0.04))
    arm = [cylinder((s * 0.26, 0.2, 0.8 * high), (s * 0.3, 0.25, 0.48 * high), 0.045, CLUTTER, cloth, sides=6) for s in (-1, 1)]
    return join([*parts, *arm])


def radiator(rng: np.random.Generator) -> Mesh:
    """A radiator under a window."""
    wide, high, paint = rng.uniform(0.6, 1.6), rng.uniform(0.35, 0.65), (0.86, 0.86, 0.84)
    xs = np.arange(-wide / 2, wide / 2, 0.06)
    low = np.stack([xs, 0 * xs + 0.03, 0 * xs + 0.1], axis=1)
    return boxes(low, low + np.array([0.04, 0.1, high]), CLUTTER, np.array([paint] * len(xs)))


def desk_litter(rng: np.random.Generator) -> Mesh:
    """Something small: paper, a book, a cup, a telephone, a lamp, a laptop, a small box."""
    kind = rng.integers(6)
    if kind == 0:
        return _block(rng.uniform((0.2, 0.15, 0.01), (0.35, 0.3, 0.15)), (0.85, 0.85, 0.82))
    if kind == 1:
        return cylinder(
            (0, 0.05, 0), (0, 0.05, rng.uniform(0.08, 0.28)), rng.uniform(0.03, 0.06), CLUTTER, any_paint(rng), sides=8
        )
    if kind == 2:
        base = box((-0.17, 0.1, 0), (0.17, 0.34, 0.02), CLUTTER, (0.2, 0.2, 0.2))
        return join(
            [base, moved(tilted(box((-0.17, 0, 0), (0.17, 0.012, 0.22), CLUTTER, (0.1, 0.1, 0.1)), 0.3), (0, 0.1, 0.01))]
        )
    if kind == 3:
        neck = cylinder((0, 0.1, 0), (0, 0.1, 0.42), 0.012, CLUTTER, metal(rng), sides=5)
        shade = cylinder((0, 0.16, 0.36), (0, 0.14, 0.48), (0.1, 0.05), CLUTTER, any_paint(rng), sides=8)
        return join([neck, shade, cylinder((0, 0.1, 0), (0, 0.1, 0.02), 0.09, CLUTTER, metal(rng), sides=8)])
    if kind == 4:
        return blob(rng, _point(rng.uniform((0.1, 0.1, 0.06), (0.35, 0.3, 0.25))), (0, 0.15, 0.06), CLUTTER, any_paint(rng))
    return _block(rng.uniform((0.08, 0.08, 0.04), (0.4, 0.35, 0.35)), any_paint(rng))


def _block(size: np.ndarray, paint: Paint) -> Mesh:
    return box((-size[0] / 2, 0, 0), (size[0] / 2, size[1], size[2]), CLUTTER, paint)


def _point(size: np.ndarray) -> tuple[float, float, float]:
    x, y, z = size.tolist()
    return x, y, z
