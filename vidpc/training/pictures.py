"""Labelled pictures in memory: read from COCO-layout label files, grouped into clips of one camera."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.errors import OpenError
from vidpc.media.read import read_videos
from vidpc.types import F32, I64, U8, Closed, Frame

Bools = npt.NDArray[np.bool_]
UNLINKED = -1  # the identity of a box that nobody followed


@dataclass(frozen=True, slots=True)
class Marks:
    """The boxes of one picture: ``boxes_xyxy`` f32[n 4] pixels, ``ids`` i64[n] (-1: not followed), ``ignored`` bool[n]."""

    boxes_xyxy: F32
    ids: I64
    ignored: Bools

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[Any]) -> "Marks":
        """The rows that an index or a mask names."""
        return Marks(self.boxes_xyxy[rows], self.ids[rows], self.ignored[rows])


NO_MARKS = Marks(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def join(parts: list[Marks]) -> Marks:
    """All rows of all parts, in order."""
    parts = [NO_MARKS, *parts]
    return Marks(
        np.concatenate([part.boxes_xyxy for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.ignored for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels u8[h w 3] with their marks."""

    pixels: U8
    marks: Marks


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures of one camera in order of time, identities shared; a single picture is a clip of one."""

    name: str  # the set that it counts to
    pictures: tuple[Picture, ...]


def load_clips(labels: Path, *, images: Path | None = None, split: str | None = None) -> list[Clip]:
    """Clips of a COCO-layout label file, in the order of their first picture.

    ``file_name`` is relative to ``images`` (default: the folder of the label file). Read where present, of an image:
    ``split`` (with ``split`` given, others are left out), ``set``, ``pair_id`` or ``clip_id`` with ``frame_in_pair`` or
    ``frame`` (pictures of one clip); of an annotation: ``track_id`` (identity inside a clip), ``ignore`` or ``iscrowd``
    (neither a person nor background).
    """
    document = _read(labels)
    rows = [row for row in document["images"] if split is None or row.get("split", split) == split]
    notes: dict[int, list[dict[str, Any]]] = {}
    for note in document["annotations"]:
        notes.setdefault(note["image_id"], []).append(note)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_clip_key(row), []).append(row)
    folder = images or labels.parent
    return [_clip(group, notes, folder) for group in groups.values()]


def _read(labels: Path) -> dict[str, Any]:
    try:
        document = json.loads(labels.read_text())
    except (OSError, ValueError) as error:
        raise OpenError(f"reading the labels {labels}: {error}") from error
    if not isinstance(document, dict) or not {"images", "annotations"} <= document.keys():
        raise OpenError(f"reading the labels {labels}: expected a COCO document with `images` and `annotations`")
    return document


def _clip_key(row: dict[str, Any]) -> str:
    for name in ("clip_id", "pair_id"):
        if row.get(name) is not None:
            return f"{row.get('set')} {name} {row[name]}"
    return f"image {row['id']}"


def _clip(rows: list[dict[str, Any]], notes: dict[int, list[dict[str, Any]]], folder: Path) -> Clip:
    rows = sorted(rows, key=lambda row: row.get("frame", row.get("frame_in_pair", 0)))
    pictures = tuple(Picture(read_rgb(folder / row["file_name"]), _marks(notes.get(row["id"], []))) for row in rows)
    return Clip(str(rows[0].get("set", "all")), pictures)


def read_rgb(path: Path) -> U8:
    """The picture in a JPEG or PNG file as u8[h w 3]."""
    for item in read_videos([path]):
        if isinstance(item, Frame):
            return item.rgb()
        if isinstance(item, Closed) and item.error is not None:
            raise item.error
    raise OpenError(f"reading the picture {path}: there is none in it")


def _marks(notes: list[dict[str, Any]]) -> Marks:
    boxes = np.array([note["bbox"] for note in notes], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    ids = [note.get("track_id") for note in notes]
    ignored = [bool(note.get("ignore") or note.get("iscrowd")) for note in notes]
    return Marks(boxes, np.array([_number(i) for i in ids], np.int64), np.array(ignored, np.bool_))


def _number(identity: Any) -> int:
    """Identities may be words: a stable number for each."""
    if identity is None:
        return UNLINKED
    return identity if isinstance(identity, int) else zlib.crc32(str(identity).encode())
