"""Tracks drawn on their video: boxes, identities and short trails. An identity keeps its colour through the video."""

import colorsys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from vidpc.media.video_writer import VideoSink, open_video
from vidpc.outputs import canvas
from vidpc.types import F64, U8, FrameTracks, VideoInfo

TRAIL_S = 1.0  # how far back a trail reaches
_GOLDEN = 0.618033988749895  # hues that are this share of a turn apart differ for any run of identities
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.75))  # saturation and value
_LINE_SHARE, _TEXT_SHARE = 1 / 300, 1 / 38  # of the picture's shorter side
_LEAST_LINE, _LEAST_TEXT = 2, 11  # pixels that still can be seen and read

# By identity, the times and the feet (the middle of the box's lower edge) f64[n 3] as (time_s, x, y).
Trails = Mapping[int, F64]


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels."""

    line: int
    text: int


def style_for(width: int, height: int) -> Style:
    """Sizes that look alike in every resolution."""
    short = min(width, height)
    return Style(max(_LEAST_LINE, round(_LINE_SHARE * short)), max(_LEAST_TEXT, round(_TEXT_SHARE * short)))


def colour_of(identity: int) -> canvas.Colour:
    """The colour of an identity, always the same."""
    saturation, value = _SHADES[identity % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(identity * _GOLDEN % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def extend(trails: Trails, tracks: FrameTracks) -> Trails:
    """``trails`` with this frame's positions, without what is older than ``TRAIL_S``."""
    now = float(tracks.time_s)
    recent = {i: trail[trail[:, 0] >= now - TRAIL_S] for i, trail in trails.items()}
    for identity, (x1, _, x2, y2) in zip(tracks.ids.tolist(), tracks.boxes_xyxy, strict=True):
        foot = np.array([[now, (x1 + x2) / 2, y2]])
        recent[identity] = np.concatenate([recent.get(identity, foot[:0]), foot])
    return {i: trail for i, trail in recent.items() if len(trail)}


def draw(rgb: U8, tracks: FrameTracks, trails: Trails, labels: Sequence[str], style: Style) -> U8:
    """A copy of ``rgb`` u8[h w 3] with the trails of the tracks in it, their boxes, and plates with their identities."""
    picture = rgb.copy()
    identities = tracks.ids.tolist()
    for identity in identities:
        if identity in trails:
            canvas.polyline(picture, colour_of(identity), trails[identity][:, 1:], style.line)
    for identity, box in zip(identities, tracks.boxes_xyxy, strict=True):
        canvas.outline(picture, colour_of(identity), box, style.line)
    # Plates come last: a box never hides an identity.
    for identity, box, label in zip(identities, tracks.boxes_xyxy, tracks.labels.tolist(), strict=True):
        name = str(identity) if len(labels) <= 1 else f"{labels[label]} {identity}"
        _plate(picture, identity, name, box, style)
    return picture


def _plate(picture: U8, identity: int, name: str, box: F64, style: Style) -> None:
    width, height = canvas.text_size(name, style.text)
    left, top = round(float(box[0])), round(float(box[1])) - height
    # Inside the picture where the box reaches its rim; a plate larger than the picture starts at its corner.
    left = max(0, min(left, picture.shape[1] - width))
    top = max(0, min(top, picture.shape[0] - height))
    canvas.plate(picture, colour_of(identity), name, left, top, style.text)


class TrackVideo:
    """Writes a video of the displayed size of ``info`` with its tracks drawn in; times, rotation and sound are the source's.

    A context manager: the file appears under its name when the block ends without an exception.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        labels: Sequence[str],
        copy_from: str | Path | None = None,
        start_s: Fraction | None = None,
        end_s: Fraction | None = None,
        overwrite: bool = False,
    ) -> None:
        self._opened = open_video(path, info, copy_from=copy_from, start_s=start_s, end_s=end_s, overwrite=overwrite)
        self._labels = tuple(labels)
        self._style = style_for(info.width, info.height)
        self._trails: Trails = {}
        self._stack = ExitStack()
        self._sink: VideoSink | None = None

    @property
    def warnings(self) -> Sequence[str]:
        """What of the source could not be kept."""
        return () if self._sink is None else self._sink.warnings

    def __enter__(self) -> Self:
        self._sink = self._stack.enter_context(self._opened)
        return self

    def write(self, rgb: U8, tracks: FrameTracks) -> None:
        """Append a frame u8[h w 3] with its tracks, shown from ``tracks.time_s`` on."""
        self._trails = extend(self._trails, tracks)
        if self._sink is None:
            raise RuntimeError("TrackVideo.write outside its with block")
        self._sink.write(draw(rgb, tracks, self._trails, self._labels, self._style), tracks.time_s)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)
