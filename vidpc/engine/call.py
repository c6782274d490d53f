"""Functions of a network called row by row in batches, halved where memory ends."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from vidpc.engine.device import Device
from vidpc.engine.infer import memory_ended
from vidpc.engine.timing import Stopwatch
from vidpc.errors import OutOfMemoryError

_log = logging.getLogger(__name__)


class Caller:
    """Calls functions of a prepared network on its device, in its precision, with at most ``batch`` rows at once."""

    def __init__(self, device: Device, batch: int, stopwatch: Stopwatch | None = None) -> None:
        self._device, self._watch = device, stopwatch or Stopwatch()
        self.batch = batch

    @property
    def device(self) -> torch.device:
        """Where tensors that are given to the functions belong."""
        return self._device.torch

    def measure(self, stage: str) -> AbstractContextManager[None]:
        """A block whose time counts as that of a stage of the run."""
        return self._watch.measure(stage)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """A block that computes on the device, in the precision. Raises ``OutOfMemoryError`` where memory ends."""
        try:
            with self._watch.measure("model"), self._device.computing():
                yield
        except (MemoryError, RuntimeError) as error:
            if not memory_ended(error):
                raise
            raise OutOfMemoryError(
                f"memory ran out on {self._device.name} with --batch {self.batch}: use a smaller one, or another --device"
            ) from error

    def __call__(self, function: Callable[..., Any], /, *tensors: Tensor) -> Any:
        """What ``function`` makes of the rows of ``tensors``, in float32: a tensor or a tuple of them, rows first.

        Raises ``OutOfMemoryError`` when one row alone is too much.
        """
        rows, done, parts = len(tensors[0]), 0, []
        while done < rows:
            some = [tensor[done : done + self.batch] for tensor in tensors]
            part = self._try(function, some)
            if part is not None:
                parts.append(part)
                done += len(some[0])
        return _joined(parts)

    def _try(self, function: Callable[..., Any], tensors: Sequence[Tensor]) -> Any:
        """The result, or None where memory ended and the batch is smaller now."""
        rows = len(tensors[0])
        try:
            with self._watch.measure("model"), self._device.computing():
                return function(*tensors)
        except (MemoryError, RuntimeError) as error:
            if not memory_ended(error):
                raise
            if rows == 1:
                raise OutOfMemoryError(
                    f"memory ran out on {self._device.name} even with --batch 1: use a smaller video or another --device"
                ) from error
        if self._device.is_cuda:
            torch.cuda.empty_cache()
        self.batch = (rows + 1) // 2
        _log.warning("memory ran out on %s with a batch of %d: going on with %d", self._device.name, rows, self.batch)
        return None


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(_joined(column) for column in zip(*parts, strict=True))
    return (parts[0] if len(parts) == 1 else torch.cat(list(parts))).float()
