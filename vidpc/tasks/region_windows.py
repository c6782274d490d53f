"""Which part of the pictures the network looks at: a window around every masked region, the same for many frames.

A window stays while the regions that it was made for lie well inside it. A new one is made for where its region is going to be
in the frames that are known already, so that it stays for long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vidpc.ops.masks import Box

LEAST_SHARE = 0.5  # of the picture's sides: a smaller window loses sight of what a moving camera showed before
KEPT_MARGIN = 0.25  # of the margin of a new window: with less than that around a region it is made anew
SHARED_AREA = 0.3  # of the smaller of two windows: where they share more, one window takes both regions
LARGEST_RATIO = 2.0  # of a kept window's side to a new one's


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture, in its pixels: x1 y1 x2 y2, the last two not included."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def width(self) -> int:
        """Pixels from side to side."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1

    def holds(self, box: Box) -> bool:
        """Whether a box lies inside."""
        return self.x1 <= box[0] and self.y1 <= box[1] and box[2] <= self.x2 and box[3] <= self.y2

    def shared(self, other: "Window") -> float:
        """The area that two windows share over that of the smaller."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        area = max(0, width) * max(0, height)
        return area / min(self.width * self.height, other.width * other.height)


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How windows are made in pictures of ``width`` x ``height``: with ``margin`` of a region's own size, and this aspect."""

    width: int
    height: int
    aspect: float  # width over height, as far as the picture allows
    margin: float = 1.0

    def window(self, box: Box) -> Window:
        """The smallest window around a box that obeys the rule."""
        w, h = ((box[2] - box[0]) * (1 + 2 * self.margin), (box[3] - box[1]) * (1 + 2 * self.margin))
        w = max(w, LEAST_SHARE * self.width, max(h, LEAST_SHARE * self.height) * self.aspect)
        width, height = min(self.width, round(w)), min(self.height, round(w / self.aspect))
        x1 = _placed((box[0] + box[2]) / 2, width, self.width)
        y1 = _placed((box[1] + box[3]) / 2, height, self.height)
        return Window(x1, y1, x1 + width, y1 + height)

    def keeps(self, window: Window, box: Box) -> bool:
        """Whether a window made before still serves a box: it lies well inside, and the window is not far too large."""
        x, y = (KEPT_MARGIN * self.margin * (box[k + 2] - box[k]) for k in (0, 1))
        well = (max(0, box[0] - x), max(0, box[1] - y), min(self.width, box[2] + x), min(self.height, box[3] + y))
        new = self.window(box)
        return window.holds(well) and window.width <= LARGEST_RATIO * new.width  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Patch:
    """What is to be filled through one window: the boxes of its regions."""

    window: Window
    boxes: tuple[Box, ...]


def choose(rule: WindowRule, kept: Sequence[Window], boxes: Sequence[Box], ahead: Sequence[Sequence[Box]]) -> list[Patch]:
    """A window for every box of a frame: one of those ``kept`` from the frame before where it serves, else a new one.

    ``ahead`` are the boxes of frames to come. Boxes whose windows overlap much share one.
    """
    groups: list[list[Box]] = [[box] for box in boxes]
    windows = [_window(rule, kept, group, ahead) for group in groups]
    while (pair := _overlapping(windows)) is not None:
        i, j = pair
        groups[i] += groups.pop(j)
        windows.pop(j)
        windows[i] = _window(rule, kept, groups[i], ahead)
    return [Patch(window, tuple(group)) for window, group in zip(windows, groups, strict=True)]


def _window(rule: WindowRule, kept: Sequence[Window], group: Sequence[Box], ahead: Sequence[Sequence[Box]]) -> Window:
    box = _union(group)
    for window in kept:
        if rule.keeps(window, box):
            return window
    now, most = rule.window(box), box
    for coming in ahead:
        near = [other for other in coming if _touch(other, most)]
        grown = _union([most, *near])
        if rule.window(grown).width > LARGEST_RATIO * now.width:
            break
        most = grown
    return rule.window(most)


def _overlapping(windows: Sequence[Window]) -> tuple[int, int] | None:
    """The first two that share too much."""
    for i, one in enumerate(windows):
        for j in range(i + 1, len(windows)):
            if one.shared(windows[j]) > SHARED_AREA:
                return i, j
    return None


def _union(boxes: Sequence[Box]) -> Box:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _placed(middle: float, length: int, whole: int) -> int:
    return max(0, min(whole - length, round(middle - length / 2)))
