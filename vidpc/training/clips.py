"""Labelled clips: who is named in a table or in folders, and their pictures, decoded once and kept on disk.

Pictures are kept at an even rate, small enough that a training run never waits for a decoder, and memory holds none of them
but those that are looked at: whatever the number of clips, they are mapped, not read.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidpc.errors import OpenError, PresetError, SourceError
from vidpc.media.read import read_videos
from vidpc.media.sources import expand
from vidpc.ops import clip as pictures
from vidpc.ops.flow import optical_flow
from vidpc.types import U8, Closed, Frame, ReadOptions

F16 = npt.NDArray[np.float16]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
_GROUPS = ("source_group", "group")  # columns that say which clips come from one source
_FLOW_RUN = 32  # pictures whose flow is computed at once


@dataclass(frozen=True, slots=True)
class Clip:
    """One file, what it shows, and the source that it was cut from: clips of one source are near copies."""

    path: Path
    label: str
    group: str


@dataclass(frozen=True, slots=True)
class Kept:
    """How pictures are kept: so many a second, ``stretch``ed to a square of ``side`` or with their short side as long."""

    rate_fps: Fraction
    side: int
    stretch: bool
    with_flow: bool


@dataclass(frozen=True, slots=True)
class Footage:
    """The pictures u8[n h w 3] of a clip at an even rate, and the flow f16[n-1 2 h/4 w/4] from each to the next."""

    clip: Clip
    pictures: U8
    flow: F16 | None


def listed(path: Path, split: str) -> list[Clip]:
    """The clips of ``split`` (train, val, all) at ``path``.

    A table (.csv) has columns ``file`` (seen from the table's folder) and ``label``; ``split``, and ``group`` or
    ``source_group``, where there are any. A folder holds a folder of clips for each label. Without a split, clips are in all.
    Raises ``PresetError``.
    """
    if path.is_dir():
        folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
        found = [Clip(file, folder.name, f"{folder.name}/{file.name}") for folder in folders for file in _files(folder)]
    elif path.suffix == ".csv":
        found = list(_rows(path, split))
    else:
        raise PresetError(f"{path}: expected a folder with a folder of clips for each label, or a .csv")
    if not found:
        raise PresetError(f"{path}: no clips" + ("" if split == "all" else f" whose split is {split}"))
    return found


def scenes(path: Path, split: str) -> list[Clip]:
    """The videos at ``path`` whose labels do not matter: a folder, a file, or the rows of a table of that split or of none.

    In a table the column ``file`` or ``video`` names them. Raises ``PresetError``.
    """
    if path.suffix != ".csv":
        return [Clip(file, "", file.name) for file in _files(path)]
    rows = [row for row in _table(path) if split in ("all", row.get("split") or split)]
    names = [row.get("file") or row.get("video") for row in rows]
    found = [Clip(path.parent / name, "", name) for name in names if name]
    if not found:
        raise PresetError(
            f"{path}: no videos in a column file or video" + ("" if split == "all" else f" whose split is {split}")
        )
    return found


def decoded(clips: Sequence[Clip], kept: Kept, folder: Path) -> Iterator[Footage]:
    """The footage of every clip, from ``folder`` where it is already there.

    Raises ``SourceError`` for a clip that is broken or not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        place = folder / _key(clip.path, kept)
        if not place.with_suffix(".done").exists():
            _keep(clip.path, kept, place)
        flow = np.load(place.with_suffix(".flow.npy"), mmap_mode="r") if kept.with_flow else None
        yield Footage(clip, np.load(place.with_suffix(".npy"), mmap_mode="r"), flow)


def even_pictures(path: Path, kept: Kept) -> U8:
    """u8[n h w 3]: the picture that is shown at each tick of the rate, from the first frame to the last."""
    options = ReadOptions()
    seen: list[U8] = []
    before, begin_s = None, Fraction(0)
    for item in read_videos(expand([str(path)], options), options):
        if isinstance(item, Frame):
            begin_s = item.time_s if before is None else begin_s
            _repeat(seen, before, (item.time_s - begin_s) * kept.rate_fps)
            before = _small(item, kept)
        elif isinstance(item, Closed) and item.error is not None:
            raise item.error
    if before is None:
        raise SourceError(f"{path}: no picture in it")
    return np.stack([*seen, before])


def flow_of(shown: U8) -> F16:
    """f16[n-1 2 h/4 w/4] of pictures u8[n h w 3], in pixels of theirs."""
    n, h, w = shown.shape[:3]
    runs = [np.empty((0, 2, h // 4, w // 4), np.float16)]
    with torch.inference_mode():
        for begin in range(0, n - 1, _FLOW_RUN):
            luma = torch.from_numpy(shown[begin : begin + _FLOW_RUN + 1] @ LUMA / 255)
            runs.append(optical_flow(luma[None].float())[0].half().numpy())
    return np.concatenate(runs)


def _repeat(seen: list[U8], picture: U8 | None, ticks: Fraction) -> None:
    """``picture`` once more for every tick before ``ticks`` that nothing is known of yet."""
    while picture is not None and len(seen) < ticks:
        seen.append(picture)


def _small(frame: Frame, kept: Kept) -> U8:
    if kept.stretch:
        return frame.rgb(kept.side, kept.side)
    return pictures.resized(frame.rgb(), rule="antialiased", short_side=kept.side)


def _keep(path: Path, kept: Kept, place: Path) -> None:
    shown = even_pictures(path, kept)
    np.save(place.with_suffix(".npy"), shown)
    if kept.with_flow:
        np.save(place.with_suffix(".flow.npy"), flow_of(shown))
    place.with_suffix(".done").touch()  # what was begun and not ended is done again


def _key(path: Path, kept: Kept) -> str:
    try:
        stat = path.stat()
    except OSError as error:
        raise OpenError(f"cannot open the clip {path}: {error.strerror}") from error
    words = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {kept}"
    return hashlib.sha256(words.encode()).hexdigest()[:24]


def _files(folder: Path) -> list[Path]:
    return [Path(source.name) for source in expand([str(folder)], ReadOptions())]


def _rows(path: Path, split: str) -> Iterator[Clip]:
    for number, row in enumerate(_table(path), start=2):
        if not row.get("file") or not row.get("label"):
            raise PresetError(f"{path}: line {number} has no file or no label")
        if split in ("all", row.get("split") or split):
            group = next((row[name] for name in _GROUPS if row.get(name)), row["file"])
            yield Clip(path.parent / row["file"], row["label"], group)


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark in front
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PresetError(f"cannot read the table {path}: {getattr(error, 'strerror', None) or error}") from error
