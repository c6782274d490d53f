"""The composed run with stand-ins for every room: whatever fails, everything is closed and no thread is left."""

import _thread
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

import numpy as np
import pytest
import torch

from vidpc.engine.device import choose
from vidpc.engine.timing import Stopwatch
from vidpc.errors import DecodeError, OpenError
from vidpc.pipeline.drive import Ledger, drive
from vidpc.pipeline.track import FrameTally
from vidpc.types import Closed, Frame, FrameTracks, Opened, Sample, VideoInfo

CPU = choose("cpu")
SOON_S = 5.0  # a run that waits for ever fails by this


def video(path: str, frames: int | None = None) -> VideoInfo:
    return VideoInfo(
        path=path,
        container="fake",
        codec="fake",
        width=4,
        height=2,
        coded_width=4,
        coded_height=2,
        rotation_deg=0,
        mirrored=False,
        sample_aspect=Fraction(1),
        pixel_format="rgb24",
        bit_depth=8,
        matrix="rgb",
        full_range=True,
        start_s=Fraction(0),
        rate_fps=Fraction(10),
        duration_s=None,
        frame_count=frames,
    )


class Grey:
    """A picture that is all ``value``."""

    nbytes = 24

    def __init__(self, value: int) -> None:
        self.value = value

    def rgb(self, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), self.value, np.uint8)

    def planes(self) -> None:
        return None


class Source:
    """Inputs as a stream, each a list of grey values; an exception in a list ends that input, or the run."""

    def __init__(self, *inputs: Sequence[int | BaseException], endless: bool = False) -> None:
        self.inputs, self.endless, self.closed = inputs, endless, threading.Event()

    def frames(self) -> Iterator[Opened | Frame | Closed]:
        try:
            for stream, values in enumerate(self.inputs):
                yield from self.one(stream, values)
        finally:
            self.closed.set()

    def one(self, stream: int, values: Sequence[int | BaseException]) -> Iterator[Opened | Frame | Closed]:
        if values and isinstance(values[0], OpenError):
            yield Closed(stream, error=values[0])
            return
        yield Opened(stream, video(f"{stream}.mp4", len(values)))
        index = 0
        while index < len(values) or self.endless:
            value = values[index % len(values)]
            if isinstance(value, DecodeError):
                yield Closed(stream, ("damaged",), value)
                return
            if isinstance(value, BaseException):
                raise value
            yield Frame(Grey(value), index, Fraction(index, 10), 4, 2)
            index += 1
        yield Closed(stream, ("odd",))


@dataclass(frozen=True)
class Tracked:
    stream: int
    tracks: FrameTracks
    frame: Frame | None = None


@dataclass
class Task:
    """The sum of each input's greys so far, as the one track's identity; fails where it is told to."""

    fail_in: str = ""
    fail_at: int = 2
    error: BaseException = field(default_factory=lambda: RuntimeError("the task failed"))
    closed: list[str] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)

    def _maybe_fail(self, where: str, count: int) -> None:
        if where == self.fail_in and count == self.fail_at:
            raise self.error

    def samples(self, items: Iterable[Opened | Frame | Closed]) -> Iterator[Sample | Opened | Closed]:
        try:
            stream = -1
            for item in items:
                if isinstance(item, Frame):
                    self._maybe_fail("samples", item.index)
                    yield Sample({"grey": item.rgb()[0, 0, :1].astype(np.int64)}, stream, item)
                else:
                    stream = item.stream
                    yield item
        finally:
            self.closed.append("samples")

    def step(self, tensors: dict[str, torch.Tensor], streams: Sequence[int], carry: Any) -> Any:
        self._maybe_fail("model", len(self.batches))
        self.batches.append(list(streams))
        sums = dict(carry or {})
        rows = []
        for stream, grey in zip(streams, tensors["grey"], strict=True):
            sums[stream] = sums.get(stream, 0) + grey
            rows.append(sums[stream])
        return {"sum": torch.stack(rows)}, sums

    def results(self, outputs: Iterable[Any]) -> Iterator[Opened | Tracked | Closed]:
        try:
            for output in outputs:
                if isinstance(output, (Opened, Closed)):
                    yield output
                    continue
                sample, arrays = output
                self._maybe_fail("results", sample.context.index)
                one = np.ones(1)
                tracks = FrameTracks(sample.context.index, sample.context.time_s, arrays["sum"], np.zeros((1, 4)), one, one)
                yield Tracked(sample.stream, tracks)
        finally:
            self.closed.append("results")


