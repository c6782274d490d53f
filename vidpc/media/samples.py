"""The coded samples of a frame as arrays: to copy, turn, pad and mix them without converting a single one."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from av import VideoFrame
from av.video.format import VideoFormat

from vidpc.media.orientation import Orientation
from vidpc.types import U8, U16

Samples = npt.NDArray[Any]  # u8 or u16 [h w] of one plane, [h w c] where several components share it

_PLANAR = re.compile(r"(yuvj?a?4[0-4]\dp|gbra?p|gray)(\d+le)?")
_SEMI_PLANAR = frozenset({"nv12", "nv16", "nv21", "nv24"})
_PACKED = {"rgb24": 3, "bgr24": 3, "rgb48le": 3, "rgba": 4, "bgra": 4, "rgb0": 4, "bgr0": 4, "rgba64le": 4}
_BITS = 8  # that fit into u8
_SCALER_WHITE = np.uint16(255 << 8)


def has_samples(pixel_format: str) -> bool:
    """Whether the samples of a format can be had one by one: not where bits of several share a byte."""
    return pixel_format in _SEMI_PLANAR or pixel_format in _PACKED or _PLANAR.fullmatch(pixel_format) is not None


def bits_of(pixel_format: str) -> int:
    """The depth of the first component."""
    return VideoFormat(pixel_format).components[0].bits


def samples_of(frame: VideoFrame) -> list[Samples]:
    """Writable views of the planes, without the padding at the ends of their rows."""
    name = frame.format.name
    dtype = np.uint16 if frame.format.components[0].bits > _BITS else np.uint8
    channels = [_PACKED.get(name, 1), 2 if name in _SEMI_PLANAR else 1, 1, 1]
    return [_view(plane, dtype, count) for plane, count in zip(frame.planes, channels, strict=False)]


def _view(plane: Any, dtype: type[np.uint8 | np.uint16], channels: int) -> Samples:
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    used = rows[:, : plane.width * channels * np.dtype(dtype).itemsize].view(dtype)
    return used if channels == 1 else used.reshape(plane.height, plane.width, channels)


def frame_of(samples: Sequence[Samples], pixel_format: str, width: int, height: int) -> VideoFrame:
    """A new frame with these samples."""
    frame = VideoFrame(width, height, pixel_format)
    for target, plane in zip(samples_of(frame), samples, strict=True):
        target[...] = plane
    return frame


def frame_of_rgb(rgb: U8 | U16) -> VideoFrame:
    """A frame rgb24 or rgb48le over the pixels [h w 3] themselves: they must not change while it is used."""
    name = "rgb24" if rgb.dtype == np.uint8 else "rgb48le"
    whole: U8 | U16 = np.ascontiguousarray(rgb)  # type: ignore[assignment]  # of a union NumPy's stubs know only the base
    return VideoFrame.from_numpy_buffer(whole, name)


def from_scaler(rgb: U16) -> U16:
    """16-bit RGB that the scaler made of YUV, where white is 65280, on the scale 0..65535."""
    whole: U16 = np.minimum(rgb, _SCALER_WHITE)
    whole += whole >> 8
    return whole


def to_scaler(rgb: U16) -> U16:
    """The reverse: the scaler takes 65280 for white on the way to YUV."""
    return rgb - (rgb >> 8)


def turns_exactly(pixel_format: str, width: int, height: int, turn: Orientation) -> bool:
    """Whether turned samples are those of the turned picture: colour of half resolution has to fall on the same pixels."""
    layout = VideoFormat(pixel_format, width, height)
    columns, rows = width / max(1, layout.chroma_width()), height / max(1, layout.chroma_height())
    is_whole = columns == int(columns) and rows == int(rows)
    return has_samples(pixel_format) and is_whole and (columns == rows or not turn.is_turned)


def padded(samples: Sequence[Samples], pixel_format: str, width: int, height: int) -> VideoFrame:
    """A frame of at least the samples' size; the last row and column are repeated."""
    frame = VideoFrame(width, height, pixel_format)
    for target, plane in zip(samples_of(frame), samples, strict=True):
        after = [(0, size - have) for size, have in zip(target.shape[:2], plane.shape[:2], strict=True)]
        target[...] = np.pad(plane, [*after, *[(0, 0)] * (plane.ndim - 2)], mode="edge")
    return frame
