"""``vidpc recognize`` as a run: videos in, what happens in them and when out."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

from vidpc import __version__
from vidpc.engine.device import Device, choose, keep_freed_memory
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OpenError, OutputError
from vidpc.media import sources
from vidpc.media.clips import read_clips
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.outputs.action_plot import check_plot, plot_actions
from vidpc.outputs.action_table import text_table
from vidpc.outputs.action_video import check_render, render_actions
from vidpc.outputs.actions import ActionWriter, choose_format, open_actions
from vidpc.outputs.sink import STDOUT, refuse_existing
from vidpc.outputs.timeline import Timeline
from vidpc.pipeline.drive import Ledger, Sink, Summary, drive
from vidpc.presets import RecognizeConfig
from vidpc.tasks.recognize import ActionResult, RecognizeTask
from vidpc.types import ActionHeader, Actions, Opened, ReadOptions, VideoInfo, Window
from vidpc.weights import registry

# (input number, seconds of the video that were looked at, seconds in all or None)
Progress = Callable[[int, float, float | None], None]

expand = sources.expand  # the arguments of a command line to the inputs that they name


@dataclass(frozen=True, slots=True)
class Job:
    """One input and what is to be made of it: a file of actions (a path, or ``-``), a video with a caption, a picture."""

    source: Source | str
    out: str | None = None
    render: str | None = None
    plot: str | None = None
    format: str | None = None  # of the file of actions; by default what its suffix says
    overwrite: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The files that are to be written."""
        return tuple(target for target in (self.out, self.render, self.plot) if target is not None)


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice.

    ``names`` are the labels that are told and the names that they are told by, empty for all of them; ``top`` of each model are
    told of every window.
    """

    reading: ReadOptions = field(default_factory=ReadOptions)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    top: int = 5


@dataclass(slots=True)
class ActionTally:
    """The windows of one input, and what was said of all of it."""

    windows: int = 0
    header: ActionHeader | None = None
    actions: Actions | None = None

    def add(self, result: ActionResult) -> None:
        """Counts a window, keeps the answer."""
        if isinstance(result.found, Actions):
            self.actions = result.found
        else:
            self.windows += 1

    @property
    def top(self) -> tuple[tuple[str, str, float], ...]:
        """(label, model, score) of the best label of each model; empty without an answer."""
        if self.header is None or self.actions is None or not self.actions.windows:
            return ()
        pairs = zip(self.header.models, self.actions.scores, strict=True)
        return tuple((model.labels[scores.argmax()], model.name, float(scores.max())) for model, scores in pairs)


def run(
    jobs: Sequence[Job],
    configs: Sequence[RecognizeConfig],
    options: Options | None = None,
    *,
    on_progress: Progress | None = None,
) -> Summary[ActionTally]:
    """Carries out the jobs with the models of all settings, and says what became of each.

    An input that cannot be read ends with its ``error`` in the summary; what stops a whole run is raised: settings that do
    not fit, weights, memory, an output that cannot be written. Outputs appear under their names only when complete.
    """
    began = time.perf_counter()
    options = options or Options()
    device = choose(options.device, options.precision)
    batch = options.batch or device.auto_batch
    found = [_resolved(job, options.reading) for job in jobs]
    names = [source.name for source in found]
    _check_targets(jobs, found)
    task = make_task(configs, options, device)
    settings = _settings(task, options, device)
    ends: dict[int, tuple[float, float | None]] = {}

    def open_sink(opened: Opened[VideoInfo]) -> AbstractContextManager[Sink[ActionResult]]:
        number = opened.stream
        ends[number] = _span_s(opened.info, options.reading)
        rule = task.rule
        header = ActionHeader(names[number], opened.info, task.infos, rule.window_s, rule.hop_s, settings, __version__)
        ledger.inputs[number].counted.header = header
        return open_files(jobs[number], found[number], header, options)

    def report(result: ActionResult, counted: ActionTally) -> None:
        if on_progress is not None and isinstance(result.found, Window):
            begin_s, length_s = ends[result.stream]
            on_progress(result.stream, round(float(result.found.end_s) - begin_s, 1), length_s)

    ledger = Ledger(names, open_sink, tally=ActionTally, on_result=report)
    watch = Stopwatch()
    drive(read(found, task, options.reading), task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=job.targets if row.error is None else ()) for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def make_task(configs: Sequence[RecognizeConfig], options: Options, device: Device) -> RecognizeTask:
    """The task with its networks, ready on the device."""
    if not device.is_cuda:
        keep_freed_memory()
    task = RecognizeTask(configs, [registry.load(config.weights) for config in configs], names=options.names)
    for recogniser in task.recognisers:
        recogniser.model = prepare(recogniser.model, device)
    return task


def read(found: Sequence[Source], task: RecognizeTask, reading: ReadOptions) -> Iterator[Any]:
    """Every frame of the inputs, or those alone that the task's clips need."""
    return read_clips(found, task.plan, reading) if task.config.clips else read_videos(found, reading)


