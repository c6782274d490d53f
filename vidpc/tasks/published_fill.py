"""Filling with STTN as it was published (`tasks.sttn_fill`): a picture of the network's own size, put back larger.

frames ─► runs of frames that share their windows, with some frames before and after ─► each window made small
     ─► STTN over the run ─► the filled texture, made as large as the window was
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.errors import DecodeError, WeightsError
from vidpc.models.sttn import STTN
from vidpc.ops.bicubic import resize_bicubic
from vidpc.ops.masks import Box, grown, regions, shrunk
from vidpc.presets import InpaintConfig
from vidpc.tasks.filling import Call, Filled, put_back, with_ring
from vidpc.tasks.region_windows import Patch, Window, WindowRule, choose
from vidpc.tasks.sttn_fill import filled
from vidpc.tasks.sttn_windows import Rule
from vidpc.types import U8, Bool, Frame, MaskedFrame

MOST_FRAMES, LEAST_FRAMES = 60, 15  # of a run, but for the last: short ones where what is masked moves far
AROUND_FRAMES = 10  # before and after a run, that the network sees as well
REFERENCES = 6  # beside the neighbours, under the rule "bounded"
_SPREAD = 1.5  # of the windows of a run to those of its first frames


@dataclass(frozen=True, slots=True)
class Held:
    """A frame with its hole, and boxes around the parts of that."""

    frame: Frame
    hole: Bool
    boxes: list[Box]


class PublishedFiller:
    """Fills the frames of one input after the other."""

    def __init__(self, model: STTN, config: InpaintConfig, rules: Mapping[str, Any], call: Call) -> None:
        """Raises ``WeightsError`` where the weights do not say how large their pictures are."""
        self._model, self._config, self._call = model, config, call
        try:
            self._size = int(rules["width"]), int(rules["height"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError("the weights do not say what they see (input: width, height)") from error

    def __call__(self, frames: Iterator[MaskedFrame]) -> Iterator[Filled]:
        """The frames in their order, with their holes filled. Raises ``DecodeError`` where nothing can be seen to fill with."""
        is_whole = self._config.references == "all"
        held = (self._held(masked) for masked in frames)
        before: list[Held] = []
        ahead: list[Held] = list(held) if is_whole else []
        while True:
            ahead += islice(held, MOST_FRAMES + AROUND_FRAMES - len(ahead)) if not is_whole else ()
            if not ahead:
                return
            run, after = ahead, []
            if not is_whole:
                count = self._length(ahead)
                run, after = ahead[:count], ahead[count : count + AROUND_FRAMES]
            yield from self._filled(before, run, after)
            before, ahead = [*before, *run][-AROUND_FRAMES:], ahead[len(run) :]

    def _held(self, masked: MaskedFrame) -> Held:
        hole = grown(masked.mask, self._config.dilate_px)
        return Held(masked.frame, hole, regions(hole))

    def _rule(self, frame: Frame) -> WindowRule:
        return WindowRule(frame.width, frame.height, self._size[0] / self._size[1], self._config.margin)

    def _length(self, ahead: Sequence[Held]) -> int:
        """How many of the frames make a run: as many as windows serve that are not much larger than at its beginning."""
        rule = self._rule(ahead[0].frame)
        count = min(len(ahead), LEAST_FRAMES)
        usual = _area(_windows(rule, ahead[:count]))
        while count < min(len(ahead), MOST_FRAMES):
            area = _area(_windows(rule, ahead[: count + 1]))
            if usual and area > _SPREAD * usual:
                break
            usual, count = usual or area, count + 1
        return count

    def _filled(self, before: Sequence[Held], run: Sequence[Held], after: Sequence[Held]) -> Iterator[Filled]:
        frames = [*before, *run, *after]
        patches = _windows(self._rule(run[0].frame), run)
        if patches and all(held.hole.all() for held in frames):
            raise DecodeError(
                f"cannot fill frame {run[0].frame.index}: the mask covers the whole picture, and so it does in all of "
                f"{len(frames)} frames; give a smaller mask"
            )
        textures = [self._textures(frames, patch.window)[len(before) : len(before) + len(run)] for patch in patches]
        for number, held in enumerate(run):
            if not held.boxes:
                yield Filled(held.frame)
                continue
            fills = [
                _enlarged(texture[number], patch.window, box)
                for patch, texture in zip(patches, textures, strict=True)
                for box in held.boxes
                if patch.window.holds(box) and any(_holds(whole, box) for whole in patch.boxes)
            ]
            with self._call.measure("put back"):
                done = put_back(held.frame, held.hole, fills, self._config)
            yield done

    def _textures(self, frames: Sequence[Held], window: Window) -> list[U8]:
        """The window in every frame at the network's size, its hole filled."""
        width, height = self._size
        limit = None if self._config.references == "all" else REFERENCES
        rule = Rule(references=limit, windows_at_once=self._call.batch)
        small = ((_small(held, window, width, height)) for held in frames)
        with self._call.computing():
            return list(filled(self._model, small, rule))


def _windows(rule: WindowRule, run: Sequence[Held]) -> list[Patch]:
    """The windows of a run, around all that is masked in it."""
    holes = [held.hole for held in run if held.boxes]
    return choose(rule, (), regions(np.logical_or.reduce(holes)), ()) if holes else []


def _area(patches: Sequence[Patch]) -> int:
    return sum(patch.window.width * patch.window.height for patch in patches)


def _small(held: Held, window: Window, width: int, height: int) -> tuple[U8, Bool]:
    place = slice(window.y1, window.y2), slice(window.x1, window.x2)
    rgb = np.ascontiguousarray(held.frame.rgb()[place])
    return resize_bicubic(rgb, height=height, width=width), shrunk(held.hole[place], height=height, width=width)


def _enlarged(texture: U8, window: Window, region: Box) -> tuple[Box, Tensor]:
    """A box around a region of the picture, and the part of a texture that shows it, as large: f32[3 h w] in 0..1."""
    box = with_ring(region, (window.x1, window.y1, window.x2, window.y2))
    x1, y1, x2, y2 = box
    whole = torch.from_numpy(texture).permute(2, 0, 1)[None].float() / 255
    large = F.interpolate(whole, size=(window.height, window.width), mode="bicubic", align_corners=False)
    return box, large[0, :, y1 - window.y1 : y2 - window.y1, x1 - window.x1 : x2 - window.x1].clamp(0, 1)


def _holds(whole: Box, box: Box) -> bool:
    return whole[0] <= box[0] and whole[1] <= box[1] and box[2] <= whole[2] and box[3] <= whole[3]
