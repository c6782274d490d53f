"""Decoded pictures as :class:`vidpc.types.Image`: nothing is converted before somebody asks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
from av import VideoFrame
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from vidpc.errors import DecodeError
from vidpc.media.colour import AV_COLORSPACE, AV_RANGE, Colour, is_gray
from vidpc.media.orientation import Orientation
from vidpc.media.samples import from_scaler
from vidpc.types import U8, U16, Planes

# Without FULL_CHR_H_INT the scaler goes through 8-bit tables and is off by up to 3 levels; with it, by at most 1 (see
# tests/media/test_picture.py) for 0.5 ms more on 1920x1080 to 640x360. Shrinking in 4:2:0 before converting would spare 1 ms,
# but halves the colour resolution that the model sees, and the planes path would see more. At equal size the fast converter
# costs a tenth of the exact one, so it stays; for 16 bits it is a must: there FULL_CHR_H_INT leaves rows of 4:2:0 unwritten.
_EXACT = Interpolation.FULL_CHR_H_INT
_BITS = 8  # of a component, that u8 holds
_PLANAR = ("yuv420p", "yuvj420p")
_SEMI_PLANAR = ("nv12",)
# The scaler takes gray for full range whatever its tag.
_STRETCHED = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


class Scaler:
    """One scaler a thread, kept from frame to frame: one for each frame grows memory, and one must not be shared at once."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def _reformatter(self) -> VideoReformatter:
        if not hasattr(self._of_thread, "reformatter"):
            self._of_thread.reformatter = VideoReformatter()
        reformatter: VideoReformatter = self._of_thread.reformatter
        return reformatter

    def rgb(self, frame: VideoFrame, width: int, height: int) -> U8:
        """The coded picture as u8[height width 3], in the colours that its tags say."""
        return self._scaled(frame, width, height, "rgb24")  # type: ignore[return-value]

    def rgb_u16(self, frame: VideoFrame, width: int, height: int) -> U16:
        """The coded picture as u16[height width 3] of 0..65535."""
        return self._scaled(frame, width, height, "rgb48le")  # type: ignore[return-value]

    def gray_u16(self, frame: VideoFrame, width: int, height: int) -> U16:
        """The samples of a gray picture as u16[height width]: the highest that it can hold becomes 65535."""
        return self._scaled(frame, width, height, "gray16le")  # type: ignore[return-value]

    def _scaled(self, frame: VideoFrame, width: int, height: int, pixel_format: str) -> U8 | U16:
        shrinks = width <= frame.width and height <= frame.height
        is_same = width == frame.width and height == frame.height
        kernel = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        scaled = self._reformatter().reformat(
            frame,
            width,
            height,
            pixel_format,
            interpolation=kernel if is_same else kernel | _EXACT,
            dst_color_range=AV_RANGE[True],
            threads=1,
        )
        return scaled.to_ndarray()  # type: ignore[return-value]


class Picture:
    """A decoded frame. ``rgb`` gives it displayed; ``planes`` as coded."""

    __slots__ = ("_colour", "_frame", "_orientation", "_scaler")

    def __init__(self, frame: VideoFrame, colour: Colour, orientation: Orientation, scaler: Scaler) -> None:
        # The scaler reads the tags from the frame, so the chosen colours are written there.
        frame.colorspace = AV_COLORSPACE[colour.matrix]
        frame.color_range = AV_RANGE[colour.full_range]
        self._frame, self._colour, self._orientation, self._scaler = frame, colour, orientation, scaler

    def rgb(self, width: int, height: int) -> U8:
        """The displayed picture as u8[height width 3]; turned after scaling, when it is small."""
        with _translated(self._frame):
            coded = self._scaler.rgb(self._frame, *self._orientation.size(width, height))
        if is_gray(self._frame.format.name) and not self._colour.full_range:
            coded = _STRETCHED[coded]
        return self._orientation.apply(coded)

    def pixels(self, width: int, height: int) -> U8 | U16:
        """The displayed picture at its own depth: as ``rgb``, or u16[height width 3] of 0..65535 for more than 8 bits."""
        if self._frame.format.components[0].bits <= _BITS:
            return self.rgb(width, height)
        size = self._orientation.size(width, height)
        with _translated(self._frame):
            if is_gray(self._frame.format.name):
                return self._orientation.apply(self._deep_gray(*size))
            coded = self._scaler.rgb_u16(self._frame, *size)
        return self._orientation.apply(coded if self._colour.matrix == "rgb" else from_scaler(coded))

    def _deep_gray(self, width: int, height: int) -> U16:
        bits = self._frame.format.components[0].bits
        gray = self._scaler.gray_u16(self._frame, width, height).astype(np.float32)
        step = 65535 / ((1 << bits) - 1) * (1 << (bits - _BITS))  # of an 8-bit level
        low, high = (0, 65535) if self._colour.full_range else (16 * step, 235 * step)
        level = np.clip(np.round((gray - low) * (65535 / (high - low))), 0, 65535).astype(np.uint16)
        return np.repeat(level[..., None], 3, axis=2)

    def planes(self) -> Planes | None:
        """Views of the coded 8-bit 4:2:0 planes, None for other formats."""
        name = self._frame.format.name
        if name in _PLANAR:
            y, u, v = (_rows(self._frame, k) for k in range(3))
        elif name in _SEMI_PLANAR:
            y, uv = _rows(self._frame, 0), _rows(self._frame, 1, channels=2)
            u, v = uv[:, 0::2], uv[:, 1::2]
        else:
            return None
        colour, turn = self._colour, self._orientation
        return Planes(y, u, v, colour.matrix, colour.full_range, turn.rotation_deg, turn.mirrored)

    @property
    def frame(self) -> VideoFrame:
        """The picture as it was coded, with the colours that are used in its tags."""
        return self._frame

    @property
    def duration_s(self) -> Fraction | None:
        """How long the source shows it, None where it does not say."""
        if not self._frame.duration or self._frame.time_base is None:
            return None
        return self._frame.duration * self._frame.time_base

    @property
    def colour(self) -> Colour:
        """Which conversion gives its RGB."""
        return self._colour

    @property
    def orientation(self) -> Orientation:
        """How it is turned to be displayed."""
        return self._orientation

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded planes."""
        return sum(plane.buffer_size for plane in self._frame.planes)


class ArrayPicture:
    """A picture that is RGB already, u8[h w 3], displayed as it stands."""

    __slots__ = ("_pixels", "_scaler")

    def __init__(self, pixels: U8, scaler: Scaler) -> None:
        self._pixels, self._scaler = pixels, scaler

    def rgb(self, width: int, height: int) -> U8:
        """The picture as u8[height width 3]."""
        if self._pixels.shape[:2] == (height, width):
            return self._pixels
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(self._pixels), format="rgb24")
        return self._scaler.rgb(frame, width, height)

    def pixels(self, width: int, height: int) -> U8:
        """The picture as u8[height width 3]: it has no more bits."""
        return self.rgb(width, height)

    def planes(self) -> Planes | None:
        """None: it is RGB."""
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self._pixels.nbytes


@contextmanager
def _translated(frame: VideoFrame) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, ValueError) as error:
        raise DecodeError(f"cannot convert a {frame.format.name} picture to RGB: {error}") from error


def _rows(frame: VideoFrame, index: int, channels: int = 1) -> U8:
    """Rows of one plane as a view u8[h w*channels], without the padding at their ends."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * channels]