@dataclass
class Sinks:
    """Every sink of a run: what was written, and how each was left."""

    error: BaseException | None = None  # raised by the second write
    written: dict[str, list[int]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def open(self, opened: Opened) -> "_Sink":
        return _Sink(self, opened.info.path)


@dataclass
class _Sink:
    sinks: Sinks
    path: str
    finished: bool = False

    def __enter__(self) -> Self:
        self.sinks.written[self.path] = []
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.sinks.left[self.path] = "complete" if self.finished and kind is None else "abandoned"

    def write(self, result: Tracked) -> None:
        if self.sinks.error is not None and self.sinks.written[self.path]:
            raise self.sinks.error
        self.sinks.written[self.path].extend(result.tracks.ids.tolist())

    def finish(self, warnings: Sequence[str]) -> Sequence[str]:
        self.finished = True
        self.sinks.warnings[self.path] = tuple(warnings)
        return warnings


def prefetch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "vidpc-prefetch"]


def run(source: Source, task: Task, sinks: Sinks, *, batch: int = 2, on_result: Any = None) -> Ledger:
    """A run; afterwards, however it ended, nothing is open and nothing runs."""
    ledger = Ledger([f"{n}.mp4" for n in range(len(source.inputs))], sinks.open, tally=FrameTally, on_result=on_result)
    began = time.monotonic()
    try:
        drive(source.frames(), task, ledger, device=CPU, batch=batch)
    finally:
        assert time.monotonic() - began < SOON_S
        assert prefetch_threads() == []
        assert source.closed.is_set()
        assert sorted(task.closed) == ["results", "samples"]
        assert set(sinks.left) == set(sinks.written)
    return ledger


def test_a_run_writes_every_frame_in_order():
    sinks = Sinks()
    [row] = run(Source([1, 2, 3, 4, 5]), Task(), sinks).inputs
    assert sinks.written == {"0.mp4": [1, 3, 6, 10, 15]}
    assert sinks.left == {"0.mp4": "complete"}
    assert sinks.warnings == {"0.mp4": ("odd",)}
    assert (row.source, row.counted.frames, len(row.counted.ids), row.warnings, row.error) == ("0.mp4", 5, 5, ("odd",), None)
    assert row.seconds > 0


def test_no_input_is_a_run_without_results():
    assert run(Source(), Task(), Sinks()).inputs == []


def test_an_input_without_frames_is_finished():
    sinks = Sinks()
    [row] = run(Source([]), Task(), sinks).inputs
    assert (row.counted.frames, row.error) == (0, None)
    assert sinks.left == {"0.mp4": "complete"}


def test_one_frame_is_enough():
    sinks = Sinks()
    run(Source([7]), Task(), sinks, batch=16)
    assert sinks.written == {"0.mp4": [7]}


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_inputs_share_batches_and_keep_their_results(batch: int):
    sinks, task = Sinks(), Task()
    run(Source([1, 2, 3], [10, 20]), task, sinks, batch=batch)
    assert sinks.written == {"0.mp4": [1, 3, 6], "1.mp4": [10, 30]}
    assert sinks.left == {"0.mp4": "complete", "1.mp4": "complete"}
    if batch == 16:
        assert task.batches == [[0, 0, 0, 1, 1]]


@pytest.mark.parametrize("error", [OpenError("no such file"), DecodeError("cut short")])
def test_a_bad_input_leaves_no_output_and_the_next_one_completes(error: Exception):
    sinks = Sinks()
    first, second = run(Source([error], [1, 2]), Task(), sinks).inputs
    assert (first.source, first.error, first.counted.frames) == ("0.mp4", error, 0)
    assert (second.counted.frames, second.error) == (2, None)
    assert sinks.left.get("0.mp4", "abandoned") == "abandoned"
    assert sinks.left["1.mp4"] == "complete"


