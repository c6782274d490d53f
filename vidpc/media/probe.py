"""What files hold, without decoding more than a first picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidpc.errors import SourceError
from vidpc.media.read import open_source
from vidpc.media.sources import Source, expand
from vidpc.types import ReadOptions, VideoInfo


def probe(source: Source | str | Path, options: ReadOptions | None = None) -> VideoInfo:
    """The facts of one video. Raises OpenError or DecodeError."""
    options = options or ReadOptions()
    if not isinstance(source, Source):
        source = Source(str(source))
    with open_source(source, options) as reading:
        return reading.info


def probe_all(arguments: Sequence[str], options: ReadOptions | None = None) -> Iterator[tuple[str, VideoInfo | SourceError]]:
    """For every input that the arguments name, its facts or why it cannot be read."""
    options = options or ReadOptions()
    for source in expand(arguments, options):
        try:
            yield source.name, probe(source, options)
        except SourceError as error:
            yield source.name, error
