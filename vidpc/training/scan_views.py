"""Blocks as other scanners would have seen them elsewhere: turned, thinned, torn, tilted, mixed, with columns missing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vidpc.errors import PresetError
from vidpc.ops.point_features import BlockPoints
from vidpc.training.scans import UNLABELLED, LabelledPoints, joined
from vidpc.types import F32

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How far views go from what was scanned. Shares are probabilities for a block."""

    least_density: float = 0.05  # points per square metre that a block is thinned down to, at most
    thinned: float = 0.7  # blocks that are thinned at all
    uneven: float = 0.3  # blocks whose classes are thinned each to a share of its own: spacing must not tell the class
    faded: float = 0.3  # blocks that get sparser from one side to the other
    stretch: float = 0.15  # sizes change by up to this share
    stretch_z: float = 0.1
    slope: float = 0.1  # metres up a metre along, at most: terrain, with walls that stay upright
    waves_m: float = 0.0  # height of long waves in the ground, at most
    jitter_m: float = 0.03
    holes: float = 0.3  # blocks with round holes
    hole_m: float = 3.0  # radius, at most
    strays: float = 0.1  # blocks with a few points far above or below
    mixed: float = 0.3  # blocks with a piece of another block in them
    piece_m: float = 12.0  # radius of the piece, at most
    no_intensity: float = 0.4
    no_returns: float = 0.2
    no_colour: float = 0.7

    def __post_init__(self) -> None:
        for name in ("thinned", "uneven", "faded", "holes", "strays", "mixed", "no_intensity", "no_returns", "no_colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise PresetError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")


def view(block: LabelledPoints, other: Callable[[], LabelledPoints], options: ViewOptions, rng: Random) -> LabelledPoints:
    """One view of a block. ``other`` draws a block for mixing."""
    target = _density(block, options, rng)
    block = _turned(_thinned(block, target, rng), rng)
    if rng.random() < options.mixed and len(block):
        block = _mixed(block, _turned(_thinned(other(), target, rng), rng), options, rng)
    if rng.random() < options.uneven:
        block = _uneven(block, rng)
    if rng.random() < options.faded:
        block = _faded(block, rng)
    if rng.random() < options.holes:
        block = _torn(block, options, rng)
    if not len(block):
        return block
    block = block.moved(_deformed(block.xyz, options, rng))
    if rng.random() < options.strays:
        block = _strayed(block, rng)
    return _forgetful(block, options, rng)


def area_m2(xyz: F32) -> float:
    """The area that points cover, from the occupied cells of a grid whose cells hold several points where they are occupied."""
    if not len(xyz):
        return 0.0
    extent = np.ptp(xyz[:, :2], axis=0).clip(0.1)
    cell = float(np.sqrt(np.prod(extent) * 8 / max(len(xyz), 8)))
    cells = np.floor((xyz[:, :2] - xyz[:, :2].min(0)) / cell).astype(np.int64)
    return len(np.unique(cells[:, 0] * (1 << 20) + cells[:, 1])) * cell * cell


def _density(block: LabelledPoints, options: ViewOptions, rng: Random) -> float:
    """Points per square metre to thin to; every order of magnitude between least and own is as likely."""
    own = len(block) / max(area_m2(block.xyz), 1e-3)
    if rng.random() >= options.thinned or own <= options.least_density:
        return own
    return float(np.exp(rng.uniform(np.log(options.least_density), np.log(own))))


def _thinned(block: LabelledPoints, density: float, rng: Random) -> LabelledPoints:
    share = density * area_m2(block.xyz) / max(len(block), 1)
    return block if share >= 1 else block.take(rng.random(len(block)) < share)


def _turned(block: LabelledPoints, rng: Random) -> LabelledPoints:
    """Turned about the vertical, half of the time mirrored."""
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    mirror = np.float32(rng.choice([-1, 1]))
    turn = np.array([[mirror * cos, -sin, 0], [mirror * sin, cos, 0], [0, 0, 1]], np.float32)
    return block.moved(block.xyz @ turn.T)


def _mixed(block: LabelledPoints, other: LabelledPoints, options: ViewOptions, rng: Random) -> LabelledPoints:
    """The block with a round piece of another in place of its own, set on the same ground."""
    if not len(other):
        return block
    radius = rng.uniform(0.3, 1) * options.piece_m
    here, there = (_any(part, rng) for part in (block, other))
    hole = _disc(block.xyz, here, radius)
    piece = other.take(_disc(other.xyz, there, radius))
    if hole.sum() < 3 or len(piece) < 3:
        return block
    lift = np.quantile(block.xyz[hole, 2], 0.02) - np.quantile(piece.xyz[:, 2], 0.02)
    shift = np.array([*(here - there), lift], np.float32)
    return joined([block.take(~hole), piece.moved(piece.xyz + shift)])


