"""What a video brings besides its pictures, copied into another container: sound, subtitles, fonts, chapters, titles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from vidpc.media.clock import Clock
from vidpc.media.container import AV_ERRORS, main_video, open_container
from vidpc.media.sources import Source
from vidpc.media.subtitles import Rewriter, can_rewrite
from vidpc.types import ReadOptions

if TYPE_CHECKING:
    from av.container.core import Chapter  # of the stubs alone

_KINDS = {"audio": "sound", "subtitle": "subtitle", "attachment": "attached", "data": "data", "video": "further video"}
# What the new container says itself, or what no longer holds.
_NOT_COPIED = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "bps", "number_of_", "_statistics")
_CHAPTER_TEXT = "text"  # the codec of the track in which QuickTime keeps the titles of chapters

Give = Callable[["Packet[Any]"], "Packet[Any] | None"]


@contextmanager
def open_copied(path: Path, output: OutputContainer, text_codec: str | None, clock: Clock) -> Iterator["Copied"]:
    """The streams of a file beside its video, added to ``output``. Raises OpenError."""
    with open_container(Source(str(path)), ReadOptions()) as container:
        yield Copied(container, output, text_codec, clock)


class Copied:
    """Hands out packets in their order, only as far as asked: the muxer would hold what runs ahead of the pictures.

    ``clock`` may be changed until the first packet.
    """

    def __init__(self, container: InputContainer, output: OutputContainer, text_codec: str | None, clock: Clock) -> None:
        self.warnings: list[str] = []
        self.clock = clock
        self._output, self._text_codec = output, text_codec
        self._takes = output.supported_codecs
        self._video = main_video(container)
        self._ways = {stream.index: way for stream in container.streams if (way := self._way(stream))}
        wanted = [stream for stream in container.streams if stream.index in self._ways]
        for stream in container.streams:
            stream.discard = Discard.default if stream.index in self._ways else Discard.all
        _copy_titles(container, output, clock)
        self._source = self._selected(container, wanted) if wanted else iter(())
        self._held: Packet[Any] | None = None

    def _way(self, stream: Stream) -> Give | None:
        """How the packets of a stream get into the output; None where they do not, which is said."""
        if stream is self._video or (stream.type == "data" and _is_of_chapters(stream)):
            return None
        if stream.type == "audio" and self.clock.speed != 1:
            self.warnings.append(f"sound stream {stream.index} is left out: it cannot be made slower or faster")
            return None
        if stream.type in ("audio", "subtitle") and _name(stream, "") in self._takes:
            return self._given_to(_added(self._output, stream))
        if stream.type == "subtitle" and self._text_codec is not None and can_rewrite(_name(stream, "")):
            return Rewriter(stream, self._output, self._text_codec).rewrite
        if stream.type == "attachment" and self._output.format.name == "matroska":
            _added(self._output, stream)
            return None
        kind, name = _KINDS.get(stream.type, stream.type), _name(stream, "unknown")
        why = "" if stream.type == "video" else f": {self._output.format.name} cannot hold it"
        self.warnings.append(f"{kind} stream {stream.index} ({name}) is left out{why}")
        return None

    def _given_to(self, target: Stream) -> Give:
        def give(packet: "Packet[Any]") -> "Packet[Any]":
            packet.stream = target
            return packet

        return give

    def _selected(self, container: InputContainer, wanted: list[Stream]) -> "Iterator[Packet[Any]]":
        """Packets inside the wanted time, on the output's clock."""
        try:
            for packet in container.demux(*wanted):
                if packet.size and packet.pts is not None and self.clock.holds(packet.pts * packet.time_base):
                    given = self._ways[packet.stream_index](packet)
                    if given is not None and not self._is_before(self._moved(given)):
                        yield given
        except AV_ERRORS:
            self.warnings.append("the sound is damaged: it is copied up to there")

    def _is_before(self, packet: "Packet[Any]") -> bool:
        """Whether a packet lies before zero in a container that begins there."""
        return self._output.format.name == "avi" and packet.pts is not None and packet.pts < 0

    def _moved(self, packet: "Packet[Any]") -> "Packet[Any]":
        def placed(ticks: int) -> int:
            return round(self.clock.placed(ticks * packet.time_base) / packet.time_base)

        packet.dts = None if packet.dts is None else placed(packet.dts)
        packet.pts = None if packet.pts is None else placed(packet.pts)
        packet.duration = round((packet.duration or 0) / self.clock.speed)
        return packet

    def packets(self, until_s: Fraction | None) -> "Iterator[Packet[Any]]":
        """Packets up to a time of the output; all that are left for None."""
        while packet := self._held or next(self._source, None):
            self._held = packet
            if until_s is not None and (packet.pts or 0) * packet.time_base > until_s:
                return
            self._held = None
            yield packet


def _name(stream: Stream, unknown: str) -> str:
    return unknown if stream.codec_context is None else stream.codec_context.codec.name


def _is_of_chapters(stream: Stream) -> bool:
    return bool(stream.container.chapters()) and stream.codec_context is None


def _added(output: OutputContainer, stream: Stream) -> Stream:
    copy = output.add_stream_from_template(stream)
    copy.metadata.update(kept_titles(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def kept_titles(metadata: dict[str, str]) -> dict[str, str]:
    """What is still true of a copy."""
    return {key: value for key, value in metadata.items() if not key.lower().startswith(_NOT_COPIED)}


def _copy_titles(container: InputContainer, output: OutputContainer, clock: Clock) -> None:
    """Title, author and the like, and the chapters that lie in the part that is shown."""
    output.metadata.update(kept_titles(container.metadata))
    chapters = [moved for chapter in container.chapters() if (moved := _moved_chapter(chapter, clock))]
    if chapters:
        output.set_chapters(chapters)


def _moved_chapter(chapter: "Chapter", clock: Clock) -> "Chapter | None":
    tick = chapter["time_base"] or Fraction(1, 1000)
    first, last = chapter["start"] * tick, chapter["end"] * tick
    first = first if clock.start_s is None else max(first, clock.start_s)
    last = last if clock.end_s is None else min(last, clock.end_s)
    if last <= first:
        return None
    start, end = (round(clock.placed(time_s) / tick) for time_s in (first, last))
    return {**chapter, "start": start, "end": end}
