"""Who lives in a room: which furniture a kind of room has, where it goes, and the disorder that comes with it."""

from collections.abc import Callable, Sequence
from math import pi

import numpy as np

from . import furniture
from .floor_plan import FloorPlan, Patch
from .furniture import Maker
from .solids import CLUTTER, DOOR, Mesh, blob, box, join, moved, nothing, turned

Rng = np.random.Generator

_GAP_M = 0.03  # between a thing and its neighbours
_DESK_TOP_M, _DESK_REACH_M = 1.05, 1.15  # of a desk with all that belongs to it
_DRAWS = 3  # of a piece, for one that fits


def furnish(rng: Rng, plan: FloorPlan, kind: str) -> Mesh:
    """All that stands, hangs and lies in a room of this kind, a name in ``KINDS``."""
    mess = rng.uniform(0.3, 2.5)
    parts = [KINDS[kind](rng, plan)]
    parts.append(at_walls(rng, plan, furniture.radiator, _count(rng, 0.4)))
    for maker, often in ((furniture.bin_, 0.7), (furniture.carton, 1.0), (furniture.bag, 0.7), (furniture.plant, 0.35)):
        parts.append(at_walls(rng, plan, maker, _count(rng, mess * often)))
        parts.append(anywhere(rng, plan, maker, _count(rng, 0.3 * mess * often)))
    for maker, often in ((furniture.coat_stand, 0.15), (furniture.person, 0.12)):
        parts.append(anywhere(rng, plan, maker, _count(rng, often)))
    parts.append(posters(rng, plan, _count(rng, 3.5)))
    parts.append(fixtures(rng, plan, _count(rng, 3.0)))
    return join(parts)


# Where things go


def at_walls(rng: Rng, plan: FloorPlan, make: Maker, count: int) -> Mesh:
    """That many pieces with their backs to walls, or fewer where there is no room."""
    parts: list[Mesh] = []
    for _ in range(_DRAWS * count):
        mesh = make(rng)
        wide, low, high, deep = _needs(mesh)
        if place := plan.on_wall(rng, wide, low, high, deep):
            gap = rng.uniform(0.0, 0.06) if deep > 0 else 0.0
            parts.append(place[0].place(moved(mesh, (_middle(mesh), 0, 0)), place[1], gap))
        if len(parts) == count:
            break
    return join(parts)


def along_walls(rng: Rng, plan: FloorPlan, makers: Sequence[tuple[Maker, float]], fill: float) -> Mesh:
    """Pieces side by side along every wall, as offices are furnished: ``fill`` of it, drawn from makers by their weights."""
    weights = np.array([weight for _, weight in makers])
    parts = []
    for index, wall in enumerate(plan.walls):
        along = float(rng.exponential(0.3))
        while along < wall.length_m - 0.3:
            mesh = makers[int(rng.choice(len(makers), p=weights / weights.sum()))][0](rng)
            wide, low, high, deep = _needs(mesh)
            patch = Patch(along, along + wide, low, high)
            fits = patch.right_m <= wall.length_m and rng.random() < fill
            if fits and plan.take_wall(index, patch, deep):
                gap = rng.uniform(0.0, 0.04) if deep > 0 else 0.0
                parts.append(wall.place(moved(mesh, (_middle(mesh), 0, 0)), along + wide / 2, gap))
                along = patch.right_m
            else:
                along += 0.3
    return join(parts)


def anywhere(rng: Rng, plan: FloorPlan, make: Maker, count: int) -> Mesh:
    """That many pieces that stand free."""
    parts = []
    for _ in range(count):
        mesh = make(rng)
        wide, _, high, deep = _extent(mesh)
        if high < plan.height_m and (spot := plan.on_floor(rng, wide + _GAP_M, deep)):
            parts.append(moved(turned(moved(mesh, (_middle(mesh), 0, 0)), spot[2]), (spot[0], spot[1], 0)))
    return join(parts)


