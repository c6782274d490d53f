"""Text subtitles from one container's way of writing them to another's."""

from fractions import Fraction
from typing import Any

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

_TEXTS = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})


def can_rewrite(codec: str) -> bool:
    """Whether subtitles are text and not pictures."""
    return codec in _TEXTS


class Rewriter:
    """Adds a stream of ``codec`` to ``output`` and rewrites the packets of ``stream`` for it."""

    def __init__(self, stream: Stream, output: OutputContainer, codec: str) -> None:
        self._reader: SubtitleCodecContext = stream.codec_context  # type: ignore[assignment]
        self._reader.open(strict=False)
        self._target: Stream = output.add_stream(codec)
        self._writer: SubtitleCodecContext = self._target.codec_context  # type: ignore[assignment]
        self._writer.subtitle_header = self._reader.subtitle_header
        self._writer.time_base = stream.time_base or Fraction(1, 1000)
        self._target.metadata.update({k: v for k, v in stream.metadata.items() if k in ("language", "title")})
        self._target.disposition = stream.disposition

    def rewrite(self, packet: "Packet[Any]") -> "Packet[Any] | None":
        """The packet in the other codec; None for one that only ends the text before it."""
        found = self._reader.decode2(packet)
        if found is None or not len(found):
            return None
        written = self._writer.encode_subtitle(found)
        written.time_base = packet.time_base
        written.pts, written.dts, written.duration = packet.pts, packet.pts, packet.duration
        written.stream = self._target
        return written
