"""``vidpc segment`` as a run: scans in, the same scans with a label and a confidence for every point out."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import BinaryIO

from vidpc import __version__
from vidpc.engine.device import Device, choose
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OutputError, VidpcError
from vidpc.media.points import expand_scans, open_points, read_points, write_labelled
from vidpc.media.sources import Source
from vidpc.media.spool import regular_file
from vidpc.outputs import points as formats
from vidpc.outputs import render_points as views
from vidpc.outputs import segment_summary as summaries
from vidpc.outputs.palette import palette
from vidpc.outputs.sink import STDOUT, encoded, open_binary, refuse_existing
from vidpc.pipeline.drive import Ledger, Sink, Summary, drive
from vidpc.presets import SegmentConfig
from vidpc.tasks.segment import Passed, ScanLabels, SegmentTask
from vidpc.types import LabelCounts, Opened, PointLabels, PointOptions, ScanHeader, ScanInfo
from vidpc.weights import registry

# (input number, stage, points done, points in all)
Progress = Callable[[int, str, int, int], None]

default_suffix, text_table = formats.default_suffix, summaries.text_table  # what a command line names and shows

_CPU_BATCH, _CUDA_BATCH = 1, 4  # blocks are large: more of them at once cost memory and buy a CPU nothing
PAPER_POINTS = 20_000_000  # of a scan, for the authors' test; the other scheme takes any number


@dataclass(frozen=True, slots=True)
class Input:
    """A scan by the ``name`` its user gave; ``source`` can be read more than once. ``format`` None: it cannot be read."""

    name: str
    source: Source
    stem: str
    format: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One scan and what is to be made of it. Targets are paths; ``out`` and ``summary`` may be ``-``."""

    input: Input
    out: str | None = None
    summary: str | None = None
    render: str | None = None
    format: str | None = None  # of ``out``; by default what its suffix says
    overwrite: bool = False

    @property
    def points(self) -> str | None:
        """Where the labelled points go, None where ``out`` is a summary or nothing at all."""
        is_points = self.out is not None and formats.choose_format(self.out, self.format) != formats.SUMMARY
        return self.out if is_points else None

    @property
    def summaries(self) -> list[tuple[str, str]]:
        """Where summaries go, and in which format."""
        whole = [(self.out, formats.SUMMARY)] if self.out is not None and self.points is None else []
        return [*whole, *([(self.summary, summaries.choose_format(self.summary))] if self.summary is not None else [])]

    @property
    def targets(self) -> list[str]:
        """Where something is written."""
        return [target for target in (self.out, self.summary, self.render) if target is not None]


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice; ``paint``: points in class colours."""

    reading: PointOptions = field(default_factory=PointOptions)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None
    paint: bool = False


@dataclass(slots=True)
class PointTally:
    """What was found in one scan. ``labels`` are the names of the classes."""

    labels: tuple[str, ...]
    counts: LabelCounts = field(default_factory=LabelCounts)

    @property
    def points(self) -> int:
        """Points of the scan, with and without a label."""
        return int(self.counts.points.sum()) + self.counts.unlabelled

    def add(self, result: Passed | ScanLabels) -> None:
        """Keeps the counts: they come once a scan."""
        if isinstance(result, ScanLabels):
            self.counts = result.counts


@contextmanager
def open_inputs(arguments: Sequence[str], reading: PointOptions | None = None) -> Iterator[list[Input]]:
    """The scans that the arguments of a command line name. Pipes are kept in a file as long as the block lasts."""
    reading = reading or PointOptions()
    with ExitStack() as stack:
        yield [_input(source, reading, stack) for source in expand_scans(arguments)]


def _input(source: Source, reading: PointOptions, stack: ExitStack) -> Input:
    try:
        path = stack.enter_context(regular_file(source.name, reading))
        lasting = source if os.path.realpath(source.name) == os.path.realpath(path) else Source(str(path))
        with open_points(lasting, reading) as opened:
            return Input(source.name, lasting, source.stem, opened.info.format)
    except VidpcError:  # it is told where the scan's turn comes
        return Input(source.name, source, source.stem, None)


def run(
    jobs: Sequence[Job], config: SegmentConfig, options: Options | None = None, *, on_progress: Progress | None = None
) -> Summary[PointTally]:
    """Carries out the jobs, one scan after the other, and says what became of each.

    A scan that cannot be read ends with its ``error`` in the summary; what stops a whole run is raised. Outputs appear under
    their names only when complete.
    """
    began = time.perf_counter()
    options = options or Options()
    device = choose(options.device, options.precision)
    batch = options.batch or (_CUDA_BATCH if device.is_cuda else _CPU_BATCH)
    check_targets(jobs)
    task = make_task(config, device)
    settings = {**asdict(config), "voxel_m": task.voxel_m, "device": device.name, "precision": device.precision}
    report = on_progress or (lambda *_: None)

    def open_sink(opened: Opened[ScanInfo]) -> AbstractContextManager[Sink[Passed | ScanLabels]]:
        job = jobs[opened.stream]
        header = ScanHeader(job.input.name, opened.info, task.info, settings, __version__)
        return open_files(job, header, options, lambda done, total: report(opened.stream, "writing", done, total))

    def on_result(result: Passed | ScanLabels, _: PointTally) -> None:
        if isinstance(result, Passed):
            report(result.stream, result.stage, result.points, result.total)

    names = [job.input.name for job in jobs]
    ledger = Ledger(names, open_sink, tally=lambda: PointTally(task.info.labels), on_result=on_result)
    watch = Stopwatch()
    reading = options.reading
    if config.scheme == "paper":  # which holds all points and their scores in memory
        reading = replace(reading, max_points=min(reading.max_points, PAPER_POINTS))
    scans = read_points([job.input.source for job in jobs], reading)
    drive(scans, task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=() if row.error else tuple(job.targets)) for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def make_task(config: SegmentConfig, device: Device) -> SegmentTask:
    """The task with its network, ready on the device."""
    task = SegmentTask(config, registry.load(config.weights), name=config.weights)
    task.model = prepare(task.model, device)
    return task


def check_targets(jobs: Sequence[Job]) -> None:
    """Refuses, before any work, outputs that would replace an input, one another, or a file that may not be replaced."""
    taken = {os.path.realpath(job.input.name) for job in jobs}
    for job in jobs:
        if job.out is not None:
            wanted = formats.choose_format(job.out, job.format)
            if job.input.format is not None:
                formats.check_format(wanted, job.input.format, f"{job.input.name} as {job.out}")
        if job.summary is not None:
            summaries.choose_format(job.summary)
        if job.render is not None:
            views.format_of(job.render)
        for target in job.targets:
            if target == STDOUT:
                continue
            refuse_existing(target, overwrite=job.overwrite)
            if os.path.realpath(target) in taken:
                raise OutputError(f"{target} is an input or the output of another input: choose another name")
            taken.add(os.path.realpath(target))


@contextmanager
def open_files(
    job: Job, header: ScanHeader, options: Options, on_written: Callable[[int, int], None]
) -> Iterator[Sink[Passed | ScanLabels]]:
    """A sink for the files of one job. Left without ``finish``, or by an exception, it leaves none of them behind."""
    with ExitStack() as stack:
        yield _Files(job, header, options, on_written, stack)


@dataclass(slots=True)
class _Files:
    job: Job
    header: ScanHeader
    options: Options
    on_written: Callable[[int, int], None]
    stack: ExitStack
    found: ScanLabels | None = None
    warnings: list[str] = field(default_factory=list)

    def write(self, result: Passed | ScanLabels) -> None:
        """Writes the points as soon as all of them have labels; the files take their names when the scan is finished."""
        if isinstance(result, ScanLabels):
            self.found = result
            if self.job.points is not None:
                self._write_points(self.job.points, result)
            if self.job.render is not None:
                self._write_view(self.job.render, result)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """The summaries last, for they tell all warnings."""
        if self.found is None:
            raise ValueError("finish: the scan has no labels yet")
        said = [*warnings, *self.warnings]
        for target, form in self.job.summaries:
            self._open(target).write(encoded(summaries.FORMATS[form](self.header, self.found.counts, said)))
        self.stack.close()
        return said

    def _open(self, target: str) -> BinaryIO:
        return self.stack.enter_context(open_binary(target, overwrite=self.job.overwrite))

    def _write_points(self, target: str, labels: ScanLabels) -> None:
        """The scan is read a second time: what the model did not need was not kept."""
        kind = formats.FORMATS[formats.choose_format(target, self.job.format)][1]
        colours = palette(self.header.model.labels) if self.options.paint else None
        with open_points(self.job.input.source, self.options.reading) as source:
            labelling = formats.labelling_of(self.header, colours, labels.warnings)
            self.warnings += write_labelled(source, self._open(target), kind, self._told(labels), labelling)

    def _write_view(self, target: str, labels: ScanLabels) -> None:
        with open_points(self.job.input.source, self.options.reading) as source:
            form, colours = views.format_of(target), palette(self.header.model.labels)
            self.warnings += views.render(source, labels.runs(), self._open(target), form, self.header, colours)

    def _told(self, labels: ScanLabels) -> Iterator[PointLabels]:
        for run in labels.runs():
            yield run
            self.on_written(run.first + len(run), len(labels))
