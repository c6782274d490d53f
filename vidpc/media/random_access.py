"""Frames of a video by their indices: PyAV with exact seeking, or decord where it is asked for.

Both use one scan of the packets for count and times, so an index means the same picture in both and in ``read_videos``. decord
is kept out of streaming for good reasons: it queues frames without bound and carries an FFmpeg of 2018.
"""

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from vidpc.errors import DecodeError, OpenError
from vidpc.media.container import AV_ERRORS, is_countable, open_container, translated, video_stream
from vidpc.media.facts import aspect_of
from vidpc.media.picture import ArrayPicture, Scaler
from vidpc.media.sources import Source, shown
from vidpc.media.timeline import Timeline, plausible_interval
from vidpc.media.video import open_video
from vidpc.media.viewer import Viewer
from vidpc.types import Frame, ReadOptions, VideoInfo

Row = tuple[int | None, int | None, bool]  # presentation and decoding ticks, whether it is a key frame


class RandomAccess(Protocol):
    """An open video whose frames can be asked for in any order."""

    info: VideoInfo

    def __len__(self) -> int:
        """The number of frames."""
        ...

    @property
    def times_s(self) -> Sequence[Fraction]:
        """When each frame is shown."""
        ...

    def frames_at(self, indices: Sequence[int]) -> list[Frame]:
        """The frames with these indices, in the order asked, repetitions allowed. Raises DecodeError for a damaged one."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """The frames of a video in presentation order: ticks and seconds, and the ticks of the key frames among them."""

    ticks: tuple[int, ...]
    times_s: tuple[Fraction, ...]
    keys: tuple[tuple[int, int], ...]  # presentation ticks, ticks to seek to


@contextmanager
def open_random_access(source: Source | str | Path, options: ReadOptions | None = None) -> Iterator[RandomAccess]:
    """Random access to one file with the decoder of the options. Raises OpenError where the file cannot be indexed."""
    options = options or ReadOptions()
    source = source if isinstance(source, Source) else Source(str(source))
    if source.kind != "file":
        raise OpenError(f"cannot open {shown(source.name)} for random access: expected a video file")
    with open_video(source, options) as reading:
        info = reading.info
    table = _scan(source, options)
    if options.decoder == "decord":
        if info.container.startswith("mpeg"):
            raise OpenError(f"cannot open {shown(source.name)} with decord: it seeks to wrong frames in MPEG streams; use pyav")
        yield DecordAccess(source, info, table)
        return
    with open_container(source, options) as container:
        stream, _ = video_stream(container, source.name, options)
        yield PyAVAccess(info, table, container, stream)


def _scan(source: Source, options: ReadOptions) -> Table:
    """Reads every packet; decodes them, too, where a packet is not one picture."""
    name = shown(source.name)
    with open_container(source, options) as container, translated(f"cannot index {name}", DecodeError):
        stream, _ = video_stream(container, source.name, options)
        rows = list(_packet_rows(container, stream) if is_countable(stream) else _frame_rows(container, stream))
        tick, rate = stream.time_base or Fraction(1), stream.average_rate
    ticks = sorted(pts for pts, _, _ in rows if pts is not None)
    if not ticks or len(set(ticks)) < len(rows):
        raise OpenError(f"cannot open {name} for random access: its frames have no times of their own, read it in order")
    timeline = Timeline(plausible_interval(rate))
    keys = sorted((pts, pts if dts is None else dts) for pts, dts, is_key in rows if is_key and pts is not None)
    return Table(tuple(ticks), tuple(timeline.place(pts * tick) for pts in ticks), tuple(keys))


def _packet_rows(container: InputContainer, stream: VideoStream) -> Iterator[Row]:
    return ((p.pts, p.dts, p.is_keyframe) for p in container.demux(stream) if p.size and not p.is_discard)


def _frame_rows(container: InputContainer, stream: VideoStream) -> Iterator[Row]:
    return ((f.pts, f.dts, f.key_frame) for f in decoded(container, stream))


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; damaged packets are skipped."""
    for packet in container.demux(stream):
        with suppress(*AV_ERRORS):
            yield from packet.decode()


