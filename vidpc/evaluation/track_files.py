"""Track files as rows: MOTChallenge text, and what vidpc itself writes as .json and .jsonl.

MOTChallenge text has a row a box: frame, id, left, top, width, height, then columns that depend on the file. In ground truth
column 7 says whether a row counts (0: an ignored region). A row of exactly nine columns carries its class in column 8
(MOT16 and later), where 1 is a pedestrian and other classes are left out; in rows of ten, columns 8 to 10 are a position in
the world. Its pixels count from 1: boxes are taken as written, and those of .json and .jsonl, which count from 0, are moved.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpc.errors import DecodeError, OpenError
from vidpc.evaluation.tracks import LabelledTracks, TrackRows

FIRST_PIXEL = 1  # what MOTChallenge calls the picture's left and upper edge
_PEDESTRIAN = 1
_CLASS_COLUMNS = 9


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    frame: int
    number: int
    box_xyxy: tuple[float, float, float, float]
    columns: tuple[float, ...]


def read_predictions(path: Path) -> TrackRows:
    """The rows of a result: .json and .jsonl as vidpc writes them, everything else as MOTChallenge text."""
    return _table(_READERS.get(path.suffix.lower(), _mot_rows)(path))


def read_ground_truth(path: Path, *, first_pixel: int = FIRST_PIXEL) -> LabelledTracks:
    """The scored boxes and the ignored regions of a MOTChallenge file, or of one like it whose pixels count from 0."""
    scored, ignored = [], []
    for row in _mot_rows(path):
        if len(row.columns) > 6 and row.columns[6] == 0:
            ignored.append(row)
        elif len(row.columns) != _CLASS_COLUMNS or row.columns[7] == _PEDESTRIAN:
            scored.append(row)
    shift = FIRST_PIXEL - first_pixel
    return LabelledTracks(_moved(_table(scored), shift), _moved(_rows(ignored), shift))


def _moved(rows: TrackRows, pixels: int) -> TrackRows:
    return TrackRows(rows.frames, rows.ids, rows.boxes_xyxy + pixels)


def _table(rows: "Iterator[_Row] | list[_Row]") -> TrackRows:
    """Rows of which no two claim one identity in one frame."""
    seen: dict[tuple[int, int], str] = {}
    kept = []
    for row in rows:
        key = (row.frame, row.number)
        if key in seen:
            raise DecodeError(f"{row.where}: id {row.number} stands twice in frame {row.frame}, first at {seen[key]}")
        seen[key] = row.where.rpartition(", ")[2]
        kept.append(row)
    return _rows(kept)


def _rows(rows: list[_Row]) -> TrackRows:
    return TrackRows(
        np.array([row.frame for row in rows], dtype=np.int64),
        np.array([row.number for row in rows], dtype=np.int64),
        np.array([row.box_xyxy for row in rows], dtype=np.float64).reshape(-1, 4),
    )


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line.strip()
    except OSError as error:
        raise OpenError(f"reading tracks from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DecodeError(f"reading tracks from {path}: not a text file ({error.reason} at byte {error.start})") from error


def _mot_rows(path: Path) -> Iterator[_Row]:
    for where, line in _lines(path):
        columns = _numbers(where, line)
        left, top, width, height = columns[2:6]
        if width < 0 or height < 0:
            raise DecodeError(f"{where}: a box of {width:g} by {height:g}, expected a width and a height of 0 or more")
        box = (left, top, left + width, top + height)
        yield _Row(where, _frame(where, columns[0]), _whole(where, "id", columns[1]), box, columns)


def _numbers(where: str, line: str) -> tuple[float, ...]:
    fields = line.rstrip(",").split(",")
    if len(fields) < 6:
        raise DecodeError(f"{where}: {len(fields)} columns, expected at least 6 (frame,id,left,top,width,height)")
    numbers = []
    for place, text in enumerate(fields, start=1):
        try:
            number = float(text)
        except ValueError as error:
            raise DecodeError(f"{where}: column {place} is {text.strip()[:40]!r}, expected a number") from error
        if not math.isfinite(number):
            raise DecodeError(f"{where}: column {place} is {number}, expected a finite number")
        numbers.append(number)
    return tuple(numbers)


def _whole(where: str, name: str, number: float) -> int:
    if number != int(number) or abs(number) >= 2**63:
        raise DecodeError(f"{where}: {name} {number:g}, expected a whole number")
    return int(number)


def _frame(where: str, number: float) -> int:
    frame = _whole(where, "frame", number)
    if frame < 1:
        raise DecodeError(f"{where}: frame {frame}, expected 1 or more (frames count from 1)")
    return frame


def _json_rows(path: Path) -> Iterator[_Row]:
    text = "\n".join(line for _, line in _lines(path))
    document = _parsed(str(path), text)
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list):
        raise DecodeError(f"reading tracks from {path}: no list 'frames', expected a document that vidpc track wrote")
    for place, frame in enumerate(document["frames"]):
        yield from _frame_rows(f"{path}, frames[{place}]", frame)


def _json_line_rows(path: Path) -> Iterator[_Row]:
    for where, line in _lines(path):
        record = _parsed(where, line)
        if isinstance(record, dict) and "tracks" in record:  # neither the header nor the trailer
            yield from _frame_rows(where, record)


def _parsed(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{where}: not JSON ({error})") from error


def _frame_rows(where: str, frame: Any) -> Iterator[_Row]:
    try:
        number = _frame(where, frame["index"] + 1)
        for track in frame["tracks"]:
            x1, y1, x2, y2 = (float(value) for value in track["box_xyxy"])
            if not all(map(math.isfinite, (x1, y1, x2, y2))):
                raise DecodeError(f"{where}: box {[x1, y1, x2, y2]}, expected finite numbers")
            box = (x1 + FIRST_PIXEL, y1 + FIRST_PIXEL, x2 + FIRST_PIXEL, y2 + FIRST_PIXEL)
            yield _Row(where, number, _whole(where, "id", track["id"]), box, ())
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        message = f"{where}: expected index and tracks with id and box_xyxy, as vidpc track writes them ({error!r})"
        raise DecodeError(message) from error


_READERS: dict[str, Callable[[Path], Iterator[_Row]]] = {".json": _json_rows, ".jsonl": _json_line_rows}
