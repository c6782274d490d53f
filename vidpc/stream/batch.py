"""Samples that can share a batch gathered into batches, across inputs."""

from collections.abc import Iterable, Iterator
from typing import Any

from vidpc.types import Aside, Closed, Opened, Sample

Item = Sample | Opened[Any] | Aside | Closed


def group(items: Iterable[Item], *, size: int, max_bytes: int) -> Iterator[list[Item]]:
    """Runs of at most ``size`` samples that can share a batch and hold, with what rides, at most ``max_bytes`` (or one sample).

    Everything keeps its place: what stands between two samples of a run rides in its list. One that
    meets no waiting sample is passed on at once, so that an input without frames does not wait for its successor.
    """
    if size < 1:
        raise ValueError(f"group: size is {size}, expected at least 1")
    batch: list[Item] = []
    last: Sample | None = None  # of the batch
    count = held = 0
    for item in items:
        if not isinstance(item, Sample):
            if last is None:
                yield [item]
                continue
        elif last is not None and (item.shapes != last.shapes or held + item.nbytes > max_bytes):
            yield batch
            batch, count, held = [], 0, 0
        batch.append(item)
        held += size_of(item)
        if isinstance(item, Sample):
            last, count = item, count + 1
        if count == size or held > max_bytes:
            yield batch
            batch, last, count, held = [], None, 0, 0
    if batch:
        yield batch


def size_of(item: Item) -> int:
    """Bytes that an item holds: a sample's arrays, or what rides past the model, where it says so."""
    if isinstance(item, Sample):
        return item.nbytes
    size: int = getattr(item.content, "nbytes", 0) if isinstance(item, Aside) else 0
    return size
