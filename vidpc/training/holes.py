"""Holes that move over a picture: what a network that fills them is trained on."""

import numpy as np

from vidpc.training.inpaint_recipe import Holes
from vidpc.types import Bool

_LOBES = 4  # ellipses of a blob, at most


def moving_hole(times: np.ndarray, width: int, height: int, options: Holes, rng: np.random.Generator) -> Bool:
    """bool[n h w], True in the hole, at the ``times`` i64[n] in frames; at time 0 all of its middle is in the picture."""
    sides = rng.uniform(options.smallest, options.largest, 2) * (width, height)
    centre = rng.uniform(sides / 2, (width, height) - sides / 2)
    speed = np.zeros(2) if rng.random() < options.still else rng.uniform(-1, 1, 2) * options.fastest * width
    shape = _blob(rng) if rng.random() < options.round_share else np.array([[0.0, 0.0, np.inf, np.inf]])
    y, x = np.mgrid[0:height, 0:width]
    holes = []
    for time in times:
        middle = _bounced(centre + speed * time, (width, height))
        across, down = (x - middle[0]) / sides[0] * 2, (y - middle[1]) / sides[1] * 2
        holes.append(_inside(across, down, shape))
    return np.stack(holes)


def _blob(rng: np.random.Generator) -> np.ndarray:
    """Ellipses f64[n 4] (middle x y, half axes) that hang together, in -1..1."""
    lobes = int(rng.integers(1, _LOBES + 1))
    return np.concatenate([rng.uniform(-0.4, 0.4, (lobes, 2)), rng.uniform(0.4, 0.7, (lobes, 2))], axis=1)


def _inside(across: np.ndarray, down: np.ndarray, shape: np.ndarray) -> Bool:
    found = np.zeros(across.shape, np.bool_)
    box = (np.abs(across) <= 1) & (np.abs(down) <= 1)
    for x, y, a, b in shape:
        found |= box if np.isinf(a) else box & (((across - x) / a) ** 2 + ((down - y) / b) ** 2 <= 1)
    return found


def _bounced(place: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A place that turns back at the borders."""
    span = np.asarray(size, np.float64)
    folded = np.mod(place, 2 * span)
    turned: np.ndarray = np.where(folded > span, 2 * span - folded, folded)
    return turned
