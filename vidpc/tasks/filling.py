"""What the ways of filling holes share: their signature, and the picture that is put back at full size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vidpc.ops.grain import grain, strength
from vidpc.ops.masks import Box, fading
from vidpc.ops.seams import RING_PX, without_seams
from vidpc.presets import InpaintConfig
from vidpc.types import U8, U16, Bool, Frame, MaskedFrame


class Call(Protocol):
    """Runs a function of a network on its device, rows in batches: tensors with the batch axis first in, the same out."""

    @property
    def batch(self) -> int:
        """Rows that go through the network at once."""
        ...

    @property
    def device(self) -> Any:
        """The device that the tensors belong on, as torch knows it."""
        ...

    def measure(self, stage: str) -> AbstractContextManager[None]:
        """A block whose time counts as that of a stage of the run."""
        ...

    def computing(self) -> AbstractContextManager[None]:
        """A block that computes with the network on the device."""
        ...

    def __call__(self, function: Callable[..., Any], /, *tensors: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Filled:
    """A frame, and where it had a ``hole`` bool[h w] the picture ``rgb`` [h w 3] in which that is filled."""

    frame: Frame
    rgb: U8 | U16 | None = None
    hole: Bool | None = None


Filler = Callable[[Iterator[MaskedFrame]], Iterator[Filled]]

GRAIN_PX = 24  # around a hole, where the film's own grain is measured


def with_ring(box: Box, within: Box) -> Box:
    """A box with the ring around it in which a fill is compared with the film, inside of another box."""
    x1, y1, x2, y2 = box
    left, top, right, bottom = within
    return max(left, x1 - RING_PX), max(top, y1 - RING_PX), min(right, x2 + RING_PX), min(bottom, y2 + RING_PX)


def put_back(frame: Frame, hole: Bool, fills: Sequence[tuple[Box, Tensor]], config: InpaintConfig) -> Filled:
    """The frame with its ``hole`` bool[h w] filled from ``fills``: boxes of the picture, and f32[3 h w] in 0..1 for each.

    A fill takes the light of what is around it, gets the grain that it lacks beside that, and fades in from the rim of the
    hole. Every pixel outside of the hole stays as it was.
    """
    source = frame.pixels()
    rgb, alpha = source.copy(), fading(hole, config.feather_px)
    scale = float(np.iinfo(source.dtype).max)
    for number, (box, fill) in enumerate(fills):
        x1, y1, x2, y2 = box
        seed = (config.seed * 1_000_003 + frame.index) * 64 + number
        before = source[y1:y2, x1:x2] / scale
        film = torch.from_numpy(before).to(fill).permute(2, 0, 1)
        lit = without_seams(fill, film, torch.from_numpy(hole[y1:y2, x1:x2]).to(fill.device))
        picture = _with_grain(lit.cpu(), source, hole, box, config.grain, seed).permute(1, 2, 0).numpy()
        share = alpha[y1:y2, x1:x2, None]
        filled = np.round(np.clip(before + share * (picture - before), 0, 1) * scale).astype(source.dtype)
        rgb[y1:y2, x1:x2] = np.where(hole[y1:y2, x1:x2, None], filled, rgb[y1:y2, x1:x2])
    return Filled(frame, rgb, hole)


def _with_grain(fill: Tensor, source: U8 | U16, hole: Bool, box: Box, share: float, seed: int) -> Tensor:
    """The fill with as much grain as is around it."""
    x1, y1, x2, y2 = box
    rows, columns = slice(max(0, y1 - GRAIN_PX), y2 + GRAIN_PX), slice(max(0, x1 - GRAIN_PX), x2 + GRAIN_PX)
    around = torch.from_numpy(source[rows, columns].astype(np.float32) / np.iinfo(source.dtype).max).permute(2, 0, 1)
    there = strength(around, torch.from_numpy(~hole[rows, columns]))
    here = strength(fill, torch.from_numpy(hole[y1:y2, x1:x2]))
    missing = share * max(0.0, there * there - here * here) ** 0.5
    return fill + grain(y2 - y1, x2 - x1, deviation=missing, seed=seed)
