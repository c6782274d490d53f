"""Decoding one container, packet by packet: damage is skipped and counted, times are repaired, frames are thinned."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidpc.errors import DecodeError
from vidpc.media.container import AV_ERRORS, open_container, reason, translated, video_stream
from vidpc.media.damage import ONE_PICTURE_A_PACKET, Claims, Damage
from vidpc.media.facts import aspect_of, colour_of, describe, time_of, view_of
from vidpc.media.picture import Picture, Scaler
from vidpc.media.skipping import KeyframeSkip
from vidpc.media.sources import Source, shown
from vidpc.media.thinning import Thinning
from vidpc.media.timeline import Timeline, plausible_interval
from vidpc.types import Frame, ReadOptions, VideoInfo

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
        self._damage = Damage()
        self._timeline = Timeline(plausible_interval(stream.average_rate))
        self._resized: set[tuple[int, int]] = set()
        self._read_to_end = False
        self._selected = 0
        self._scaler = Scaler()
        self._skip = self._start_skip()
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
        self._first_tags = (first.width, first.height, first.format.name, first.colorspace, first.color_range)
        self._view, found = view_of(first, aspect_of(stream))
        self._info = describe(source.name, container, stream, first, self._view, [*warnings, *found])
        self._claims = _claims(self._info, container, stream, is_interlaced=first.interlaced_frame)

    @property
    def info(self) -> VideoInfo:
        """What the container says of itself."""
        return self._info

    def frames(self) -> Iterator[Frame]:
        """The wanted frames in presentation order."""
        thinning = Thinning(self._options)
        for index, decoded in enumerate(self._decoded, start=self._skip.skipped):
            time_s = self._timeline.place(time_of(decoded))
            if thinning.is_past(time_s):
                return
            if thinning.wants(time_s):
                self._selected += 1
                yield Frame(self._picture(decoded), index, time_s, self._info.width, self._info.height)
        self._read_to_end = True

    def _picture(self, frame: VideoFrame) -> Picture:
        """The frame as an image; one of another size or format than the first brings its own colours."""
        tags = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if tags == self._first_tags:
            return Picture(frame, self._view.colour, self._view.orientation, self._scaler)
        if tags[:2] != self._first_tags[:2]:
            self._resized.add(tags[:2])
        return Picture(frame, colour_of(frame), self._view.orientation, self._scaler)

    def _start_skip(self) -> KeyframeSkip:
        """What may be left undecoded before the start: nothing, where packets cannot be counted as pictures."""
        countable = self._stream.codec_context.codec.canonical_name in ONE_PICTURE_A_PACKET
        return KeyframeSkip(self._options.start_s if countable else None)

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._skip.packets(self._packets()):
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
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        self._count(packet)
                        yield packet
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

    def warnings(self) -> list[str]:
        """Damage, repaired times and changes of size, complete after the last frame."""
        said = self._damage.seen()
        if self._read_to_end:
            said += self._damage.missing(replace(self._claims, interval_s=self._timeline.interval_s))
        if self._resized:
            sizes = ", ".join(f"{w}x{h}" for w, h in sorted(self._resized))
            said.append(f"the picture changes its size to {sizes}: it is scaled to the first one")
        return said + self._timeline.warnings()


def _claims(info: VideoInfo, container: InputContainer, stream: VideoStream, *, is_interlaced: bool) -> Claims:
    """What the container declares, taken while it is open."""
    return Claims(
        codec=info.codec,
        container=info.container,
        frame_count=info.frame_count,
        index_length=len(stream.index_entries),
        end_s=None if info.duration_s is None else info.start_s + info.duration_s,
        size_bytes=container.size if container.size > 0 else None,
        is_interlaced=is_interlaced,
    )
