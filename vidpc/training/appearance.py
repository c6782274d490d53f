"""How cameras spoil pictures: light, colour, blur, compression, noise. Boxes stay where they are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vidpc.training.views import resized
from vidpc.types import F32, U8

LEVELS = np.linspace(0, 1, 256, dtype=np.float32)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PLACES = np.arange(8)
COSINES = (np.cos(np.pi / 8 * _PLACES[:, None] * (_PLACES + 0.5)) * np.where(_PLACES == 0, 8**-0.5, 0.5)[:, None]).astype(
    np.float32
)
COARSENESS = (8 + 6 * (_PLACES[:, None] + _PLACES)).astype(np.float32)  # quality 50: near the standard's table for luma


@dataclass(frozen=True, slots=True)
class Look:
    """One camera's faults, drawn once and applied to every picture of a clip (noise differs from picture to picture)."""

    curves: U8  # u8[3 256]
    grey: bool
    shrink: float  # blur: scaled down by this and up again, 1 = sharp
    quality: int  # of JPEG, 0 = none
    noise: float  # standard deviation in grey levels


def draw_look(rng: np.random.Generator) -> Look:
    """A random camera: most are mild, some are dark, grey, blurred or strongly compressed."""
    return Look(
        curves=_curves(rng),
        grey=bool(rng.random() < 0.08),
        shrink=float(rng.uniform(1.2, 2.2)) if rng.random() < 0.15 else 1.0,
        quality=int(rng.integers(25, 80)) if rng.random() < 0.15 else 0,
        noise=float(rng.uniform(2, 12)) if rng.random() < 0.15 else 0.0,
    )


def _curves(rng: np.random.Generator) -> U8:
    gamma = np.exp(rng.normal(0, 0.22))
    contrast, light = rng.uniform(0.65, 1.3), rng.normal(0, 0.07)
    if rng.random() < 0.08:  # dusk
        light, contrast = light - 0.12, contrast * 0.6
    tint = rng.uniform(0.9, 1.1, (3, 1)) if rng.random() < 0.5 else np.ones((3, 1))
    curves = ((LEVELS**gamma - 0.5) * contrast + 0.5 + light) * tint
    return np.asarray(np.clip(curves * 255, 0, 255), np.uint8)


def apply_look(pixels: U8, look: Look, rng: np.random.Generator) -> U8:
    """The picture u8[h w 3] as that camera would give it."""
    steps: list[Callable[[U8], U8]] = [lambda p: _blurred(p, look.shrink)] if look.shrink > 1 else []
    steps.append(lambda p: np.stack([look.curves[c][p[..., c]] for c in range(3)], axis=-1))
    if look.grey:
        steps.append(lambda p: np.repeat((p @ LUMA)[..., None], 3, axis=-1).astype(np.uint8))
    if look.noise:
        steps.append(lambda p: _noisy(p, look.noise, rng))
    if look.quality:
        steps.append(lambda p: _compressed(p, look.quality))
    for step in steps:
        pixels = step(pixels)
    return pixels


def _blurred(pixels: U8, shrink: float) -> U8:
    height, width = pixels.shape[:2]
    return resized(resized(pixels, max(1, round(width / shrink)), max(1, round(height / shrink))), width, height)


def _noisy(pixels: U8, sigma: float, rng: np.random.Generator) -> U8:
    noise: F32 = rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * np.float32(sigma)
    return np.asarray(np.clip(pixels + noise, 0, 255), np.uint8)


def _compressed(pixels: U8, quality: int) -> U8:
    """What JPEG loses: the cosine coefficients of 8 x 8 blocks, rounded coarser the higher their frequency.

    Luma alone is rounded: it is what a network sees of compression, and chroma would double the cost.
    """
    height, width = (size // 8 * 8 for size in pixels.shape[:2])
    luma = pixels[:height, :width] @ LUMA
    blocks = luma.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    steps = COARSENESS * np.float32(50 / quality if quality < 50 else 2 - quality / 50)
    kept = np.round(COSINES @ blocks @ COSINES.T / steps) * steps
    change = (COSINES.T @ kept @ COSINES - blocks).transpose(0, 2, 1, 3).reshape(height, width, 1)
    spoiled = pixels.copy()
    spoiled[:height, :width] = np.clip(pixels[:height, :width] + change, 0, 255)
    return spoiled
