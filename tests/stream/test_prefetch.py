"""Prefetching: order, bounds, and that nothing is left running or open."""

import threading
import time
from collections.abc import Iterator

import pytest

from vidpc.stream.prefetch import prefetch

WAIT_S = 5.0  # far more than any step here takes


class Source:
    """Counts up, and remembers what happened to it."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.made = 0
        self.closed = threading.Event()
        self.thread = ""

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.thread = threading.current_thread().name
        if self.made == self.count:
            raise self.error or StopIteration
        self.made += 1
        return self.made - 1

    def close(self) -> None:
        self.closed.set()


def prefetch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "vidpc-prefetch"]


def one(_: int) -> int:
    return 1


def settle(source: Source) -> int:
    """How far the source gets while nobody takes anything."""
    deadline = time.monotonic() + WAIT_S
    before = -1
    while source.made != before and time.monotonic() < deadline:
        before = source.made
        time.sleep(0.05)
    return source.made


def test_items_come_in_order_and_from_another_thread():
    source = Source(100)
    assert list(prefetch(source, max_bytes=7, size_of=one)) == list(range(100))
    assert source.thread == "vidpc-prefetch"
    assert source.closed.is_set()
    assert prefetch_threads() == []


def test_an_empty_source_gives_nothing():
    assert list(prefetch(iter([]), max_bytes=1, size_of=one)) == []


def test_the_queue_is_bounded_by_bytes():
    source = Source(1000)
    items = prefetch(source, max_bytes=30, size_of=lambda _: 10)
    assert next(items) == 0
    # One was taken, three wait, and one is in the thread's hand, for which there is no room.
    assert settle(source) == 5
    items.close()


def test_an_item_larger_than_the_bound_still_passes():
    assert list(prefetch(Source(5), max_bytes=1, size_of=lambda _: 1000)) == [0, 1, 2, 3, 4]


def test_an_error_comes_after_the_items_before_it():
    source = Source(3, ValueError("broken at 3"))
    items = prefetch(source, max_bytes=100, size_of=one)
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken at 3"):
        next(items)
    assert source.closed.is_set()
    assert prefetch_threads() == []


def test_an_error_in_the_size_reaches_the_consumer():
    with pytest.raises(ZeroDivisionError, match="division"):
        list(prefetch(Source(3), max_bytes=1, size_of=lambda n: 1 // n))


def test_closing_stops_a_source_that_waits_for_room():
    source = Source(1000)
    items = prefetch(source, max_bytes=1, size_of=one)
    next(items)
    settle(source)
    began = time.monotonic()
    items.close()
    assert time.monotonic() - began < WAIT_S
    assert source.closed.is_set()
    assert source.made <= 4
    assert prefetch_threads() == []


def test_closing_waits_for_the_source_that_is_in_a_call():
    entered, leave = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        entered.set()
        leave.wait(WAIT_S)
        yield 1

    items = prefetch(slow(), max_bytes=10, size_of=one)
    next(items)
    entered.wait(WAIT_S)
    threading.Timer(0.05, leave.set).start()
    items.close()
    assert leave.is_set()
    assert prefetch_threads() == []


def test_a_generator_is_closed_on_the_thread_that_ran_it():
    closed_on: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed_on.append(threading.current_thread().name)

    items = prefetch(source(), max_bytes=1, size_of=one)
    next(items)
    items.close()
    assert closed_on == ["vidpc-prefetch"]


def test_a_failing_consumer_leaves_no_thread():
    source = Source(1000)

    def consume() -> None:
        for _ in prefetch(source, max_bytes=1, size_of=one):
            raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert source.closed.wait(WAIT_S)
    assert prefetch_threads() == []


def test_prefetching_overlaps_source_and_consumer():
    def slow() -> Iterator[int]:
        for n in range(10):
            time.sleep(0.02)
            yield n

    began = time.monotonic()
    for _ in prefetch(slow(), max_bytes=100, size_of=one):
        time.sleep(0.02)
    assert time.monotonic() - began < 0.36  # one after the other takes 0.40, side by side 0.22
