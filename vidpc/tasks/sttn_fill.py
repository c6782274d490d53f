"""STTN over a clip, as its authors' test does it: overlapping windows, and a blend where they overlap.

    frames and holes ─► features, each frame once ─► a window every few frames (``sttn_windows``)
         ─► the neighbours that have holes painted ─► what is there and what comes averaged half and half

Everything is at the network's size. Frames stream: what no later window needs is dropped, unless the rule asks for all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidpc.tasks.sttn_windows import Rule, Window, windows
from vidpc.types import F32, U8, Bool

_ENCODED_AT_ONCE = 8
_AUTHORS = Rule()


class Painter(Protocol):
    """What is asked of the network (``models.sttn.STTN``)."""

    def parameters(self) -> Iterator[Tensor]: ...
    def encode(self, frames: Tensor) -> Tensor: ...
    def paint(self, features: Tensor, holes: Tensor, painted: int, rows: slice, columns: slice) -> Tensor: ...


def filled(model: Painter, frames: Iterable[tuple[U8, Bool]], rule: Rule = _AUTHORS) -> Iterator[U8]:
    """The frames u8[h w 3] with their holes bool[h w] filled, one for one and in order."""
    clip = Clip(model, iter(frames))
    for _, run in groupby(windows(rule, clip.available), clip.sizes):
        while batch := list(islice(run, rule.windows_at_once)):
            clip.fill(batch)
            yield from clip.finished(batch[-1].start)
            clip.forget(batch[-1])
    yield from clip.finished(None)


@dataclass(slots=True)
class Picture:
    """A frame of the clip while it is needed. ``painted`` f32[k 3], 0..255, are the pixels of its hole so far."""

    rgb: U8
    hole: Bool
    has_hole: bool
    features: Tensor | None = None
    painted: F32 | None = None

    def blend(self, painted: U8) -> None:
        """Half of what is there, half of what comes, and the first as it is: the authors' rule."""
        new = painted.astype(np.float32)
        self.painted = new if self.painted is None else np.float32(0.5) * self.painted + np.float32(0.5) * new

    def whole(self) -> U8:
        """The frame with its hole filled."""
        if self.painted is None:
            return self.rgb
        rgb = self.rgb.copy()
        rgb[self.hole] = self.painted.astype(np.uint8)
        return rgb


@dataclass(slots=True)
class Clip:
    """The frames of a clip that are still needed, by index, and the network that fills them."""

    model: Painter
    source: Iterator[tuple[U8, Bool]]
    pictures: dict[int, Picture] = field(default_factory=dict)
    length: int = 0  # frames that were read
    told: int = 0  # frames that were given out

    def available(self, wanted: int | None) -> int:
        """Reads on until there are ``wanted`` frames, or to the end. How many were read."""
        for rgb, hole in islice(self.source, None if wanted is None else max(0, wanted - self.length)):
            self.pictures[self.length] = Picture(rgb, hole, bool(hole.any()))
            self.length += 1
        return self.length

    def sizes(self, window: Window) -> tuple[int, int]:
        """What windows of a batch have in common: how many frames are painted, and how many they have in all."""
        return len(self._painted(window)), len(window.neighbours) + len(window.references)

    def finished(self, end: int | None) -> Iterator[U8]:
        """The frames up to ``end`` that were not given out yet."""
        for index in range(self.told, self.length if end is None else end):
            yield self.pictures[index].whole()
            self.told = index + 1

    def forget(self, last: Window) -> None:
        """Drops what no window after ``last`` needs."""
        for index in [i for i in self.pictures if i < last.neighbours[0] and i not in last.references]:
            del self.pictures[index]

    def fill(self, batch: list[Window]) -> None:
        """Paints and blends the holes of the neighbours of windows of the same sizes."""
        painted = [self._painted(window) for window in batch]
        if not painted[0]:
            return
        order = [
            [*first, *(i for i in window.neighbours if i not in first), *window.references]
            for first, window in zip(painted, batch, strict=True)
        ]
        self._encode(sorted({i for indices in order for i in indices}))
        rows, columns = _around([self.pictures[i].hole for indices in painted for i in indices])
        pixels = self._paint(order, len(painted[0]), rows, columns)
        for indices, window_pixels in zip(painted, pixels, strict=True):
            for index, part in zip(indices, window_pixels, strict=True):
                picture = self.pictures[index]
                picture.blend(part[picture.hole[rows, columns]])

    def _painted(self, window: Window) -> list[int]:
        return [i for i in window.neighbours if self.pictures[i].has_hole]

    @torch.inference_mode()
    def _encode(self, indices: list[int]) -> None:
        """Gives the pictures features that have none yet."""
        missing = [i for i in indices if self.pictures[i].features is None]
        for first in range(0, len(missing), _ENCODED_AT_ONCE):
            some = [self.pictures[i] for i in missing[first : first + _ENCODED_AT_ONCE]]
            frames = self._on_device(np.stack([picture.rgb for picture in some])).permute(0, 3, 1, 2) / 255 * 2 - 1
            blank = self._on_device(np.stack([picture.hole for picture in some]))[:, None]
            features = self.model.encode(frames.masked_fill(blank, 0))
            for picture, own in zip(some, features, strict=True):
                picture.features = own

    @torch.inference_mode()
    def _paint(self, order: list[list[int]], painted: int, rows: slice, columns: slice) -> U8:
        """u8[b painted h w 3] of windows of frames, truncated as the authors do."""
        features = torch.stack([torch.stack([self._features(i) for i in indices]) for indices in order])
        holes = self._on_device(np.stack([[self.pictures[i].hole for i in indices] for indices in order]))[:, :, None]
        made = self.model.paint(features, holes.to(features.dtype), painted, rows, columns)  # f32[b painted 3 h w]
        return ((made.float().tanh() + 1) / 2 * 255).to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()

    def _features(self, index: int) -> Tensor:
        features = self.pictures[index].features
        assert features is not None  # _encode was there
        return features

    def _on_device(self, array: U8 | Bool) -> Tensor:
        return torch.from_numpy(array).to(next(self.model.parameters()).device)


def _around(holes: list[Bool]) -> tuple[slice, slice]:
    """The rows and columns that hold all of the holes."""
    together = np.logical_or.reduce(holes)
    rows, columns = (np.flatnonzero(together.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
