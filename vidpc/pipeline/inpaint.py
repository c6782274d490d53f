"""``vidpc inpaint`` as a run: videos and masks in, the same videos with the masked regions filled out.

read ── prefetch ── fill ── prefetch ── sinks
└─ a thread ─┘      └─ a thread ─┘      the caller's
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vidpc.engine.call import Caller
from vidpc.engine.device import Device, choose, keep_freed_memory, use_cpu_threads
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OpenError, OutputError
from vidpc.media import sources
from vidpc.media.masks import MaskSource, read_masked
from vidpc.media.sources import Source
from vidpc.media.video_writer import VideoSink, check_video, open_video
from vidpc.pipeline.drive import Ledger, Sink, Summary
from vidpc.pipeline.track import expected_frames
from vidpc.presets import InpaintConfig
from vidpc.stream.prefetch import prefetch
from vidpc.tasks.inpaint import InpaintResult, InpaintTask, results
from vidpc.types import Opened, ReadOptions, VideoFormat, VideoInfo
from vidpc.weights import registry

# (input number, frames done, frames in all or None)
Progress = Callable[[int, int, int | None], None]

_DECODED_BYTES = 64 << 20
_WRITTEN_BYTES = 64 << 20
_SMALL_BYTES = 1 << 12

expand = sources.expand  # the arguments of a command line to the inputs that they name


@dataclass(frozen=True, slots=True)
class Job:
    """One input, what of it is to be filled, and the video or the folder of pictures that comes out (None: nothing)."""

    source: Source | str
    masks: MaskSource
    out: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice."""

    reading: ReadOptions = field(default_factory=ReadOptions)
    video_format: VideoFormat = field(default_factory=VideoFormat)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None


@dataclass(slots=True)
class FilledTally:
    """Frames that were written, and those among them in which something was filled."""

    frames: int = 0
    filled: int = 0

    def add(self, result: InpaintResult) -> None:
        """Counts one frame."""
        self.frames += 1
        self.filled += result.filled.rgb is not None


def run(
    jobs: Sequence[Job], config: InpaintConfig, options: Options | None = None, *, on_progress: Progress | None = None
) -> Summary[FilledTally]:
    """Carries out the jobs, one input after the other, and says what became of each.

    An input that cannot be read or filled, or whose masks do not fit it, ends with its ``error`` in the summary; what stops a
    whole run is raised: settings that do not fit, weights, memory, an output that cannot be written. Outputs appear under
    their names only when complete.
    """
    began = time.perf_counter()
    options = options or Options()
    device = choose(options.device, options.precision)
    batch = options.batch or device.auto_batch
    found = [_resolved(job, options.reading) for job in jobs]
    names = [source.name for source in found]
    _check_targets(jobs, names, options.video_format)
    watch = Stopwatch()
    task = make_task(config, device)
    caller = Caller(device, batch, watch)
    totals: dict[int, int | None] = {}

    def open_sink(opened: Opened[VideoInfo]) -> AbstractContextManager[Sink[InpaintResult]]:
        number = opened.stream
        totals[number] = expected_frames(opened.info, options.reading)
        return open_output(jobs[number], found[number], opened.info, options)

    def report(result: InpaintResult, counted: FilledTally) -> None:
        if on_progress is not None:
            on_progress(result.stream, counted.frames, totals[result.stream])

    ledger = Ledger(names, open_sink, tally=FilledTally, on_result=report)
    _drive(read_masked(found, [job.masks for job in jobs], options.reading), task, caller, ledger, watch)
    inputs = tuple(
        replace(row, outputs=(job.out,) if job.out and row.error is None else ())
        for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, caller.batch)


def make_task(config: InpaintConfig, device: Device) -> InpaintTask:
    """The task with its network, ready on the device."""
    if not device.is_cuda:
        keep_freed_memory()
    task = InpaintTask(config, registry.load(config.weights), name=config.weights)
    task.model = prepare(task.model, device)
    return task


def _drive(items: Iterator[Any], task: InpaintTask, caller: Caller, ledger: Ledger[Any, Any], watch: Stopwatch) -> None:
    """Carries all frames through the network into the ledger's sinks; whatever ends it, every stage is closed."""
    with ExitStack() as stack:

        def stage(name: str, items: Iterator[Any]) -> Iterator[Any]:
            stack.callback(items.close)  # type: ignore[attr-defined]  # all of them are generators
            return stack.enter_context(closing(watch.iterate(name, items)))

        decoded = stage("decode", items)
        decoded = stage("wait for decode", prefetch(decoded, max_bytes=_DECODED_BYTES, size_of=_bytes))
        filled = stage("fill", _on_its_threads(results(decoded, task.filler(caller))))
        filled = stage("wait for fill", prefetch(filled, max_bytes=_WRITTEN_BYTES, size_of=_bytes))
        stack.enter_context(ledger)
        for result in filled:
            with watch.measure("write"):
                ledger.take(result)


def _on_its_threads(items: Iterator[Any]) -> Iterator[Any]:
    """``items``, computed with all CPUs: torch's number of threads is that of the calling thread."""
    use_cpu_threads()
    yield from items


def _bytes(item: object) -> int:
    size: int = getattr(item, "nbytes", _SMALL_BYTES)
    return size


def _resolved(job: Job, reading: ReadOptions) -> Source:
    if isinstance(job.source, Source):
        return job.source
    found = sources.expand([job.source], reading)
    if len(found) != 1:
        raise OpenError(f"{job.source} names {len(found)} inputs, and a job takes one: expand it first")
    return found[0]


def _check_targets(jobs: Sequence[Job], names: Sequence[str], video_format: VideoFormat) -> None:
    """Refuses, before any work, outputs that cannot be written, or would replace an input, masks or one another."""
    inputs = [*names, *(job.masks.path for job in jobs if job.masks.path is not None)]
    taken: set[str] = set()
    for job in jobs:
        if job.out is None:
            continue
        check_video(job.out, inputs=inputs, video_format=video_format, overwrite=job.overwrite)
        if os.path.realpath(job.out) in taken:
            raise OutputError(f"{job.out} is the output of another input: choose another name")
        taken.add(os.path.realpath(job.out))


@contextmanager
def open_output(job: Job, source: Source, info: VideoInfo, options: Options) -> Iterator[Sink[InpaintResult]]:
    """A sink for the video of one job. Left without ``finish``, or by an exception, it leaves nothing behind."""
    with ExitStack() as stack:
        video: VideoSink | None = None
        if job.out is not None:
            video = stack.enter_context(
                open_video(
                    job.out,
                    info,
                    copy_from=Path(source.name) if source.kind == "file" else None,
                    start_s=options.reading.start_s,
                    end_s=options.reading.end_s,
                    video_format=options.video_format,
                    overwrite=job.overwrite,
                )
            )
        yield _Output(video, stack)


@dataclass(frozen=True, slots=True)
class _Output:
    video: VideoSink | None
    stack: ExitStack

    def write(self, result: InpaintResult) -> None:
        filled = result.filled
        if self.video is None:
            return
        if filled.rgb is None or filled.hole is None:
            self.video.keep(filled.frame, filled.frame.time_s)
        else:
            self.video.patch(filled.frame, filled.rgb, filled.hole, filled.frame.time_s)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """The video is completed first: only then all warnings are known."""
        self.stack.close()
        return [*warnings, *(self.video.warnings if self.video else ())]
