"""What a room is made of before anybody moves in: floor, ceiling, walls with doors and windows, columns, beams, lamps."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vidpc.types import F64

from .floor_plan import FloorPlan, Patch, Wall, inside
from .furniture import any_paint, metal, wood
from .solids import (
    BEAM,
    CEILING,
    CLUTTER,
    COLUMN,
    DOOR,
    FLOOR,
    WALL,
    WINDOW,
    Mesh,
    Paint,
    box,
    boxes,
    cylinder,
    join,
    moved,
    nothing,
    quads,
    turned,
)


@dataclass(frozen=True, slots=True)
class Opening:
    """A hole in a wall: where, how deep, whose reveal it is, and what stands in it (in the wall's own axes)."""

    patch: Patch
    depth_m: float
    reveal: int
    filling: Mesh
    passable: bool = False


Openings = dict[int, list[Opening]]  # by the wall's place in the plan


@dataclass(frozen=True, slots=True)
class Look:
    """Paints that a room keeps to."""

    wall: Paint
    floor: Paint
    ceiling: Paint
    door: Paint
    frame: Paint


def draw_look(rng: np.random.Generator) -> Look:
    """Bright walls and ceiling, any floor."""
    white = rng.uniform(0.65, 0.92) + rng.normal(0, 0.04, 3)
    red, green, blue = np.clip(white, 0.1, 0.97).tolist()
    bright = rng.uniform(0.7, 0.95)
    floor = wood(rng) if rng.random() < 0.4 else any_paint(rng)
    return Look((red, green, blue), floor, (bright, bright, bright), wood(rng), wood(rng) if rng.random() < 0.6 else metal(rng))


def draw_outline(rng: np.random.Generator, wide_m: float, deep_m: float, plain: bool) -> F64:
    """The corners of a room f64[k 2], counter-clockwise: a rectangle, or one with a corner cut off or a step in a wall."""
    whole = [(0.0, 0.0), (wide_m, 0.0), (wide_m, deep_m), (0.0, deep_m)]
    style = "plain" if plain else rng.choice(["plain", "corner", "step"], p=[0.5, 0.25, 0.25])
    if style == "corner":
        cut = (rng.uniform(0.2, 0.55) * wide_m, rng.uniform(0.2, 0.55) * deep_m)
        whole[2:3] = [(wide_m, deep_m - cut[1]), (wide_m - cut[0], deep_m - cut[1]), (wide_m - cut[0], deep_m)]
    elif style == "step":
        left, right = np.sort(rng.uniform(0.1, 0.9, 2)) * wide_m
        into = rng.uniform(0.15, 0.7)
        whole[3:3] = [(right, deep_m), (right, deep_m - into), (left, deep_m - into), (left, deep_m)]
    outline = np.round(whole, 4)
    return outline if rng.random() < 0.5 else np.stack([-outline[::-1, 0], outline[::-1, 1]], axis=1)


def floor_and_ceiling(plan: FloorPlan, look: Look) -> Mesh:
    """Both as rectangles between the corners."""
    xs, ys = np.unique(plan.outline[:, 0]), np.unique(plan.outline[:, 1])
    rectangles = []
    for x0, x1 in pairwise(xs):
        for y0, y1 in pairwise(ys):
            if inside(np.array([(x0 + x1) / 2, (y0 + y1) / 2]), plan.outline):
                rectangles.append((x0, y0, x1, y1))
    h = plan.height_m
    down = [[(x0, y0, h), (x0, y1, h), (x1, y1, h), (x1, y0, h)] for x0, y0, x1, y1 in rectangles]
    up = [[(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0)] for x0, y0, x1, y1 in rectangles]
    parts = [quads(np.array(down), CEILING, look.ceiling), quads(np.array(up), FLOOR, look.floor)]
    return join(parts)


def walls(plan: FloorPlan, openings: Openings, look: Look) -> Mesh:
    """All walls with their openings and what stands in those."""
    parts = []
    for index, wall in enumerate(plan.walls):
        holes = openings.get(index, [])
        parts.append(wall.lay(_panel(wall.length_m, plan.height_m, holes, look.wall)))
        for hole in holes:
            parts += [wall.lay(_reveal(hole, look)), wall.lay(hole.filling)]
    return join(parts)


def _panel(length: float, height: float, holes: list[Opening], paint: Paint) -> Mesh:
    """A wall's face in its own axes, cut along the edges of its holes."""
    patches = [hole.patch for hole in holes]
    xs = np.unique([0.0, length, *(p.left_m for p in patches), *(p.right_m for p in patches)])
    zs = np.unique([0.0, height, *(p.low_m for p in patches), *(p.high_m for p in patches)])
    faces = []
    for x0, x1 in pairwise(xs):
        for z0, z1 in pairwise(zs):
            if not any(Patch(x0, x1, z0, z1).meets(patch) for patch in patches):
                faces.append([(x1, 0, z0), (x0, 0, z0), (x0, 0, z1), (x1, 0, z1)])
    return quads(np.array(faces).reshape(-1, 4, 3), WALL, paint)


def _reveal(hole: Opening, look: Look) -> Mesh:
    """The faces of a hole in the thickness of its wall. That below a door is floor."""
    p, d = hole.patch, -hole.depth_m
    x0, x1, z0, z1 = p.left_m, p.right_m, p.low_m, p.high_m
    sides = [[(x0, d, z0), (x0, 0, z0), (x0, 0, z1), (x0, d, z1)], [(x1, 0, z0), (x1, d, z0), (x1, d, z1), (x1, 0, z1)]]
    over, under = [(x0, 0, z1), (x1, 0, z1), (x1, d, z1), (x0, d, z1)], [(x0, d, z0), (x1, d, z0), (x1, 0, z0), (x0, 0, z0)]
    paint = look.frame if hole.reveal == DOOR else look.wall
    parts = [quads(np.array([*sides, over]), hole.reveal, paint)]
    bottom = FLOOR if z0 == 0 else hole.reveal
    parts.append(quads(np.array([under]), bottom, look.floor if bottom == FLOOR else paint))
    return join(parts)


def draw_doors(
    rng: np.random.Generator, plan: FloorPlan, look: Look, count: int, openings: Openings
) -> list[tuple[Wall, Opening]]:
    """Adds doors to ``openings``; returns those that one can look through."""
    passable = []
    for _ in range(count):
        double = rng.random() < 0.12
        wide, high = rng.uniform(1.4, 1.8) if double else rng.uniform(0.75, 1.05), rng.uniform(1.98, 2.2)
        light = rng.random() < 0.15 and high < plan.height_m - 0.3  # a pane above, up to the ceiling
        frame = rng.uniform(0.03, 0.1)
        place = plan.on_wall(rng, wide + 2 * frame + 0.1, 0.0, plan.height_m - 0.02, 0.9)
        if place is None:
            continue
        wall, along = place
        patch = Patch(along - wide / 2, along + wide / 2, 0.0, min(high, plan.height_m - 0.06))
        opening = _door(rng, patch, look, frame, double)
        index = plan.walls.index(wall)
        openings.setdefault(index, []).append(opening)
        if light:
            over = Patch(patch.left_m, patch.right_m, patch.high_m + 0.04, plan.height_m - 0.05)
            pane = box(
                (over.left_m, -0.06, over.low_m), (over.right_m, -0.05, over.high_m), DOOR, look.door, rng.uniform(0.3, 1)
            )
            openings[index].append(Opening(over, 0.1, DOOR, pane))
        if opening.passable:
            passable.append((wall, opening))
    return passable


def _door(rng: np.random.Generator, patch: Patch, look: Look, frame: float, double: bool) -> Opening:
    state = rng.choice(["closed", "in", "out", "none"], p=[0.45, 0.33, 0.12, 0.1])
    depth, out = rng.uniform(0.08, 0.25), rng.uniform(0.004, 0.03)
    x0, x1, z1 = patch.left_m, patch.right_m, patch.high_m
    low = [(x0 - frame, -0.01, 0), (x1, -0.01, 0), (x0 - frame, -0.01, z1)]
    high = [(x0, out, z1 + frame), (x1 + frame, out, z1 + frame), (x1 + frame, out, z1 + frame)]
    parts = [boxes(np.array(low), np.array(high), DOOR, np.array([look.frame] * 3))]
    if state != "none":
        leaves = [(x0, 1.0), (x1, -1.0)] if double else [(x0, 1.0) if rng.random() < 0.5 else (x1, -1.0)]
        wide = (x1 - x0) / len(leaves)
        angle = {"closed": 0.0, "in": rng.uniform(0.5, 1.75), "out": -rng.uniform(0.4, 1.6)}[str(state)]
        back = -rng.uniform(0.0, depth) if state == "closed" else (0.0 if state == "in" else -depth)
        glass = rng.uniform(0.15, 0.5) if rng.random() < 0.08 else 1.0
        for hinge, way in leaves:
            parts.append(moved(turned(_leaf(rng, wide, z1, way, look, glass), way * angle), (hinge, back, 0)))
    return Opening(patch, depth, DOOR, join(parts), passable=state != "closed")


def _leaf(rng: np.random.Generator, wide: float, high: float, way: float, look: Look, returned: float) -> Mesh:
    """A door's leaf from its hinge at x = 0 towards ``way``, with a handle on both sides."""
    x = sorted((0.0, way * wide))
    panel = box((x[0], -0.04, 0.01), (x[1], 0.0, high - 0.01), DOOR, look.door, returned)
    at = way * (wide - 0.07)
    grips = [box((at - 0.06, y - 0.01, 1.0), (at + 0.06, y + 0.01, 1.03), DOOR, (0.7, 0.7, 0.7)) for y in (-0.09, 0.05)]
    return join([panel, *grips])


def draw_windows(rng: np.random.Generator, plan: FloorPlan, look: Look, count: int, openings: Openings) -> None:
    """Adds windows of one kind to ``openings``: with blinds, or of glass that most rays go through."""
    sill = float(rng.choice([rng.uniform(0.6, 1.1), rng.uniform(0.02, 0.3), rng.uniform(1.2, 1.6)], p=[0.75, 0.15, 0.1]))
    top = plan.height_m - float(rng.choice([rng.uniform(0.03, 0.1), rng.uniform(0.2, 0.7)]))
    depth, returned = float(rng.choice([0.03, rng.uniform(0.05, 0.35)])), float(rng.uniform(0.05, 1.0))
    blinds = rng.random() < 0.5
    wanted = rng.uniform(0.7, 3.2)
    for _ in range(count):
        wide = wanted * rng.uniform(0.85, 1.15)
        if top - sill < 0.5 or (place := plan.on_wall(rng, wide + 0.1, sill - 0.02, top + 0.02)) is None:
            continue
        wall, along = place
        patch = Patch(along - wide / 2, along + wide / 2, sill, top)
        glazing = _window(rng, patch, look, depth, 1.0 if blinds else returned, blinds)
        openings.setdefault(plan.walls.index(wall), []).append(Opening(patch, depth, WALL if depth > 0.1 else WINDOW, glazing))


def _window(rng: np.random.Generator, p: Patch, look: Look, depth: float, returned: float, blinds: bool) -> Mesh:
    """Frame, bars, panes, and a sill."""
    bar, y, paint = rng.uniform(0.03, 0.08), -depth + 0.02, metal(rng)
    panes = max(1, round((p.right_m - p.left_m) / rng.uniform(0.6, 1.4)))
    xs = np.linspace(p.left_m, p.right_m - bar, panes + 1)
    zs = [p.low_m, p.high_m - bar] + ([p.low_m + rng.uniform(0.25, 0.75) * (p.high_m - p.low_m)] if rng.random() < 0.4 else [])
    low = [(x, y, p.low_m) for x in xs] + [(p.left_m, y, z) for z in zs]
    high = [(x + bar, y + 0.05, p.high_m) for x in xs] + [(p.right_m, y + 0.05, z + bar) for z in zs]
    parts = [boxes(np.array(low), np.array(high), WINDOW, np.array([paint] * len(low)))]
    parts.append(_blinds(rng, p, y + 0.05) if blinds else box((p.left_m, y, p.low_m), (p.right_m, y + 0.012, p.high_m), WINDOW,
                                                              (0.55, 0.65, 0.72), returned))  # fmt: skip
    if rng.random() < 0.5:
        out = rng.uniform(0.02, 0.2)
        parts.append(box((p.left_m - 0.03, -depth, p.low_m - 0.03), (p.right_m + 0.03, out, p.low_m), WINDOW, look.frame))
    return join(parts)


def _blinds(rng: np.random.Generator, p: Patch, y: float) -> Mesh:
    """Slats or a sheet that hangs in waves, from the top down to somewhere."""
    bottom = p.low_m + (0.0 if rng.random() < 0.6 else rng.uniform(0, 0.7) * (p.high_m - p.low_m))
    xs = np.linspace(p.left_m, p.right_m, max(3, round((p.right_m - p.left_m) / 0.06)))
    out = y + 0.02 + rng.uniform(0.0, 0.04) * (1 + np.sin(xs * rng.uniform(10, 50) + rng.uniform(0, 6)))
    faces = [
        [(x1, y1, bottom), (x0, y0, bottom), (x0, y0, p.high_m), (x1, y1, p.high_m)]
        for x0, x1, y0, y1 in zip(xs[:-1], xs[1:], out[:-1], out[1:], strict=True)
    ]
    shade = rng.uniform(0.5, 0.95)
    pane = box((p.left_m, y - 0.05, p.low_m), (p.right_m, y - 0.04, p.high_m), WINDOW, (0.6, 0.7, 0.78), 0.4)
    return join([quads(np.array(faces), WINDOW, (shade, shade, 0.95 * shade)), pane])


def draw_columns(rng: np.random.Generator, plan: FloorPlan, look: Look, count: int) -> Mesh:
    """Columns at the walls and in corners, or free, up to the ceiling."""
    parts, h = [], plan.height_m
    wide, deep = rng.uniform(0.2, 0.75), rng.uniform(0.08, 0.4)
    for _ in range(count):
        if rng.random() < 0.85:
            if place := plan.on_wall(rng, wide, 0.0, h, deep):
                parts.append(place[0].place(box((-wide / 2, 0, 0), (wide / 2, deep, h), COLUMN, look.wall), place[1]))
        elif spot := plan.on_floor(rng, 0.6, 0.6):
            x, y, yaw = spot
            round_ = cylinder((0, 0.3, 0), (0, 0.3, h), rng.uniform(0.15, 0.29), COLUMN, look.wall, sides=20)
            square = box((-0.25, 0.05, 0), (0.25, 0.55, h), COLUMN, look.wall)
            parts.append(moved(turned(round_ if rng.random() < 0.5 else square, yaw), (x, y, 0)))
    return join(parts)


def draw_beams(rng: np.random.Generator, plan: FloorPlan, look: Look, count: int) -> Mesh:
    """Beams under the ceiling: along a wall, or across the room."""
    parts, h = [], plan.height_m
    wide, high = rng.uniform(0.15, 0.6), rng.uniform(0.12, 0.5)
    for _ in range(count):
        wall = plan.walls[int(rng.integers(len(plan.walls)))]
        if rng.random() < 0.6:
            ends = np.sort(rng.uniform(0, wall.length_m, 2)) if rng.random() < 0.3 else np.array([0.0, wall.length_m])
            if plan.wall_is_free(plan.walls.index(wall), Patch(float(ends[0]), float(ends[1]), h - high, h)):
                parts.append(wall.lay(box((ends[0], 0, h - high), (ends[1], wide, h), BEAM, look.wall)))
        else:
            low, top = plan.outline.min(0), plan.outline.max(0)
            x = rng.uniform(low[0] + 0.3, max(top[0] - 0.3 - wide, low[0] + 0.31))
            parts.append(box((x, low[1], h - high), (x + wide, top[1], h), BEAM, look.wall))
    return join(parts)


def draw_ceiling_things(rng: np.random.Generator, plan: FloorPlan) -> Mesh:
    """Lamps in rows, hung or flush, and a pipe: clutter, as S3DIS has them."""
    parts, h = [_lamps(rng, plan)], plan.height_m
    if rng.random() < 0.3:
        low, high = plan.outline.min(0), plan.outline.max(0)
        y, z, radius = rng.uniform(low[1] + 0.2, high[1] - 0.2), h - rng.uniform(0.1, 0.35), rng.uniform(0.03, 0.16)
        pipe = cylinder((low[0] + 0.01, y, z), (high[0] - 0.01, y, z), radius, CLUTTER, metal(rng), sides=12)
        if plan.is_rectangle:
            parts.append(pipe)
    return join(parts)


def _lamps(rng: np.random.Generator, plan: FloorPlan) -> Mesh:
    style = rng.choice(["hung", "flush", "panels", "none"], p=[0.35, 0.3, 0.15, 0.2])
    if style == "none":
        return nothing()
    drop = rng.uniform(0.1, 0.5) if style == "hung" else rng.uniform(0.0, 0.08)
    long, wide = (0.6, 0.6) if style == "panels" else (rng.uniform(0.6, 1.5), rng.uniform(0.1, 0.3))
    size = np.array([long, wide] if rng.random() < 0.5 else [wide, long])
    low, high = plan.outline.min(0), plan.outline.max(0)
    xs, ys = (np.arange(low[k] + 0.6, high[k] - 0.6, rng.uniform(1.3, 2.6)) for k in (0, 1))
    parts, z = [], plan.height_m - drop
    for corner in np.array([(x, y) for x in xs for y in ys]).reshape(-1, 2):
        if inside(corner, plan.outline) and inside(corner + size, plan.outline):
            parts.append(box((*corner, z - 0.06), (*(corner + size), z), CLUTTER, (0.95, 0.95, 0.9)))
            if style == "hung":
                x, y = corner + size / 2
                parts.append(cylinder((x, y, z), (x, y, plan.height_m), 0.01, CLUTTER, (0.7, 0.7, 0.7), sides=4))
    return join(parts)


def draw_wall_runs(rng: np.random.Generator, plan: FloorPlan) -> Mesh:
    """Trays and pipes along walls, under the ceiling or low."""
    parts = []
    style = rng.choice(["crown", "tray", "pipes"], p=[0.4, 0.35, 0.25])
    z = plan.height_m - rng.uniform(0.12, 0.4) if style != "pipes" else rng.uniform(0.1, 2.2)
    deep, high, paint = rng.uniform(0.03, 0.2), rng.uniform(0.08, 0.3), any_paint(rng)
    chosen = plan.walls if style == "crown" else [plan.walls[int(rng.integers(len(plan.walls)))]]
    for wall in chosen:
        index = plan.walls.index(wall)
        patch = Patch(0.0, wall.length_m, z, min(z + high, plan.height_m))
        if style == "pipes":
            if plan.wall_is_free(index, Patch(0.0, wall.length_m, z - 0.1, z + 0.1)):
                parts.append(wall.lay(cylinder((0, 0.06, z), (wall.length_m, 0.06, z), 0.04, CLUTTER, paint, sides=8)))
        elif plan.wall_is_free(index, patch):
            plan.patches[index].append(patch)
            parts.append(wall.lay(box((0, 0, z), (wall.length_m, deep, patch.high_m), CLUTTER, paint)))
    return join(parts)


def beyond(
    rng: np.random.Generator, wall: Wall, opening: Opening, wide_m: float, deep_m: float
) -> tuple[F64, tuple[int, Patch]]:
    """The outline f64[4 2] of a room on the other side of a door, and which of its walls has the door, and where."""
    door, near = opening.patch, -opening.depth_m
    left = (door.left_m + door.right_m) / 2 - float(rng.uniform(0.7, wide_m - 0.7))
    right = left + wide_m
    corners = [(left, near - deep_m), (right, near - deep_m), (right, near), (left, near)]
    outline = np.round([wall.point(*corner) for corner in corners], 4)
    return outline, (2, Patch(right - door.right_m, right - door.left_m, 0.0, door.high_m))
