"""The one place that makes threads: an iterator read ahead of its consumer."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T], *, max_bytes: int, size_of: Callable[[T], int]) -> Generator[T, None, None]:
    """``items`` in their order, read ahead on a thread of their own.

    At most ``max_bytes`` of them wait, as ``size_of`` counts, though always at least one. What ``items`` raises is
    raised here, after the items before it. Closing the generator stops and joins the thread, which then has closed
    ``items``; a call inside ``items`` that blocks is waited for.
    """
    queue = _Queue(max_bytes, size_of)
    thread = threading.Thread(target=_fill, args=(queue, items), name="vidpc-prefetch", daemon=True)
    try:
        thread.start()
        yield from queue.drain()
    finally:
        queue.stop()
        if thread.ident is not None:  # None: interrupted before it started
            thread.join()


class _Queue(Generic[T]):
    """A first-in, first-out queue between two threads, bounded by bytes."""

    def __init__(self, max_bytes: int, size_of: Callable[[T], int]) -> None:
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._waiting: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Adds an item as soon as there is room; False once nobody takes items any more."""
        size = self._size_of(item)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._waiting or self._bytes + size <= self._max_bytes)
            if self._stopped:
                return False
            self._waiting.append((item, size))
            self._bytes += size
            self._changed.notify_all()
        return True

    def end(self, error: BaseException | None) -> None:
        """Says that no item follows, and why."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        """Says that no item will be taken, and lets go of those that wait."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def drain(self) -> Generator[T, None, None]:
        """The items as they come, then the error that ended them."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._ended)
                if not self._waiting:
                    break
                item, size = self._waiting.popleft()
                self._bytes -= size
                self._changed.notify_all()
            yield item
            del item  # else a large item lives on while the next one is waited for
        error, self._error = self._error, None  # no cycle through its traceback
        if error is not None:
            raise error


def _fill(queue: _Queue[T], items: Iterable[T]) -> None:
    error: BaseException | None = None
    try:
        _move(queue, items)
    except BaseException as raised:  # noqa: BLE001 - it is raised again, in the consumer's thread
        error = raised
    queue.end(error)


def _move(queue: _Queue[T], items: Iterable[T]) -> None:
    """Closes ``items`` on the thread that runs them: a generator cannot be closed from elsewhere while it runs."""
    try:
        for item in items:
            if not queue.put(item):
                return
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
