"""Filling with a network that looks at aligned frames (`models.aligned_sttn`), in bounded memory.

frames ─► held: as many before and after the one to fill as the references reach
          a window around every masked region ─► features, once a frame and window
          the camera's motion ─► features and pixels of references, aligned ─► fill at full size
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.errors import DecodeError, WeightsError
from vidpc.models.aligned_sttn import STRIDE, AlignedSTTN
from vidpc.ops import camera
from vidpc.ops.masks import Box, grown, regions
from vidpc.ops.putback import Reference, composed
from vidpc.presets import InpaintConfig
from vidpc.tasks.camera_path import CameraPath
from vidpc.tasks.filling import Call, Filled, put_back, with_ring
from vidpc.tasks.region_windows import Patch, Window, WindowRule, choose
from vidpc.types import Bool, Frame, MaskedFrame

AHEAD = 12  # frames to come that a new window is made large enough for
FEW = 4  # references: with fewer at the offsets, all frames nearby are taken
NEARBY = 6
LEAST_AREA, MOST_AREA = 0.5, 1.3  # of the network's usual picture


@dataclass(frozen=True, slots=True)
class View:
    """A frame through a window: ``features`` f32[1 c h w] and what is ``visible`` of them, ``pixels`` [3 h w] at full size."""

    features: Tensor
    visible: Tensor
    pixels: Tensor
    hidden: Tensor


@dataclass(slots=True)
class Held:
    """A frame that is held, with what was made of it."""

    frame: Frame
    hole: Bool
    boxes: list[Box]
    views: dict[Window, View] = field(default_factory=dict)


class AlignedFiller:
    """Fills the frames of one input after the other."""

    def __init__(self, model: AlignedSTTN, config: InpaintConfig, rules: Mapping[str, Any], call: Call) -> None:
        """Raises ``WeightsError`` where the weights do not say how large pictures are and where references lie."""
        self.model, self.config, self.call = model, config, call
        try:
            self.offsets = tuple(sorted({int(offset) for offset in rules["references"]} - {0}))
            self._size = int(rules["width"]), int(rules["height"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError("the weights do not say what they see (input: width, height, references)") from error
        self.reach = max(map(abs, self.offsets), default=0)

    def __call__(self, frames: Iterator[MaskedFrame]) -> Iterator[Filled]:
        """The frames in their order, with their holes filled. Raises ``DecodeError`` where nothing can be seen to fill with."""
        memory: _Memory | None = None
        for masked in frames:
            memory = memory or _Memory(self, masked.frame)
            memory.add(masked)
            if memory.waiting >= self.reach + self.call.batch:
                yield from memory.fill(self.call.batch)
        while memory is not None and memory.waiting:
            yield from memory.fill(min(self.call.batch, memory.waiting))

    def network_size(self, aspect: float) -> tuple[int, int]:
        """Width and height that the network works at: about its usual area, and of all such sizes nearest to the aspect."""
        across, down = self.model.config.multiple
        area = self._size[0] * self._size[1]
        sizes = [(across * i, down * j) for i in range(1, 9) for j in range(1, 9)]
        fitting = [(w, h) for w, h in sizes if LEAST_AREA <= w * h / area <= MOST_AREA] or [self._size]
        return min(fitting, key=lambda size: abs(math.log(size[0] / size[1] / aspect)))


@dataclass(frozen=True, slots=True)
class _Row:
    """One hole to fill: a frame's number, the window, and for each reference its number and the motion in the window."""

    number: int
    patch: Patch
    references: tuple[tuple[int, Tensor], ...]


