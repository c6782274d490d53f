"""Frames of a video into shots, and shots into gaps between frames that new ones can be drawn in.

Marks    which frame begins a shot: known a few frames later
Gaps     what is shown from a frame's time until that of the next one: the frame itself, and new ones
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from statistics import median_low

import numpy as np

from vidpc.ops import cuts
from vidpc.tasks.output_times import Times
from vidpc.types import U8, U16, Frame, VideoInfo

_INTERVALS = 9  # of the last gaps, whose median is the usual time between frames
_FALLBACK_FPS = Fraction(25)
_ROUNDING_S = Fraction(3, 2000)  # Matroska and FLV keep milliseconds
# A longer gap is a pause: in a recording that leaves out what does not change, a frame is shown until something happens.
_PAUSE_INTERVALS, _PAUSE_S = 4, Fraction(1, 4)
_MOST_REPEATS = 4  # of one picture, as 6 in 30 a second have them; beyond, the scene itself is still
_TOLD_SHARE, _TOLD_COUNT = 0.05, 3  # of repeats that are worth a warning


@dataclass(frozen=True)
class Look:
    """A frame, and what was made of it when somebody asked."""

    frame: Frame

    @property
    def time_s(self) -> Fraction:
        """When the frame is shown."""
        return self.frame.time_s

    @cached_property
    def pixels(self) -> U8 | U16:
        """The displayed picture [h w 3]."""
        return self.frame.pixels()

    @cached_property
    def glance(self) -> cuts.Glance:
        """What is kept of a small picture."""
        return cuts.glance(self.frame.rgb(cuts.WIDTH, cuts.HEIGHT))


class Marks:
    """Says of each frame whether it begins a shot, once the frames after it were seen."""

    def __init__(self, threshold: float) -> None:
        """A step with at least the score ``threshold`` is a cut; 0 stands for none."""
        self._threshold = threshold
        self._waiting: deque[Look] = deque()
        self._last: Look | None = None
        self._steps: deque[cuts.Step] = deque()  # up to the last frame's; the first belongs to a frame told before
        self._told = 0  # of the steps

    def add(self, look: Look) -> Iterator[tuple[Look, bool]]:
        """The frames that are sure now."""
        if self._last is None:
            yield look, False
        else:
            self._steps.append(cuts.step(self._last.glance, look.glance))
            self._waiting.append(look)
            if len(self._waiting) > cuts.AFTER:
                yield self._tell()
        self._last = look

    def end(self) -> Iterator[tuple[Look, bool]]:
        """The frames that are left."""
        while self._waiting:
            yield self._tell()

    def _tell(self) -> tuple[Look, bool]:
        steps, here = list(self._steps), self._told
        around = steps[max(0, here - cuts.BEFORE) : here] + steps[here + 1 : here + 1 + cuts.AFTER]
        is_cut = 0 < self._threshold <= cuts.score(steps[here], around)
        self._told += 1
        if self._told > cuts.BEFORE:
            self._steps.popleft()
            self._told -= 1
        return self._waiting.popleft(), is_cut


@dataclass(frozen=True, slots=True)
class Gap:
    """What is shown from the time of a frame until that of the next: the frame at the times ``held_s``, then new ones.

    The network sees ``looks``; ``new_s`` are the times of the new frames and ``places`` those times on the scale on which the
    looks stand at 0, 1, 2 … ``shot`` counts the shots of a video from 0.
    """

    shot: int
    shown: Look
    held_s: tuple[Fraction, ...]
    looks: tuple[Look, ...] = ()
    new_s: tuple[Fraction, ...] = ()
    places: tuple[float, ...] = ()


@dataclass(slots=True)
class _Stop:
    """A frame of the shot, and the times from its own until the next one's, at which it is held where nothing moves."""

    look: Look
    times_s: list[Fraction] = field(default_factory=list)
    is_held: bool = False


