"""How a coded picture has to be turned, mirrored and stretched to be displayed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from vidpc.types import U8, U16

Pixels = TypeVar("Pixels", U8, U16)

_EXACT_WITHIN_DEG = 1.0
_ONE = 1 << 16  # in the matrix, which holds 16.16 fixed point
_SANE_ASPECT = 16


@dataclass(frozen=True, slots=True)
class Orientation:
    """A clockwise turn of 0, 90, 180 or 270 degrees, then perhaps a flip left to right: the eight cases of EXIF."""

    rotation_deg: int = 0
    mirrored: bool = False

    @property
    def is_turned(self) -> bool:
        """Whether width and height change places."""
        return self.rotation_deg in (90, 270)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The displayed size of a coded size, and the coded size of a displayed one."""
        return (height, width) if self.is_turned else (width, height)

    def apply(self, picture: Pixels) -> Pixels:
        """The coded picture [h w c] as it is displayed."""
        turned = np.rot90(picture, -(self.rotation_deg // 90))
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def undo(self, picture: Pixels) -> Pixels:
        """The displayed picture [h w c] as it is coded."""
        plain = picture[:, ::-1] if self.mirrored else picture
        return np.ascontiguousarray(np.rot90(plain, self.rotation_deg // 90))

    @property
    def display_matrix(self) -> tuple[int, ...]:
        """The 3x3 display matrix in FFmpeg's layout: see ``from_display_matrix``."""
        quarters = self.rotation_deg // 90
        a, b = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
        flip = -1 if self.mirrored else 1
        return (flip * a * _ONE, b * _ONE, 0, -flip * b * _ONE, a * _ONE, 0, 0, 0, 1 << 30)


def from_display_matrix(matrix: Sequence[int]) -> Orientation | None:
    """The orientation of a 3x3 display matrix in FFmpeg's layout, None where it is no quarter turn.

    The matrix maps coded (x, y), y downwards, to displayed (a x + c y, b x + d y), with rows (a b u), (c d v), (x y w).
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    determinant = a * d - b * c
    if determinant == 0:
        return None
    mirrored = determinant < 0
    # The flip comes last, so it is undone first: displayed x changes its sign.
    angle = math.degrees(math.atan2(b, -a if mirrored else a)) % 360
    quarters = round(angle / 90)
    if abs(angle - 90 * quarters) > _EXACT_WITHIN_DEG:
        return None
    return Orientation(quarters % 4 * 90, mirrored)


def square_pixels(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size with square pixels: the axis whose pixels are longer is stretched, so that nothing is thrown away."""
    if aspect > 1:
        return max(1, round(width * aspect)), height
    return width, max(1, round(height / aspect))


def is_sane_aspect(aspect: Fraction) -> bool:
    """Whether a sample aspect ratio is believable: a damaged header may claim any."""
    return Fraction(1, _SANE_ASPECT) <= aspect <= _SANE_ASPECT
