"""Tracks as JSON: one versioned document, or a line a record.

The document is described by ``tracks.schema.json``, a line by ``tracks_line.schema.json``, both in this package. Boxes are
rounded to 0.01 pixels, scores to 0.0001, times to a microsecond.
"""

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

from vidpc.errors import OutputError
from vidpc.types import FrameTracks, TrackHeader, VideoInfo

NAME, VERSION = "vidpc-tracks", 1
BOX_DECIMALS, SCORE_DECIMALS, TIME_DECIMALS = 2, 4, 6


class JsonDocument:
    """One object: facts, then ``frames``, then counts and warnings, which are known only at the end."""

    def __init__(self, header: TrackHeader) -> None:
        self._header = header
        self._counts = Counts()

    def head(self) -> str:
        """The document up to the first frame."""
        return f'{dumped(_facts(self._header))[:-1]},\n"frames":['

    def frame(self, tracks: FrameTracks) -> str:
        """One element of ``frames``, on a line of its own."""
        comma = "," if self._counts.frames else ""
        self._counts.add(tracks)
        return f"{comma}\n{dumped(_frame(tracks, self._header.model.labels))}"

    def tail(self, warnings: Iterable[str]) -> Iterator[str]:
        """Counts and warnings."""
        yield f"\n],\n{dumped({**self._counts.record(), 'warnings': all_warnings(self._header, warnings)})[1:]}\n"

    def close(self) -> None:
        """Nothing is kept."""


class JsonLines:
    """A header, a line a frame, and a trailer that says that the file is complete."""

    def __init__(self, header: TrackHeader) -> None:
        self._header = header
        self._counts = Counts()

    def head(self) -> str:
        """The header line."""
        return f"{dumped({'type': 'header', **_facts(self._header)})}\n"

    def frame(self, tracks: FrameTracks) -> str:
        """The frame's line."""
        self._counts.add(tracks)
        return f"{dumped({'type': 'frame', **_frame(tracks, self._header.model.labels)})}\n"

    def tail(self, warnings: Iterable[str]) -> Iterator[str]:
        """The trailer line."""
        record = {"type": "end", "complete": True, **self._counts.record()}
        yield f"{dumped({**record, 'warnings': all_warnings(self._header, warnings)})}\n"

    def close(self) -> None:
        """Nothing is kept."""


class Counts:
    """Frames and identities so far."""

    def __init__(self) -> None:
        self.frames = 0
        self._ids: set[int] = set()

    def add(self, tracks: FrameTracks) -> None:
        """Count one frame."""
        self.frames += 1
        self._ids.update(tracks.ids.tolist())

    def record(self) -> dict[str, int]:
        """As written."""
        return {"frame_count": self.frames, "track_count": len(self._ids)}


def dumped(value: object) -> str:
    """Compact JSON, in which nothing is NaN."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except ValueError as error:
        raise OutputError(f"writing JSON: a setting or a fact is not a finite number ({error})") from error


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return seconds(value)
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


def seconds(time: Fraction) -> float:
    """A time as it is written."""
    return round(float(time), TIME_DECIMALS)


def rounded(tracks: FrameTracks) -> tuple[list[list[float]], list[float]]:
    """Boxes and scores as they are written; never -0."""
    boxes = np.round(tracks.boxes_xyxy, BOX_DECIMALS) + 0.0
    scores = np.round(tracks.scores, SCORE_DECIMALS) + 0.0
    return boxes.tolist(), scores.tolist()


def all_warnings(header: TrackHeader, warnings: Iterable[str]) -> list[str]:
    """What was noticed on opening and later, each once."""
    return list(dict.fromkeys([*header.video.warnings, *warnings]))


def _frame(tracks: FrameTracks, labels: tuple[str, ...]) -> dict[str, Any]:
    boxes, scores = rounded(tracks)
    rows = zip(tracks.ids.tolist(), boxes, scores, tracks.labels.tolist(), strict=True)
    return {
        "index": tracks.index,
        "time_s": seconds(tracks.time_s),
        "tracks": [{"id": i, "box_xyxy": box, "score": score, "label": labels[label]} for i, box, score, label in rows],
    }


def _facts(header: TrackHeader) -> dict[str, Any]:
    model = header.model
    return {
        "format": NAME,
        "version": VERSION,
        "vidpc_version": header.vidpc_version,
        "source": header.source,
        "video": video_facts(header.video),
        "model": {
            "name": model.name,
            "architecture": model.architecture,
            "sha256": model.sha256,
            "licence": model.licence,
            "labels": list(model.labels),
        },
        "settings": dict(header.settings),
    }


def video_facts(info: VideoInfo) -> dict[str, Any]:
    """What the source says of itself; null where it says nothing."""
    return {
        "width": info.width,
        "height": info.height,
        "coded_width": info.coded_width,
        "coded_height": info.coded_height,
        "rotation_deg": info.rotation_deg,
        "mirrored": info.mirrored,
        "sample_aspect": f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}",
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "bit_depth": info.bit_depth,
        "matrix": info.matrix,
        "full_range": info.full_range,
        "start_s": info.start_s,
        "rate_fps": info.rate_fps,
        "duration_s": info.duration_s,
        "frame_count": info.frame_count,
        "audio": [{"codec": a.codec, "rate_hz": a.rate_hz, "channels": a.channels} for a in info.audio],
    }
