"""A few frames of each video, chosen by number once its frames are counted: ``read_clips``.

    sources -> for each: Opened, Aside(ClipPlan), Frame, Frame, …, Closed

A file with an index is read by seeking; other inputs are read twice in order, once to count. Both give the same frames, but for
damaged files: an index counts what was coded, reading what could be decoded.
"""

import statistics
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

from vidpc.errors import DecodeError, OpenError, SourceError, TruncatedError
from vidpc.media.pipe import is_pipe
from vidpc.media.random_access import RandomAccess, open_random_access
from vidpc.media.read import open_source
from vidpc.media.sources import Source, shown
from vidpc.media.thinning import Thinning
from vidpc.types import Aside, ClipPlan, Closed, Frame, Opened, ReadOptions, VideoInfo

Item = Opened[VideoInfo] | Aside | Frame | Closed
Choose = Callable[[int, float], Sequence[Sequence[int]]]  # (frames, frames a second) -> the frames of each clip, ascending

_RATED_FRAMES = 1000  # the times of so many first frames say the rate where the container says none
_FALLBACK_FPS = Fraction(25)


def read_clips(sources: Iterable[Source], choose: Choose, options: ReadOptions | None = None) -> Iterator[Item]:
    """The frames that ``choose`` names of all sources, one input after the other, each once and in order.

    ``choose`` counts the frames that the options leave, from 0. It is not asked of an input without any. Closing the generator
    closes the input that is open.
    """
    options = options or ReadOptions()
    for number, source in enumerate(sources):
        warnings: list[str] = []
        error: SourceError | None = None
        try:
            _refuse_once(source)
            yield from _read(number, source, choose, options, warnings)
        except SourceError as raised:
            error = raised
        yield Closed(number, tuple(warnings), error)


def _refuse_once(source: Source) -> None:
    """Raises OpenError for what can be read only once."""
    try:
        is_stream = source.kind in ("pipe", "url") or (source.kind == "file" and is_pipe(Path(source.name)))
    except (OSError, ValueError):  # opening says why
        is_stream = False
    if is_stream:
        raise OpenError(
            f"cannot place clips in {shown(source.name)}: its length is known only at its end; save it as a file, or leave "
            "out --clips"
        )


def _read(number: int, source: Source, choose: Choose, options: ReadOptions, warnings: list[str]) -> Iterator[Item]:
    with ExitStack() as stack:
        video = _indexed(source, options, stack)
        if video is None:
            yield from _in_order(number, source, choose, options, warnings)
        else:
            yield from _by_seeking(number, video, choose, options, warnings)


def _indexed(source: Source, options: ReadOptions, stack: ExitStack) -> RandomAccess | None:
    """The input with an index; None where it has to be read in order, as it has to be for ``strict``."""
    if source.kind != "file" or options.strict:
        return None
    try:
        return stack.enter_context(open_random_access(source, options))
    except SourceError:
        if options.decoder != "pyav":
            raise
        return None


def _by_seeking(number: int, video: RandomAccess, choose: Choose, options: ReadOptions, warnings: list[str]) -> Iterator[Item]:
    thinning = Thinning(options)
    kept = [index for index, time_s in enumerate(video.times_s) if thinning.wants(time_s)]
    yield Opened(number, video.info)
    warnings.extend(thinning.warnings())
    declared = video.info.frame_count
    if declared is not None and declared > len(video):
        warnings.append(f"the file declares {declared} pictures, {len(video)} are shown")
    if kept:
        plan = _plan(kept, [video.times_s[index] for index in kept[:_RATED_FRAMES]], video.info, choose, options)
        yield Aside(number, plan)
        yield from _sought(video, _wanted(plan), warnings)


def _sought(video: RandomAccess, indices: Sequence[int], warnings: list[str]) -> Iterator[Frame]:
    """The frames with these indices; one that is damaged shows the one before."""
    last: Frame | None = None
    lost = 0
    for index in indices:
        try:
            [last] = video.frames_at([index])
        except DecodeError:
            if last is None:
                raise
            lost += 1
        yield replace(last, index=index, time_s=video.times_s[index])
    if lost:
        warnings.append(f"frames that could not be decoded, in whose place the one before was looked at: {lost}")


def _in_order(number: int, source: Source, choose: Choose, options: ReadOptions, warnings: list[str]) -> Iterator[Item]:
    kept, times_s = array("q"), list[Fraction]()
    with open_source(source, options) as reading:
        info = reading.info
        for frame in reading.frames():
            kept.append(frame.index)
            if len(times_s) < _RATED_FRAMES:
                times_s.append(frame.time_s)
    damage = reading.damage()
    yield Opened(number, info)
    warnings.extend((*damage, *reading.notes()))
    if options.strict and damage:
        raise TruncatedError(f"{shown(source.name)} is damaged: {'; '.join(damage)} (--strict)")
    if kept:
        plan = _plan(kept, times_s, info, choose, options)
        yield Aside(number, plan)
        wanted = _wanted(plan)
        with open_source(source, options) as again:
            chosen = set(wanted)
            yield from islice((frame for frame in again.frames() if frame.index in chosen), len(wanted))


def _plan(kept: Sequence[int], times_s: Sequence[Fraction], info: VideoInfo, choose: Choose, options: ReadOptions) -> ClipPlan:
    rate_fps = _rate_fps(times_s, info, options)
    clips = tuple(tuple(kept[position] for position in clip) for clip in choose(len(kept), float(rate_fps)))
    return ClipPlan(clips, 1 / rate_fps)


def _rate_fps(times_s: Sequence[Fraction], info: VideoInfo, options: ReadOptions) -> Fraction:
    """As the container says it where every frame counts, else as the times of the frames say it."""
    is_thinned = options.stride > 1 or options.rate_fps is not None
    if info.rate_fps and not is_thinned:
        return info.rate_fps
    if len(times_s) > 1:
        return 1 / statistics.median_low([after - before for before, after in pairwise(times_s)])
    return info.rate_fps or _FALLBACK_FPS


def _wanted(plan: ClipPlan) -> list[int]:
    return sorted({index for clip in plan.clips for index in clip})
