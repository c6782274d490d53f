"""Shapes as they could have been scanned: turned, stretched, cut, noisy, unevenly dense."""

from dataclasses import dataclass

import numpy as np

from vidpc.ops.clouds import F32, fitted, turned


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How far a view may be from the shape that it was drawn from."""

    stretch: float = 0.25  # of each axis, up to this share longer or shorter
    shear: float = 0.0
    tilt_deg: float = 3.0  # deviation of a tilt from the vertical
    noise: float = 0.015  # most deviation of a point's place, in radii
    cut: float = 0.3  # share of views that miss a part
    cut_share: float = 0.25  # most of the points that are missing then
    uneven: float = 0.3  # share of views with one side denser


def view(xyz: F32, points: int, rng: np.random.Generator, options: ViewOptions) -> F32:
    """``points`` points of another scan of the shape ``xyz`` f32[n 3], fitted."""
    kept = _cut(xyz, rng, options.cut_share) if rng.random() < options.cut else xyz
    seen = kept[_drawn(kept, points, rng, even=rng.random() >= options.uneven)]
    seen = _bent(seen, rng, options)
    seen = seen + rng.normal(0, rng.uniform(0, options.noise), seen.shape)
    return fitted(turned(seen.astype(np.float32), rng.uniform(0, 2 * np.pi)))


def _cut(xyz: F32, rng: np.random.Generator, most: float) -> F32:
    """Without the points that lie farthest in some direction."""
    direction = rng.normal(size=3)
    order = np.argsort(xyz @ direction)
    return xyz[order[: len(xyz) - int(rng.uniform(0, most) * len(xyz))]]


def _drawn(xyz: F32, points: int, rng: np.random.Generator, *, even: bool) -> np.ndarray:
    """Which points are seen; some twice where there are too few."""
    if even:
        share = None
    else:
        slope = rng.normal(size=3)
        share = np.exp(xyz @ (slope / np.linalg.norm(slope)) * rng.uniform(0, 2))
        share /= share.sum()
    if points <= len(xyz):
        return rng.choice(len(xyz), points, replace=False, p=share, shuffle=False)
    return np.concatenate([np.arange(len(xyz)), rng.choice(len(xyz), points - len(xyz), p=share)])


def _bent(xyz: F32, rng: np.random.Generator, options: ViewOptions) -> F32:
    """Stretched along its own axes, mirrored or not, sheared and tilted a little."""
    low = np.log1p(options.stretch)
    matrix = np.diag(np.exp(rng.uniform(-low, low, 3)))
    matrix[0, 0] *= rng.choice((-1, 1))
    matrix = matrix + np.triu(rng.uniform(-options.shear, options.shear, (3, 3)), 1)
    tilt = np.eye(3)
    tilt[2, :2] = rng.normal(0, np.radians(options.tilt_deg), 2)
    tilt[:2, 2] = -tilt[2, :2]
    return xyz @ (matrix @ tilt).astype(np.float32)
