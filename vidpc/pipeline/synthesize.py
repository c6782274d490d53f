"""``vidpc synthesize`` as a run: videos in, videos with more frames out."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from vidpc.engine.device import Device, choose, keep_freed_memory
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OpenError, OutputError
from vidpc.media import sources
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.media.video_writer import VideoSink, check_video, open_video
from vidpc.pipeline.drive import Ledger, Sink, Summary, drive
from vidpc.presets import SynthesizeConfig
from vidpc.tasks import output_times
from vidpc.tasks.synthesize import SynthesisResult, SynthesizeTask
from vidpc.types import Opened, ReadOptions, VideoFormat, VideoInfo
from vidpc.weights import registry

# (input number, frames written, frames in all or None)
Progress = Callable[[int, int, int | None], None]

expand = sources.expand  # the arguments of a command line to the inputs that they name
Asked = output_times.Asked  # which frames an output is to have


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output: a video, or a folder of pictures; None where the run is for its times alone."""

    source: Source | str
    out: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice."""

    asked: Asked
    reading: ReadOptions = field(default_factory=ReadOptions)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None
    video_format: VideoFormat = field(default_factory=VideoFormat)


@dataclass(slots=True)
class FrameTally:
    """Frames of an output: new ones, those of the source, and those of the source that are shown once more."""

    new: int = 0
    kept: int = 0
    held: int = 0
    shots: int = 0

    @property
    def frames(self) -> int:
        """All of them."""
        return self.new + self.kept + self.held

    def add(self, result: SynthesisResult) -> None:
        """Counts one frame."""
        self.shots = result.shot + 1
        if result.shown is None:
            self.new += 1
        elif result.shown.is_held:
            self.held += 1
        else:
            self.kept += 1


def run(
    jobs: Sequence[Job], config: SynthesizeConfig, options: Options, *, on_progress: Progress | None = None
) -> Summary[FrameTally]:
    """Carries out the jobs, one input after the other, and says what became of each.

    An input that cannot be read ends with its ``error`` in the summary; what stops a whole run is raised: settings that do
    not fit, weights, memory, an output that cannot be written. Outputs appear under their names only when complete.
    """
    began = time.perf_counter()
    device = choose(options.device, options.precision)
    batch = options.batch or device.auto_batch
    found = [_resolved(job, options.reading) for job in jobs]
    names = [source.name for source in found]
    _check_targets(jobs, names, options.video_format)
    task = make_task(config, options.asked, device)
    totals: dict[int, int | None] = {}

    def open_sink(opened: Opened[VideoInfo]) -> AbstractContextManager[Sink[SynthesisResult]]:
        number = opened.stream
        totals[number] = expected_frames(opened.info, options)
        return open_output(jobs[number], found[number], opened.info, options)

    def report(result: SynthesisResult, counted: FrameTally) -> None:
        if on_progress is not None:
            on_progress(result.stream, counted.frames, totals[result.stream])

    ledger = Ledger(names, open_sink, tally=FrameTally, on_result=report)
    watch = Stopwatch()
    drive(read_videos(found, options.reading), task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=(job.out,) if row.error is None and job.out is not None else ())
        for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def make_task(config: SynthesizeConfig, asked: Asked, device: Device) -> SynthesizeTask:
    """The task with its network, ready on the device."""
    if not device.is_cuda:
        keep_freed_memory()
    task = SynthesizeTask(config, registry.load(config.weights), asked, name=config.weights)
    task.model = prepare(task.model, device)
    return task


def expected_frames(info: VideoInfo, options: Options) -> int | None:
    """How many frames an output is going to have, as far as the video says; None where it does not."""
    asked, reading = options.asked, options.reading
    if info.duration_s is None or info.rate_fps is None:
        return None
    begin, end = info.start_s, info.start_s + info.duration_s
    begin = begin if reading.start_s is None else max(begin, reading.start_s)
    end = end if reading.end_s is None else min(end, reading.end_s)
    rate_fps = info.rate_fps * asked.factor if asked.rate_fps is None else asked.rate_fps * asked.slow
    return max(0, round((end - begin) * rate_fps)) + asked.extrapolate


def output_info(info: VideoInfo, asked: Asked) -> VideoInfo:
    """The video as the output is to be: of another rate, with a clock in which its times are whole numbers."""
    if asked.rate_fps is not None:
        return replace(info, rate_fps=asked.rate_fps, time_base=1 / asked.rate_fps)
    faster = Fraction(asked.factor, asked.slow)
    return replace(info, rate_fps=info.rate_fps and info.rate_fps * faster, time_base=info.time_base / faster)


def _resolved(job: Job, reading: ReadOptions) -> Source:
    if isinstance(job.source, Source):
        return job.source
    found = sources.expand([job.source], reading)
    if len(found) != 1:
        raise OpenError(f"{job.source} names {len(found)} inputs, and a job takes one: expand it first")
    return found[0]


def _check_targets(jobs: Sequence[Job], names: Sequence[str], video_format: VideoFormat) -> None:
    """Refuses, before any work, outputs that cannot be, or would replace an input, one another, or what may not be replaced."""
    taken: set[str] = set()
    for target, job in ((job.out, job) for job in jobs if job.out is not None):
        check_video(target, inputs=names, video_format=video_format, overwrite=job.overwrite)
        if os.path.realpath(target) in taken:
            raise OutputError(f"{target} is the output of another input: choose another name")
        taken.add(os.path.realpath(target))


@contextmanager
def open_output(job: Job, source: Source, info: VideoInfo, options: Options) -> Iterator[Sink[SynthesisResult]]:
    """A sink for the output of one job. Left without ``finish``, or by an exception, it leaves nothing behind."""
    if job.out is None:
        yield _Output(None, ExitStack())
        return
    with ExitStack() as stack:
        video = open_video(
            job.out,
            output_info(info, options.asked),
            copy_from=Path(source.name) if source.kind == "file" else None,
            start_s=options.reading.start_s,
            end_s=options.reading.end_s,
            speed=Fraction(1, options.asked.slow),
            video_format=options.video_format,
            overwrite=job.overwrite,
        )
        yield _Output(stack.enter_context(video), stack)


@dataclass(frozen=True, slots=True)
class _Output:
    video: VideoSink | None
    stack: ExitStack

    def write(self, result: SynthesisResult) -> None:
        if self.video is None:
            return
        if result.shown is not None:
            self.video.keep(result.shown.frame, result.time_s)
        elif result.pixels is not None:
            self.video.write(result.pixels, result.time_s)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """Completes the video: only then all warnings are known."""
        self.stack.close()
        return [*warnings, *(self.video.warnings if self.video else ())]
