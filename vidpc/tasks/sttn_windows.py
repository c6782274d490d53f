"""Which frames STTN sees together: the windows of its authors' test, and the same with a bounded number of references."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from vidpc.errors import PresetError


@dataclass(frozen=True, slots=True)
class Rule:
    """Which frames a window holds. ``references``: None for the authors' rule, every one of the whole clip, whose features are

    then all in memory; else so many at most, half of them ahead, the others spread over what was seen.
    """

    stride: int = 5  # from window to window; neighbours reach as far to both sides
    reference_stride: int = 10
    references: int | None = None
    windows_at_once: int = 1

    def __post_init__(self) -> None:
        for name in ("stride", "reference_stride", "windows_at_once"):
            if getattr(self, name) < 1:
                raise PresetError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.references is not None and self.references < 0:
            raise PresetError(f"references is {self.references}, expected 0 or more")


@dataclass(frozen=True, slots=True)
class Window:
    """Frames by their index: ``neighbours``, which are painted, and ``references``.

    No later window has a neighbour before ``start``.
    """

    start: int
    neighbours: tuple[int, ...]
    references: tuple[int, ...]


def windows(rule: Rule, available: Callable[[int | None], int]) -> Iterator[Window]:
    """Windows in the order of the authors' test.

    ``available(n)`` is asked for the first n frames of the clip, or for all of it, and says how many of them there are.
    """
    ahead = None if rule.references is None else (rule.references + 1) // 2
    behind = None if rule.references is None else rule.references // 2
    past: Sequence[int] = ()
    unseen = 0  # the first reference that ``past`` was not offered
    for start in count(0, rule.stride):
        reach = start + rule.stride + 1
        length = available(None if ahead is None else reach + ahead * rule.reference_stride)
        if start >= length:
            return
        neighbours = range(max(0, start - rule.stride), min(length, reach))
        arrived = range(unseen, neighbours.start, rule.reference_stride)
        past, unseen = thinned([*past, *arrived], now=start, limit=behind), unseen + len(arrived) * rule.reference_stride
        coming = range(-(-neighbours.stop // rule.reference_stride) * rule.reference_stride, length, rule.reference_stride)
        yield Window(start, tuple(neighbours), (*past, *coming[:ahead]))


def thinned(past: list[int], *, now: int, limit: int | None) -> list[int]:
    """At most ``limit`` of the frames ``past``: the first, the last, and between them the closer together the newer."""
    if limit == 0:
        return []
    kept = list(past)
    while limit is not None and len(kept) > limit:
        inner = range(1, len(kept) - 1) or range(1)
        kept.pop(min(inner, key=lambda i: (kept[i + 1] - kept[i - 1]) / (now - kept[i])))
    return kept
