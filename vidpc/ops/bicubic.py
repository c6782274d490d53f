"""Bicubic resizing to the bit as Pillow does it, for networks that were trained behind Pillow.

torch's own resizing of bytes has weights of 16 bits and is off by one in a pixel of a thousand.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

_BITS = 22  # of the weights behind the point
_REACH = 2.0  # of the filter to either side, in pixels of the coarser grid

U8 = npt.NDArray[np.uint8]


def resize_bicubic(picture: U8, *, height: int, width: int) -> U8:
    """u8[height width c] of ``picture`` u8[h w c]: first along rows, then along columns, rounded in between."""
    across = _along_columns(picture.swapaxes(0, 1), width).swapaxes(0, 1)
    return np.ascontiguousarray(_along_columns(across, height))


def _along_columns(picture: U8, size: int) -> U8:
    """u8[size w c] of ``picture`` u8[h w c]."""
    columns = picture.reshape(len(picture), -1).astype(np.int64)
    sums = (_weights(len(picture), size) @ columns + (1 << (_BITS - 1))) >> _BITS
    return sums.clip(0, 255).astype(np.uint8).reshape(size, *picture.shape[1:])


@lru_cache(maxsize=16)
def _weights(old: int, new: int) -> csr_array:
    """What each of ``old`` pixels gives to each of ``new``, i64[new old] in fixed point."""
    scale = old / new
    coarser = max(scale, 1.0)
    middles = (np.arange(new) + 0.5) * scale
    first = (middles - _REACH * coarser + 0.5).astype(np.int64).clip(0)
    last = (middles + _REACH * coarser + 0.5).astype(np.int64).clip(max=old)
    places = first[:, None] + np.arange((last - first).max())  # i64[new taps]
    inside = places < last[:, None]
    shares = np.where(inside, _cubic((places + 0.5 - middles[:, None]) / coarser), 0)
    shares /= shares.sum(axis=1, keepdims=True)
    fixed = np.trunc(shares * (1 << _BITS) + np.copysign(0.5, shares)).astype(np.int64)
    rows = np.broadcast_to(np.arange(new)[:, None], places.shape)
    return csr_array((fixed[inside], (rows[inside], places[inside])), shape=(new, old))


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel with a = -1/2."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
