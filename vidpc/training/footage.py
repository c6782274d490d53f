"""Labelled video as clips of pictures in memory: runs of frames listed in JSON lines, and MOTChallenge sequences."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidpc.errors import OpenError
from vidpc.evaluation.track_files import FIRST_PIXEL, read_ground_truth
from vidpc.media.read import read_videos
from vidpc.training.pictures import UNLINKED, Clip, Marks, Picture, join, load_clips
from vidpc.types import U8, Closed, Frame

CLIP_FRAMES = 12  # of a sequence: it is cut into clips of this length


def load(path: Path, *, images: Path | None = None, split: str | None = None) -> list[Clip]:
    """Clips of whatever ``path`` is: COCO-layout labels, a ``.jsonl`` of labelled runs, or the folder of a sequence."""
    if path.is_dir():
        return load_sequence(path)
    if path.suffix == ".jsonl":
        return load_runs(path, split=split)
    return load_clips(path, images=images, split=split)


def load_runs(path: Path, *, split: str | None = None) -> list[Clip]:
    """Runs of frames, one clip each, in the set that the file's folder names.

    A line a frame: ``file`` (a video, relative to this file), ``run`` (frames of one run share identities), ``frame`` (its
    index), ``boxes``: [{``box`` xyxy, ``id``, ``ignore``}], and ``split``; with ``split`` given, others are left out.
    """
    runs: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in _rows(path):
        if split is None or row.get("split", split) == split:
            runs.setdefault(row["file"], {})[row["frame"]] = row
    clips = []
    for file, wanted in runs.items():
        found: dict[int, list[Picture]] = {}
        for index, pixels in _frames(path.parent / file, wanted.keys()):
            found.setdefault(wanted[index].get("run", 0), []).append(Picture(pixels, _marks(wanted[index]["boxes"])))
        clips += [Clip(path.parent.name, tuple(pictures)) for pictures in found.values()]
    return clips


def load_sequence(folder: Path) -> list[Clip]:
    """The frames of ``video.mp4`` with the boxes of ``gt.txt``, in clips of `CLIP_FRAMES`, in the set that the folder names."""
    truth = read_ground_truth(folder / "gt.txt")
    pictures = []
    for index, pixels in _frames(folder / "video.mp4", None):
        parts = []
        for rows, ignored in ((truth.scored, False), (truth.ignored, True)):
            here = rows.frames == index + 1
            count = int(here.sum())
            ids = np.full(count, UNLINKED) if ignored else rows.ids[here]
            parts.append(Marks((rows.boxes_xyxy[here] - FIRST_PIXEL).astype(np.float32), ids, np.full(count, ignored)))
        pictures.append(Picture(pixels, join(parts)))
    return [Clip(folder.name, tuple(pictures[i : i + CLIP_FRAMES])) for i in range(0, len(pictures), CLIP_FRAMES)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OpenError(f"reading the labels {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise OpenError(f"reading the labels {path}, line {number}: {error}") from error
        if not isinstance(row, dict) or not {"file", "frame", "boxes"} <= row.keys():
            raise OpenError(f"reading the labels {path}, line {number}: expected an object with `file`, `frame`, `boxes`")
        yield row


def _frames(path: Path, wanted: Any) -> Iterator[tuple[int, U8]]:
    """Index and pixels of the wanted frames of a video, all of them for None."""
    for item in read_videos([path]):
        if isinstance(item, Frame) and (wanted is None or item.index in wanted):
            yield item.index, item.rgb()
        if isinstance(item, Closed) and item.error is not None:
            raise item.error


def _marks(boxes: list[Mapping[str, Any]]) -> Marks:
    return Marks(
        np.array([box["box"] for box in boxes], np.float32).reshape(-1, 4),
        np.array([box.get("id", UNLINKED) for box in boxes], np.int64),
        np.array([bool(box.get("ignore")) for box in boxes], np.bool_),
    )
