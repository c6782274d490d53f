"""``vidpc track`` as a run: videos in, track files and videos with the tracks drawn in out."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import Any

from vidpc import __version__
from vidpc.engine.device import Device, choose, keep_freed_memory
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OpenError, OutputError
from vidpc.media import sources
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.outputs.overlay import TrackVideo
from vidpc.outputs.sink import STDOUT, refuse_existing
from vidpc.outputs.tracks import TrackWriter, choose_format, open_tracks
from vidpc.pipeline.drive import Ledger, Sink, Summary, drive
from vidpc.presets import TrackConfig
from vidpc.tasks.track import TrackResult, TrackTask
from vidpc.types import Opened, ReadOptions, TrackHeader, VideoInfo
from vidpc.weights import registry

# (input number, frames done, frames in all or None)
Progress = Callable[[int, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One input and what is to be made of it: a track file (a path, or ``-``) and a video with the tracks drawn in."""

    source: Source | str
    tracks: str | None = None
    render: str | None = None
    format: str | None = None  # of the track file; by default what its suffix says
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice; ``classes`` empty for all of them."""

    reading: ReadOptions = field(default_factory=ReadOptions)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None
    classes: tuple[str, ...] = ()


@dataclass(slots=True)
class FrameTally:
    """Frames that were written, and the identities in them."""

    frames: int = 0
    ids: set[int] = field(default_factory=set)

    def add(self, result: TrackResult) -> None:
        """Counts one frame."""
        self.frames += 1
        self.ids.update(result.tracks.ids.tolist())


def run(
    jobs: Sequence[Job], config: TrackConfig, options: Options | None = None, *, on_progress: Progress | None = None
) -> Summary[FrameTally]:
    """Carries out the jobs, one input after the other, and says what became of each.

    An input that cannot be read ends with its ``error`` in the summary; what stops a whole run is raised: settings that do
    not fit, weights, memory, an output that cannot be written. Outputs appear under their names only when complete.
    """
    began = time.perf_counter()
    options = options or Options()
    device = choose(options.device, options.precision)
    batch = options.batch or device.auto_batch
    found = [_resolved(job, options.reading) for job in jobs]
    names = [source.name for source in found]
    _check_targets(jobs, names)
    task = make_task(config, options, device, keep_frames=any(job.render for job in jobs))
    settings = _settings(config, options, device)
    totals: dict[int, int | None] = {}

    def open_sink(opened: Opened[VideoInfo]) -> AbstractContextManager[Sink[TrackResult]]:
        number = opened.stream
        totals[number] = expected_frames(opened.info, options.reading)
        header = TrackHeader(names[number], opened.info, task.info, settings, __version__)
        return open_files(jobs[number], found[number], header, options.reading)

    def report(result: TrackResult, counted: FrameTally) -> None:
        if on_progress is not None:
            on_progress(result.stream, counted.frames, totals[result.stream])

    ledger = Ledger(names, open_sink, tally=FrameTally, on_result=report)
    watch = Stopwatch()
    drive(read_videos(found, options.reading), task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=tuple(filter(None, (job.tracks, job.render))) if row.error is None else ())
        for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def make_task(config: TrackConfig, options: Options, device: Device, *, keep_frames: bool) -> TrackTask:
    """The task with its network, ready on the device."""
    if not device.is_cuda:
        keep_freed_memory()
    weights = registry.load(config.weights)
    task = TrackTask(
        config,
        weights,
        name=config.weights,
        classes=options.classes,
        keep_frames=keep_frames,
        on_device=device.is_cuda,
    )
    task.model = prepare(task.model, device)
    return task


expand = sources.expand  # the arguments of a command line to the inputs that they name


def expected_frames(info: VideoInfo, reading: ReadOptions) -> int | None:
    """How many frames a video is going to give, as far as it says itself; None where it does not."""
    if reading.start_s is None and reading.end_s is None and reading.rate_fps is None:
        return None if info.frame_count is None else ceil(info.frame_count / reading.stride)
    if info.duration_s is None or info.rate_fps is None:
        return None
    begin, end = info.start_s, info.start_s + info.duration_s
    begin = begin if reading.start_s is None else max(begin, reading.start_s)
    end = end if reading.end_s is None else min(end, reading.end_s)
    rate_fps = info.rate_fps if reading.rate_fps is None else min(info.rate_fps, reading.rate_fps)
    return max(0, ceil((end - begin) * rate_fps / reading.stride))


def _resolved(job: Job, reading: ReadOptions) -> Source:
    if isinstance(job.source, Source):
        return job.source
    found = sources.expand([job.source], reading)
    if len(found) != 1:
        raise OpenError(f"{job.source} names {len(found)} inputs, and a job takes one: expand it first")
    return found[0]


def _check_targets(jobs: Sequence[Job], names: Sequence[str]) -> None:
    """Refuses, before any work, outputs that would replace an input, one another, or a file that may not be replaced."""
    taken = {os.path.realpath(name) for name in names}
    for job in jobs:
        if job.tracks is not None:
            choose_format(job.tracks, job.format)
        for target in filter(None, (job.tracks, job.render)):
            if target == STDOUT:
                continue
            refuse_existing(target, overwrite=job.overwrite)
            if os.path.realpath(target) in taken:
                raise OutputError(f"{target} is an input or the output of another input: choose another name")
            taken.add(os.path.realpath(target))


def _settings(config: TrackConfig, options: Options, device: Device) -> dict[str, Any]:
    """What decided the result, flat, as the head of a track file tells it."""
    values = {**asdict(config), **asdict(options.reading), "classes": list(options.classes)}
    values |= values.pop("association")
    for key in ("decoder", "max_pixels", "max_spool_bytes", "timeout_s"):  # how it was read, not what
        values.pop(key)
    exact = {key: float(value) if isinstance(value, Fraction) else value for key, value in values.items()}
    return {**exact, "device": device.name, "precision": device.precision}


@contextmanager
def open_files(job: Job, source: Source, header: TrackHeader, reading: ReadOptions) -> Iterator[Sink[TrackResult]]:
    """A sink for the files of one job. Left without ``finish``, or by an exception, it leaves none of them behind."""
    with ExitStack() as stack, ExitStack() as video_stack:
        video = tracks = None
        if job.render is not None:
            sound = source.name if source.kind == "file" else None
            video = TrackVideo(
                job.render,
                header.video,
                labels=header.model.labels,
                copy_from=sound,
                start_s=reading.start_s,
                end_s=reading.end_s,
                overwrite=job.overwrite,
            )
            video_stack.enter_context(video)
        if job.tracks is not None:
            tracks = open_tracks(job.tracks, header=header, format=job.format, overwrite=job.overwrite)
            stack.enter_context(tracks)
        yield _Files(tracks, video, video_stack)


@dataclass(frozen=True, slots=True)
class _Files:
    tracks: TrackWriter | None
    video: TrackVideo | None
    video_stack: ExitStack

    def write(self, result: TrackResult) -> None:
        if self.tracks is not None:
            self.tracks.write(result.tracks)
        if self.video is not None and result.frame is not None:
            self.video.write(result.frame.rgb(), result.tracks)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """The video first: only then all warnings are known, and the track file tells them."""
        self.video_stack.close()
        said = [*warnings, *(self.video.warnings if self.video else ())]
        if self.tracks is not None:
            self.tracks.finish(said)
        return said
