"""Track files of every format, written frame by frame: memory does not grow with the video.

A format is a class with three steps, ``head``, ``frame`` and ``tail``, which return text; this file gives the text a target.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from vidpc.errors import OutputError
from vidpc.outputs.coco import CocoVideo
from vidpc.outputs.csv_tracks import CsvTracks
from vidpc.outputs.formats import Formats
from vidpc.outputs.json_tracks import JsonDocument, JsonLines
from vidpc.outputs.mot import MotText
from vidpc.outputs.sink import open_sink, writing
from vidpc.types import FrameTracks, TrackHeader


class TrackFormat(Protocol):
    """The text of one track file, in order: ``head`` once, ``frame`` for every frame, ``tail`` once."""

    def head(self) -> str:
        """What stands before the first frame."""
        ...

    def frame(self, tracks: FrameTracks) -> str:
        """What one frame adds."""
        ...

    def tail(self, warnings: Iterable[str]) -> Iterable[str]:
        """What completes the file, piece by piece."""
        ...

    def close(self) -> None:
        """Let go of what the format keeps outside memory."""
        ...


FORMATS: dict[str, Callable[[TrackHeader], TrackFormat]] = {
    "json": JsonDocument,
    "jsonl": JsonLines,
    "mot": MotText,
    "csv": CsvTracks,
    "coco": CocoVideo,
}
SUFFIXES = {".coco.json": "coco", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "mot", ".csv": "csv"}
STDOUT_FORMAT = "jsonl"  # a reader of a pipe wants whole records


class TrackWriter:
    """Writes one track file. Left without ``finish``, or by an exception, it leaves nothing behind."""

    def __init__(self, target: str | Path, form: TrackFormat, *, overwrite: bool) -> None:
        self._target, self._form = target, form
        with ExitStack() as on_failure:
            on_failure.callback(form.close)
            self._sink = open_sink(target, overwrite=overwrite)
            on_failure.callback(self._sink.discard)
            self._sink.write(form.head())
            on_failure.pop_all()

    def __enter__(self) -> "TrackWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._form.close()
        self._sink.discard()

    def write(self, tracks: FrameTracks) -> None:
        """Append one frame, also where it has no tracks. Frames come in the order of the video."""
        if not (np.isfinite(tracks.boxes_xyxy).all() and np.isfinite(tracks.scores).all()):
            raise OutputError(f"writing {self._target}: frame {tracks.index} has a box or a score that is not a finite number")
        with writing(self._target):
            self._sink.write(self._form.frame(tracks))

    def finish(self, warnings: Iterable[str] = ()) -> None:
        """Complete the file: only now it appears under its name."""
        with writing(self._target):
            for text in self._form.tail(warnings):
                self._sink.write(text)
            self._sink.commit()


def open_tracks(
    target: str | Path,
    *,
    header: TrackHeader,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
) -> TrackWriter:
    """A writer for ``target``, a path or ``-`` for standard output, in ``format`` or in that of the path's suffix."""
    return TrackWriter(target, FORMATS[choose_format(target, format)](header), overwrite=overwrite)


def choose_format(target: str | Path, format: str | None = None) -> str:  # noqa: A002 - the option's name
    """The name of a format in ``FORMATS``. Raises ``PresetError`` for a suffix or a name that has none."""
    return Formats("track format", FORMATS, SUFFIXES, STDOUT_FORMAT).choose(target, format)
