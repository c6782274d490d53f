"""Raw footage for networks that make pictures: every frame at its own size, without repeats, cut into shots."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from vidpc.errors import PresetError
from vidpc.media.read import read_videos
from vidpc.media.sources import expand
from vidpc.ops import clip as pictures
from vidpc.training.clips import Clip, scenes
from vidpc.types import U8, Closed, Frame, ReadOptions

_REPEAT_LEVELS = 0.35  # mean difference of small pictures, in grey levels, below which a frame repeats the one before
_CUT_LEVELS = 14.0  # and above which it may begin another shot,
_CUT_RATIO = 4.0  # if it is this many times the differences before and after
_SMALL_STEP = 4  # rows and columns that are compared


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames u8[n h w 3] of one shot of a clip, one after the other, none of them a repeat."""

    clip: Clip
    frames: U8

    def __len__(self) -> int:
        return len(self.frames)


def shots(data: Sequence[Path], split: str, folder: Path, *, short_side: int, least: int) -> list[Shot]:
    """The shots of at least ``least`` frames in the videos at ``data`` whose split is ``split``, or that have none.

    Pictures whose short side is longer than ``short_side`` are made smaller. They are decoded into ``folder`` once and mapped.
    Raises ``PresetError`` where nothing is left, and ``SourceError`` for a clip that is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = [clip for path in data for clip in scenes(path, split)]
    found = [shot for clip in clips for shot in _of(clip, folder, short_side) if len(shot) >= least]
    if data and not found:
        raise PresetError(f"no shot of at least {least} frames in {', '.join(map(str, data))} (split {split})")
    return found


def _of(clip: Clip, folder: Path, short_side: int) -> Iterator[Shot]:
    stat = clip.path.stat()
    words = f"{clip.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {short_side} shots"
    place = folder / hashlib.sha256(words.encode()).hexdigest()[:24]
    if not place.with_suffix(".done").exists():
        _keep(clip, place, short_side)
    frames = np.load(place.with_suffix(".npy"), mmap_mode="r")
    bounds = np.load(place.with_suffix(".cuts.npy"))
    for first, last in pairwise(bounds):
        yield Shot(clip, frames[first:last])


def _keep(clip: Clip, place: Path, short_side: int) -> None:
    options = ReadOptions()
    kept: list[U8] = []
    steps: list[float] = []  # from each kept frame to the next
    for item in read_videos(expand([str(clip.path)], options), options):
        if isinstance(item, Frame):
            picture = _small(item.rgb(), short_side)
            step = _difference(kept[-1], picture) if kept else 255.0
            if step > _REPEAT_LEVELS:
                steps += [step] if kept else []
                kept.append(picture)
        elif isinstance(item, Closed) and item.error is not None:
            raise item.error
    if kept:
        np.save(place.with_suffix(".npy"), np.stack(kept))
        np.save(place.with_suffix(".cuts.npy"), np.array([0, *_cuts(steps), len(kept)]))
        place.with_suffix(".done").touch()  # what was begun and not ended is done again


def _small(picture: U8, short_side: int) -> U8:
    if min(picture.shape[:2]) <= short_side:
        return picture
    return pictures.resized(picture, rule="antialiased", short_side=short_side)


def _difference(one: U8, other: U8) -> float:
    small, next_small = (x[::_SMALL_STEP, ::_SMALL_STEP].astype(np.int16) for x in (one, other))
    return float(np.abs(small - next_small).mean())


def _cuts(steps: Sequence[float]) -> list[int]:
    """Where another shot begins, by the differences from each frame to the next."""
    found = []
    for i, step in enumerate(steps):
        around = [*steps[max(0, i - 2) : i], *steps[i + 1 : i + 3]]
        if step > _CUT_LEVELS and step > _CUT_RATIO * float(np.median(around or [0.0])):
            found.append(i + 1)
    return found
