"""Masks of pixels: grown, faded towards their rim, taken apart into regions."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]  # x1 y1 x2 y2, the last two not included

_CELLS = 160  # of the shorter side, in which regions are told apart


def bounds(mask: Mask) -> Box | None:
    """The smallest box around what is set in bool[h w], None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def grown(mask: Mask, px: int) -> Mask:
    """bool[h w] with every pixel set whose middle is at most ``px`` from that of one that was."""
    box = bounds(mask)
    if box is None or px == 0:
        return mask
    place = _around(box, px, mask)
    result = mask.copy()
    result[place] = ndimage.distance_transform_edt(~mask[place]) <= px
    return result


def fading(mask: Mask, px: int) -> npt.NDArray[np.float32]:
    """f32[h w]: 0 outside of bool[h w], 1 deeper inside than ``px``, in between rising from the rim.

    The picture's own edge is no rim. Nothing outside of the mask ever takes part.
    """
    alpha = mask.astype(np.float32)
    box = bounds(mask)
    if box is None or px == 0 or mask.all():
        return alpha
    place = _around(box, 1, mask)
    depth = ndimage.distance_transform_edt(mask[place])
    alpha[place] = np.clip(depth / (px + 1), 0, 1)
    return alpha


def shrunk(mask: Mask, *, height: int, width: int) -> Mask:
    """bool[height width] of bool[h w]: whether anything is set in the place of each pixel, however little of it."""
    for axis, to in ((0, height), (1, width)):
        of = mask.shape[axis]
        begins = np.arange(to) * of // to
        ends = -(-(np.arange(to) + 1) * of // to)
        padded = np.concatenate([mask, np.zeros_like(mask.take([0], axis=axis))], axis=axis)  # a place to end at
        pairs = np.stack([begins, ends], axis=1).ravel()
        mask = np.logical_or.reduceat(padded, pairs, axis=axis).take(np.arange(to) * 2, axis=axis)
    return mask


def regions(mask: Mask) -> list[Box]:
    """Boxes around the parts of bool[h w] that do not touch each other, from left to right.

    Parts closer together than a cell of the shorter side's 160th count as one.
    """
    box = bounds(mask)
    if box is None:
        return []
    cell = max(1, min(mask.shape) // _CELLS)
    labels, _ = ndimage.label(_coarse(mask, cell), structure=np.ones((3, 3)))
    found = (tuple(slice(s.start * cell, s.stop * cell) for s in part) for part in ndimage.find_objects(labels))
    return sorted(_tight(mask, found))


def _tight(mask: Mask, parts: Iterator[tuple[slice, ...]]) -> Iterator[Box]:
    for part in parts:
        inner = bounds(mask[part])
        if inner is not None:
            x, y = part[1].start, part[0].start
            yield inner[0] + x, inner[1] + y, inner[2] + x, inner[3] + y


def _coarse(mask: Mask, cell: int) -> Mask:
    """Whether anything is set in each square of ``cell`` pixels."""
    h, w = mask.shape
    return shrunk(np.pad(mask, ((0, -h % cell), (0, -w % cell))), height=-(-h // cell), width=-(-w // cell))


def _around(box: Box, px: int, mask: Mask) -> tuple[slice, slice]:
    x1, y1, x2, y2 = box
    h, w = mask.shape
    return slice(max(0, y1 - px), min(h, y2 + px)), slice(max(0, x1 - px), min(w, x2 + px))