def strewn(rng: Rng, make: Maker, count: int, wide: float, deep: float, z: float) -> Mesh:
    """Small things on a rectangle at height ``z``, turned anyhow; they may touch, as things on desks do."""
    parts = []
    for _ in range(count):
        mesh = turned(make(rng), float(rng.normal(0, 0.5)))
        reach = 0.4 * float((mesh.high - mesh.low)[:2].max())
        x = rng.uniform(-max(wide / 2 - reach, 0), max(wide / 2 - reach, 0))
        y = rng.uniform(0.0, max(deep - 2 * reach, 0.01))
        parts.append(moved(mesh, (x, y, z)))
    return join(parts)


def _extent(mesh: Mesh) -> tuple[float, float, float, float]:
    """Width, lowest and highest point, depth from the back."""
    low, high = mesh.low, mesh.high
    return float(high[0] - low[0]), float(low[2]), float(high[2]), float(max(high[1], 0.05))


def _needs(mesh: Mesh) -> tuple[float, float, float, float]:
    """What a piece takes of a wall (width, from, to) and of the floor (depth, 0 where it hangs).

    Chairs may stand in each other's way, and what is on a desk may hide what hangs behind it.
    """
    wide, low, high, deep = _extent(mesh)
    return wide + _GAP_M, low, min(high, _DESK_TOP_M) if high < 1.5 else high, min(deep, _DESK_REACH_M) if low < 0.6 else 0.0


def _middle(mesh: Mesh) -> float:
    return -float(mesh.low[0] + mesh.high[0]) / 2


def _count(rng: Rng, mean: float) -> int:
    return int(rng.poisson(mean))


# Groups that belong together, drawn like single pieces


def workplace(rng: Rng) -> Mesh:
    """A desk with a chair pulled out more or less, screens, and what collects on desks and under them."""
    desk = furniture.desk(rng)
    wide, _, top, deep = _extent(desk)
    deep = min(deep, 0.9)
    parts = [desk, _seat(rng, deep, float(rng.uniform(-0.25, 0.25)) * wide)]
    parts += [moved(turned(furniture.monitor(rng), rng.normal(0, 0.3)), (x, rng.uniform(0.02, 0.25), top))
              for x in rng.uniform(-0.35, 0.35, int(rng.choice([0, 1, 1, 2]))) * wide]  # fmt: skip
    parts.append(strewn(rng, furniture.desk_litter, _count(rng, rng.uniform(1, 14)), wide, deep, top))
    if rng.random() < 0.45:
        parts.append(moved(furniture.computer(rng), (rng.uniform(-0.35, 0.35) * wide, 0.05, 0.0)))
    if rng.random() < 0.3:
        parts.append(moved(furniture.carton(rng), (rng.uniform(-0.3, 0.3) * wide, 0.05, 0.0)))
    if rng.random() < 0.2:
        parts.append(_over_desk(rng))
    return join(parts)


def _over_desk(rng: Rng) -> Mesh:
    shelf = furniture.wall_shelf(rng) if rng.random() < 0.65 else furniture.plain_shelves(rng)
    wide, _, top, deep = _extent(shelf)
    return join([shelf, strewn(rng, furniture.desk_litter, _count(rng, 1.5), wide, deep, top)])


def _seat(rng: Rng, at_m: float, x: float) -> Mesh:
    """A chair that looks towards y = 0 from ``at_m`` on, pushed in, pulled out or turned away."""
    seat = furniture.office_chair(rng) if rng.random() < 0.75 else furniture.chair(rng)
    turn = rng.normal(0, 0.35) if rng.random() < 0.75 else rng.uniform(-pi, pi)
    return moved(turned(moved(seat, (0, -0.28, 0)), pi + turn), (x, at_m + rng.uniform(0.0, 0.45), 0))


def double_workplace(rng: Rng) -> Mesh:
    """Two workplaces face to face, often with a low case or a screen wall between them."""
    front, back = workplace(rng), turned(workplace(rng), pi)
    parts = [front, back]
    if rng.random() < 0.5:
        case = furniture.wall_shelf(rng)
        parts.append(moved(case, (0, -0.15, rng.uniform(0.72, 0.8) - float(case.low[2]))))
    elif rng.random() < 0.5:
        parts.append(box((-0.8, -0.02, 0.1), (0.8, 0.02, rng.uniform(1.1, 1.5)), CLUTTER, furniture.fabric(rng)))
    mesh = join(parts)
    return moved(mesh, (0, -float(mesh.low[1]), 0))


