"""The sound of a source, copied packet by packet into another container."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vidpc.media.container import AV_ERRORS, open_container
from vidpc.media.sources import Source
from vidpc.types import ReadOptions


@contextmanager
def open_sound(path: Path, output: OutputContainer, start_s: Fraction | None, end_s: Fraction | None) -> Iterator["Sound"]:
    """The sound streams of a file, added to ``output``. Raises OpenError."""
    with open_container(Source(str(path)), ReadOptions()) as container:
        yield Sound(container, output, start_s, end_s)


class Sound:
    """Hands out packets in their order, only as far as asked: the muxer would hold what runs ahead of the pictures."""

    def __init__(
        self, container: InputContainer, output: OutputContainer, start_s: Fraction | None, end_s: Fraction | None
    ) -> None:
        self.warnings: list[str] = []
        self._start_s, self._end_s = start_s, end_s
        self._streams = {stream.index: copy for stream in container.streams.audio if (copy := self._copy(stream, output))}
        wanted = [stream for stream in container.streams.audio if stream.index in self._streams]
        self._source = self._selected(container, wanted) if wanted else iter(())
        self._held: Packet[AudioStream] | None = None

    def _copy(self, stream: AudioStream, output: OutputContainer) -> AudioStream | None:
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
        if stream.codec_context is None or stream.codec_context.codec.name not in output.supported_codecs:
            self.warnings.append(f"sound stream {stream.index} ({codec}) is left out: {output.format.name} cannot hold it")
            return None
        return output.add_stream_from_template(stream)

    def _selected(self, container: InputContainer, wanted: list[AudioStream]) -> "Iterator[Packet[AudioStream]]":
        """Packets inside the wanted time, moved to the output's clock."""
        try:
            for packet in container.demux(tuple(wanted)):
                if packet.size and packet.pts is not None and self._move(packet):
                    yield packet
        except AV_ERRORS:
            self.warnings.append("the sound is damaged: it is copied up to there")

    def _move(self, packet: "Packet[AudioStream]") -> bool:
        time_s = (packet.pts or 0) * packet.time_base
        if (self._start_s is not None and time_s < self._start_s) or (self._end_s is not None and time_s >= self._end_s):
            return False
        shift = round((self._start_s or 0) / packet.time_base)
        packet.pts = (packet.pts or 0) - shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self._streams[packet.stream_index]
        return True

    def packets(self, until_s: Fraction | None) -> "Iterator[Packet[AudioStream]]":
        """Packets up to a time of the output; all that are left for None."""
        while packet := self._held or next(self._source, None):
            self._held = packet
            if until_s is not None and (packet.pts or 0) * packet.time_base > until_s:
                return
            self._held = None
            yield packet