class _Memory:
    """The frames of one input that are held, by their numbers in the order in which they came."""

    def __init__(self, filler: AlignedFiller, frame: Frame) -> None:
        self._filler, self._device = filler, filler.call.device
        self._size = filler.network_size(frame.width / frame.height)
        self._rule = WindowRule(frame.width, frame.height, frame.width / frame.height, filler.config.margin)
        self._path = CameraPath(self._device)
        self._held: dict[int, Held] = {}
        self._windows: tuple[Window, ...] = ()
        self._next = self._end = 0  # the first that was not filled, and the number of frames so far

    @property
    def waiting(self) -> int:
        """Frames that were not filled yet."""
        return self._end - self._next

    def add(self, masked: MaskedFrame) -> None:
        """The next frame."""
        hole = grown(masked.mask, self._filler.config.dilate_px)
        self._held[self._end] = Held(masked.frame, hole, regions(hole))
        self._path.add(self._end, masked.frame, hole)
        self._end += 1

    def fill(self, count: int) -> Iterator[Filled]:
        """The next ``count`` frames, filled."""
        numbers = range(self._next, self._next + count)
        measure = self._filler.call.measure
        with measure("camera"):
            rows = [row for number in numbers for row in self._rows(number)]
        with measure("windows"):
            self._see(rows)
        fills: dict[int, list[tuple[Box, Tensor]]] = {number: [] for number in numbers}
        for row, (weights, painted) in zip(rows, self._looked(rows), strict=True):
            with measure("compose"):
                fills[row.number] += self._composed(row, weights, painted)
        for number, found in fills.items():
            held = self._held[number]
            with measure("put back"):
                filled = put_back(held.frame, held.hole, found, self._filler.config) if held.boxes else Filled(held.frame)
            yield filled
        self._advance(numbers.stop)

    def _advance(self, number: int) -> None:
        self._next = number
        oldest = number - self._filler.reach
        for old in [old for old in self._held if old < oldest]:
            del self._held[old]
        self._path.forget(oldest)
        for held in self._held.values():
            for window in held.views.keys() - set(self._windows):
                del held.views[window]

    def _rows(self, number: int) -> list[_Row]:
        held = self._held[number]
        if not held.boxes:
            return []
        coming = range(number + 1, min(self._end, number + 1 + AHEAD))
        patches = choose(self._rule, self._windows, held.boxes, [self._held[later].boxes for later in coming])
        self._windows = tuple(patch.window for patch in patches)
        references = self._references(number)
        self._refuse_blind(number, [other for other, _ in references])
        return [_Row(number, patch, tuple((n, self._within(patch.window, m)) for n, m in references)) for patch in patches]

    def _references(self, number: int) -> list[tuple[int, Tensor]]:
        """Frames of the same shot and the camera's motion to them: those at the offsets, or where they are few all nearby."""
        near = [offset for distance in range(1, NEARBY + 1) for offset in (-distance, distance)]
        found: dict[int, Tensor] = {}
        for offset in [*self._filler.offsets, *near]:
            other = number + offset
            if other in found or other not in self._held or (offset in near and len(found) >= FEW):
                continue
            motion = self._path.motion(number, other)
            if motion is not None:
                found[other] = motion
        return sorted(found.items(), key=lambda item: item[0])

    def _refuse_blind(self, number: int, references: Sequence[int]) -> None:
        if all(self._held[n].hole.all() for n in (number, *references)):
            frame = self._held[number].frame
            raise DecodeError(
                f"cannot fill frame {frame.index} at {float(frame.time_s):.3f} s: its mask covers the whole picture, and so it "
                f"does in the {len(references)} frames around it that could show what is there; give a smaller mask"
            )

    def _within(self, window: Window, motion: Tensor) -> Tensor:
        """A motion of the whole picture in the coordinates of a window."""
        w, h = self._rule.width, self._rule.height
        corners = [window.x1 * 2 / w - 1, window.y1 * 2 / h - 1, window.x2 * 2 / w - 1, window.y2 * 2 / h - 1]
        place = motion.new_tensor([corners])
        return camera.in_window(motion, place, place)

    def _see(self, rows: Sequence[_Row]) -> None:
        """Features of every frame and window that the rows name and that has none yet."""
        wanted = {(n, row.patch.window) for row in rows for n in (row.number, *(other for other, _ in row.references))}
        missing = [(n, window) for n, window in sorted(wanted, key=str) if window not in self._held[n].views]
        if not missing:
            return
        crops = [self._crop(n, window) for n, window in missing]
        small = [self._small(pixels, hidden) for pixels, hidden in crops]
        frames, holes = (torch.cat(column) for column in zip(*small, strict=True))
        features = self._filler.call(self._filler.model.encode, frames, holes)
        visible = F.avg_pool2d(1 - holes, STRIDE)
        for row, ((n, window), (pixels, hidden)) in enumerate(zip(missing, crops, strict=True)):
            self._held[n].views[window] = View(features[row : row + 1], visible[row : row + 1], pixels, hidden)

    def _crop(self, number: int, window: Window) -> tuple[Tensor, Tensor]:
        held = self._held[number]
        place = slice(window.y1, window.y2), slice(window.x1, window.x2)
        pixels = np.ascontiguousarray(held.frame.pixels()[place].transpose(2, 0, 1))
        hidden = torch.from_numpy(np.ascontiguousarray(held.hole[place]))
        return torch.from_numpy(pixels).to(self._device), hidden.to(self._device)

    def _small(self, pixels: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The window as the network sees it: f32[1 3 h w] in 0..1, and its hole f32[1 1 h w]: 1 where any pixel of it lies."""
        size = (self._size[1], self._size[0])
        whole = pixels[None].float() / _full_scale(pixels)
        frames = F.interpolate(whole, size=size, mode="bilinear", antialias=True)
        return frames, F.adaptive_max_pool2d(hidden[None, None].float(), size)

    def _looked(self, rows: Sequence[_Row]) -> Iterator[tuple[Tensor, Tensor]]:
        """For every row the weights f32[k h w] of its frames and the painted picture f32[3 h w]."""
        size = self._filler.call.batch
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            most = 1 + max(len(row.references) for row in some)
            columns = [self._aligned(row, most) for row in some]
            batch = map(torch.cat, zip(*columns, strict=True))
            for row, weights, painted in zip(some, *self._filler.call(self._filler.model.fill, *batch), strict=True):
                yield weights[: 1 + len(row.references)], painted

    def _aligned(self, row: _Row, most: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features f32[1 k c h w], visibility f32[1 k 1 h w] and offsets f32[1 k] of a row, filled up to ``most`` frames that

        nobody sees.
        """
        own = self._held[row.number].views[row.patch.window]
        views = [self._held[n].views[row.patch.window] for n, _ in row.references]
        features, visible = own.features, own.visible
        if views:
            motions = torch.cat([motion for _, motion in row.references])
            both = torch.cat([torch.cat([view.features, view.visible], dim=1) for view in views])
            moved = camera.aligned(both, motions)
            features, visible = torch.cat([features, moved[:, :-1]]), torch.cat([visible, moved[:, -1:]])
        offsets = features.new_tensor([0, *(n - row.number for n, _ in row.references)])
        spare = most - len(features)
        filled = (F.pad(x, (0, 0) * (x.ndim - 1) + (0, spare))[None] for x in (features, visible, offsets))
        return tuple(filled)  # type: ignore[return-value]

    def _composed(self, row: _Row, weights: Tensor, painted: Tensor) -> Iterator[tuple[Box, Tensor]]:
        """What is put into the picture at each box of a row."""
        window = row.patch.window
        references = []
        for n, motion in row.references:
            view = self._held[n].views[window]
            references.append(Reference(view.pixels, view.hidden, motion, _full_scale(view.pixels)))
        for region in row.patch.boxes:
            box = with_ring(region, (window.x1, window.y1, window.x2, window.y2))
            x1, y1, x2, y2 = box
            inside = (x1 - window.x1, y1 - window.y1, x2 - window.x1, y2 - window.y1)
            yield box, composed(weights, painted, references, inside, (window.height, window.width))


def _full_scale(pixels: Tensor) -> float:
    return 255.0 if pixels.dtype == torch.uint8 else 65535.0
