"""The five calls of a run, composed: decode, window and prepare, batch and model, postprocess, sink.

    read ── prefetch ── task.samples ── group ── prefetch ── infer ── task.results ── prefetch ── sinks
    └─ a thread ─┘      └────── a thread ──────┘             └───── a thread ────┘             the caller's

The one file that knows every room. Each call is a generator, and all of them are closed from the sink back to the source,
whatever ends the run.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from math import ceil
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from vidpc import __version__
from vidpc.engine.device import Device, choose, keep_freed_memory
from vidpc.engine.infer import Output, infer
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OpenError, OutputError
from vidpc.media import sources
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.outputs.overlay import TrackVideo
from vidpc.outputs.sink import STDOUT, refuse_existing
from vidpc.outputs.tracks import TrackWriter, choose_format, open_tracks
from vidpc.presets import TrackConfig
from vidpc.stream.batch import Item, group
from vidpc.stream.prefetch import prefetch
from vidpc.tasks.track import TrackTask
from vidpc.types import Closed, Frame, FrameTracks, Opened, ReadOptions, Sample, TrackHeader, VideoInfo
from vidpc.weights import registry

T = TypeVar("T")
FrameItem = Opened | Frame | Closed
# (input number, frames done, frames in all or None, time in the video in seconds)
Progress = Callable[[int, int, int | None, float], None]

_DECODED_BYTES = 64 << 20  # frames that wait to be prepared: 20 of 1080p
_BATCH_BYTES = 256 << 20
_WRITTEN_BYTES, _RESULT_BYTES = 32 << 20, 1 << 12  # results that wait to be written, and a guess at one without a frame
_ONE_ITEM = 0  # as a bound by bytes: a single item may always wait


class Result(Protocol):
    """What a task says of one frame. ``frame`` is there where the task was told to keep it."""

    @property
    def stream(self) -> int: ...
    @property
    def tracks(self) -> FrameTracks: ...
    @property
    def frame(self) -> Frame | None: ...


class Task(Protocol):
    """The part of a run that knows what the model is for."""

    def samples(self, items: Iterator[FrameItem]) -> Iterator[Item]: ...
    def step(self, tensors: Any, streams: Sequence[int], carry: Any) -> tuple[Any, Any]: ...
    def results(self, outputs: Iterator[Output]) -> Iterator[Opened | Result | Closed]: ...


class Sink(Protocol):
    """Where the results of one input go. What was not finished when it is left must leave nothing behind."""

    def write(self, result: Result) -> None: ...
    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """Completes what was written; returns ``warnings`` and its own."""
        ...


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


OpenSink = Callable[[Opened], AbstractContextManager[Sink]]


@dataclass(frozen=True, slots=True)
class InputSummary:
    """What became of one input."""

    source: str
    frames: int = 0
    tracks: int = 0
    warnings: tuple[str, ...] = ()
    error: Exception | None = None
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a run. ``stages`` are seconds by stage, see ``Stopwatch``; stages of different threads overlap."""

    inputs: tuple[InputSummary, ...]
    seconds: float
    stages: Mapping[str, float]
    device: str
    batch: int

    @property
    def frames(self) -> int:
        """Frames of all inputs."""
        return sum(item.frames for item in self.inputs)


def run(
    jobs: Sequence[Job], config: TrackConfig, options: Options | None = None, *, on_progress: Progress | None = None
) -> Summary:
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
    task = TASKS[type(config)](config, options, device, keep_frames=any(job.render for job in jobs))
    settings = _settings(config, options, device)

    def open_sink(opened: Opened) -> AbstractContextManager[Sink]:
        number = opened.stream
        header = TrackHeader(names[number], opened.info, task.info, settings, __version__)
        return open_files(jobs[number], found[number], header, options.reading)

    ledger = Ledger(
        names,
        open_sink,
        count=lambda info: expected_frames(info, options.reading),
        on_progress=on_progress,
    )
    watch = Stopwatch()
    drive(read_videos(found, options.reading), task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=tuple(filter(None, (job.tracks, job.render))) if row.error is None else ())
        for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def _track_task(config: TrackConfig, options: Options, device: Device, *, keep_frames: bool) -> TrackTask:
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