def _any(block: LabelledPoints, rng: Random) -> F32:
    return block.xyz[rng.integers(len(block)), :2]


def _disc(xyz: F32, centre_xy: F32, radius_m: float) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = ((xyz[:, :2] - centre_xy) ** 2).sum(1) < radius_m**2
    return inside


def _uneven(block: LabelledPoints, rng: Random) -> LabelledPoints:
    shares = rng.uniform(0.25, 1, size=block.label.max(initial=0) + 2)  # the last is of points without a label
    return block.take(rng.random(len(block)) < shares[block.label])


def _faded(block: LabelledPoints, rng: Random) -> LabelledPoints:
    if not len(block):
        return block
    angle = rng.uniform(0, 2 * np.pi)
    along = block.xyz[:, :2] @ np.array([np.cos(angle), np.sin(angle)], np.float32)
    place = (along - along.min()) / max(float(np.ptp(along)), 1e-3)
    return block.take(rng.random(len(block)) < 1 - rng.uniform(0.3, 0.9) * place)


def _torn(block: LabelledPoints, options: ViewOptions, rng: Random) -> LabelledPoints:
    for _ in range(rng.integers(1, 5)):
        if len(block):
            centre = block.xyz[rng.integers(len(block))]
            outside = ((block.xyz - centre) ** 2).sum(1) > (rng.uniform(0.2, 1) * options.hole_m) ** 2
            block = block.take(outside)
    return block


def _deformed(xyz: F32, options: ViewOptions, rng: Random) -> F32:
    """Stretched, on a slope, on waves, each point a little off."""
    wide = 1 + rng.uniform(-options.stretch, options.stretch)
    x, y = wide * (1 + rng.uniform(-options.stretch / 3, options.stretch / 3, 2))
    sizes = np.array([x, y, 1 + rng.uniform(-options.stretch_z, options.stretch_z)])
    centre = xyz.mean(0)
    moved = (xyz - centre) * sizes
    angle, slope = rng.uniform(0, 2 * np.pi), options.slope * rng.random() ** 2
    moved[:, 2] += slope * (moved[:, :2] @ np.array([np.cos(angle), np.sin(angle)]))
    if options.waves_m:
        length_m, phase, angle = rng.uniform(20, 120), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        along = moved[:, :2] @ np.array([np.cos(angle), np.sin(angle)])
        moved[:, 2] += options.waves_m * rng.random() * np.sin(2 * np.pi * along / length_m + phase)
    moved += rng.normal(size=xyz.shape) * options.jitter_m * rng.random()
    return np.asarray(moved, np.float32)


def _strayed(block: LabelledPoints, rng: Random) -> LabelledPoints:
    """A few points below the ground or in the air; nobody asks for their class."""
    few = block.take(rng.integers(len(block), size=rng.integers(1, 6)))
    away = np.zeros_like(few.xyz)
    away[:, 2] = rng.uniform(1, 15, len(few)) * rng.choice([-1, 1], len(few))
    lost = replace(few.moved(few.xyz + away), label=np.full(len(few), UNLABELLED, np.int64))
    return joined([block, lost])


def _forgetful(block: LabelledPoints, options: ViewOptions, rng: Random) -> LabelledPoints:
    """Columns that other scanners lack are missing, brightness and colour are off."""
    points = block.points
    keep = {name: rng.random() >= getattr(options, f"no_{name}") for name in ("intensity", "returns", "colour")}
    intensity, colour = points.intensity, points.colour
    if intensity is not None:
        bright = np.maximum(intensity, 0) ** np.float32(rng.uniform(0.6, 1.6))
        intensity = (bright * (1 + rng.normal(size=len(block)) * rng.uniform(0, 0.2))).astype(np.float32)
    if colour is not None:
        tint = rng.uniform(0.7, 1.3, 3) * colour + rng.uniform(-25, 25, 3) + rng.normal(size=colour.shape) * 6
        colour = np.clip(tint, 0, 255).astype(np.uint8)
    forgotten = BlockPoints(
        points.xyz,
        colour if keep["colour"] else None,
        intensity if keep["intensity"] else None,
        points.returns if keep["returns"] else None,
    )
    return replace(block, points=forgotten)