def loaded_case(rng: Rng) -> Mesh:
    """A bookcase with things on top of it."""
    case = furniture.bookcase(rng)
    wide, _, top, deep = _extent(case)
    litter = furniture.desk_litter if rng.random() < 0.6 else furniture.carton
    return join([case, strewn(rng, litter, _count(rng, 1.2), wide, deep, top)])


def loaded_cabinet(rng: Rng) -> Mesh:
    """A cabinet with things on top of it."""
    base = furniture.cabinet(rng)
    wide, _, top, deep = _extent(base)
    return join([base, strewn(rng, furniture.desk_litter, _count(rng, 1.0), wide, deep, top)])


def table_group(rng: Rng) -> Mesh:
    """A table with chairs around it and little on it."""
    base = furniture.table(rng)
    return _with_chairs(rng, base, int(rng.integers(1, 3)))


def meeting_group(rng: Rng, wide: float, deep: float) -> Mesh:
    """A long table with chairs on its sides."""
    return _with_chairs(rng, furniture.meeting_table(rng, wide, deep), max(1, round(wide / rng.uniform(0.65, 0.95))))


def _with_chairs(rng: Rng, base: Mesh, a_side: int) -> Mesh:
    wide, _, top, deep = _extent(base)
    make = [furniture.office_chair, furniture.chair][int(rng.integers(2))]
    parts = [base, strewn(rng, furniture.desk_litter, _count(rng, 2.0), wide, deep, top)]
    for x in np.linspace(-wide / 2, wide / 2, 2 * a_side + 1)[1::2]:
        for side, turn in ((deep, pi), (0.0, 0.0)):
            if rng.random() < 0.85:
                out = rng.uniform(-0.15, 0.4) * (1 if side else -1)
                chair = turned(moved(make(rng), (0, -0.28, 0)), turn + rng.normal(0, 0.3))
                parts.append(moved(chair, (x, side + out, 0)))
    mesh = join(parts)
    return moved(mesh, (0, -float(mesh.low[1]), 0))


def sitting_group(rng: Rng) -> Mesh:
    """A sofa, at times with a low table before it."""
    seat = furniture.sofa(rng)
    if rng.random() < 0.4:
        return seat
    low = furniture.low_table(rng)
    wide, _, top, deep = _extent(low)
    front = float(seat.high[1]) + rng.uniform(0.15, 0.45)
    return join(
        [seat, moved(join([low, strewn(rng, furniture.desk_litter, _count(rng, 1.0), wide, deep, top)]), (0, front, 0))]
    )


# On the walls


def boards(rng: Rng, plan: FloorPlan, count: int) -> Mesh:
    """Writing boards at the height of a standing hand."""
    parts = []
    for _ in range(count):
        wide, high, low = rng.uniform(1.0, 3.2), rng.uniform(0.9, 1.3), rng.uniform(0.8, 1.05)
        if place := plan.on_wall(rng, wide + 0.06, low, low + high):
            parts.append(place[0].place(furniture.board(rng, wide, high), place[1], 0.0, low))
    return join(parts)


def posters(rng: Rng, plan: FloorPlan, count: int) -> Mesh:
    """Pictures, posters and notice boards: flat, and clutter."""
    parts = []
    wanted, shape = rng.uniform(0.25, 1.3), rng.uniform(0.5, 1.5)
    for _ in range(count):
        wide = wanted * rng.uniform(0.6, 1.4)
        high, low, thick = min(wide * shape, 1.4), rng.uniform(0.9, 1.7), rng.uniform(0.004, 0.03)
        if place := plan.on_wall(rng, wide + 0.04, low, low + high):
            sheet = box((-wide / 2, 0, low), (wide / 2, thick, low + high), CLUTTER, furniture.any_paint(rng))
            parts.append(place[0].place(sheet, place[1]))
    return join(parts)


