"""Where the time of a run went."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Seconds by stage. A stage's own time leaves out the stages that it calls; those of other threads never count in it."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._inner = threading.local()  # .seconds: what the stages inside the running one took, on this thread

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Counts the time of the block as the stage's."""
        outer: float = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        began = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - began
            self.add(stage, elapsed - self._inner.seconds)
            self._inner.seconds = outer + elapsed

    def add(self, stage: str, seconds: float) -> None:
        """Counts time that was measured elsewhere, as on a device."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def iterate(self, stage: str, items: Iterable[T]) -> Generator[T, None, None]:
        """``items``, each wait for the next one counted as the stage's time."""
        iterator = iter(items)
        end = object()
        while True:
            with self.measure(stage):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]  # it is no end
            del item

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage, in the order in which the stages first ended."""
        with self._lock:
            return dict(self._seconds)