class PyAVAccess:
    """Seeks to the key frame before a frame and decodes up to it; goes on without seeking where that is nearer."""

    def __init__(self, info: VideoInfo, table: Table, container: InputContainer, stream: VideoStream) -> None:
        self.info = info
        self._table, self._container, self._stream = table, container, stream
        self._decoded: Iterator[VideoFrame] = iter(())
        self._position: int | None = None  # ticks of the last frame that came out of the decoder
        self._viewer: Viewer | None = None

    def __len__(self) -> int:
        return len(self._table.ticks)

    @property
    def times_s(self) -> Sequence[Fraction]:
        """See :class:`RandomAccess`."""
        return self._table.times_s

    def frames_at(self, indices: Sequence[int]) -> list[Frame]:
        """See :class:`RandomAccess`."""
        _check(indices, len(self))
        found = {index: self._frame(index) for index in sorted(set(indices))}
        return [found[index] for index in indices]

    def _frame(self, index: int) -> Frame:
        target = self._table.ticks[index]
        with translated(f"cannot decode frame {index} of {shown(self.info.path)}", DecodeError):
            frame = self._continued(target) or self._sought(target)
        if frame is None:
            raise DecodeError(f"cannot decode frame {index} of {shown(self.info.path)}: it is damaged")
        return self._displayed(frame, index)

    def _continued(self, target: int) -> VideoFrame | None:
        """The frame by decoding on, where no key frame lies between."""
        if self._position is None or not self._keys_before(target)[-1][0] <= self._position < target:
            return None
        return self._advance(target)

    def _sought(self, target: int) -> VideoFrame | None:
        """The frame by seeking, from the key frame before it or, where that lands too late, from earlier ones.

        MPEG streams have no index, and FFmpeg lands inside pictures of theirs: they are decoded from the start.
        """
        keys = self._keys_before(target)
        steps = {len(keys)} if self.info.container.startswith("mpeg") else {1, min(2, len(keys)), len(keys)}
        for back in sorted(steps):
            self._container.seek(keys[-back][1], stream=self._stream)
            self._decoded = decoded(self._container, self._stream)
            if frame := self._advance(target):
                return frame
        return None

    def _keys_before(self, target: int) -> Sequence[tuple[int, int]]:
        """Key frames up to a time; the first one where the video begins without."""
        count = bisect.bisect_right(self._table.keys, target, key=lambda key: key[0])
        return self._table.keys[: max(count, 1)] or ((self._table.ticks[0], self._table.ticks[0]),)

    def _advance(self, target: int) -> VideoFrame | None:
        frame = next((f for f in self._decoded if f.pts is not None and f.pts >= target), None)
        self._position = None if frame is None else frame.pts
        return frame if frame is not None and frame.pts == target else None

    def _displayed(self, frame: VideoFrame, index: int) -> Frame:
        self._viewer = self._viewer or Viewer(frame, b"", aspect_of(self._stream))
        picture = self._viewer.picture(frame)
        return Frame(picture, index, self._table.times_s[index], self.info.width, self.info.height)


class DecordAccess:
    """decord behind the same interface. Only for files that can be trusted: its FFmpeg is years old."""

    def __init__(self, source: Source, info: VideoInfo, table: Table) -> None:
        self.info, self._table, self._scaler = info, table, Scaler()
        self._reader = _decord_reader(source)
        if len(self._reader) != len(table.ticks):
            raise OpenError(
                f"cannot open {shown(source.name)} with decord: it counts {len(self._reader)} frames, expected "
                f"{len(table.ticks)}; use the decoder pyav"
            )

    def __len__(self) -> int:
        return len(self._table.ticks)

    @property
    def times_s(self) -> Sequence[Fraction]:
        """See :class:`RandomAccess`."""
        return self._table.times_s

    def frames_at(self, indices: Sequence[int]) -> list[Frame]:
        """See :class:`RandomAccess`."""
        _check(indices, len(self))
        try:
            pixels = self._reader.get_batch(list(indices)).asnumpy()
        except (_decord().DECORDError, *AV_ERRORS) as error:
            raise DecodeError(f"cannot decode frames of {shown(self.info.path)} with decord: {_first(error)}") from error
        size = (self.info.width, self.info.height)
        return [
            Frame(ArrayPicture(picture, self._scaler), index, self._table.times_s[index], *size)
            for index, picture in zip(indices, pixels, strict=True)
        ]


def _decord() -> Any:
    try:
        import decord
    except (ImportError, OSError) as error:
        raise OpenError("the decoder decord is not installed here; use the decoder pyav") from error
    decord.logging.set_level(decord.logging.QUIET)  # its FFmpeg writes to stderr
    return decord


def _decord_reader(source: Source) -> Any:
    decord = _decord()
    try:
        # fault_tol=0: by default decord hands out neighbours in place of damaged frames and says nothing.
        return decord.VideoReader(str(Path(source.name).absolute()), ctx=decord.cpu(0), fault_tol=0)
    except (decord.DECORDError, OSError, ValueError) as error:
        raise OpenError(f"cannot open {shown(source.name)} with decord: {_first(error)}") from error


def _first(error: Exception) -> str:
    """The first line of an error: decord adds a trace of its C++."""
    return shown((str(error) or type(error).__name__).splitlines()[0])


def _check(indices: Sequence[int], count: int) -> None:
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong:
        raise IndexError(f"frame {wrong[0]} of a video with {count} frames")
