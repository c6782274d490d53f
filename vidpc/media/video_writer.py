"""Writing a video whose frames keep their times, with the sound of the source copied through untouched."""

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
import numpy as np
from av import VideoFrame
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidpc.errors import OutputError, SourceError
from vidpc.media.colour import AV_COLORSPACE, AV_RANGE, assumed_matrix
from vidpc.media.container import reason
from vidpc.media.sound import Sound, open_sound
from vidpc.media.sources import shown
from vidpc.types import U8, U16, Bool, Frame, VideoFormat, VideoInfo

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_FINEST_TICK = 10_000_000
_PRIMARIES = {"bt709": 1, "bt601": 6}  # and transfer curves, in FFmpeg's numbers
_SCALER_MATRIX = {"bt709": 1, "bt601": 5}  # the scaler has numbers of its own
_QUALITY = {"crf": "20", "preset": "veryfast"}
_WRITE_ERRORS = (FFmpegError, OSError, ValueError, OverflowError)


def tick_for(info: VideoInfo) -> Fraction:
    """A tick in which the source's times are whole numbers where one can be had: its own, or that of its rate, refined."""
    for denominator in (info.time_base.denominator, (info.rate_fps or Fraction(1)).numerator):
        fine = math.lcm(denominator, 90_000)
        if fine <= _FINEST_TICK:
            return Fraction(1, fine)
    return Fraction(1, 90_000)


class VideoSink(Protocol):
    """Takes the pictures of a video in order of time. ``warnings`` tells what could not be kept."""

    warnings: list[str]

    def write(self, rgb: U8 | U16, time_s: Fraction) -> None:
        """Append a new picture [h w 3] in displayed orientation and size, u8 or u16 of 0..65535, shown from ``time_s`` on."""
        ...

    def keep(self, frame: Frame, time_s: Fraction) -> None:
        """Append a frame of the source as it is: where the format allows, its coded samples are passed on unconverted."""
        ...

    def patch(self, frame: Frame, rgb: U8 | U16, mask: Bool, time_s: Fraction) -> None:
        """Append a frame of the source with the pixels of ``mask`` bool[h w] replaced by those of ``rgb``.

        Coded samples that cover no masked pixel stay bit-identical.
        """
        ...


def open_video(
    path: str | Path,
    info: VideoInfo,
    *,
    copy_from: Path | None = None,
    start_s: Fraction | None = None,
    end_s: Fraction | None = None,
    speed: Fraction = Fraction(1),
    video_format: VideoFormat | None = None,
    overwrite: bool = False,
) -> AbstractContextManager[VideoSink]:
    """A sink whose video or folder of pictures is complete under its name once the ``with`` block has ended well.

    Times are on the clock of ``Frame.time_s``: ``start_s`` becomes zero, and one second of it is shown for ``1 / speed``
    seconds. Sound and subtitles come from ``copy_from``, between ``start_s`` and ``end_s``. Raises OutputError.
    """
    return VideoWriter(path, info, copy_from=copy_from, start_s=start_s, end_s=end_s, speed=speed, overwrite=overwrite)


def as_depth(rgb: U8 | U16, item_bytes: int) -> U8 | U16:
    """``rgb`` with so many bytes a value: 255 and 65535 are the same white."""
    if rgb.dtype.itemsize == item_bytes:
        return rgb
    return (
        rgb.astype(np.uint16) * np.uint16(257) if item_bytes == 2 else ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    )


