"""A folder of numbered PNG pictures, with their times beside them."""

from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import IO, Self

import numpy as np
from av import VideoFrame
from av.codec import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from vidpc.errors import OutputError
from vidpc.media.clock import Clock
from vidpc.media.coded import as_depth
from vidpc.media.container import AV_ERRORS, reason
from vidpc.media.samples import frame_of_rgb
from vidpc.media.target import TIMES, Target, is_interruption, say_partial
from vidpc.types import U8, U16, Bool, Frame

_BITS = 8
# A fifth of the time of the usual level, for files a sixth larger (1280x720: 25 ms).
_QUICK = {"compression_level": "1", "pred": "up"}


class PictureFolder:
    """Writes ``000000.png``, ``000001.png``, … and ``times.csv``; ``with`` completes or removes the folder.

    Pictures are as displayed: upright, of square pixels, and 16 bits deep where the source has more than 8.
    """

    def __init__(self, target: Target, clock: Clock, *, bit_depth: int) -> None:
        self.warnings: list[str] = []
        self._target, self._clock = target, clock
        self._item_bytes = 1 if bit_depth <= _BITS else 2
        self._encoder: VideoCodecContext | None = None
        self._convert = VideoReformatter()
        self._count = 0
        self._times: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._target.part.mkdir()
            self._times = (self._target.part / TIMES).open("w", encoding="utf-8")
            self._times.write("index,time_s\n")
        except OSError as error:
            self._target.discard()
            raise self._failed(error) from error
        return self

    def write(self, rgb: U8 | U16, time_s: Fraction) -> None:
        """Append a picture [h w 3]."""
        try:
            data = self._packed(as_depth(rgb, self._item_bytes))
            (self._target.part / f"{self._count:06d}.png").write_bytes(data)
            if self._times is not None:
                self._times.write(f"{self._count},{float(self._clock.placed(time_s)):.9f}\n")
        except AV_ERRORS as error:
            raise self._failed(error) from error
        self._count += 1

    def keep(self, frame: Frame, time_s: Fraction) -> None:
        """Append a frame of the source as it is displayed."""
        self.write(frame.pixels(), time_s)

    def patch(self, frame: Frame, rgb: U8 | U16, mask: Bool, time_s: Fraction) -> None:
        """Append a frame of the source with the pixels of ``mask`` bool[h w] replaced by those of ``rgb``."""
        source = frame.pixels()
        self.write(np.where(mask[..., None], as_depth(rgb, source.dtype.itemsize), source), time_s)

    def _packed(self, rgb: U8 | U16) -> bytes:
        frame = frame_of_rgb(rgb)
        if self._item_bytes > 1:
            frame = self._convert.reformat(frame, format="rgb48be", threads=1)
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (frame.width, frame.height):
            encoder = self._encoder = _encoder(frame)
        frame.pts = self._count
        return b"".join(bytes(packet) for packet in encoder.encode(frame))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._times is not None:
                self._times.close()
            if kind is None:
                self._target.complete()
            elif is_interruption(kind) and self._count:
                say_partial(self._target, self._target.keep_partial())
        except OSError as raised:
            raise self._failed(raised) from raised
        finally:
            with suppress(OSError):
                self._target.discard()

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"cannot write {self._target.name}: {reason(error)}")


def _encoder(frame: VideoFrame) -> VideoCodecContext:
    encoder = CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base, encoder.options, encoder.thread_count = Fraction(1, 25), dict(_QUICK), 1
    return encoder