class Gaps:
    """Takes the frames of one video, gives its gaps in order; a network sees ``frames`` of them for each.

    Under the rule ``drop``, a few repeats of a frame are taken for the frame alone: new ones are drawn over them.
    """

    def __init__(self, times: Times, info: VideoInfo, *, frames: int, repeats: str = "keep", extrapolate: int = 0) -> None:
        self._times, self._rate_fps, self._extrapolate = times, info.rate_fps, extrapolate
        self._drops_repeats = repeats == "drop"
        self._before = (frames - 1) // 2  # frames that the network sees before the gap's own two
        self._after = frames - 2 - self._before
        self._kept = frames - 1 if extrapolate else self._before  # frames that stay after their gap was given
        self._line: list[_Stop] = []  # of the shot
        self._next = 0  # in the line, the first whose gap was not given
        self._shot = 0
        self._last: Look | None = None
        self._intervals: deque[Fraction] = deque(maxlen=_INTERVALS)
        self._run = _Run()

    def add(self, look: Look, *, begins_shot: bool) -> Iterator[Gap]:
        """The gaps that are complete with the next frame."""
        is_repeat = self._run.add(look) and not begins_shot
        if self._last is not None:
            is_pause = self._is_pause(look.time_s - self._last.time_s)
            self._line[-1].times_s += self._times.between(self._last.time_s, look.time_s)
            self._intervals.append(look.time_s - self._last.time_s)
            if begins_shot or is_pause:
                yield from self._rest()
                yield _held(self._line[-1], self._shot)
                self._line, self._next, self._shot = [], 0, self._shot + begins_shot
            elif is_repeat and self._drops_repeats:
                if self._run.repeats <= _MOST_REPEATS:
                    self._last = look
                    return
                self._line[-1].is_held = True
        self._line.append(_Stop(look))
        self._last = look
        while self._next + 1 + self._after < len(self._line):
            yield self._gap()

    def end(self) -> Iterator[Gap]:
        """The gaps that are left, with what follows the last frame."""
        if self._last is None:
            return
        yield from self._rest()
        last, time_s, interval_s = self._line[-1], self._last.time_s, self._interval_s()
        if not self._extrapolate:
            last.times_s += self._times.last(time_s, interval_s)
            yield _held(last, self._shot)
            return
        last.times_s += self._times.beyond(time_s, interval_s, self._extrapolate)
        yield self._beyond(last, interval_s)

    @property
    def is_empty(self) -> bool:
        """Whether there was no frame."""
        return self._last is None

    def warnings(self) -> list[str]:
        """What of the video makes its motion uneven; complete after the last frame."""
        run = self._run
        if self._drops_repeats or run.dropped < max(_TOLD_COUNT, _TOLD_SHARE * run.frames):
            return []
        return [f"{run.dropped} of {run.frames} frames repeat the one before: --repeats drop draws new ones in their place"]

    def _rest(self) -> Iterator[Gap]:
        while self._next + 1 < len(self._line):
            yield self._gap()

    def _gap(self) -> Gap:
        here = self._next
        stop, one, other = self._line[here], self._line[here].look, self._line[here + 1].look
        gap_s = other.time_s - one.time_s
        looks = self._looks(here - self._before, here + 1 + self._after)
        self._next += 1
        while self._next > self._kept:
            del self._line[0]
            self._next -= 1
        if stop.is_held or _are_equal(one, other):
            return _held(stop, self._shot)
        held_s = tuple(time_s for time_s in stop.times_s if self._times.falls_on(time_s, one.time_s, gap_s))
        new_s = tuple(stop.times_s[len(held_s) :])
        places = tuple(self._before + float((time_s - one.time_s) / gap_s) for time_s in new_s)
        return Gap(self._shot, one, held_s, looks, new_s, places)

    def _beyond(self, last: _Stop, interval_s: Fraction) -> Gap:
        held_s, new_s = tuple(last.times_s[: -self._extrapolate]), tuple(last.times_s[-self._extrapolate :])
        end = len(self._line) - 1
        looks = self._looks(end - self._before - self._after - 1, end)
        if all(_are_equal(one, looks[-1]) for one in looks[:-1]):
            return Gap(self._shot, last.look, held_s + new_s)
        apart_s = looks[-1].time_s - looks[-2].time_s or interval_s
        places = tuple(len(looks) - 1 + float((time_s - last.look.time_s) / apart_s) for time_s in new_s)
        return Gap(self._shot, last.look, held_s, looks, new_s, places)

    def _looks(self, first: int, last: int) -> tuple[Look, ...]:
        """Frames of the line; where it ends, its end repeats."""
        end = len(self._line) - 1
        return tuple(self._line[min(max(k, 0), end)].look for k in range(first, last + 1))

    def _is_pause(self, gap_s: Fraction) -> bool:
        return bool(self._intervals) and gap_s > max(_PAUSE_INTERVALS * self._interval_s(), _PAUSE_S)

    def _interval_s(self) -> Fraction:
        """The usual time between frames: as lately seen, and as claimed where that is the same but for rounding."""
        claimed = 1 / self._rate_fps if self._rate_fps else 1 / _FALLBACK_FPS
        if not self._intervals:
            return claimed
        seen = median_low(self._intervals)
        return claimed if abs(seen - claimed) <= _ROUNDING_S else seen


@dataclass(slots=True)
class _Run:
    """How often a picture was repeated so far, and all frames so far that repeat one only a few times."""

    first: Look | None = None
    repeats: int = 0
    frames: int = 0
    dropped: int = 0

    def add(self, look: Look) -> bool:
        """Whether the next frame repeats the first of the run."""
        self.frames += 1
        if self.first is not None and cuts.repeats(self.first.glance, look.glance):
            self.repeats += 1
            return True
        self.dropped += self.repeats if self.repeats <= _MOST_REPEATS else 0
        self.first, self.repeats = look, 0
        return False


def _held(stop: _Stop, shot: int) -> Gap:
    return Gap(shot, stop.look, tuple(stop.times_s))


def _are_equal(one: Look, other: Look) -> bool:
    """Whether two frames show the same picture, in every pixel."""
    return one is other or (np.array_equal(one.glance.cells, other.glance.cells) and np.array_equal(one.pixels, other.pixels))
