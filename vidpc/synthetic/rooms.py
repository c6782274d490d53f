"""Rooms as a laser scanner sees them, every point with its class: shells, furniture and disorder, drawn anew each time.

    kind, sizes -> shell (walls, doors, windows, columns, beams, lamps) -> furniture -> eyes -> rays -> errors, colour

The thirteen classes and what belongs to them are those of S3DIS: what lies on a table, hangs flat on a wall or lights the
room is clutter; a case with doors is a bookcase like an open one; a door's frame is door; blinds are window.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vidpc.errors import PresetError, unknown_name
from vidpc.types import F32, I64, U8

from . import room_shell, scanner
from .floor_plan import FloorPlan, Patch, Wall
from .furnishing import KINDS, furnish, standing_points
from .room_shell import Opening, Openings
from .solids import DOOR, LABELS, Mesh, join, nothing

__all__ = ["LABELS", "RoomOptions", "make_room", "make_scene"]

Rng = np.random.Generator
OpenScene = Callable[[F32], scanner.Cast]  # triangles f32[m 3 3] -> what casts rays against them

_SHARES = {"office": 0.4, "shared": 0.17, "meeting": 0.13, "corridor": 0.11, "lounge": 0.08, "storage": 0.07, "lobby": 0.04}
# Least and greatest width, least and greatest depth, in metres.
_SIZES = {
    "office": (2.2, 5.5, 2.4, 5.5),
    "shared": (4.0, 7.5, 4.0, 7.0),
    "meeting": (3.0, 7.0, 2.8, 5.0),
    "corridor": (4.5, 15.0, 1.4, 2.8),
    "lounge": (3.0, 6.0, 2.8, 5.0),
    "storage": (1.8, 4.5, 1.8, 4.0),
    "lobby": (3.5, 8.0, 3.0, 6.0),
}
_EYE_M = (1.25, 1.75)  # above the floor
_M2_PER_EYE = 9.0
_NEIGHBOURS = 0.2  # share of open doors that another room lies behind


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What rooms are drawn from: shares of ``kinds``; ranges of the rest."""

    kinds: Mapping[str, float] = field(default_factory=lambda: dict(_SHARES))
    spacing_m: tuple[float, float] = (0.018, 0.035)  # of points, where they are even
    rays: tuple[int, int] = (150_000, 450_000)  # where they are not
    even_share: float = 0.7  # of rooms
    colour_share: float = 0.5  # of rooms
    noise_m: tuple[float, float] = (0.001, 0.006)
    smear_m: tuple[float, float] = (0.0, 0.006)
    wave_m: tuple[float, float] = (0.0, 0.008)
    points: int = 400_000  # at most

    def __post_init__(self) -> None:
        for name in self.kinds:
            if name not in KINDS:
                raise PresetError(unknown_name("kind of room", name, KINDS))


def make_room(rng: Rng, options: RoomOptions, open_scene: OpenScene) -> tuple[F32, U8 | None, I64]:
    """A scan: ``xyz`` f32[n 3] in metres (z up, floor at 0), ``colour`` u8[n 3] or None, ``label`` i64[n] into ``LABELS``."""
    mesh, eyes = make_scene(rng, options)
    survey = _survey(rng, mesh, eyes, options, open_scene(mesh.corners))
    errors = scanner.Errors(*(float(rng.uniform(*pair)) for pair in (options.noise_m, options.smear_m, options.wave_m)))
    xyz = scanner.with_errors(rng, mesh, survey, errors)
    colour = scanner.photograph(rng, mesh, survey) if rng.random() < options.colour_share else None
    return xyz, colour, mesh.label[survey.triangle]


def make_scene(rng: Rng, options: RoomOptions) -> tuple[Mesh, F32]:
    """A furnished room, at times with another one behind an open door, and where scanners stand f32[k 3]."""
    kind = _kind(rng, options)
    wide, deep, height = _sizes(rng, kind)
    plan = FloorPlan(room_shell.draw_outline(rng, wide, deep, plain=kind == "corridor"), height)
    openings: Openings = {}
    doors = int(rng.integers(3, 9)) if kind == "corridor" else int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
    look = room_shell.draw_look(rng)
    passable = room_shell.draw_doors(rng, plan, look, doors, openings)
    room = _furnished(rng, plan, kind, look, openings)
    other, far_eyes = _neighbour(rng, plan, passable, options)
    return join([room, other]), np.concatenate([_eyes(rng, plan), far_eyes])


