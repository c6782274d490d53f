"""A scanner that stands in a scene of triangles: what it sees, how exactly, and in which colour.

Two ways of looking. ``survey_evenly``: points of one spacing on all that any eye sees, as after a registration of many views.
``survey_by_angle``: one ray an angular step, so that density falls with distance, with mixed pixels at the edges of things.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vidpc.types import F32, I64, U8

from .solids import Mesh

# origins f32[n 3], directions f32[n 3] -> distance f32[n] in lengths of the direction (inf: nothing), triangle i64[n] (-1)
Cast = Callable[[F32, F32], tuple[F32, I64]]

_SKIN_M = 0.004  # a point is seen when the ray ends this close to it
_SAMPLES = 1_500_000  # that are looked at, at most
_GRAZING = 0.08  # cosine below which few rays come back
_MIXED = 0.25  # share of rays at an edge that end between its sides
_EDGE_M = 0.06  # a jump in range between neighbours beyond which rays can hit both


@dataclass(frozen=True, slots=True)
class Survey:
    """Where rays ended: ``xyz`` f32[n 3], on which ``triangle`` i64[n]."""

    xyz: F32
    triangle: I64


@dataclass(frozen=True, slots=True)
class Errors:
    """What a scan adds to the truth: ``noise_m`` along the ray, ``smear_m`` sideways, ``wave_m`` of the whole surface."""

    noise_m: float
    smear_m: float
    wave_m: float


def survey_evenly(rng: np.random.Generator, mesh: Mesh, eyes: F32, cast: Cast, spacing_m: float) -> Survey:
    """Points about ``spacing_m`` apart on all that is seen from any of the eyes f32[k 3]."""
    normals, areas = faces(mesh)
    triangle = _drawn(rng, areas / max(spacing_m**2, float(areas.sum()) / _SAMPLES))
    xyz = _on_triangles(rng, mesh.corners[triangle])
    triangle_seen = np.zeros(len(xyz), bool)
    for eye in eyes:
        ways = xyz - eye
        lengths = np.linalg.norm(ways, axis=1)
        cosines = -np.einsum("ij,ij->i", ways, normals[triangle]) / np.maximum(lengths, 1e-6)
        asked = np.flatnonzero(~triangle_seen & (cosines > 0) & (rng.random(len(xyz)) < cosines / _GRAZING))
        hit, _ = cast(np.broadcast_to(eye, (len(asked), 3)), ways[asked])
        triangle_seen[asked[hit * lengths[asked] > lengths[asked] - _SKIN_M]] = True
    kept = np.flatnonzero(triangle_seen & (rng.random(len(xyz)) < mesh.returned[triangle]))
    return Survey(xyz[kept], triangle[kept])


def survey_by_angle(rng: np.random.Generator, mesh: Mesh, eyes: F32, cast: Cast, rays: int) -> Survey:
    """What about ``rays`` rays in all find, evenly spaced in angle around each of the eyes f32[k 3]."""
    normals, _ = faces(mesh)
    surveys = [_look_around(rng, mesh, normals, eye, cast, rays // len(eyes)) for eye in eyes]
    return Survey(np.concatenate([s.xyz for s in surveys]), np.concatenate([s.triangle for s in surveys]))


def with_errors(rng: np.random.Generator, mesh: Mesh, survey: Survey, errors: Errors) -> F32:
    """The points f32[n 3] as they are measured."""
    normals, _ = faces(mesh)
    n = len(survey.xyz)
    off = rng.normal(0, errors.noise_m, n) + errors.wave_m * _waves(rng, survey.xyz, (0.15, 0.9))
    smear = rng.normal(0, errors.smear_m, (n, 3)) if errors.smear_m else 0.0
    return np.asarray(survey.xyz + off[:, None] * normals[survey.triangle] + smear, np.float32)


def photograph(rng: np.random.Generator, mesh: Mesh, survey: Survey) -> U8:
    """The points' colours u8[n 3]: paint under a light from above, with stains, exposure and the tint of the lamps."""
    normals, _ = faces(mesh)
    normal = normals[survey.triangle]
    sun = rng.normal(0, 1, 3) + np.array([0, 0, 0.7])
    light = 0.68 + 0.2 * normal @ (sun / np.linalg.norm(sun)) + 0.1 * normal[:, 2]
    stains = 1 + 0.06 * _waves(rng, survey.xyz, (0.05, 0.4)) + 0.1 * _waves(rng, survey.xyz, (0.8, 3.0))
    grain = 1 + rng.uniform(0.01, 0.06) * rng.standard_normal(len(normal))
    exposure = rng.uniform(0.75, 1.35) * (1 + rng.normal(0, 0.05, 3))
    rgb = mesh.paint[survey.triangle] * (light * stains * grain)[:, None] * exposure + rng.uniform(0.0, 0.06)
    return np.asarray(np.clip(255 * rgb + 0.5, 0, 255), np.uint8)


