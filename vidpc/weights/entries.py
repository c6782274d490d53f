"""The entries of a published checkpoint, as rows: their name, ours, and the shape."""

from collections.abc import Container, Iterator
from itertools import count, takewhile
from typing import NamedTuple


class Row(NamedTuple):
    """One entry of a checkpoint."""

    theirs: str
    ours: str
    shape: tuple[int, ...]


def linear(theirs: str, ours: str, channels: int, out: int, *, bias: bool = True) -> Iterator[Row]:
    """A linear layer."""
    yield Row(f"{theirs}.weight", f"{ours}.weight", (out, channels))
    if bias:
        yield Row(f"{theirs}.bias", f"{ours}.bias", (out,))


def norm(theirs: str, ours: str, width: int) -> Iterator[Row]:
    """A layer norm."""
    for part in ("weight", "bias"):
        yield Row(f"{theirs}.{part}", f"{ours}.{part}", (width,))


def count_up(names: Container[str], template: str) -> int:
    """How many entries there are whose names run on from 0."""
    return sum(1 for _ in takewhile(lambda i: template.format(i) in names, count()))
