"""How far a command is, on stderr: a line that is redrawn, plain lines, or JSON lines."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from vidpc.errors import printable

INTERVALS_S = {"bar": 0.1, "plain": 5.0, "json": 1.0}
BAR_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """Reports the progress of one piece of work after the other, at a bounded rate.

    ``mode`` is auto (a redrawn line on a terminal, else nothing), plain, json or none. As a context manager it ends the
    line that it was drawing, however it is left.
    """

    def __init__(
        self, mode: str, *, unit: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._mode = ("bar" if self._stream.isatty() else "none") if mode == "auto" else mode
        self._unit, self._clock = unit, clock
        self._label: str | None = None
        self._began = self._next = 0.0
        self._first = self._done = 0.0
        self._total: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(complete=kind is None)

    def update(self, label: str, done: float, total: float | None = None) -> None:
        """``done`` of ``total`` units of ``label``; a new label ends the one before. ``total`` may be a mere claim."""
        if self._mode == "none":
            return
        now = self._clock()
        if label != self._label:
            self._end(complete=True)
            self._label, self._began, self._next = label, now, now + INTERVALS_S[self._mode]
            self._first = done  # what came before the clock started says nothing of the rate
        # a claim that was passed says nothing about the end any more
        self._done, self._total = done, total if total and done <= total else None
        if now >= self._next:
            self._next = now + INTERVALS_S[self._mode]
            self._say(finished=False)

    def _end(self, *, complete: bool) -> None:
        if self._label is None:
            return
        if complete:
            self._total = None
            self._say(finished=True)
        if self._mode == "bar":
            self._write("\n")
        self._label = None

    def _say(self, *, finished: bool) -> None:
        seconds = max(self._clock() - self._began, 1e-9)
        per_s = (self._done - self._first) / seconds
        left_s = (self._total - self._done) / per_s if self._total is not None and per_s > 0 else None
        if self._mode == "json":
            known = {"done": self._done, "total": self._total, "unit": self._unit, "finished": finished}
            rates = {"per_s": round(per_s, 2), "left_s": None if left_s is None else round(left_s, 1)}
            self._write(json.dumps({"input": self._label, **known, **rates}) + "\n")
            return
        parts = [printable(self._label or ""), f"{self._done:.12g} {self._unit}", f"{per_s:.1f}/s"]
        if self._total is not None:
            parts[1] = f"{self._done:.12g}/{self._total:.12g} {self._unit}"
            parts.insert(1, f"{100 * self._done / self._total:3.0f} %")
        parts.append(f"in {_clock_text(seconds)}" if left_s is None else f"{_clock_text(left_s)} left")
        if self._mode == "plain":
            self._write("  ".join(parts) + "\n")
            return
        if self._total is not None:
            filled = int(BAR_WIDTH * self._done / self._total)
            parts.insert(1, "[" + "#" * filled + "-" * (BAR_WIDTH - filled) + "]")
        room = shutil.get_terminal_size().columns - 1
        self._write(_CLEAR + _shortened(parts[0], "  ".join(parts[1:]), room))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _shortened(label: str, rest: str, room: int) -> str:
    """Both in one line of ``room`` characters; the label gives way first, and keeps its end."""
    space = max(room - len(rest) - 2, 0)
    if len(label) > space:
        label = "…" + label[len(label) - space + 1 :] if space > 1 else ""
    return f"{label}  {rest}"[:room]


def _clock_text(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