def test_an_input_that_breaks_midway_is_abandoned_with_its_frames_counted():
    sinks, broken = Sinks(), DecodeError("cut short")
    first, second = run(Source([1, 2, 3, broken], [5]), Task(), sinks).inputs
    assert (first.counted.frames, first.error, first.warnings) == (3, broken, ("damaged",))
    assert sinks.left == {"0.mp4": "abandoned", "1.mp4": "complete"}
    assert second.counted.frames == 1


@pytest.mark.parametrize("where", ["samples", "model", "results"])
def test_a_failing_stage_ends_the_run_at_once(where: str):
    sinks = Sinks()
    with pytest.raises(RuntimeError, match="the task failed"):
        run(Source([1, 2, 3], endless=True), Task(where), sinks, batch=1)
    assert sinks.left == {"0.mp4": "abandoned"}
    assert len(sinks.written["0.mp4"]) <= 2


def test_a_failing_source_ends_the_run_after_the_frames_before_it():
    sinks = Sinks()
    with pytest.raises(RuntimeError, match="the decoder failed"):
        run(Source([1, 2, 3, RuntimeError("the decoder failed")]), Task(), sinks, batch=1)
    assert sinks.written == {"0.mp4": [1, 3, 6]}
    assert sinks.left == {"0.mp4": "abandoned"}


def test_a_failing_sink_ends_the_run_at_once():
    sinks = Sinks(OSError("no space left"))
    with pytest.raises(OSError, match="no space left"):
        run(Source([1, 2, 3], endless=True), Task(), sinks)
    assert sinks.left == {"0.mp4": "abandoned"}


def test_a_sink_that_cannot_be_opened_ends_the_run():
    def refuse(_: Opened) -> Any:
        raise OSError("read-only")

    sinks = Sinks()
    sinks.open = refuse  # type: ignore[method-assign]
    with pytest.raises(OSError, match="read-only"):
        run(Source([1, 2, 3], endless=True), Task(), sinks)


@pytest.mark.parametrize("where", ["samples", "model", "results", "sink"])
def test_an_interrupt_that_a_stage_meets_closes_all(where: str):
    sinks = Sinks(KeyboardInterrupt() if where == "sink" else None)
    with pytest.raises(KeyboardInterrupt):
        run(Source([1, 2, 3], endless=True), Task(where, error=KeyboardInterrupt()), sinks)
    assert sinks.left == {"0.mp4": "abandoned"}


def test_ctrl_c_during_a_run_closes_all():
    sinks = Sinks()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started all this with it ignored

    def interrupt_once_it_writes() -> None:
        until = time.monotonic() + 60
        while len(sinks.written.get("0.mp4", ())) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        _thread.interrupt_main()

    watcher = threading.Thread(target=interrupt_once_it_writes)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(Source([1, 2, 3], endless=True), Task(), sinks)
    finally:
        watcher.join()
        signal.signal(signal.SIGINT, handler)
    assert sinks.left == {"0.mp4": "abandoned"}
    assert len(sinks.written["0.mp4"]) > 1


def test_each_result_is_told_with_what_was_counted_so_far():
    seen: list[tuple[int, int]] = []
    run(Source([1, 2], [3]), Task(), Sinks(), on_result=lambda result, counted: seen.append((result.stream, counted.frames)))
    assert seen == [(0, 1), (0, 2), (1, 1)]


def test_time_is_told_by_stage():
    watch = Stopwatch()
    ledger = Ledger(["0.mp4"], Sinks().open, tally=FrameTally)
    drive(Source([1, 2, 3]).frames(), Task(), ledger, device=CPU, batch=2, stopwatch=watch)
    assert {"decode", "prepare", "copy", "model", "postprocess", "write"} <= set(watch.seconds)
