"""Which coded samples a mask of pixels touches, and nothing but these replaced."""

from collections.abc import Sequence

import numpy as np
from av import VideoFrame

from vidpc.media.samples import Samples
from vidpc.types import F64, I64, Bool

_GRID = 8  # pixels to which the box of a patch is rounded out: a multiple of what any format shares a sample among


def replaced(samples: Sequence[Samples], other: Sequence[Samples], mask: Bool) -> list[Samples]:
    """Samples with those of ``other`` wherever one covers a pixel of ``mask`` bool[h w]."""
    return [_replaced(plane, new, mask) for plane, new in zip(samples, other, strict=True)]


def _replaced(plane: Samples, new: Samples, mask: Bool) -> Samples:
    covered = covering(mask, *plane.shape[:2])
    return np.where(covered if plane.ndim == 2 else covered[..., None], new, plane)


def covering(mask: Bool, height: int, width: int) -> Bool:
    """For each sample of a plane of that size, whether it covers a pixel of ``mask`` bool[h w]."""
    rows, columns = -(-mask.shape[0] // height), -(-mask.shape[1] // width)
    whole = np.pad(mask, ((0, rows * height - mask.shape[0]), (0, columns * width - mask.shape[1])))
    covered: Bool = np.any(whole.reshape(height, rows, width, columns), axis=(1, 3))
    return covered


def rescaled(mask: Bool, height: int, width: int) -> Bool:
    """The mask in another size: whatever lies under a masked pixel is masked."""
    rows = np.arange(height + 1) * mask.shape[0] / height
    columns = np.arange(width + 1) * mask.shape[1] / width
    out = _any_between(mask, rows, axis=0)
    return _any_between(out, columns, axis=1)


def _any_between(mask: Bool, edges: F64, *, axis: int) -> Bool:
    starts = np.floor(edges[:-1]).astype(np.int64)
    ends = np.maximum(np.ceil(edges[1:]).astype(np.int64), starts + 1)
    counts = np.insert(np.cumsum(mask, axis=axis), 0, 0, axis=axis)
    found: Bool = np.take(counts, ends, axis=axis) > np.take(counts, starts, axis=axis)
    return found


def box_of(covered: Bool, width: int, height: int) -> tuple[slice, slice]:
    """The smallest box around the mask, rounded out to the grid."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    return _rounded(rows, height), _rounded(columns, width)


def _rounded(indices: I64, size: int) -> slice:
    return slice(int(indices[0]) // _GRID * _GRID, min(size, (int(indices[-1]) // _GRID + 1) * _GRID))


def share_of(box: tuple[slice, slice], plane: Samples, frame: VideoFrame) -> tuple[slice, slice]:
    """The part of a plane that a box of pixels lies over."""
    factors = (-(-frame.height // plane.shape[0]), -(-frame.width // plane.shape[1]))
    rows, columns = (slice(s.start // k, -(-s.stop // k)) for s, k in zip(box, factors, strict=True))
    return rows, columns
