"""The five calls of a run, composed: decode, window and prepare, batch and model, postprocess, sink.

    read ── prefetch ── task.samples ── group ── prefetch ── infer ── task.results ── prefetch ── sinks
    └─ a thread ─┘      └────── a thread ──────┘             └───── a thread ────┘             the caller's

Each call is a generator, and all of them are closed from the sink back to the source, whatever ends the run.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from vidpc.engine.device import Device
from vidpc.engine.infer import Output, infer
from vidpc.engine.timing import Stopwatch
from vidpc.stream.batch import Item, group, size_of
from vidpc.stream.prefetch import prefetch
from vidpc.types import Closed, Opened

T = TypeVar("T")
In = TypeVar("In", contravariant=True)  # what a source gives between Opened and Closed: frames, or runs of points

_DECODED_BYTES = 64 << 20  # what waits to be prepared: 20 frames of 1080p
_BATCH_BYTES = 256 << 20
_WRITTEN_BYTES = 32 << 20  # results that wait to be written
_SMALL_BYTES = 1 << 12  # a guess at an item that does not say how many bytes it holds
_ONE_ITEM = 0  # as a bound by bytes: a single item may always wait


class Result(Protocol):
    """What a task says of a part of input number ``stream``. One that holds much says so in ``nbytes``."""

    @property
    def stream(self) -> int: ...


R = TypeVar("R", bound=Result)
R_in = TypeVar("R_in", bound=Result, contravariant=True)
R_out = TypeVar("R_out", bound=Result, covariant=True)


class Task(Protocol[In, R_out]):
    """The part of a run that knows what the model is for."""

    def samples(self, items: Iterator[Opened[Any] | In | Closed]) -> Iterator[Item]: ...
    def step(self, tensors: Any, streams: Sequence[int], carry: Any) -> tuple[Any, Any]: ...
    def results(self, outputs: Iterator[Output]) -> Iterator[Opened[Any] | R_out | Closed]: ...


class Sink(Protocol[R_in]):
    """Where the results of one input go. What was not finished when it is left must leave nothing behind."""

    def write(self, result: R_in) -> None: ...
    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        """Completes what was written; returns ``warnings`` and its own."""
        ...


class Tally(Protocol[R_in]):
    """Counts the results of one input."""

    def add(self, result: R_in) -> None: ...


C = TypeVar("C", bound=Tally[Any])


@dataclass(frozen=True, slots=True)
class InputSummary(Generic[C]):
    """What became of one input, and what was counted of it."""

    source: str
    counted: C
    warnings: tuple[str, ...] = ()
    error: Exception | None = None
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary(Generic[C]):
    """What became of a run. ``stages`` are seconds by stage, see ``Stopwatch``; stages of different threads overlap."""

    inputs: tuple[InputSummary[C], ...]
    seconds: float
    stages: Mapping[str, float]
    device: str
    batch: int


def drive(
    items: Iterable[Opened[Any] | Any | Closed],
    task: Task[Any, R],
    ledger: "Ledger[R, Any]",
    *,
    device: Device,
    batch: int,
    stopwatch: Stopwatch | None = None,
) -> None:
    """Carries everything that a source gives through the task into the ledger's sinks.

    Whatever ends it, an error of any stage or an interrupt, every stage is closed and no thread is left.
    """
    watch = stopwatch or Stopwatch()
    with ExitStack() as stack:

        def stage(name: str, items: Iterable[T]) -> Iterator[T]:
            """``items``, timed; closed before whatever they pull from."""
            if hasattr(items, "close"):
                stack.callback(items.close)
            return stack.enter_context(closing(watch.iterate(name, items)))

        decoded = stage("decode", items)
        decoded = stage("wait for decode", prefetch(decoded, max_bytes=_DECODED_BYTES, size_of=_bytes))
        samples = stage("prepare", task.samples(decoded))
        batches = stage("batch", group(samples, size=batch, max_bytes=_BATCH_BYTES))
        batches = stage("wait for prepare", prefetch(batches, max_bytes=_ONE_ITEM, size_of=_batch_bytes))
        outputs = stage("engine", infer(batches, task.step, device=device, stopwatch=watch))
        results = stage("postprocess", task.results(outputs))
        results = stage("wait for results", prefetch(results, max_bytes=_WRITTEN_BYTES, size_of=_bytes))
        stack.enter_context(ledger)
        for result in results:
            with watch.measure("write"):
                ledger.take(result)


def _bytes(item: object) -> int:
    size: int = getattr(item, "nbytes", _SMALL_BYTES)
    return size


def _batch_bytes(batch: Sequence[Item]) -> int:
    return sum(map(size_of, batch))


@dataclass(slots=True)
class _Row(Generic[R]):
    """An input that is open, and its way out."""

    sink: Sink[R]
    stack: ExitStack
    began: float = field(default_factory=time.perf_counter)


class Ledger(Generic[R, C]):
    """Opens a sink for each input, fills it, and finishes or abandons it; keeps what became of each.

    ``tally`` makes the counter of an input; ``on_result`` is told each result once it is written and counted. As a context
    manager the ledger abandons the sinks that are open when it is left.
    """

    def __init__(
        self,
        sources: Sequence[str],
        open_sink: Callable[[Opened[Any]], AbstractContextManager[Sink[R]]],
        *,
        tally: Callable[[], C],
        on_result: Callable[[R, C], None] | None = None,
    ) -> None:
        self._open_sink, self._on_result = open_sink, on_result
        self._open: dict[int, _Row[R]] = {}
        self.inputs = [InputSummary(source, tally()) for source in sources]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        reason = error or RuntimeError("the run ended before its inputs")
        while self._open:
            self._abandon(self._open.popitem()[1], reason)

    def take(self, item: Opened[Any] | R | Closed) -> None:
        """The next word of a run."""
        if isinstance(item, Opened):
            with ExitStack() as stack:
                sink = stack.enter_context(self._open_sink(item))
                self._open[item.stream] = _Row(sink, stack.pop_all())
        elif isinstance(item, Closed):
            self._close(item)
        else:
            self._write(item)

    def _write(self, result: R) -> None:
        self._open[result.stream].sink.write(result)
        counted = self.inputs[result.stream].counted
        counted.add(result)
        if self._on_result is not None:
            self._on_result(result, counted)

    def _close(self, closed: Closed) -> None:
        summary = replace(self.inputs[closed.stream], warnings=closed.warnings, error=closed.error)
        row = self._open.pop(closed.stream, None)  # an input that could not be opened was never there
        if row is not None:
            if closed.error is not None:
                self._abandon(row, closed.error)
            else:
                with row.stack:
                    summary = replace(summary, warnings=tuple(row.sink.finish(closed.warnings)))
            summary = replace(summary, seconds=time.perf_counter() - row.began)
        self.inputs[closed.stream] = summary

    def _abandon(self, row: _Row[R], reason: BaseException) -> None:
        """Leaves the sink as an exception leaves it, which is how it knows that it is not complete."""
        row.stack.__exit__(type(reason), reason, reason.__traceback__)
