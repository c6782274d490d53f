"""Videos as one stream of frames: ``read_videos``.

    sources -> for each: Opened, Frame, Frame, …, Closed

One bad input never ends a run over many: what ended it stands in its Closed. Memory does not depend on length.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vidpc.errors import SourceError, TruncatedError
from vidpc.media.images import open_images
from vidpc.media.sources import Source, expand, shown
from vidpc.media.video import open_video
from vidpc.types import Closed, Frame, Opened, ReadOptions, VideoInfo


class Reading(Protocol):
    """An open input."""

    @property
    def info(self) -> VideoInfo:
        """What it says of itself."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Its wanted frames in presentation order."""
        ...

    def damage(self) -> list[str]:
        """What was lost, complete after the last frame."""
        ...

    def notes(self) -> list[str]:
        """What else was found, complete after the last frame."""
        ...


def open_source(source: Source, options: ReadOptions) -> AbstractContextManager[Reading]:
    """An open input; what cannot be opened raises OpenError or DecodeError on entry."""
    return open_images(source, options) if source.kind == "images" else open_video(source, options)


Item = Opened[VideoInfo] | Frame | Closed


def read_videos(sources: Iterable[Source | str | Path], options: ReadOptions | None = None) -> Generator[Item, None, None]:
    """The frames of all sources, one input after the other. A string is expanded like an argument of the command line.

    Closing the generator closes the input that is open.
    """
    options = options or ReadOptions()
    resolved = (s for given in sources for s in ([given] if isinstance(given, Source) else expand([given], options)))
    for number, source in enumerate(resolved):
        yield from _read(number, source, options)


def _read(number: int, source: Source, options: ReadOptions) -> Iterator[Item]:
    reading: Reading | None = None
    error: SourceError | None = None
    try:
        with open_source(source, options) as reading:
            yield Opened(number, reading.info)
            yield from reading.frames()
    except SourceError as raised:
        error = raised
    damage = reading.damage() if reading else []
    if options.strict and damage and error is None:
        error = TruncatedError(f"{shown(source.name)} is damaged: {'; '.join(damage)} (--strict)")
    yield Closed(number, (*damage, *(reading.notes() if reading else ())), error)
