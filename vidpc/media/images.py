"""A folder, glob or pattern of pictures as one video of constant rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidpc.errors import DecodeError, OpenError, SourceError
from vidpc.media.sources import Source, shown
from vidpc.media.thinning import Thinning
from vidpc.media.video import open_video
from vidpc.types import Frame, ReadOptions, VideoInfo

_NAMED = 3  # bad pictures that a warning names


@contextmanager
def open_images(source: Source, options: ReadOptions) -> Iterator["ImageReading"]:
    """The pictures of a source with the rate that the user gives."""
    if options.input_fps is None:
        raise OpenError(f"cannot read {shown(source.name)}: give --input-fps, the rate of its {len(source.paths)} pictures")
    yield ImageReading(source, options, options.input_fps)


class ImageReading:
    """Pictures one after the other; each is opened when its turn comes."""

    def __init__(self, source: Source, options: ReadOptions, rate_fps: Fraction) -> None:
        self._source, self._options, self._rate_fps = source, options, rate_fps
        self._thinning = Thinning(options)
        self._bad: list[str] = []
        self._sizes: set[tuple[int, int]] = set()
        self._info = self._describe()

    @property
    def info(self) -> VideoInfo:
        """The facts of the first picture that can be read, and of the sequence."""
        return self._info

    def frames(self) -> Iterator[Frame]:
        """The wanted pictures; one that cannot be read leaves its place empty."""
        thinning = self._thinning
        for index, path in enumerate(self._source.paths):
            time_s = self._time(index)
            if thinning.is_past(time_s):
                return
            if not thinning.wants(time_s):
                continue
            try:
                frame = _first_frame(path, self._options)
            except SourceError:
                self._bad.append(shown(path.name))
                continue
            self._sizes.add((frame.width, frame.height))
            yield replace(frame, index=index, time_s=time_s, width=self._info.width, height=self._info.height)

    def damage(self) -> list[str]:
        """Pictures that are missing or damaged."""
        said = []
        numbers = self._source.numbers
        if numbers and (gaps := numbers[-1] - numbers[0] + 1 - len(numbers)):
            said.append(f"numbers without a picture between {numbers[0]} and {numbers[-1]}, their time passes: {gaps}")
        if self._bad:
            named = ", ".join(self._bad[:_NAMED]) + (", …" if len(self._bad) > _NAMED else "")
            said.append(f"pictures that could not be read: {len(self._bad)} ({named})")
        return said

    def notes(self) -> list[str]:
        """Pictures of another size, and a span without a picture."""
        differ = self._sizes - {(self._info.width, self._info.height)}
        said = ["the pictures differ in size: they are scaled to the first one"] if differ else []
        return said + self._thinning.warnings()

    def _time(self, index: int) -> Fraction:
        numbers = self._source.numbers
        return (numbers[index] - numbers[0] if numbers else index) / self._rate_fps

    def _describe(self) -> VideoInfo:
        for path in self._source.paths:
            try:
                with open_video(Source(str(path)), _plain(self._options)) as picture:
                    info = picture.info
            except SourceError:
                continue
            count = len(self._source.paths)
            return replace(
                info,
                path=self._source.name,
                container="images",
                start_s=Fraction(0),
                rate_fps=self._rate_fps,
                duration_s=self._time(count - 1) + 1 / self._rate_fps,
                frame_count=count,
                time_base=1 / self._rate_fps,
            )
        name, count = shown(self._source.name), len(self._source.paths)
        raise DecodeError(f"cannot read {name}: none of its {count} pictures can be read")


def _plain(options: ReadOptions) -> ReadOptions:
    """The options for one picture: its limits, without the thinning that holds for the sequence."""
    return ReadOptions(max_pixels=options.max_pixels, timeout_s=options.timeout_s)


def _first_frame(path: Path, options: ReadOptions) -> Frame:
    with open_video(Source(str(path)), _plain(options)) as picture:
        return next(picture.frames())
