"""The five calls of a run, composed: decode, window and prepare, batch and model, postprocess, sink.

    read ── prefetch ── task.samples ── group ── prefetch ── infer ── task.results ── sinks
    └ a thread ┘        └──────── a thread ────────┘         └────── the caller's ────────┘

The one file that knows every room. Each call is a generator, and all of them are closed from the sink back to the source,
whatever ends the run.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from vidpc.engine.device import Device
from vidpc.engine.infer import Output, infer
from vidpc.engine.timing import Stopwatch
from vidpc.stream.batch import Item, group
from vidpc.stream.prefetch import prefetch
from vidpc.types import Closed, Frame, FrameTracks, Opened, Sample, VideoInfo

T = TypeVar("T")
FrameItem = Opened | Frame | Closed
# (input number, frames done, frames in all or None, time in the video in seconds)
Progress = Callable[[int, int, int | None, float], None]

_DECODED_BYTES = 64 << 20  # frames that wait to be prepared: 20 of 1080p
_BATCH_BYTES = 256 << 20
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
    def finish(self, warnings: Sequence[str]) -> None: ...


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
        stack.enter_context(ledger)
        for result in results:
            with watch.measure("write"):
                ledger.take(result)


def _frame_bytes(item: FrameItem) -> int:
    return item.nbytes if isinstance(item, Frame) else 0


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
        row = self._open.pop(closed.stream, None)  # an input that could not be opened was never there
        if row is not None and closed.error is not None:
            self._abandon(row, closed.error)
        elif row is not None:
            with row.stack:
                row.sink.finish(closed.warnings)
        self._note(closed, row)

    def _note(self, closed: Closed, row: _Row | None) -> None:
        source = self.inputs[closed.stream].source
        summary = InputSummary(source, warnings=closed.warnings, error=closed.error)
        if row is not None:
            seconds = time.perf_counter() - row.began
            summary = replace(summary, frames=row.frames, tracks=len(row.ids), seconds=seconds)
        self.inputs[closed.stream] = summary

    def _abandon(self, row: _Row, reason: BaseException) -> None:
        """Leaves the sink as an exception leaves it, which is how it knows that it is not complete."""
        row.stack.__exit__(type(reason), reason, reason.__traceback__)
