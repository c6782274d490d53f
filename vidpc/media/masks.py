"""Masks that say what of a video is meant: pictures, a mask video, one still picture, boxes, or what ``vidpc track`` wrote.

    open_masks ──> Masks.at(frame): bool[h w] in the displayed size, frame by frame

Masks belong to the frames of the whole video by their number, whatever part of it is read.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vidpc.errors import OpenError, SourceError
from vidpc.media.mask_pictures import open_pictures
from vidpc.media.mask_tracks import open_tracks
from vidpc.media.read import read_videos
from vidpc.media.sources import Source, shown
from vidpc.types import Bool, Closed, Frame, MaskedFrame, Opened, ReadOptions, VideoInfo

TRACK_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class MaskSource:
    """Where the masks of one video come from: a ``path``, or boxes in pixels of the displayed picture.

    ``ids`` and ``classes`` choose among tracks. ``fit`` takes masks of another size and number than the video's: the nearest
    pixel, the last mask for all frames after it.
    """

    path: str | None = None
    boxes_xywh: tuple[tuple[int, int, int, int], ...] = ()
    ids: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    fit: bool = False


class Masks(Protocol):
    """The masks of one video."""

    def at(self, frame: Frame) -> Bool:
        """The mask of a frame; frames come in order of their index."""
        ...

    def end(self) -> None:
        """Says that the video has ended; raises where masks are left over."""
        ...


@contextmanager
def open_masks(source: MaskSource, info: VideoInfo) -> Iterator[Masks]:
    """The masks of the video that ``info`` describes. Raises ``SourceError`` where they do not fit it."""
    if source.path is None:
        yield _Boxes(source.boxes_xywh, info)
    elif Path(source.path).suffix.lower() in TRACK_SUFFIXES:
        yield open_tracks(source.path, info, ids=source.ids, classes=source.classes, fit=source.fit)
    else:
        with open_pictures(source.path, info, fit=source.fit) as masks:
            yield masks


class _Boxes:
    """The same boxes in every frame."""

    def __init__(self, boxes_xywh: Sequence[tuple[int, int, int, int]], info: VideoInfo) -> None:
        self._mask = np.zeros((info.height, info.width), dtype=bool)
        for x, y, w, h in boxes_xywh:
            inside = self._mask[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)]
            if not inside.size:
                raise OpenError(f"the box {x},{y},{w},{h} lies outside {shown(info.path)} of {info.width}x{info.height}")
            inside[...] = True

    def at(self, frame: Frame) -> Bool:
        """The boxes."""
        return self._mask

    def end(self) -> None:
        """Boxes never run out."""


Item = Opened[VideoInfo] | MaskedFrame | Closed


def read_masked(sources: Sequence[Source], masks: Sequence[MaskSource], options: ReadOptions) -> Iterator[Item]:
    """The frames of all sources, each with the mask from the source of masks at the same place.

    One bad input, or bad masks, never end a run over many: what ended it stands in its Closed.
    """
    for number, (source, mask_source) in enumerate(zip(sources, masks, strict=True)):
        with ExitStack() as stack:
            frames = stack.enter_context(closing(read_videos([source], options)))
            try:
                yield from _paired(number, frames, mask_source, options, stack)
            except SourceError as error:
                yield Closed(number, error=error)


def _paired(
    number: int,
    frames: Iterator[Opened[VideoInfo] | Frame | Closed],
    mask_source: MaskSource,
    options: ReadOptions,
    stack: ExitStack,
) -> Iterator[Item]:
    masks: Masks | None = None
    seen = False
    for item in frames:
        if isinstance(item, Opened):
            yield Opened(number, item.info)
            masks = stack.enter_context(open_masks(mask_source, item.info))
        elif isinstance(item, Closed):
            if masks is not None and item.error is None and options.end_s is None:
                masks.end()
            said = () if seen or masks is None else ("nothing is masked in any frame: all of them stay as they are",)
            yield Closed(number, (*item.warnings, *said), item.error)
        elif masks is not None:
            mask = masks.at(item)
            seen = seen or bool(mask.any())
            yield MaskedFrame(item, mask)