def _survey(rng: Rng, mesh: Mesh, eyes: F32, options: RoomOptions, cast: scanner.Cast) -> scanner.Survey:
    if rng.random() < options.even_share:
        survey = scanner.survey_evenly(rng, mesh, eyes, cast, float(rng.uniform(*options.spacing_m)))
    else:
        survey = scanner.survey_by_angle(rng, mesh, eyes, cast, int(rng.integers(*options.rays)))
    order = rng.permutation(len(survey.xyz))[: options.points]
    return scanner.Survey(survey.xyz[order], survey.triangle[order])


def _kind(rng: Rng, options: RoomOptions) -> str:
    shares = np.array(list(options.kinds.values()))
    return str(rng.choice(list(options.kinds), p=shares / shares.sum()))


def _sizes(rng: Rng, kind: str) -> tuple[float, float, float]:
    """Width, depth and height."""
    low_w, high_w, low_d, high_d = _SIZES[kind]
    height = rng.uniform(2.3, 3.3) if rng.random() < 0.93 else rng.uniform(3.3, 4.2)
    return float(rng.uniform(low_w, high_w)), float(rng.uniform(low_d, high_d)), float(height)


def _furnished(rng: Rng, plan: FloorPlan, kind: str, look: room_shell.Look, openings: Openings) -> Mesh:
    """Everything of one room. What comes first takes the best places."""
    parts = []
    if rng.random() < 0.4:
        parts.append(room_shell.draw_columns(rng, plan, look, 1 + int(rng.poisson(0.05 * plan.area_m2))))
    if rng.random() < 0.65:
        room_shell.draw_windows(rng, plan, look, int(rng.integers(1, 4)), openings)
    parts.append(furnish(rng, plan, kind))
    if rng.random() < 0.35:
        parts.append(room_shell.draw_beams(rng, plan, look, int(rng.integers(1, 4))))
    if rng.random() < 0.4:
        parts.append(room_shell.draw_wall_runs(rng, plan))
    parts.append(room_shell.draw_ceiling_things(rng, plan))
    return join([*parts, room_shell.floor_and_ceiling(plan, look), room_shell.walls(plan, openings, look)])


def _eyes(rng: Rng, plan: FloorPlan) -> F32:
    """Where a scanner stood in a room, f32[k 3]."""
    count = 1 + int(rng.poisson(plan.area_m2 / _M2_PER_EYE * rng.uniform(0.4, 1.6)))
    places = standing_points(rng, plan, min(count, 7))
    return np.column_stack([places, rng.uniform(*_EYE_M, len(places))]).astype(np.float32)


def _neighbour(rng: Rng, plan: FloorPlan, passable: list[tuple[Wall, Opening]], options: RoomOptions) -> tuple[Mesh, F32]:
    """A room behind one of the open doors, and the scanners in it f32[k 3]."""
    nobody = np.empty((0, 3), np.float32)
    outer = [(wall, door) for wall, door in passable if _is_outer(plan, wall)]
    if not outer or rng.random() > _NEIGHBOURS:
        return nothing(), nobody
    wall, door = outer[int(rng.integers(len(outer)))]
    kind = _kind(rng, options)
    wide, deep, _ = _sizes(rng, kind)
    outline, hole = room_shell.beyond(rng, wall, door, wide, deep)
    behind = FloorPlan(outline, plan.height_m)
    behind.patches[hole[0]].append(Patch(hole[1].left_m, hole[1].right_m, 0.0, plan.height_m))
    opening = Opening(hole[1], 0.0, DOOR, nothing(), passable=True)
    mesh = _furnished(rng, behind, kind, room_shell.draw_look(rng), {hole[0]: [opening]})
    return mesh, _eyes(rng, behind)


def _is_outer(plan: FloorPlan, wall: Wall) -> bool:
    """Whether nothing of the room lies behind the wall."""
    ends = np.array([wall.point(0.0, -0.1), wall.point(wall.length_m, -0.1)])
    below, above = ends < plan.outline.min(axis=0) - 0.05, ends > plan.outline.max(axis=0) + 0.05
    return bool(below.all(axis=0).any() or above.all(axis=0).any())
