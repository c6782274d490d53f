"""Decoding one container, packet by packet: damage is skipped and counted, times are repaired, frames are thinned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidpc.errors import DecodeError, TruncatedError
from vidpc.media.container import AV_ERRORS, is_countable, open_container, reason, translated, video_stream
from vidpc.media.damage import Claims, Damage
from vidpc.media.facts import aspect_of, describe, has_own_duration, time_of
from vidpc.media.layout import flaw
from vidpc.media.skipping import KeyframeSkip
from vidpc.media.sources import Source, shown
from vidpc.media.thinning import Thinning
from vidpc.media.timeline import Timeline, plausible_interval
from vidpc.media.viewer import Viewer
from vidpc.types import Frame, ReadOptions, VideoInfo

_TRIAL = 16
_MAX_STOPS = 16  # errors of the demuxer after which it is not asked again


@contextmanager
def open_video(source: Source, options: ReadOptions) -> Iterator["VideoReading"]:
    """The open video with its first picture decoded."""
    with open_container(source, options) as container:
        with translated(f"cannot read {shown(source.name)}", DecodeError):
            stream, warnings = video_stream(container, source.name, options)
            reading = VideoReading(source, container, stream, options, warnings)
        yield reading


class VideoReading:
    """One open container."""

    def __init__(
        self, source: Source, container: InputContainer, stream: VideoStream, options: ReadOptions, warnings: list[str]
    ) -> None:
        self._container, self._stream, self._options = container, stream, options
        self._path = Path(source.name) if source.kind == "file" and Path(source.name).is_file() else None
        self._damage = Damage()
        self._timeline = Timeline(plausible_interval(stream.average_rate))
        self._thinning = Thinning(options)
        others = (*container.streams.audio, *container.streams.subtitles)
        self._followed = (stream,) if has_own_duration(stream) else (stream, *others)
        self._read_to_end = False
        self._skip = self._start_skip()
        self._first_packet: Packet[VideoStream] | None = None
        decoded = self._decode()
        first = next(decoded, None)
        if first is None:
            raise DecodeError(
                f"cannot read {shown(source.name)}: no picture could be decoded ({self._damage.packets} packets, "
                f"{self._damage.refused} damaged)"
            )
        self._decoded = chain([first], decoded)
        self._damage.frames += self._skip.skipped
        if self._skip.last_s is not None:
            self._timeline.place(self._skip.last_s)
        self._viewer = Viewer(first, bytes(self._first_packet or b""), aspect_of(stream))
        self._first_packet = None
        self._viewer.picture(first).rgb(
            _TRIAL, _TRIAL
        )  # a format that cannot be converted is refused here, not in another stage
        self._info = describe(source.name, container, stream, first, self._viewer.view, [*warnings, *self._viewer.warnings])
        self._claims = _claims(self._info, container, stream)
        self._is_interlaced = first.interlaced_frame

    @property
    def info(self) -> VideoInfo:
        """What the container says of itself."""
        return self._info

    def frames(self) -> Iterator[Frame]:
        """The wanted frames in presentation order."""
        thinning = self._thinning
        for index, decoded in enumerate(self._decoded, start=self._skip.skipped):
            time_s = self._timeline.place(time_of(decoded))
            if self._options.strict and (seen := self._damage.seen()):
                raise TruncatedError(f"{shown(self._info.path)} is damaged before {float(time_s):.3f} s: {seen[0]} (--strict)")
            if thinning.is_past(time_s):
                return
            if thinning.wants(time_s):
                yield Frame(self._viewer.picture(decoded), index, time_s, self._info.width, self._info.height)
        self._read_to_end = True

    def _start_skip(self) -> KeyframeSkip:
        """What may be left undecoded before the start: nothing, where packets cannot be counted as pictures."""
        return KeyframeSkip(self._options.start_s if is_countable(self._stream) else None)

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._skip.packets(self._packets()):
            self._first_packet = self._first_packet or (packet if self._damage.frames == 0 else None)
            try:
                frames = packet.decode()
            except AV_ERRORS:
                self._damage.refused += 1
                continue
            for frame in frames:
                if self._skip.key_pts is not None and frame.pts is not None and frame.pts < self._skip.key_pts:
                    continue
                self._damage.frames += 1
                self._damage.damaged_frames += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        """Packets of the video, then the empty one that drains the decoder, whatever stopped the demuxer."""
        damage = self._damage
        while len(damage.stops) < _MAX_STOPS:
            before = damage.packets
            try:
                for packet in self._container.demux(self._followed):
                    if packet.size and packet.stream_index == self._stream.index:
                        video = cast("Packet[VideoStream]", packet)
                        self._count(video)
                        yield video
                    elif packet.pts is not None:
                        damage.extend((packet.pts + (packet.duration or 0)) * packet.time_base)
                break
            except AV_ERRORS as error:
                damage.stops.append(reason(error))
                if damage.packets == before:
                    break
        yield self._drain()

    def _drain(self) -> "Packet[VideoStream]":
        packet: Packet[VideoStream] = Packet()  # type: ignore[assignment]
        packet.stream = self._stream
        packet.time_base = self._stream.time_base or Fraction(1, 90000)
        return packet

    def _count(self, packet: "Packet[VideoStream]") -> None:
        damage = self._damage
        damage.packets += 1
        damage.discarded += packet.is_discard
        damage.damaged_packets += packet.is_corrupt
        if packet.pts is not None:
            damage.extend((packet.pts + (packet.duration or 0)) * packet.time_base)

    def damage(self) -> list[str]:
        """What was lost, complete after the last frame."""
        if not self._read_to_end:
            return self._damage.seen()
        broken = flaw(self._path, self._info.container) if self._path else None
        return self._damage.seen() + ([broken] if broken else []) + self._damage.missing(self._settled())

    def notes(self) -> list[str]:
        """Repaired times, gaps, surplus pictures, changes of size, and a span without a frame."""
        settled = self._settled()
        counted = settled.frame_count is not None
        said = self._damage.unindexed(settled) if self._read_to_end else []
        said += self._damage.surplus(settled) + ([] if counted else self._timeline.gaps())
        return said + self._viewer.changes() + self._timeline.warnings() + self._thinning.warnings()

    def _settled(self) -> Claims:
        """The claims with what is known only after reading."""
        return replace(self._claims, interval_s=self._timeline.interval_s, is_interlaced=self._is_interlaced)


def _claims(info: VideoInfo, container: InputContainer, stream: VideoStream) -> Claims:
    """What the container declares, taken while it is open."""
    return Claims(
        container=info.container,
        is_countable=is_countable(stream),
        frame_count=info.frame_count,
        index_length=len(stream.index_entries),
        start_s=info.start_s,
        end_s=None if info.duration_s is None else info.start_s + info.duration_s,
        has_exact_end=info.container.startswith("matroska") and has_own_duration(stream),
    )