def fixtures(rng: Rng, plan: FloorPlan, count: int) -> Mesh:
    """Small things on walls: switches, clocks, boxes, extinguishers, screens."""
    parts = []
    for _ in range(count):
        wide, thick, high = rng.uniform((0.08, 0.02, 0.08), (0.5, 0.2, 0.6)).tolist()
        low = rng.uniform(0.2, max(0.3, plan.height_m - 0.7))
        if place := plan.on_wall(rng, wide + 0.04, low, low + high):
            thing = box((-wide / 2, 0, low), (wide / 2, thick, low + high), CLUTTER, furniture.any_paint(rng))
            parts.append(place[0].place(thing, place[1]))
    return join(parts)


# Kinds of rooms

# What stands along the walls of an office, and what hangs there, with weights.
_LINING: tuple[tuple[Maker, float], ...] = (
    (workplace, 4), (loaded_case, 2.5), (loaded_cabinet, 0.8), (furniture.chair, 0.4), (furniture.carton, 0.4),
)  # fmt: skip
_OVERHEAD: tuple[tuple[Maker, float], ...] = ((furniture.wall_shelf, 2), (furniture.plain_shelves, 1))


def _office(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [boards(rng, plan, int(rng.random() < 0.4)), at_walls(rng, plan, sitting_group, int(rng.random() < 0.25))]
    parts.append(anywhere(rng, plan, table_group, int(rng.random() < 0.25)))
    parts.append(at_walls(rng, plan, workplace, 1))
    parts.append(along_walls(rng, plan, _LINING, rng.uniform(0.45, 1.0)))
    parts.append(along_walls(rng, plan, _OVERHEAD, rng.uniform(0.0, 0.6)))
    return join([*parts, anywhere(rng, plan, furniture.chair, _count(rng, 0.8))])


def _shared(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [boards(rng, plan, int(rng.random() < 0.5)), at_walls(rng, plan, sitting_group, int(rng.random() < 0.3))]
    parts.append(anywhere(rng, plan, double_workplace, 1 + _count(rng, 0.05 * plan.area_m2)))
    parts.append(at_walls(rng, plan, workplace, 2))
    parts.append(along_walls(rng, plan, _LINING, rng.uniform(0.45, 1.0)))
    parts.append(along_walls(rng, plan, _OVERHEAD, rng.uniform(0.0, 0.6)))
    return join([*parts, anywhere(rng, plan, furniture.office_chair, _count(rng, 1.5))])


def _meeting(rng: Rng, plan: FloorPlan) -> Mesh:
    span = plan.outline.max(0) - plan.outline.min(0)
    wide, deep = float(span.max()) - rng.uniform(1.8, 3.0), float(span.min()) - rng.uniform(2.0, 3.0)
    wide, deep = max(wide, 1.0), float(np.clip(deep, 0.7, 1.8))
    parts = [boards(rng, plan, int(rng.choice([0, 1, 2], p=[0.25, 0.55, 0.2])))]
    parts.append(anywhere(rng, plan, lambda r: meeting_group(r, wide, deep), 1))
    parts.append(at_walls(rng, plan, furniture.chair, _count(rng, 1.5)))
    parts.append(at_walls(rng, plan, loaded_case, _count(rng, 0.5)))
    return join([*parts, at_walls(rng, plan, loaded_cabinet, _count(rng, 0.6))])


def _corridor(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [boards(rng, plan, int(rng.random() < 0.25)), posters(rng, plan, _count(rng, 0.5 * plan.outline.max()))]
    parts.append(at_walls(rng, plan, loaded_cabinet, _count(rng, 0.7)))
    parts.append(at_walls(rng, plan, furniture.chair, _count(rng, 0.4)))
    return join([*parts, at_walls(rng, plan, loaded_case, _count(rng, 0.4))])


def _lounge(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [at_walls(rng, plan, sitting_group, 1 + _count(rng, 1.2)), anywhere(rng, plan, sitting_group, _count(rng, 0.8))]
    parts.append(anywhere(rng, plan, table_group, _count(rng, 1.2)))
    parts.append(anywhere(rng, plan, furniture.low_table, _count(rng, 0.7)))
    parts.append(at_walls(rng, plan, loaded_case, _count(rng, 0.8)))
    parts.append(at_walls(rng, plan, kitchen, int(rng.random() < 0.35)))
    return join([*parts, anywhere(rng, plan, furniture.stool, _count(rng, 1.0))])


def kitchen(rng: Rng) -> Mesh:
    """A counter with cupboards over it: clutter, but for the cupboards."""
    wide, paint = rng.uniform(1.4, 2.6), furniture.wood(rng)
    parts = [box((-wide / 2, 0, 0.08), (wide / 2, 0.6, 0.9), CLUTTER, paint)]
    parts.append(strewn(rng, furniture.desk_litter, _count(rng, 4), wide, 0.5, 0.9))
    return join([*parts, box((-wide / 2, 0, 1.4), (wide / 2, 0.34, 2.05), CLUTTER, paint)])


def _storage(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [at_walls(rng, plan, loaded_case, 1 + _count(rng, 1.5)), at_walls(rng, plan, furniture.carton, _count(rng, 4.0))]
    parts.append(at_walls(rng, plan, loaded_cabinet, _count(rng, 1.8)))
    parts.append(at_walls(rng, plan, furniture.table, _count(rng, 0.6)))
    parts.append(anywhere(rng, plan, furniture.chair, _count(rng, 0.5)))
    return join([*parts, stalls(rng, plan) if rng.random() < 0.2 else nothing()])


def stalls(rng: Rng, plan: FloorPlan) -> Mesh:
    """Thin partitions with doors, as in a wash room, and basins."""

    def one(r: Rng) -> Mesh:
        wide, deep, high = r.uniform(0.85, 1.1), r.uniform(1.2, 1.5), r.uniform(1.7, 2.0)
        sides = [box((x - 0.015, 0, 0.15), (x + 0.015, deep, high), CLUTTER, (0.7, 0.7, 0.68)) for x in (-wide / 2, wide / 2)]
        door = box((-wide / 2, deep, 0.15), (wide / 2 - 0.1, deep + 0.03, high), DOOR, (0.7, 0.7, 0.68))
        bowl = blob(r, (0.4, 0.6, 0.45), (0, 0.35, 0.22), CLUTTER, (0.92, 0.92, 0.92), dent=0.05)
        return join([*sides, door, bowl])

    return at_walls(rng, plan, one, int(rng.integers(1, 4)))


def _lobby(rng: Rng, plan: FloorPlan) -> Mesh:
    parts = [at_walls(rng, plan, sitting_group, _count(rng, 1.0)), anywhere(rng, plan, sitting_group, _count(rng, 0.7))]
    parts.append(at_walls(rng, plan, furniture.chair, _count(rng, 1.5)))
    parts.append(anywhere(rng, plan, table_group, _count(rng, 1.0)))
    parts.append(at_walls(rng, plan, loaded_cabinet, _count(rng, 1.0)))
    parts.append(at_walls(rng, plan, furniture.plant, _count(rng, 1.0)))
    return join([*parts, boards(rng, plan, int(rng.random() < 0.3))])


KINDS: dict[str, Callable[[Rng, FloorPlan], Mesh]] = {
    "office": _office,
    "shared": _shared,
    "meeting": _meeting,
    "corridor": _corridor,
    "lounge": _lounge,
    "storage": _storage,
    "lobby": _lobby,
}


def standing_points(rng: Rng, plan: FloorPlan, count: int) -> np.ndarray:
    """Free places of the floor, far from each other, f32[k 2]."""
    free = plan.free_points()
    if not len(free):
        return np.asarray(plan.outline.mean(axis=0, keepdims=True), np.float32)
    chosen = [free[rng.integers(len(free))]]
    for _ in range(count - 1):
        tried = free[rng.integers(len(free), size=12)]
        distances = np.linalg.norm(tried[:, None] - np.array(chosen), axis=-1).min(axis=1)
        chosen.append(tried[distances.argmax()])
    return np.array(chosen, np.float32)
