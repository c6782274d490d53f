"""``vidpc classify`` as a run: scans of objects in, what they show out."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace

from vidpc import __version__
from vidpc.engine.device import Device, choose
from vidpc.engine.prepare import prepare
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OutputError
from vidpc.media.points import expand_scans, read_points
from vidpc.media.sources import Source
from vidpc.outputs.objects import ObjectWriter, choose_format, open_objects
from vidpc.outputs.sink import STDOUT, refuse_existing
from vidpc.pipeline.drive import Ledger, Sink, Summary, drive
from vidpc.presets import ClassifyConfig
from vidpc.tasks.classify import ClassifyTask, ObjectResult
from vidpc.types import Candidate, Opened, PointOptions, ScanHeader, ScanInfo
from vidpc.weights import registry

Progress = Callable[[int, int], None]  # (inputs done, inputs in all)

expand = expand_scans  # the arguments of a command line to the inputs that they name


@dataclass(frozen=True, slots=True)
class Job:
    """One scan, and the file (a path, ``-`` or None) for what it shows."""

    source: Source
    out: str | None = None
    format: str | None = None  # by default what the suffix says
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is carried out. ``batch`` None stands for the device's own choice; ``top`` classes of each scan are told."""

    reading: PointOptions = field(default_factory=PointOptions)
    device: str = "auto"
    precision: str = "fp32"
    batch: int | None = None
    top: int = 5


@dataclass(slots=True)
class ObjectTally:
    """What was found of one scan."""

    points: int = 0
    candidates: tuple[Candidate, ...] = ()

    def add(self, result: ObjectResult) -> None:
        """Keeps the result: there is one a scan."""
        self.points, self.candidates = result.points, result.candidates


def run(
    jobs: Sequence[Job], config: ClassifyConfig, options: Options | None = None, *, on_progress: Progress | None = None
) -> Summary[ObjectTally]:
    """Carries out the jobs and says what became of each.

    A scan that cannot be read or told ends with its ``error`` in the summary; what stops a whole run is raised. Outputs
    appear under their names only when complete.
    """
    began = time.perf_counter()
    options = options or Options()
    device = choose(options.device, options.precision)
    batch = options.batch or device.auto_batch
    _check_targets(jobs)
    task = make_task(config, device)
    settings = {**asdict(config), "top": options.top, "device": device.name, "precision": device.precision}

    def open_sink(opened: Opened[ScanInfo]) -> AbstractContextManager[Sink[ObjectResult]]:
        job = jobs[opened.stream]
        header = ScanHeader(job.source.name, opened.info, task.info, settings, __version__)
        return open_file(job, header, top=options.top)

    def report(result: ObjectResult, counted: ObjectTally) -> None:
        if on_progress is not None:
            on_progress(result.stream + 1, len(jobs))

    ledger = Ledger([job.source.name for job in jobs], open_sink, tally=ObjectTally, on_result=report)
    watch = Stopwatch()
    scans = read_points([job.source for job in jobs], options.reading)
    drive(scans, task, ledger, device=device, batch=batch, stopwatch=watch)
    inputs = tuple(
        replace(row, outputs=() if row.error or job.out is None else (job.out,))
        for job, row in zip(jobs, ledger.inputs, strict=True)
    )
    return Summary(inputs, time.perf_counter() - began, watch.seconds, device.name, batch)


def make_task(config: ClassifyConfig, device: Device) -> ClassifyTask:
    """The task with its network, ready on the device."""
    task = ClassifyTask(config, registry.load(config.weights), name=config.weights)
    task.model = prepare(task.model, device)
    return task


def _check_targets(jobs: Sequence[Job]) -> None:
    """Refuses, before any work, outputs that would replace an input, one another, or a file that may not be replaced."""
    taken = {os.path.realpath(job.source.name) for job in jobs}
    for job in jobs:
        if job.out is None:
            continue
        choose_format(job.out, job.format)
        if job.out == STDOUT:
            continue
        refuse_existing(job.out, overwrite=job.overwrite)
        if os.path.realpath(job.out) in taken:
            raise OutputError(f"{job.out} is an input or the output of another input: choose another name")
        taken.add(os.path.realpath(job.out))


@contextmanager
def open_file(job: Job, header: ScanHeader, *, top: int) -> Iterator[Sink[ObjectResult]]:
    """A sink for one job. Left without ``finish``, or by an exception, it leaves no file behind."""
    with ExitStack() as stack:
        writer = None
        if job.out is not None:
            writer = stack.enter_context(open_objects(job.out, header=header, format=job.format, overwrite=job.overwrite))
        yield _File(writer, top)


@dataclass(frozen=True, slots=True)
class _File:
    writer: ObjectWriter | None
    top: int

    def write(self, result: ObjectResult) -> None:
        if self.writer is not None:
            self.writer.write(result.candidates[: self.top], result.points)

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        if self.writer is not None:
            self.writer.finish(warnings)
        return warnings
