"""Holes: the masks of what is to be filled in a picture."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

Bool = npt.NDArray[np.bool_]


def dilated(hole: Bool, times: int = 4) -> Bool:
    """The hole with what touches it along rows and columns, ``times`` over; four are the authors'."""
    return np.asarray(binary_dilation(hole, iterations=times)) if times else hole


def resized_hole(hole: Bool, *, width: int, height: int) -> Bool:
    """bool[height width] of a hole bool[h w]: what is under the middle of each pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for old, new in zip(hole.shape, (height, width), strict=True)
    )
    small: Bool = hole[rows[:, None], columns]
    return small
