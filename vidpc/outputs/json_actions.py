"""Actions as JSON: one versioned document, or a line a record.

The document is described by ``actions.schema.json``, a line by ``actions_line.schema.json``, both in this package. Scores are
rounded to 0.0001, times to a microsecond. What is known only at the end stands at the end: segments, and what the whole video
shows as ``top`` of ``video``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from vidpc.outputs.json_tracks import dumped, seconds, video_facts
from vidpc.outputs.ranking import best_first, rounded
from vidpc.types import F32, ActionHeader, Actions, Segment, Window

NAME, VERSION = "vidpc-actions", 1


class JsonDocument:
    """One object: facts, then ``windows``, then segments, the video with its answer, and warnings."""

    def __init__(self, header: ActionHeader, top: int) -> None:
        self._header, self._top = header, top
        self._windows = 0

    def head(self) -> str:
        """The document up to the first window."""
        return f'{dumped(_facts(self._header))[:-1]},\n"windows":['

    def window(self, window: Window) -> str:
        """One element of ``windows``, on a line of its own."""
        comma = "," if self._windows else ""
        self._windows += 1
        return f"{comma}\n{dumped(_window(self._header, window, self._top))}"

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterator[str]:
        """Everything after the last window."""
        yield '\n],\n"segments":['
        yield ",".join(f"\n{dumped(_segment(segment))}" for segment in actions.segments)
        end = {"window_count": self._windows, "warnings": _warnings(self._header, warnings)}
        yield f'\n],\n"video":{dumped(_video(self._header, actions, self._top))},\n{dumped(end)[1:]}\n'


class JsonLines:
    """A header, a line a window, a line a segment, one for the video, and a trailer that says that the file is complete."""

    def __init__(self, header: ActionHeader, top: int) -> None:
        self._header, self._top = header, top
        self._windows = 0

    def head(self) -> str:
        """The header line."""
        return _line("header", {**_facts(self._header), "video": video_facts(self._header.video)})

    def window(self, window: Window) -> str:
        """The window's line."""
        self._windows += 1
        return _line("window", _window(self._header, window, self._top))

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterator[str]:
        """Everything after the last window."""
        for segment in actions.segments:
            yield _line("segment", _segment(segment))
        yield _line("video", {"top": _answer(self._header, actions, self._top)})
        counts = {"window_count": self._windows, "segment_count": len(actions.segments)}
        yield _line("end", {"complete": True, **counts, "warnings": _warnings(self._header, warnings)})


def _line(kind: str, record: dict[str, Any]) -> str:
    return f"{dumped({'type': kind, **record})}\n"


def _facts(header: ActionHeader) -> dict[str, Any]:
    return {
        "format": NAME,
        "version": VERSION,
        "vidpc_version": header.vidpc_version,
        "source": header.source,
        "models": [asdict(model) for model in header.models],
        "window_s": seconds(header.window_s),
        "hop_s": seconds(header.hop_s),
        "settings": dict(header.settings),
    }


def _window(header: ActionHeader, window: Window, top: int) -> dict[str, Any]:
    return {
        "start_s": seconds(window.start_s),
        "end_s": seconds(window.end_s),
        "first_index": window.first_index,
        "last_index": window.last_index,
        "top": _top(header, window.scores, top),
    }


def _top(header: ActionHeader, scores: tuple[F32, ...], top: int) -> list[dict[str, Any]]:
    best = best_first(header.models, scores, top)
    return [{"label": entry.label, "score": entry.score, "model": entry.model} for entry in best]


def _answer(header: ActionHeader, actions: Actions, top: int) -> list[dict[str, Any]]:
    """What the whole video shows; nothing, where no window was looked at."""
    return _top(header, actions.scores, top) if actions.windows else []


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "start_s": seconds(segment.start_s),
        "end_s": seconds(segment.end_s),
        "label": segment.label,
        "score": rounded(segment.score),
        "model": segment.model,
    }


def _video(header: ActionHeader, actions: Actions, top: int) -> dict[str, Any]:
    return {**video_facts(header.video), "top": _answer(header, actions, top)}


def _warnings(header: ActionHeader, warnings: Iterable[str]) -> list[str]:
    """What was noticed on opening and later, each once."""
    return list(dict.fromkeys([*header.video.warnings, *warnings]))