def faces(mesh: Mesh) -> tuple[F32, F32]:
    """Unit normals f32[m 3] and areas f32[m] in m2."""
    cross = np.cross(mesh.corners[:, 1] - mesh.corners[:, 0], mesh.corners[:, 2] - mesh.corners[:, 0])
    lengths = np.linalg.norm(cross, axis=1)
    return np.asarray(cross / np.maximum(lengths, 1e-12)[:, None], np.float32), np.asarray(lengths / 2, np.float32)


def _drawn(rng: np.random.Generator, expected: F32) -> I64:
    """Every index about as often as expected, i64[n]."""
    return np.repeat(np.arange(len(expected)), np.floor(expected + rng.random(len(expected))).astype(np.int64))


def _on_triangles(rng: np.random.Generator, corners: F32) -> F32:
    """A random point f32[n 3] on each of the triangles f32[n 3 3]."""
    u, v = rng.random((2, len(corners), 1), np.float32)
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.asarray(a + u * (b - a) + v * (c - a), np.float32)


def _look_around(rng: np.random.Generator, mesh: Mesh, normals: F32, eye: F32, cast: Cast, rays: int) -> Survey:
    rows = max(2, int(np.sqrt(rays / 2.0)))
    columns = 2 * rows
    up = np.linspace(-np.pi / 2 + 0.15, np.pi / 2, rows, endpoint=False) + rng.uniform(0, np.pi / rows)
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False) + rng.uniform(0, 2 * np.pi)
    ways = np.stack(
        [
            np.cos(up)[:, None] * np.cos(around),
            np.cos(up)[:, None] * np.sin(around),
            np.broadcast_to(np.sin(up)[:, None], (rows, columns)),
        ],
        axis=-1,
        dtype=np.float32,
    ).reshape(-1, 3)
    distance, triangle = cast(np.broadcast_to(eye, ways.shape), ways)
    distance = _mixed(rng, distance.reshape(rows, columns)).ravel()
    cosines = np.abs(np.einsum("ij,ij->i", ways, normals[triangle]))
    # The poles of the grid are too dense by far: a ray stands for the solid angle of its row.
    weight = np.repeat(np.cos(np.clip(up, -np.pi / 2, np.pi / 2)), columns)
    kept = (triangle >= 0) & (rng.random(len(ways)) < np.minimum(cosines / _GRAZING, mesh.returned[triangle]) * weight)
    return Survey(eye + distance[kept, None] * ways[kept], triangle[kept])


def _mixed(rng: np.random.Generator, distance: F32) -> F32:
    """Ranges f32[rows columns], some at the edges of things between both of the things that the ray met."""
    behind: F32 = np.roll(distance, 1, axis=1)
    both = np.isfinite(behind) & np.isfinite(distance)
    gap = np.where(both, behind, 0) - np.where(both, distance, 0)
    edge = (np.abs(gap) > _EDGE_M) & (rng.random(distance.shape) < _MIXED)
    return np.asarray(distance + np.where(edge, gap, 0) * rng.random(distance.shape, np.float32), np.float32)


def _waves(rng: np.random.Generator, xyz: F32, lengths_m: tuple[float, float]) -> F32:
    """A smooth random function f32[n] of the place, about -1 to 1, with waves of these lengths."""
    total = np.zeros(len(xyz), np.float32)
    for _ in range(4):
        way = rng.normal(0, 1, 3)
        way *= 2 * np.pi / rng.uniform(*lengths_m) / np.linalg.norm(way)
        total += np.sin(xyz @ way.astype(np.float32) + np.float32(rng.uniform(0, 2 * np.pi)))
    return np.asarray(total / 2, np.float32)
