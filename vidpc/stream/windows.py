"""Windows of a video in true time, over its frames as they come.

    frames ──> every picture that some window looks at, prepared once ──> spans, in order, each as soon as it is full

Times are those of the frames: an uneven rate, a gap and a thinned input keep their meaning. At most one frame is held as it
was decoded, and of prepared pictures those of the windows that are open and a window's worth for the end.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from statistics import median_low
from typing import Generic, TypeVar

from vidpc.types import Frame

P = TypeVar("P")

STANDS_S = 60  # a picture that is shown for longer is a gap
_STEPS = 32  # the last so many steps between frames say what is usual
_FALLBACK_INTERVAL_S = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class WindowRule:
    """Windows of ``window_s`` begin every ``hop_s``, from the first frame on.

    Picture i of the ``count`` pictures of a window is the one that is shown at ``first + i * spacing`` of its span.
    """

    window_s: Fraction
    hop_s: Fraction
    count: int
    first: Fraction
    spacing: Fraction

    def __post_init__(self) -> None:
        last = self.first + (self.count - 1) * self.spacing
        if self.window_s <= 0 or self.hop_s <= 0 or self.count < 1 or self.spacing <= 0 or not 0 <= self.first <= last < 1:
            raise ValueError(f"WindowRule: {self}, expected positive lengths, and pictures within the window")

    @property
    def step_s(self) -> Fraction:
        """The time between two pictures of a window."""
        return self.spacing * self.window_s


@dataclass(frozen=True, slots=True)
class Shown(Generic[P]):
    """A prepared picture and the frame that it was made of."""

    index: int
    picture: P


@dataclass(frozen=True, slots=True)
class Span(Generic[P]):
    """A full window: half-open from ``start_s`` to ``end_s``, and its pictures in their order, repetitions included."""

    number: int
    start_s: Fraction
    end_s: Fraction
    shown: tuple[Shown[P], ...]


@dataclass(slots=True)
class _Open(Generic[P]):
    """A window whose pictures are not all known yet."""

    start_s: Fraction
    shown: list[Shown[P]] = field(default_factory=list)


class Windows(Generic[P]):
    """The windows of one video: ``add`` every frame in order, then ``end``; both return the windows that are full by then.

    Window k spans ``t0 + k * hop_s`` to ``window_s`` later, where t0 is the time of the first frame. The picture at a time is
    the last frame that is not later. The video ends an interval after its last frame, the usual one of the last 32; a window
    that lacks less than half of that is full.

    - A video that is shorter than a window has one, which ends with the video; the last picture repeats.
    - Where the last window ends before the video, one more is looked at. It begins as late as it can on the grid
      ``t0 + m * step_s`` and end with the video, so that its pictures lie on a grid, too, of which the last are kept; less
      than one step of the video remains unseen. Where that is no later than the window before, there is none.
    - A picture stands for a minute at most. Windows that begin after that and end before the next frame are left out and
      counted in ``left_out``.
    """

    def __init__(self, rule: WindowRule, prepare: Callable[[Frame], P], *, interval_s: Fraction | None = None) -> None:
        """``interval_s`` is what a video of a single frame lasts."""
        self._rule, self._prepare = rule, prepare
        self._interval_s = interval_s or _FALLBACK_INTERVAL_S
        self._steps: deque[Fraction] = deque(maxlen=_STEPS)
        self._begin_s: Fraction | None = None
        self._last: Frame | None = None
        self._last_shown: Shown[P] | None = None
        self._open: deque[_Open[P]] = deque()
        self._next = 0  # the window to be opened next
        # The pictures at t0 + (first + n * spacing) * window_s, as many as can follow the start of the window moved back.
        self._grid: deque[Shown[P]] = deque(maxlen=ceil((1 - rule.first) / rule.spacing) + 2)
        self._grid_next = 0
        self._given = 0
        self._given_start_s: Fraction | None = None
        self.left_out = 0

    @property
    def begin_s(self) -> Fraction:
        """The time of the first frame; 0 where there was none."""
        return self._begin_s or Fraction(0)

    @property
    def end_s(self) -> Fraction:
        """The time at which the last frame so far is taken to end."""
        return self.begin_s if self._last is None else self._last.time_s + self._usual_s

    def add(self, frame: Frame) -> list[Span[P]]:
        """The windows that end no later than this frame begins."""
        if self._last is None:
            self._begin_s, self._last = frame.time_s, frame
            return []
        self._show_until(frame.time_s)
        self._steps.append(frame.time_s - self._last.time_s)
        self._last, self._last_shown = frame, None
        return self._full(frame.time_s)

    def end(self) -> list[Span[P]]:
        """The windows that remain, after the last frame."""
        if self._last is None:
            return []
        reach_s = self.end_s + self._usual_s / 2
        self._show_until(reach_s)
        spans = self._full(reach_s)
        if not self._given:
            return [self._span(self.begin_s, self.end_s, self._open[0].shown)]
        return [*spans, *self._moved_back(reach_s)]

    @property
    def _usual_s(self) -> Fraction:
        return median_low(self._steps) if self._steps else self._interval_s

    def _show_until(self, time_s: Fraction) -> None:
        """The last frame is what is shown at every time before ``time_s`` that has no picture yet."""
        rule = self._rule
        self._open_until(time_s)
        for window in self._open:
            while len(window.shown) < rule.count and self._time(window.start_s, len(window.shown)) < time_s:
                window.shown.append(self._shown())
        later = ceil(((time_s - self.begin_s) / rule.window_s - rule.first) / rule.spacing)  # the first that is not before
        for _ in range(max(self._grid_next, later - (self._grid.maxlen or 0)), later):
            self._grid.append(self._shown())
        self._grid_next = max(self._grid_next, later)

    def _open_until(self, time_s: Fraction) -> None:
        rule = self._rule
        opened_before = ceil((time_s - self.begin_s) / rule.hop_s)
        gap = range(
            max(self._next, ceil((self._frame.time_s + STANDS_S - self.begin_s) / rule.hop_s)),
            floor((time_s - rule.window_s - self.begin_s) / rule.hop_s) + 1,
        )
        self.left_out += len(gap)
        before, after = (gap.start, gap.stop) if gap else (opened_before, opened_before)
        for numbers in (range(self._next, before), range(after, opened_before)):
            self._open.extend(_Open(self.begin_s + k * rule.hop_s) for k in numbers)
        self._next = max(self._next, opened_before)

    def _full(self, time_s: Fraction) -> list[Span[P]]:
        spans = []
        while self._open and self._open[0].start_s + self._rule.window_s <= time_s:
            window = self._open.popleft()
            spans.append(self._span(window.start_s, window.start_s + self._rule.window_s, window.shown))
        return spans

    def _moved_back(self, reach_s: Fraction) -> list[Span[P]]:
        rule = self._rule
        first = floor((reach_s - rule.window_s - self.begin_s) / rule.step_s)
        start_s = self.begin_s + first * rule.step_s
        if self._given_start_s is not None and start_s <= self._given_start_s:
            return []
        offset = first - (self._grid_next - len(self._grid))
        shown = list(self._grid)[offset : offset + rule.count]
        return [self._span(start_s, start_s + rule.window_s, shown)]

    def _span(self, start_s: Fraction, end_s: Fraction, shown: list[Shown[P]]) -> Span[P]:
        self._given_start_s = start_s
        self._given += 1
        missing = self._rule.count - len(shown)  # of a video that is shorter than a window
        return Span(self._given - 1, start_s, min(end_s, self.end_s), (*shown, *([self._shown()] * missing if missing else ())))

    def _time(self, start_s: Fraction, i: int) -> Fraction:
        return start_s + (self._rule.first + i * self._rule.spacing) * self._rule.window_s

    @property
    def _frame(self) -> Frame:
        if self._last is None:
            raise ValueError("Windows: no frame was added")
        return self._last

    def _shown(self) -> Shown[P]:
        if self._last_shown is None:
            self._last_shown = Shown(self._frame.index, self._prepare(self._frame))
        return self._last_shown
