"""Masks from pictures: a folder of them, a mask video, or one still picture for all frames.

In a picture that was stored without loss everything that is not black counts (the authors' rule, which takes label images and
palettes as well); in a JPEG or a video everything brighter than a quarter, for compression leaves dark noise around an edge.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidpc.errors import OpenError, SourceError
from vidpc.media.read import Reading, open_source
from vidpc.media.sources import IMAGE_SUFFIXES, Source, natural, shown
from vidpc.types import Bool, Frame, ReadOptions, VideoInfo

BRIGHT = 63  # of 255, in pictures that lost something
LOSSLESS = frozenset({"png", "apng", "bmp", "tiff", "pgm", "ppm", "gif", "ffv1", "huffyuv", "ffvhuff", "utvideo", "qtrle"})
_HINT = "give masks of the video's own, or --mask-fit"


@contextmanager
def open_pictures(path: str, info: VideoInfo, *, fit: bool) -> Iterator["Still | PictureFolder | MaskVideo"]:
    """The masks at ``path`` for the video that ``info`` describes. Raises ``SourceError``."""
    place = Path(path)
    if place.is_dir():
        yield PictureFolder(_pictures_in(place), path, _Target(info, fit))
    elif place.suffix.lower() in IMAGE_SUFFIXES:
        yield Still(read_picture(place, _Target(info, fit)))
    else:
        with ExitStack() as stack:
            reading = stack.enter_context(open_source(Source(path), ReadOptions()))
            yield MaskVideo(reading, path, _Target(info, fit))


def read_picture(path: Path, target: "_Target") -> Bool:
    """One picture as a mask."""
    with open_source(Source(str(path)), ReadOptions()) as reading:
        frame = next(reading.frames(), None)
        if frame is None:
            raise OpenError(f"cannot read the mask {shown(path)}: no picture in it")
        return target.fitted(_mask_of(frame, reading.info), path)


def _mask_of(frame: Frame, info: VideoInfo) -> Bool:
    pixels = frame.pixels()  # not rgb(): labels of 16 bits would all be 0 of 255
    limit = 0 if info.codec in LOSSLESS else BRIGHT * (pixels.itemsize * 257 - 256)
    return np.asarray((pixels > limit).any(axis=2))


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    try:
        files = (entry for entry in folder.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file())
        found = tuple(sorted(files, key=natural))
    except OSError as error:
        raise OpenError(f"cannot list the masks in {shown(folder)}: {error.strerror}") from error
    if not found:
        raise OpenError(f"the folder of masks {shown(folder)} holds no picture (by suffix)")
    return found


@dataclass(frozen=True, slots=True)
class _Target:
    """The video that masks are for."""

    info: VideoInfo
    fit: bool

    def fitted(self, mask: Bool, path: object) -> Bool:
        """The mask in the size of the video."""
        size, (h, w) = (self.info.height, self.info.width), mask.shape
        if (h, w) == size:
            return mask
        if not self.fit:
            raise OpenError(f"the mask {shown(path)} is {w}x{h}, and the video {self._video} is {size[1]}x{size[0]}: {_HINT}")
        rows, columns = ((np.arange(to) * 2 + 1) * of // (2 * to) for to, of in zip(size, (h, w), strict=True))
        return np.asarray(mask[rows[:, None], columns])

    def check_count(self, count: int | None, path: object) -> None:
        """Refuses, before any work, a number of masks that is not that of the frames, where both are known."""
        frames = self.info.frame_count
        if not self.fit and count is not None and frames is not None and count != frames:
            raise OpenError(f"{shown(path)} holds {count} masks, and the video {self._video} has {frames} frames: {_HINT}")

    def too_few(self, count: int, frame: Frame, path: object) -> OpenError:
        """What to say of a frame that has no mask."""
        return OpenError(
            f"{shown(path)} holds {count} masks, and the video {self._video} has more frames: none for frame {frame.index} "
            f"at {float(frame.time_s):.3f} s; {_HINT}"
        )

    def too_many(self, count: str, frames: int, path: object) -> OpenError:
        """What to say of masks that have no frame."""
        return OpenError(f"{shown(path)} holds {count} masks, and the video {self._video} has {frames} frames: {_HINT}")

    @property
    def _video(self) -> str:
        return shown(self.info.path)


@dataclass(frozen=True, slots=True)
class Still:
    """One mask for all frames."""

    mask: Bool

    def at(self, frame: Frame) -> Bool:
        """The mask."""
        return self.mask

    def end(self) -> None:
        """It never runs out."""


@dataclass(slots=True)
class PictureFolder:
    """A picture a frame, in the order of their names."""

    paths: tuple[Path, ...]
    name: str
    target: _Target
    last: tuple[int, Bool] | None = None
    frames: int = 0

    def __post_init__(self) -> None:
        self.target.check_count(len(self.paths), self.name)

    def at(self, frame: Frame) -> Bool:
        """The mask of the frame's number."""
        self.frames, number = frame.index + 1, frame.index
        if number >= len(self.paths):
            if not self.target.fit:
                raise self.target.too_few(len(self.paths), frame, self.name)
            number = len(self.paths) - 1
        if self.last is None or self.last[0] != number:
            self.last = number, read_picture(self.paths[number], self.target)
        return self.last[1]

    def end(self) -> None:
        """Raises where pictures are left over, unless the video lost frames that it says it has."""
        is_short = self.frames < len(self.paths) != self.target.info.frame_count
        if is_short and not self.target.fit:
            raise self.target.too_many(str(len(self.paths)), self.frames, self.name)


@dataclass(slots=True)
class MaskVideo:
    """A video that shows the masks, frame by frame."""

    reading: Reading
    name: str
    target: _Target
    masks: Iterator[Bool] = field(init=False)
    taken: int = 0
    last: Bool | None = None
    frames: int = 0

    def __post_init__(self) -> None:
        self.target.check_count(self.reading.info.frame_count, self.name)
        info = self.reading.info
        self.masks = (self.target.fitted(_mask_of(frame, info), self.name) for frame in self.reading.frames())

    def at(self, frame: Frame) -> Bool:
        """The mask of the frame's number."""
        self.frames = frame.index + 1
        while self.taken <= frame.index:
            mask = next(self.masks, None)
            if mask is None:
                if self.last is None or not self.target.fit:
                    raise self.target.too_few(self.taken, frame, self.name)
                break
            self.last, self.taken = mask, self.taken + 1
        if self.last is None:
            raise SourceError(f"cannot read the masks {shown(self.name)}: frame {frame.index} was asked for twice")
        return self.last

    def end(self) -> None:
        """Raises where masks are left over, unless the video lost frames that it says it has."""
        claimed = self.reading.info.frame_count
        is_believed = claimed is not None and claimed == self.target.info.frame_count
        if not self.target.fit and not is_believed and next(self.masks, None) is not None:
            raise self.target.too_many(f"more than {self.taken}", self.frames, self.name)
