"""What a video shows, as lines for people."""

from collections.abc import Iterator, Sequence

from vidpc.errors import printable
from vidpc.outputs.ranking import ranked
from vidpc.types import ActionHeader, Actions, Segment

LABELS, SEGMENTS = 5, 12  # that are shown
_HOUR_S, _MINUTE_S = 3600, 60


def text_table(header: ActionHeader, actions: Actions, *, labels: int = LABELS, segments: int = SEGMENTS) -> str:
    """A line with the source, one a model with its best ``labels`` over the whole video, and one a segment.

    Of more than ``segments`` segments the longest are shown, in order of time, and how many are left out is said.
    """
    return "\n".join(_lines(header, actions, labels, segments))


def _lines(header: ActionHeader, actions: Actions, labels: int, segments: int) -> Iterator[str]:
    windows = "no window" if not actions.windows else f"{actions.windows} window{'s'[: actions.windows > 1]}"
    yield f"{printable(header.source)}: {windows} of {float(header.window_s):.4g} s"
    if not actions.windows:
        return
    width = max(len(printable(model.name)) for model in header.models)
    best = ranked(header.models, actions.scores, labels)
    for model in header.models:
        said = ", ".join(f"{printable(entry.label)} {_percent(entry.score)}" for entry in best if entry.model == model.name)
        yield f"  {printable(model.name):<{width}}  {said}"
    shown = _longest(actions.segments, segments)
    if not shown and not header.settings.get("clips"):  # clips that lie anywhere are no windows to make segments of
        yield "  no segment: nothing was sure enough"
    yield from _rows(shown, with_hours=any(segment.end_s >= _HOUR_S for segment in shown))
    if left := len(actions.segments) - len(shown):
        yield f"  and {left} more segment{'s'[: left > 1]}, none longer than these"


def _longest(segments: Sequence[Segment], most: int) -> list[Segment]:
    """At most so many, the longest ones, in the order that they have."""
    places = sorted(range(len(segments)), key=lambda place: segments[place].start_s - segments[place].end_s)[:most]
    return [segments[place] for place in sorted(places)]


def _rows(segments: Sequence[Segment], *, with_hours: bool) -> Iterator[str]:
    spans = [" - ".join(clock(float(time_s), with_hours=with_hours) for time_s in (s.start_s, s.end_s)) for s in segments]
    names = [printable(segment.label) for segment in segments]
    span_width, name_width = max(map(len, spans), default=0), max(map(len, names), default=0)
    for segment, span, name in zip(segments, spans, names, strict=True):
        yield f"  {span:>{span_width}}  {name:<{name_width}}  {_percent(segment.score):>7}  {printable(segment.model)}"


def clock(time_s: float, *, with_hours: bool) -> str:
    """``1:02.5``, or ``1:01:02.5`` where hours are wanted."""
    tenths = round(abs(time_s) * 10)
    minutes, rest = divmod(tenths, 10 * _MINUTE_S)
    text = f"{minutes // 60}:{minutes % 60:02d}" if with_hours else str(minutes)
    return f"{'-' if time_s < 0 and tenths else ''}{text}:{rest // 10:02d}.{rest % 10}"


def _percent(score: float) -> str:
    return f"{100 * score:.1f} %"
