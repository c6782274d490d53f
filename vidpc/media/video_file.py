"""One video file being written: frames are coded, and sound and subtitles go between them."""

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av import VideoFrame
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from vidpc.errors import OutputError, SourceError
from vidpc.media.clock import Clock, tick_for
from vidpc.media.coded import Coder
from vidpc.media.coded_info import coded_info
from vidpc.media.colour import AV_RANGE
from vidpc.media.container import reason
from vidpc.media.copied import Copied, open_copied
from vidpc.media.picture import Picture
from vidpc.media.priority import usual_priority
from vidpc.media.target import Target, is_interruption, say_partial
from vidpc.media.timeline import plausible_interval
from vidpc.media.video_codecs import Coding
from vidpc.types import U8, U16, Bool, Frame, VideoInfo

_WRITE_ERRORS = (FFmpegError, OSError, ValueError, OverflowError)
_HAS_DURATIONS = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION: the encoder passes them on
_TOO_FEW_TO_REORDER = 2  # frames
_NO_TYPE = 0  # of a coded picture: the encoder chooses, whatever the source's frame was


class VideoFile:
    """Writes one video; ``with`` completes it, keeps its beginning when interrupted, and removes it after an error."""

    def __init__(self, target: Target, info: VideoInfo, coding: Coding, clock: Clock, *, copy_from: str | Path | None) -> None:
        self._target, self._info, self._coding, self._clock = target, info, coding, clock
        self._copy_from = None if copy_from is None else Path(copy_from)
        self._coded, said = coded_info(info, coding)
        self.warnings: list[str] = [*coding.warnings, *said]
        self._coder = Coder(self._coded)
        self._tick = tick_for(info, clock.speed) if coding.container.keeps_times else 1 / self._rate_fps()
        self._waiting: tuple[VideoFrame, int, int | None] | None = None  # with its time, and how long its source shows it
        self._last_packet: Packet[VideoStream] | None = None
        self._first_dts: int | None = None
        self._end_pts = self._count = 0
        self._step: int | None = None
        self._last_s = self._moved_s = Fraction(0)
        self._stack = ExitStack()
        self._copied: Copied | None = None

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            self._open()
            on_failure.pop_all()
        return self

    def _open(self) -> None:
        try:
            self._container: OutputContainer = av.open(
                f"file:{self._target.part}",
                "w",
                format=self._coding.container.name,
                container_options=self._container_options(),
            )
            self._stream = self._add_video()
            if self._copy_from is not None:
                self._copied = self._add_copied(self._copy_from)
            with usual_priority():
                self._container.start_encoding()
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error

    def _container_options(self) -> dict[str, str]:
        if self._coding.container.name in ("mp4", "mov"):
            # A start other than zero is kept in an edit list, which counts in this scale: milliseconds by default.
            return {"movie_timescale": str(self._tick.denominator)}
        # Sound may begin a little before the pictures, to be warmed up: by default that would move the pictures.
        return {"avoid_negative_ts": "disabled"}

    def _rate_fps(self) -> Fraction:
        interval_s = plausible_interval(self._info.rate_fps)
        rate = 1 / interval_s if interval_s else Fraction(25)
        return (rate * self._clock.speed).limit_denominator(100_000)

    def _add_video(self) -> VideoStream:
        coded, coding = self._coded, self._coding
        stream = self._container.add_stream(coding.encoder, rate=self._rate_fps(), options=dict(coding.options))
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{coding.encoder} is no encoder of video")
        stream.width, stream.height, stream.pix_fmt = coded.padded_width, coded.padded_height, coded.pixel_format
        context = stream.codec_context
        context.time_base = self._tick
        context.flags |= _HAS_DURATIONS
        context.colorspace, context.color_range = coded.codes.matrix, AV_RANGE[coded.full_range]
        context.color_primaries, context.color_trc = coded.codes.primaries, coded.codes.transfer
        context.sample_aspect_ratio = coded.aspect
        if coding.encoder == "libx265" and coding.container.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # QuickTime does not play the other one
        if coded.orientation.display_matrix != type(coded.orientation)().display_matrix:
            stream.set_display_matrix(coded.orientation.display_matrix)
        return stream

    def _add_copied(self, source: Path) -> Copied | None:
        try:
            copied = self._stack.enter_context(open_copied(source, self._container, self._coding.container.text, self._clock))
        except SourceError as error:
            self.warnings.append(f"the sound is not copied: {error}")
            return None
        self.warnings += copied.warnings
        return copied

    def write(self, rgb: U8 | U16, time_s: Fraction) -> None:
        """Append a picture [h w 3] of the displayed size, shown from ``time_s`` on."""
        expected = (self._info.height, self._info.width, 3)
        if rgb.shape != expected:
            raise ValueError(f"write: the picture has shape {rgb.shape}, expected {expected}")
        self._append(self._coder.new(rgb), time_s, None)

    def keep(self, frame: Frame, time_s: Fraction) -> None:
        """Append a frame of the source as it is."""
        self._append(self._coder.kept(frame), time_s, frame)

    def patch(self, frame: Frame, rgb: U8 | U16, mask: Bool, time_s: Fraction) -> None:
        """Append a frame of the source with the pixels of ``mask`` bool[h w] replaced by those of ``rgb``."""
        expected = (self._info.height, self._info.width)
        if rgb.shape != (*expected, 3) or mask.shape != expected:
            raise ValueError(f"patch: picture and mask have shapes {rgb.shape} and {mask.shape}, expected {expected}")
        self._append(self._coder.patched(frame, rgb, mask), time_s, frame)

    def _append(self, coded: VideoFrame, time_s: Fraction, source: Frame | None) -> None:
        """A frame waits for the next one: only then it is known how long it is shown."""
        pts = self._pts(time_s)
        if self._waiting is not None:
            self._step = pts - self._waiting[1]
            self._encode(*self._waiting[:2], self._step)
        self._waiting = (coded, pts, self._own_duration(source))

    def _pts(self, time_s: Fraction) -> int:
        if self._waiting is None:
            self._begin(time_s)
        placed_s = self._clock.placed(time_s)
        pts = round(placed_s / self._tick)
        last = None if self._waiting is None else self._waiting[1]
        if last is not None and pts <= last:
            if self._coding.container.keeps_times or placed_s <= self._last_s:
                raise ValueError(f"write: time {float(time_s):.6f} s does not come after the one before")
            pts = last + 1
        self._last_s = placed_s
        self._moved_s = max(self._moved_s, abs(pts * self._tick - placed_s))
        return pts

    def _begin(self, time_s: Fraction) -> None:
        """Moves the clock where the container cannot begin with this time."""
        late_s = time_s - self._clock.origin_s
        if late_s < 0 or (late_s > 0 and not self._coding.container.keeps_times):
            self.warnings.append(f"the first frame is shown at zero instead of {float(late_s):.6f} s, and so all that follows")
            self._clock = replace(self._clock, origin_s=time_s)
            if self._copied is not None:
                self._copied.clock = self._clock

    def _own_duration(self, source: Frame | None) -> int | None:
        picture = None if source is None else source.image
        if not isinstance(picture, Picture) or picture.duration_s is None:
            return None
        return round(picture.duration_s / self._clock.speed / self._tick) or None

    def _encode(self, frame: VideoFrame, pts: int, duration: int) -> None:
        frame.pts, frame.time_base, frame.duration, frame.pict_type = pts, self._tick, duration, _NO_TYPE
        self._end_pts = pts + duration
        self._count += 1
        try:
            self._mux(self._stream.encode(frame))
            self._mux_copied(pts * self._tick)
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error

    def _mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        """The last packet is held back: see ``_settle_end``."""
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            if self._last_packet is not None:
                self._container.mux_one(self._last_packet)
            self._last_packet = packet

    def _mux_copied(self, until_s: Fraction | None) -> None:
        if self._copied is not None:
            packet: Packet[Any]
            for packet in self._copied.packets(until_s):
                self._container.mux_one(packet)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        is_kept = is_interruption(kind) and self._waiting is not None
        if kind is not None and not is_kept:
            self._abandon()
            return
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            self._finish(None if kind is None else self._waiting_s())
            if kind is None:
                self._take_name()
            else:
                say_partial(self._target, self._target.keep_partial())
            on_failure.pop_all()

    def _waiting_s(self) -> Fraction:
        return Fraction(0) if self._waiting is None else self._waiting[1] * self._tick

    def _finish(self, sound_until_s: Fraction | None) -> None:
        """The trailer, after what still waits."""
        try:
            if self._waiting is not None:
                frame, pts, own = self._waiting
                self._encode(frame, pts, own or self._step or max(1, round(1 / self._rate_fps() / self._tick)))
                self._mux(self._last_packets())
                self._settle_end()
            if not self._coding.container.keeps_times and self._moved_s > self._tick / 2:
                name = self._coding.container.name
                self.warnings.append(f"{name} has a constant rate: frames are moved by up to {float(self._moved_s):.3f} s")
            self._mux_copied(sound_until_s)
            if self._copied is not None:
                self.warnings += [said for said in self._copied.warnings if said not in self.warnings]
            self._stack.close()
            self._container.close()
        except _WRITE_ERRORS as error:
            raise self._failed(error) from error

    def _last_packets(self) -> "list[Packet[VideoStream]]":
        """What the encoder still holds. x265 gives one or two frames decoding times out of uninitialised memory."""
        packets = self._stream.encode(None)
        if self._count <= _TOO_FEW_TO_REORDER:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _settle_end(self) -> None:
        """Muxes the last packet such that decoding lasts as long as showing.

        The length that MP4 states is the sum of decoding steps. With reordered frames these run behind, and of uneven ones a
        long last step would be missing: 0.96 s were stated for frames shown over 1.78 s.
        """
        packet = self._last_packet
        if packet is None:
            return
        if packet.dts is not None and packet.pts is not None and self._first_dts is not None and packet.duration:
            end = self._end_pts + min(0, self._first_dts)
            packet.dts = max(packet.dts, min(packet.pts, end - packet.duration))
            packet.duration = max(packet.duration, end - packet.dts)
        self._container.mux_one(packet)

    def _take_name(self) -> None:
        try:
            with self._target.part.open("rb") as file:
                os.fsync(file.fileno())
            self._target.complete()
        except OSError as error:
            raise self._failed(error) from error

    def _abandon(self) -> None:
        """Close everything and leave no file behind."""
        self._stack.close()
        container = getattr(self, "_container", None)
        if container is not None:
            with suppress(*_WRITE_ERRORS):  # the file goes away, its trailer does not matter
                container.close()
        self._target.discard()

    def _failed(self, error: Exception) -> OutputError:
        return OutputError(f"cannot write {self._target.name}: {reason(error)}")
