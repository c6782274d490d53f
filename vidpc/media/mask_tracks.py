"""Masks from what ``vidpc track`` wrote: the boxes of chosen tracks, as they were in each frame.

Where a track is lost for at most ``BRIDGED_S`` its box is interpolated, so that a face behind a lamp post stays removed; the
same carries boxes over the frames that a thinned tracking left out.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpc.errors import OpenError, unknown_name
from vidpc.media.sources import shown
from vidpc.types import F64, Bool, Frame, VideoInfo

NAME, VERSION = "vidpc-tracks", 1
BRIDGED_S = 0.5
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class _Path:
    """Where one track was: ``seen`` f64[n 6] of frame number, time_s, x1, y1, x2, y2, in order of the numbers."""

    seen: F64

    def box_at(self, index: int) -> F64 | None:
        """The box x1 y1 x2 y2 in a frame, None where the track is lost there."""
        after = int(np.searchsorted(self.seen[:, 0], index))
        if after == len(self.seen):
            return None
        later = self.seen[after]
        if later[0] == index:
            return np.asarray(later[2:])
        if after == 0:
            return None
        before = self.seen[after - 1]
        if later[1] - before[1] > BRIDGED_S:
            return None
        share = (index - before[0]) / (later[0] - before[0])
        return np.asarray(before[2:] + share * (later[2:] - before[2:]))


class TrackMasks:
    """Filled boxes of tracks."""

    def __init__(self, paths: Sequence[_Path], info: VideoInfo, scale: tuple[float, float]) -> None:
        self._paths, self._scale, self._size = paths, np.array([*scale, *scale]), (info.height, info.width)

    def at(self, frame: Frame) -> Bool:
        """The boxes of the frame, every pixel that they touch."""
        mask = np.zeros(self._size, dtype=bool)
        for path in self._paths:
            box = path.box_at(frame.index)
            if box is not None:
                x1, y1, x2, y2 = box * self._scale
                mask[max(0, math.floor(y1)) : max(0, math.ceil(y2)), max(0, math.floor(x1)) : max(0, math.ceil(x2))] = True
        return mask

    def end(self) -> None:
        """Frames without a track are no fault."""


def open_tracks(path: str, info: VideoInfo, *, ids: Sequence[int], classes: Sequence[str], fit: bool) -> TrackMasks:
    """The boxes of the tracks with these ids and labels (empty: all) in a document of ``vidpc track``.

    Raises ``OpenError`` for a file of another kind, tracks of another video, and ids and labels that are not in it.
    """
    header, frames = _read(path)
    video = header["video"]
    _check_video(path, video, info, fit=fit)
    rows = [
        (int(track["id"]), str(track["label"]), (frame["index"], frame["time_s"], *track["box_xyxy"]))
        for frame in frames
        for track in frame["tracks"]
    ]
    _check_choice(path, rows, header["model"]["labels"], ids, classes)
    seen: dict[int, list[tuple[float, ...]]] = {}
    for identity, label, row in rows:
        if (not ids or identity in ids) and (not classes or label in classes):
            seen.setdefault(identity, []).append(row)
    scale = (info.width / video["width"], info.height / video["height"])
    return TrackMasks([_Path(np.array(sorted(found), dtype=np.float64)) for found in seen.values()], info, scale)


def _check_video(path: str, video: Mapping[str, Any], info: VideoInfo, *, fit: bool) -> None:
    if fit:
        return
    for what, tracked, here in (
        ("size", f"{video['width']}x{video['height']}", f"{info.width}x{info.height}"),
        ("number of frames", video["frame_count"], info.frame_count),
    ):
        if tracked != here:
            raise OpenError(
                f"the tracks {shown(path)} are of another video than {shown(info.path)}: its {what} is {tracked}, and here "
                f"it is {here}; give the video's own tracks, or --mask-fit"
            )


def _check_choice(
    path: str, rows: Sequence[tuple[int, str, Any]], labels: Sequence[str], ids: Sequence[int], classes: Sequence[str]
) -> None:
    known = {str(identity) for identity, _, _ in rows}
    for identity in ids:
        if str(identity) not in known:
            raise OpenError(f"{shown(path)}: {unknown_name('track', str(identity), sorted(known, key=int)[:20])}")
    for name in classes:
        if name not in labels:
            raise OpenError(f"{shown(path)}: {unknown_name('class', name, labels)}")


def _read(path: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The facts and the frames of a document or of lines."""
    try:
        if Path(path).stat().st_size > _MAX_BYTES:
            raise OpenError(f"cannot read the tracks {shown(path)}: more than {_MAX_BYTES >> 20} MB")
        records = list(_records(Path(path).read_text(encoding="utf-8"), is_lines=path.lower().endswith(".jsonl")))
        header, frames = records[0], [record for record in records if record.get("type") == "frame"]
        if header.get("format") != NAME or header.get("version") != VERSION:
            raise OpenError(f"cannot read the tracks {shown(path)}: expected {NAME} version {VERSION}, as `vidpc track` writes")
        frames = frames or header.get("frames", [])
        _check_types(header, frames)
    except OSError as error:
        raise OpenError(f"cannot read the tracks {shown(path)}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise OpenError(f"cannot read the tracks {shown(path)}: damaged, or not what `vidpc track` writes") from error
    return header, frames


def _records(text: str, *, is_lines: bool) -> Iterator[Mapping[str, Any]]:
    for part in text.splitlines() if is_lines else [text]:
        yield json.loads(part)


def _check_types(header: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValueError, KeyError or TypeError where a value is not of the kind that is read later."""
    video = header["video"]
    if not all(type(video[side]) is int and video[side] > 0 for side in ("width", "height")):
        raise ValueError("size")
    [str(label) for label in header["model"]["labels"]]
    video["frame_count"]
    for frame in frames:
        numbers = [frame["index"], frame["time_s"]]
        for track in frame["tracks"]:
            numbers += [int(track["id"]), *track["box_xyxy"]]
            str(track["label"])
            if len(track["box_xyxy"]) != 4:
                raise ValueError("box")
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("number")