class VideoWriter:
    """Writes H.264 in the displayed size of ``info``: frames in order of time; ``with`` completes or removes the file.

    ``start_s`` becomes time zero of the output, and sound outside ``start_s`` and ``end_s`` is left out; both are on the clock
    of ``Frame.time_s``. The file appears under its name only when the block ends without an exception. ``warnings`` tells what
    could not be kept. Raises OutputError.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        copy_from: str | Path | None = None,
        start_s: Fraction | None = None,
        end_s: Fraction | None = None,
        speed: Fraction = Fraction(1),
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self._info, self._origin_s = info, start_s or Fraction(0)
        self._speed, self._overwrite = speed, overwrite
        self._span = (start_s, end_s)
        self._copy_from = None if copy_from is None else Path(copy_from)
        self._part = self.path.with_name(f".{self.path.name}.part-{os.getpid()}")
        self._tick = tick_for(info)
        self._last_pts: int | None = None
        self._reformatter = VideoReformatter()
        self._stack = ExitStack()
        self._sound: Sound | None = None
        self._refuse()

    def _refuse(self) -> None:
        if self.path.suffix.lower() not in FORMATS:
            known = ", ".join(sorted(FORMATS))
            raise OutputError(f"cannot write {shown(self.path)}: expected a name that ends in {known}")
        for source in (Path(self._info.path), self._copy_from):
            if source is not None and _is_same_file(source, self.path):
                raise OutputError(f"cannot write {shown(self.path)}: it is the input, choose another name")
        if self.path.is_file() and not self._overwrite:
            raise OutputError(f"{shown(self.path)} exists already: use --overwrite to replace it, or another name")

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            self._open()
            on_failure.pop_all()
        return self

    def _open(self) -> None:
        try:
            self._container: OutputContainer = av.open(
                f"file:{os.path.abspath(self._part)}",  # noqa: PTH100 - links in the name stay as they are
                "w",
                format=FORMATS[self.path.suffix.lower()],
                container_options=self._container_options(),
            )
            self._stream = self._add_video()
            if self._copy_from is not None and self._speed != 1:
                self.warnings.append("the sound is left out: it cannot be made slower or faster")
            elif self._copy_from is not None:
                self._sound = self._add_sound(self._copy_from)
            self._container.start_encoding()
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error

    def _container_options(self) -> dict[str, str]:
        # A start other than zero is kept in an edit list, which counts in this scale: milliseconds by default.
        return {} if self.path.suffix.lower() == ".mkv" else {"movie_timescale": str(self._tick.denominator)}

    def _add_video(self) -> VideoStream:
        info = self._info
        # 4:2:0 needs even sides: an odd picture gets its last row or column twice.
        width, height = info.width + info.width % 2, info.height + info.height % 2
        if (width, height) != (info.width, info.height):
            self.warnings.append(f"the odd size {info.width}x{info.height} is padded to {width}x{height}")
        rate = info.rate_fps if info.rate_fps and Fraction(1, 100) <= info.rate_fps <= 1000 else Fraction(25)
        stream = self._container.add_stream("libx264", rate=rate.limit_denominator(100_000), options=dict(_QUALITY))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        self._matrix = assumed_matrix(width, height)
        context = stream.codec_context
        context.time_base = self._tick
        context.colorspace = AV_COLORSPACE[self._matrix]
        context.color_range = AV_RANGE[False]
        context.color_primaries = context.color_trc = _PRIMARIES[self._matrix]
        return stream

    def _add_sound(self, source: Path) -> Sound | None:
        try:
            sound = self._stack.enter_context(open_sound(source, self._container, *self._span))
        except SourceError as error:
            self.warnings.append(f"the sound is not copied: {error}")
            return None
        self.warnings += sound.warnings
        return sound

    def write(self, rgb: U8 | U16, time_s: Fraction) -> None:
        """Append a picture u8[h w 3] of the displayed size, shown from ``time_s`` on."""
        expected = (self._info.height, self._info.width, 3)
        if rgb.shape != expected:
            raise ValueError(f"write: the picture has shape {rgb.shape}, expected {expected}")
        pts = round(self._placed(time_s) / self._tick)
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"write: time {float(time_s):.6f} s does not come after the one before")
        try:
            self._mux(self._stream.encode(self._coded(rgb, pts)))
            self._copy_sound(self._placed(time_s))
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error
        self._last_pts = pts

    def keep(self, frame: Frame, time_s: Fraction) -> None:
        """Append a frame of the source as it is."""
        self.write(frame.pixels(), time_s)

    def patch(self, frame: Frame, rgb: U8 | U16, mask: Bool, time_s: Fraction) -> None:
        """Append a frame of the source with the pixels of ``mask`` bool[h w] replaced by those of ``rgb``."""
        source = frame.pixels()
        self.write(np.where(mask[..., None], as_depth(rgb, source.dtype.itemsize), source), time_s)

    def _placed(self, time_s: Fraction) -> Fraction:
        return (time_s - self._origin_s) / self._speed

    def _coded(self, rgb: U8 | U16, pts: int) -> VideoFrame:
        pad = ((0, self._info.height % 2), (0, self._info.width % 2), (0, 0))
        padded: U8 | U16 = np.pad(rgb, pad, mode="edge") if any(after for _, after in pad) else np.ascontiguousarray(rgb)
        frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(as_depth(padded, 1), format="rgb24"),
            format="yuv420p",
            dst_colorspace=_SCALER_MATRIX[self._matrix],
            dst_color_range=AV_RANGE[False],
            threads=1,
        )
        frame.pts, frame.time_base = pts, self._tick
        return frame

    def _copy_sound(self, until_s: Fraction | None) -> None:
        if self._sound is not None:
            self._mux(self._sound.packets(until_s))

    def _mux(self, packets: "list[Packet[VideoStream]] | Iterator[Packet[av.AudioStream]]") -> None:
        for packet in packets:
            self._container.mux_one(packet)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._abandon()
            return
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            self._complete()
            on_failure.pop_all()

    def _complete(self) -> None:
        try:
            self._mux(self._stream.encode(None))
            self._copy_sound(None)
            self._stack.close()
            self._container.close()
            self._part.replace(self.path)
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error

    def _abandon(self) -> None:
        """Close everything and leave no file behind."""
        self._stack.close()
        container = getattr(self, "_container", None)
        if container is not None:
            with suppress(*_WRITE_ERRORS):  # the file goes away, its trailer does not matter
                container.close()
        self._part.unlink(missing_ok=True)

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"cannot write {shown(self.path)}: {reason(error)}")


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
