"""Whose time it was."""

import threading
import time
from collections.abc import Iterator

import pytest

from vidpc.engine.timing import Stopwatch

NAP_S = 0.03
SLACK_S = 0.02  # a busy machine sleeps longer


def napping(count: int) -> Iterator[int]:
    for n in range(count):
        time.sleep(NAP_S)
        yield n


def test_a_stage_does_not_count_the_stage_that_it_pulls_from():
    watch = Stopwatch()
    inner = watch.iterate("inner", napping(3))
    outer = watch.iterate("outer", (n for n in inner))
    assert list(outer) == [0, 1, 2]
    assert watch.seconds["inner"] >= 3 * NAP_S
    assert watch.seconds["outer"] < SLACK_S


def test_time_between_two_items_is_the_consumers():
    watch = Stopwatch()
    for _ in watch.iterate("source", iter(range(3))):
        time.sleep(NAP_S)
    assert watch.seconds["source"] < SLACK_S


def test_a_block_inside_a_stage_counts_once():
    watch = Stopwatch()
    with watch.measure("outer"):
        time.sleep(NAP_S)
        with watch.measure("inner"):
            time.sleep(NAP_S)
    assert watch.seconds["inner"] == pytest.approx(NAP_S, abs=SLACK_S)
    assert watch.seconds["outer"] == pytest.approx(NAP_S, abs=SLACK_S)


def test_stages_of_another_thread_do_not_shorten_this_one():
    watch = Stopwatch()
    with watch.measure("here"):
        thread = threading.Thread(target=lambda: list(watch.iterate("there", napping(2))))
        thread.start()
        thread.join()
    assert watch.seconds["here"] >= 2 * NAP_S
    assert watch.seconds["there"] >= 2 * NAP_S


def test_a_failing_stage_is_counted_and_its_parent_stays_right():
    watch = Stopwatch()

    def broken() -> None:
        with watch.measure("outer"):
            time.sleep(NAP_S)
            with watch.measure("inner"):
                raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert set(watch.seconds) == {"inner", "outer"}
    assert watch.seconds["outer"] >= NAP_S


def test_time_measured_elsewhere_is_added():
    watch = Stopwatch()
    watch.add("model", 1.5)
    watch.add("model", 0.25)
    assert watch.seconds == {"model": 1.75}
