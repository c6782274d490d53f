"""Camera moves, simulated on pictures and on clips of still cameras: labels that cost nothing and are never wrong.

A move is a path of a view over a larger picture: where its middle is, how large it is and how far it is turned.
The content goes the other way: a camera that pans left shows things move right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.training.actors import Actor, acted
from vidpc.types import F64, U8

MOVES = ("still", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "roll", "shake")
_WAVES = 6  # of which a shake is made


@dataclass(frozen=True, slots=True)
class Path:
    """A view's way: its middle (x, y) f64[t 2] in widths of the view, log of its size f64[t], turn f64[t] in radians."""

    middle: F64
    size: F64
    turn: F64


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """How fast moves are, from slowest to fastest. Widths and sizes are those of the view."""

    pan: tuple[float, float] = (0.06, 1.0)  # widths a second
    zoom: tuple[float, float] = (0.05, 0.6)  # of the logarithm of the size, a second
    roll: tuple[float, float] = (0.06, 1.0)  # radians a second
    shake: tuple[float, float] = (0.006, 0.04)  # widths, as a deviation
    shake_hz: tuple[float, float] = (1.5, 7.0)
    hand: float = 0.0012  # widths: deviation of the jitter that all moves but "still" have, at most
    aside: float = 0.12  # of a move's speed that goes elsewhere, at most


def path(move: str, count: int, rate_fps: float, rng: np.random.Generator, options: MoveOptions) -> Path:
    """A way of ``count`` pictures that ``move`` names, with easing, some jitter of a hand, and a little of other moves."""
    seconds = np.arange(count) / rate_fps
    way = _eased(seconds, rng)
    middle, size, turn = np.zeros((count, 2)), np.zeros(count), np.zeros(count)
    pan, zoom, roll = (_speed(rng, span) for span in (options.pan, options.zoom, options.roll))
    if move.startswith(("pan", "tilt")):
        axis, sign = {"pan left": (0, -1), "pan right": (0, 1), "tilt up": (1, -1), "tilt down": (1, 1)}[move]
        middle[:, axis] = sign * pan * way
        middle[:, 1 - axis] = pan * rng.uniform(-options.aside, options.aside) * way
    elif move.startswith("zoom"):
        size = (-1 if move == "zoom in" else 1) * zoom * way
        middle = options.aside * zoom * rng.uniform(-1, 1, 2) * way[:, None]
    elif move == "roll":
        turn = rng.choice([-1, 1]) * roll * way
    elif move == "shake":
        strength = _speed(rng, options.shake)
        middle = (
            strength * np.stack([_waves(seconds, rng, options.shake_hz) for _ in range(2)], axis=1) * rng.uniform(0.4, 1, 2)
        )
        turn = 0.3 * strength * _waves(seconds, rng, options.shake_hz)
    if move not in ("still", "shake"):
        jitter = options.hand * rng.random()
        middle = middle + jitter * np.stack([_waves(seconds, rng, options.shake_hz) for _ in range(2)], axis=1)
    return Path(middle, size, turn)


def filmed(pictures: U8, way: Path, rng: np.random.Generator, side: int, actors: Sequence[Actor] = ()) -> U8 | None:
    """u8[t side side 3]: the view's way over ``pictures`` u8[t or 1, h w 3]; None where the way is longer than they are wide.

    The view is as large as the way allows, and its place is drawn. With one picture, camera and ``actors`` alone move.
    """
    grown = np.exp(way.size - way.size.max())  # 1 where the view is largest
    reach = grown * (np.abs(np.cos(way.turn)) + np.abs(np.sin(way.turn)))
    scaled = way.middle * grown[:, None]
    low, high = (scaled - reach[:, None] / 2).min(axis=0), (scaled + reach[:, None] / 2).max(axis=0)
    width = min(1 / (high - low).max(), 1.0) * rng.uniform(0.75, 1)  # of the largest view, in sides of the picture
    if width < side / max(pictures.shape[1:3]) / 2.5:  # it would be enlarged too much
        return None
    free = 1 - (high - low) * width
    origin = -low * width + free * rng.random(2)
    thetas = _affine(origin + scaled * width, grown * width, way.turn)
    grid = F.affine_grid(torch.from_numpy(thetas).float(), [len(thetas), 3, side, side], align_corners=False)
    source = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    source = _softened(source, width * max(source.shape[-2:]) / side).expand(len(thetas), -1, -1, -1)
    seen = F.grid_sample(source, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    seen = acted(seen, thetas, actors)
    seen = seen + torch.from_numpy(rng.normal(0, rng.uniform(0, 3), seen.shape).astype(np.float32))  # noise of a sensor
    return np.asarray(seen.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


def _affine(middle: F64, width: F64, turn: F64) -> npt.NDArray[np.float64]:
    """f64[t 2 3] for ``affine_grid``, from middles and widths in sides of the picture."""
    cos, sin = np.cos(turn) * width, np.sin(turn) * width
    centre = 2 * middle - 1
    return np.stack([np.stack([cos, -sin, centre[:, 0]], axis=1), np.stack([sin, cos, centre[:, 1]], axis=1)], axis=1)


def _softened(source: Tensor, shrinking: float) -> Tensor:
    """Without what would alias when the picture is shrunk so much."""
    side = int(shrinking)
    return source if side < 2 else F.avg_pool2d(F.pad(source, [side // 2] * 4, mode="replicate"), side, stride=1)


def _speed(rng: np.random.Generator, span: tuple[float, float]) -> float:
    """Evenly drawn on a scale of logarithms."""
    return float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]))))


def _eased(seconds: F64, rng: np.random.Generator) -> F64:
    """Seconds gone at an average speed of 1 that rises or falls on the way."""
    change = rng.uniform(-0.6, 0.6)
    speed = 1 + change * np.sin(np.pi * (seconds / seconds[-1] - 0.5)) + rng.uniform(0, 0.25) * _waves(seconds, rng, (0.2, 0.8))
    return np.asarray(np.concatenate([[0.0], np.cumsum(np.maximum(speed, 0.15)[1:] * np.diff(seconds))]))


def _waves(seconds: F64, rng: np.random.Generator, hz: tuple[float, float]) -> F64:
    """Noise of deviation 1 in a band of frequencies."""
    phases = 2 * np.pi * (rng.uniform(*hz, _WAVES) * seconds[:, None] + rng.random(_WAVES))
    return np.asarray(np.sin(phases).sum(axis=1) / np.sqrt(_WAVES / 2))
