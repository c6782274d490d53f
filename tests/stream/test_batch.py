"""Grouping samples into batches: bounds, order, and nothing that waits for ever."""

from collections.abc import Iterator

import numpy as np
import pytest

from vidpc.stream.batch import Item, group
from vidpc.types import Aside, Closed, Sample

PLENTY = 1 << 30


def sample(number: int, *, stream: int = 0, width: int = 4) -> Sample:
    return Sample({"x": np.full(width, number, np.uint8)}, stream)


def shown(batches: Iterator[list[Item]] | list[list[Item]]) -> list[str]:
    """Batches as words: digits are samples by number, C0 the end of input 0."""
    return [" ".join(f"C{i.stream}" if isinstance(i, Closed) else str(i.arrays["x"][0]) for i in batch) for batch in batches]


def test_runs_have_the_size_asked_for():
    assert shown(group([sample(n) for n in range(5)], size=2, max_bytes=PLENTY)) == ["0 1", "2 3", "4"]


def test_nothing_gives_nothing():
    assert list(group([], size=2, max_bytes=PLENTY)) == []


def test_a_run_goes_on_across_inputs_and_ends_ride_in_their_place():
    items = [sample(0), sample(1), Closed(0), sample(2, stream=1), Closed(1)]
    assert shown(group(items, size=4, max_bytes=PLENTY)) == ["0 1 C0 2 C1"]


def test_another_shape_begins_another_batch():
    items = [sample(0), sample(1, width=5), Closed(0), sample(2, width=5), sample(3)]
    assert shown(group(items, size=4, max_bytes=PLENTY)) == ["0", "1 C0 2", "3"]


def test_another_dtype_begins_another_batch():
    items = [sample(0), Sample({"x": np.ones(4, np.float32)}, 0)]
    assert len(list(group(items, size=4, max_bytes=PLENTY))) == 2


def test_bytes_bound_a_batch_but_one_sample_always_fits():
    assert shown(group([sample(n) for n in range(4)], size=4, max_bytes=9)) == ["0 1", "2 3"]
    assert shown(group([sample(n) for n in range(2)], size=4, max_bytes=1)) == ["0", "1"]


def test_a_full_batch_goes_before_the_next_item_is_asked_for():
    def source() -> Iterator[Sample]:
        yield sample(0)
        yield sample(1)
        pytest.fail("the batch was full")

    assert shown([next(iter(group(source(), size=2, max_bytes=PLENTY)))]) == ["0 1"]


def test_the_end_of_an_input_does_not_wait_for_the_next_input():
    def source() -> Iterator[Item]:
        yield sample(0)
        yield sample(1)
        yield Closed(0)
        pytest.fail("no sample was waiting")

    batches = iter(group(source(), size=2, max_bytes=PLENTY))
    assert shown([next(batches), next(batches)]) == ["0 1", "C0"]


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="size is 0"):
        next(iter(group([], size=0, max_bytes=PLENTY)))


def test_what_rides_past_the_model_counts_too():
    class Frame:
        nbytes = 5

    items = [sample(0), *(Aside(0, Frame()) for _ in range(5)), sample(1)]
    sizes = [len(batch) for batch in group(items, size=9, max_bytes=10)]
    # 4 + 5 + 5 is more than 10; after that no sample waits, so each rides alone
    assert sizes == [3, 1, 1, 1, 1]