TASKS = {TrackConfig: _track_task}


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
def open_files(job: Job, source: Source, header: TrackHeader, reading: ReadOptions) -> Iterator[Sink]:
    """A sink for the files of one job. Left without ``finish``, or by an exception, it leaves none of them behind."""
    with ExitStack() as stack, ExitStack() as video_stack:
        video = tracks = None
        if job.render is not None:
            sound = source.name if source.kind == "file" else None
            video = TrackVideo(
                job.render,
                header.video,
                labels=header.model.labels,
                sound_from=sound,
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

    def write(self, result: Result) -> None:
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


def drive(
    frames: Iterable[FrameItem], task: Task, ledger: "Ledger", *, device: Device, batch: int, stopwatch: Stopwatch | None = None
) -> None:
    """Carries every frame through the task into the ledger's sinks.

    Whatever ends it, an error of any stage or an interrupt, every stage is closed and no thread is left.
    """
    watch = stopwatch or Stopwatch()
    with ExitStack() as stack:

        def stage(name: str, items: Iterable[T]) -> Iterator[T]:
            """``items``, timed; closed before whatever they pull from."""
            if hasattr(items, "close"):
                stack.callback(items.close)
            return stack.enter_context(closing(watch.iterate(name, items)))

        decoded = stage("decode", frames)
        decoded = stage("wait for decode", prefetch(decoded, max_bytes=_DECODED_BYTES, size_of=_frame_bytes))
        samples = stage("prepare", task.samples(decoded))
        batches = stage("batch", group(samples, size=batch, max_bytes=_BATCH_BYTES))
        batches = stage("wait for prepare", prefetch(batches, max_bytes=_ONE_ITEM, size_of=_batch_bytes))
        outputs = stage("engine", infer(batches, task.step, device=device, stopwatch=watch))
        results = stage("postprocess", task.results(outputs))
        results = stage("wait for results", prefetch(results, max_bytes=_WRITTEN_BYTES, size_of=_result_bytes))
        stack.enter_context(ledger)
        for result in results:
            with watch.measure("write"):
                ledger.take(result)


def _frame_bytes(item: FrameItem) -> int:
    return item.nbytes if isinstance(item, Frame) else 0


def _result_bytes(item: Opened | Result | Closed) -> int:
    frame = None if isinstance(item, (Opened, Closed)) else item.frame
    return _RESULT_BYTES if frame is None else frame.nbytes


def _batch_bytes(batch: Sequence[Item]) -> int:
    return sum(item.nbytes for item in batch if isinstance(item, Sample))


@dataclass(slots=True)
class _Row:
    """An input that is open: its way out, and what was counted."""

    sink: Sink
    stack: ExitStack
    total: int | None
    frames: int = 0
    ids: set[int] = field(default_factory=set)
    began: float = field(default_factory=time.perf_counter)


class Ledger:
    """Opens a sink for each input, fills it, and finishes or abandons it; keeps what became of each.

    As a context manager it abandons the sinks that are open when it is left.
    """

    def __init__(
        self,
        sources: Sequence[str],
        open_sink: OpenSink,
        *,
        count: Callable[[VideoInfo], int | None] = lambda info: info.frame_count,
        on_progress: Progress | None = None,
    ) -> None:
        self._open_sink, self._count, self._on_progress = open_sink, count, on_progress
        self._open: dict[int, _Row] = {}
        self.inputs = [InputSummary(source) for source in sources]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        reason = error or RuntimeError("the run ended before its inputs")
        while self._open:
            self._abandon(self._open.popitem()[1], reason)

    def take(self, item: Opened | Result | Closed) -> None:
        """The next word of a run."""
        if isinstance(item, Opened):
            with ExitStack() as stack:
                sink = stack.enter_context(self._open_sink(item))
                self._open[item.stream] = _Row(sink, stack.pop_all(), self._count(item.info))
        elif isinstance(item, Closed):
            self._close(item)
        else:
            self._write(item)

    def _write(self, result: Result) -> None:
        row = self._open[result.stream]
        row.sink.write(result)
        row.frames += 1
        row.ids.update(result.tracks.ids.tolist())
        if self._on_progress is not None:
            self._on_progress(result.stream, row.frames, row.total, float(result.tracks.time_s))

    def _close(self, closed: Closed) -> None:
        summary = replace(self.inputs[closed.stream], warnings=closed.warnings, error=closed.error)
        row = self._open.pop(closed.stream, None)  # an input that could not be opened was never there
        if row is not None:
            if closed.error is not None:
                self._abandon(row, closed.error)
            else:
                with row.stack:
                    summary = replace(summary, warnings=tuple(row.sink.finish(closed.warnings)))
            seconds = time.perf_counter() - row.began
            summary = replace(summary, frames=row.frames, tracks=len(row.ids), seconds=seconds)
        self.inputs[closed.stream] = summary

    def _abandon(self, row: _Row, reason: BaseException) -> None:
        """Leaves the sink as an exception leaves it, which is how it knows that it is not complete."""
        row.stack.__exit__(type(reason), reason, reason.__traceback__)
