"""Batches through a model: copied while the batch before computes, halved where memory ends, given back in order."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpc.engine.device import Device, use_cpu_threads
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OutOfMemoryError
from vidpc.stream.batch import Item
from vidpc.types import Aside, Closed, Opened, Sample

Arrays = dict[str, npt.NDArray[Any]]
Tensors = dict[str, Tensor]
Output = tuple[Sample, Arrays] | Opened[Any] | Aside | Closed
Step = Callable[[Tensors, Sequence[int], Any], tuple[Tensors, Any]]

_cuda: Any = torch.cuda  # its classes carry types in some versions of torch and none in others
_log = logging.getLogger(__name__)
# What allocators say where they do not raise torch.OutOfMemoryError.
_MEMORY_ENDED = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def infer(
    batches: Iterable[Sequence[Item]], step: Step, *, device: Device, stopwatch: Stopwatch | None = None
) -> Iterator[Output]:
    """Each sample with its part of what ``step`` makes of its batch, and everything else, in the order of ``batches``.

    ``step(tensors, streams, carry)`` gets the arrays on the device, the input number of each sample, and the carry that it
    returned for the batch before, at first None; it must leave the carry as it is. Stacked arrays have the batch axis first,
    and so have its outputs. Packed ones lie end to end, with the end of each sample in ``offsets`` i64[b], and its outputs
    have a row for each of theirs.
    Where memory ends, the batch goes again in halves with the same carry, and so do later ones of its shape. Raises
    ``OutOfMemoryError`` when one sample alone is too much.
    """
    runner = (_CudaRunner if device.is_cuda else _CpuRunner)(step, device, stopwatch or Stopwatch())
    backoff = _Backoff(runner)
    in_flight: deque[_Launched] = deque()
    for batch in batches:
        for launched in backoff.launch(batch):
            in_flight.append(launched)
            while len(in_flight) > runner.in_flight:
                yield from in_flight.popleft().outputs()
    while in_flight:
        yield from in_flight.popleft().outputs()


@dataclass(frozen=True, slots=True)
class _Launched:
    """A piece of a batch whose computation has begun; ``collect`` waits for its arrays (the rows of its samples)."""

    items: Sequence[Item]
    collect: Callable[[], Arrays]

    def outputs(self) -> Iterator[Output]:
        arrays = self.collect()
        row = 0
        for item in self.items:
            if isinstance(item, Sample):
                own = slice(row, row + item.rows) if item.layout == "packed" else row
                yield item, {name: array[own] for name, array in arrays.items()}
                row += item.rows
            else:
                yield item


class _Backoff:
    """Launches batches, in smaller pieces where memory ended before."""

    def __init__(self, runner: "_CpuRunner | _CudaRunner") -> None:
        self._runner = runner
        self._carry: Any = None
        self._largest: dict[Any, int] = {}  # by the shapes of a sample

    def launch(self, batch: Sequence[Item]) -> Iterator[_Launched]:
        pieces = deque(self._split(batch))
        while pieces:
            piece = pieces.popleft()
            launched = self._try(piece)
            if launched is None:
                pieces.extendleft(reversed(self._split(piece)))
            else:
                yield launched

    def _split(self, items: Sequence[Item]) -> list[Sequence[Item]]:
        samples = _samples(items)
        largest = self._largest.get(samples[0].shapes, len(samples)) if samples else 0
        return _pieces(items, largest)

    def _try(self, items: Sequence[Item]) -> _Launched | None:
        """The piece under way, or None where memory ended and a smaller size is now known."""
        samples = _samples(items)
        if not samples:
            return _Launched(items, dict)
        try:
            collect, self._carry = self._runner.launch(samples, self._carry)
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not memory_ended(error):
                raise
            if len(samples) == 1:
                raise OutOfMemoryError(_too_much(samples[0], self._runner.device)) from error
        else:
            return _Launched(items, collect)
        # Out here the error is gone, and with it the tensors that its traceback held.
        self._runner.release()
        half = (len(samples) + 1) // 2
        self._largest[samples[0].shapes] = half
        _log.warning("memory ran out on %s with a batch of %d: going on with %d", self._runner.device.name, len(samples), half)
        return None


class _CpuRunner:
    in_flight = 0  # launching computes, so nothing is won by looking ahead

    def __init__(self, step: Step, device: Device, stopwatch: Stopwatch) -> None:
        self._step, self.device, self._watch = step, device, stopwatch
        use_cpu_threads()

    def launch(self, samples: Sequence[Sample], carry: Any) -> tuple[Callable[[], Arrays], Any]:
        with self._watch.measure("copy"):
            tensors = dict(_laid(samples, _empty))
        with self._watch.measure("model"), self.device.computing():
            outputs, carry = self._step(tensors, [sample.stream for sample in samples], carry)
            arrays = {name: _portable(output).numpy() for name, output in _checked(outputs, samples).items()}
        return lambda: arrays, carry

    def release(self) -> None:
        """Nothing to do: freed memory of the CPU is free."""


class _CudaRunner:
    in_flight = 1  # one batch computes while the next is stacked and copied

    def __init__(self, step: Step, device: Device, stopwatch: Stopwatch) -> None:
        self._step, self.device, self._watch = step, device, stopwatch
        self._copies = _cuda.Stream(device.torch)

    def launch(self, samples: Sequence[Sample], carry: Any) -> tuple[Callable[[], Arrays], Any]:
        with torch.cuda.device(self.device.torch):
            compute = torch.cuda.current_stream()
            copy, model = _Span(), _Span()
            with self._watch.measure("stack"):
                pinned = dict(_laid(samples, _pinned_empty))
            with torch.cuda.stream(self._copies), copy:
                tensors = {name: tensor.to(self.device.torch, non_blocking=True) for name, tensor in pinned.items()}
            compute.wait_stream(self._copies)
            for tensor in tensors.values():
                tensor.record_stream(compute)  # its memory must not go back to the copies' stream too early
            with self._watch.measure("launch"), self.device.computing(), model:
                outputs, carry = self._step(tensors, [sample.stream for sample in samples], carry)
                arrays = {name: _to_pinned(_portable(output)) for name, output in _checked(outputs, samples).items()}
        return lambda: self._collect(arrays, copy, model), carry

    def _collect(self, tensors: Tensors, copy: "_Span", model: "_Span") -> Arrays:
        with self._watch.measure("wait for the device"):
            model.end.synchronize()
        self._watch.add("copy", copy.seconds())
        self._watch.add("model", model.seconds())
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def release(self) -> None:
        """Gives freed blocks back, for halves need other sizes than the whole."""
        torch.cuda.synchronize(self.device.torch)
        torch.cuda.empty_cache()


class _Span:
    """The time between two points of the current CUDA stream."""

    def __init__(self) -> None:
        self.begin, self.end = (_cuda.Event(enable_timing=True) for _ in range(2))

    def __enter__(self) -> None:
        self.begin.record()

    def __exit__(self, *_: object) -> None:
        self.end.record()

    def seconds(self) -> float:
        """Known once ``end`` was reached."""
        return float(self.begin.elapsed_time(self.end)) / 1000


def _samples(items: Sequence[Item]) -> list[Sample]:
    return [item for item in items if isinstance(item, Sample)]


def _pieces(items: Sequence[Item], largest: int) -> list[Sequence[Item]]:
    """``items`` cut into runs of at most ``largest`` samples; what rides between samples stays between them."""
    pieces: list[Sequence[Item]] = []
    piece: list[Item] = []
    for item in items:
        if isinstance(item, Sample) and len(_samples(piece)) == largest:
            pieces.append(piece)
            piece = []
        piece.append(item)
    return [*pieces, piece] if piece else pieces


def _laid(samples: Sequence[Sample], empty: "Callable[[tuple[int, ...], torch.dtype], Tensor]") -> Iterator[tuple[str, Tensor]]:
    """The arrays of a batch by name, in memory that ``empty`` gives: stacked, or end to end with ``offsets``."""
    is_packed = samples[0].layout == "packed"
    rows = [sample.rows for sample in samples]
    for name, first in samples[0].arrays.items():
        arrays = [sample.arrays[name] for sample in samples]
        shape = (sum(rows), *first.shape[1:]) if is_packed else (len(rows), *first.shape)
        laid = empty(shape, torch.from_numpy(np.empty(0, first.dtype)).dtype)
        (np.concatenate if is_packed else np.stack)(arrays, out=laid.numpy())
        yield name, laid
    if is_packed:
        offsets = empty((len(rows),), torch.int64)
        np.cumsum(rows, out=offsets.numpy())
        yield "offsets", offsets


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype)


def _pinned_empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def _to_pinned(tensor: Tensor) -> Tensor:
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)


def _portable(tensor: Tensor) -> Tensor:
    """Without what NumPy lacks or postprocessing would stumble over: bfloat16 and half become float32."""
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor


def _checked(outputs: Tensors, samples: Sequence[Sample]) -> Tensors:
    rows = sum(sample.rows for sample in samples)
    for name, output in outputs.items():
        if output.ndim == 0 or len(output) != rows:
            raise ValueError(f"step: output {name} has shape {tuple(output.shape)}, expected {rows} rows as the batch has")
    return outputs


def memory_ended(error: BaseException) -> bool:
    """Whether that is how an allocator says that there is no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _MEMORY_ENDED)


def _too_much(sample: Sample, device: Device) -> str:
    arrays = ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in sample.arrays.items())
    return f"memory ran out on {device.name} even with --batch 1 ({arrays}): use a smaller input size or another --device"