def table(counted: ActionTally, *, labels: int) -> str:
    """What was found of one input, as lines for people; empty where nothing was."""
    if counted.header is None or counted.actions is None:
        return ""
    return text_table(counted.header, counted.actions, labels=labels)


def _resolved(job: Job, reading: ReadOptions) -> Source:
    if isinstance(job.source, Source):
        return job.source
    found = sources.expand([job.source], reading)
    if len(found) != 1:
        raise OpenError(f"{job.source} names {len(found)} inputs, and a job takes one: expand it first")
    return found[0]


def _check_targets(jobs: Sequence[Job], found: Sequence[Source]) -> None:
    """Refuses, before any work, outputs that would replace an input, one another, or a file that may not be replaced."""
    taken = {os.path.realpath(source.name) for source in found}
    for job, source in zip(jobs, found, strict=True):
        if job.out is not None:
            choose_format(job.out, job.format)
        if job.render is not None:
            check_render(job.render, source)
        if job.plot is not None:
            check_plot(job.plot)
        for target in job.targets:
            if target == STDOUT:
                continue
            refuse_existing(target, overwrite=job.overwrite)
            if os.path.realpath(target) in taken:
                raise OutputError(f"{target} is an input or the output of another input: choose another name")
            taken.add(os.path.realpath(target))


def _span_s(info: VideoInfo, reading: ReadOptions) -> tuple[float, float | None]:
    """Where what is going to be read begins, and how long it is, as far as the video says itself."""
    begin_s = info.start_s if reading.start_s is None else max(info.start_s, reading.start_s)
    if info.duration_s is None:
        return float(begin_s), None
    end_s = info.start_s + info.duration_s
    end_s = end_s if reading.end_s is None else min(end_s, reading.end_s)
    return float(begin_s), round(max(float(end_s - begin_s), 0.0), 1)


def _settings(task: RecognizeTask, options: Options, device: Device) -> dict[str, Any]:
    """What decided the result, flat, as the head of a file of actions tells it; what differs among models as a list."""
    each = [{**asdict(one.config), **asdict(one.look), "rate": one.look.rate} for one in task.recognisers]
    values: dict[str, Any] = {
        key: value if all(one[key] == value for one in each) else [one[key] for one in each] for key, value in each[0].items()
    }
    reading = asdict(options.reading)
    for key in ("max_pixels", "max_spool_bytes", "timeout_s"):  # how it was read, not what
        reading.pop(key)
    values |= {"hop_s": task.rule.hop_s, **reading, "names": dict(options.names)}
    exact = {key: float(value) if isinstance(value, Fraction) else value for key, value in values.items()}
    return {**exact, "device": device.name, "precision": device.precision}


@contextmanager
def open_files(job: Job, source: Source, header: ActionHeader, options: Options) -> Iterator[Sink[ActionResult]]:
    """A sink for the files of one job. Left without ``finish``, or by an exception, it leaves none of them behind."""
    with ExitStack() as stack:
        writer = timeline = None
        if job.out is not None:
            writer = open_actions(job.out, header=header, format=job.format, overwrite=job.overwrite, top=options.top)
            stack.enter_context(writer)
        if job.render is not None or job.plot is not None:
            timeline = Timeline(header)
        yield _Files(job, source, options, writer, timeline)


@dataclass(slots=True)
class _Files:
    job: Job
    source: Source
    options: Options
    writer: ActionWriter | None
    timeline: Timeline | None
    actions: Actions | None = None

    def write(self, result: ActionResult) -> None:
        if isinstance(result.found, Actions):
            self.actions = result.found
            return
        if self.writer is not None:
            self.writer.write(result.found)
        if self.timeline is not None:
            self.timeline.add(result.found)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """The video first: only then all warnings are known, and the file of actions tells them."""
        if self.actions is None:
            raise ValueError("recognize: an input ended without an answer")
        said, job = list(warnings), self.job
        if self.timeline is not None and job.render is not None:
            reading = self.options.reading
            said += render_actions(job.render, self.source, self.timeline, reading=reading, overwrite=job.overwrite)
        if self.timeline is not None and job.plot is not None:
            plot_actions(job.plot, self.timeline, self.actions, overwrite=job.overwrite)
        if self.writer is not None:
            self.writer.finish(self.actions, said)
        return said
