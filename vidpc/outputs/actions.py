"""Files of actions in every format, written window by window: memory does not grow with the video.

A format is a class with three steps, ``head``, ``window`` and ``tail``, which return text; this file gives the text a target.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from vidpc.errors import OutputError, PresetError
from vidpc.outputs.captions import SubRip, WebVtt
from vidpc.outputs.csv_actions import CsvActions
from vidpc.outputs.formats import Formats
from vidpc.outputs.json_actions import JsonDocument, JsonLines
from vidpc.outputs.sink import open_sink, writing
from vidpc.types import F32, ActionHeader, Actions, Window

TOP = 5  # labels of every model that are told of a window and of the video


class ActionFormat(Protocol):
    """The text of one file, in order: ``head`` once, ``window`` for every window, ``tail`` once."""

    def head(self) -> str:
        """What stands before the first window."""
        ...

    def window(self, window: Window) -> str:
        """What one window adds."""
        ...

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterable[str]:
        """What completes the file, piece by piece."""
        ...


FORMATS: dict[str, Callable[[ActionHeader, int], ActionFormat]] = {
    "json": JsonDocument,
    "jsonl": JsonLines,
    "csv": CsvActions,
    "srt": SubRip,
    "vtt": WebVtt,
}
SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".srt": "srt", ".vtt": "vtt"}
STDOUT_FORMAT = "jsonl"  # a reader of a pipe wants whole records


class ActionWriter:
    """Writes one file of actions. Left without ``finish``, or by an exception, it leaves nothing behind."""

    def __init__(self, target: str | Path, form: ActionFormat, *, overwrite: bool) -> None:
        self._target, self._form = target, form
        head = form.head()
        with ExitStack() as on_failure:
            self._sink = open_sink(target, overwrite=overwrite)
            on_failure.callback(self._sink.discard)
            self._sink.write(head)
            on_failure.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sink.discard()

    def write(self, window: Window) -> None:
        """Append one window. Windows come in the order of the video."""
        self._refuse_wild(window.scores, f"window {window.number}")
        self._put(self._form.window(window))

    def finish(self, actions: Actions, warnings: Iterable[str] = ()) -> None:
        """Complete the file: only now it appears under its name."""
        if actions.windows:
            self._refuse_wild(actions.scores, "the whole video")
        for segment in actions.segments:
            self._refuse_wild((np.array([segment.score], np.float32),), f"the segment at {float(segment.start_s):g} s")
        for text in self._form.tail(actions, warnings):
            self._put(text)
        with writing(self._target):
            self._sink.commit()

    def _put(self, text: str) -> None:
        if text:
            with writing(self._target):
                self._sink.write(text)

    def _refuse_wild(self, scores: Iterable[F32], owner: str) -> None:
        if not all(np.isfinite(values).all() for values in scores):
            raise OutputError(f"writing {self._target}: {owner} has a score that is not a finite number")


def open_actions(
    target: str | Path,
    *,
    header: ActionHeader,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
    top: int = TOP,
) -> ActionWriter:
    """A writer for ``target``, a path or ``-`` for standard output, in ``format`` or in that of the path's suffix.

    It tells the ``top`` best labels of every model.
    """
    if top < 1:
        raise PresetError(f"top is {top}, expected 1 or more labels")
    return ActionWriter(target, FORMATS[choose_format(target, format)](header, top), overwrite=overwrite)


def choose_format(target: str | Path, format: str | None = None) -> str:  # noqa: A002 - the option's name
    """The name of a format in ``FORMATS``. Raises ``PresetError`` for a suffix or a name that has none."""
    return Formats("format of actions", FORMATS, SUFFIXES, STDOUT_FORMAT).choose(target, format)
