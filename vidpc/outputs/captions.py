"""Segments as captions: SubRip (.srt) and WebVTT (.vtt). A caption is a line a label: what is seen, and how sure that is.

Players differ in what they do with captions that overlap, and segments of several labels or models often do. So captions never
overlap here: time is cut wherever a segment begins or ends, and a piece shows all segments that cover it, the surest first.
Times are those of the results, rounded to a millisecond; what lies before 0 is left out, as captions have no such times.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from vidpc.errors import printable
from vidpc.types import ActionHeader, Actions, Segment, Window

# SubRip knows <i> and, in many players, {\an8}, but no way to write these signs themselves: look-alikes stand for them.
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands on the screen from ``start_ms`` until ``end_ms``."""

    start_ms: int
    end_ms: int
    segments: tuple[Segment, ...]


def captions(segments: Sequence[Segment]) -> Iterator[Caption]:
    """Captions in order of time, none of which overlaps another. A segment of less than a millisecond becomes that long."""
    spans = [(max(_ms(segment.start_s), 0), max(_ms(segment.end_s), _ms(segment.start_s) + 1), segment) for segment in segments]
    spans = sorted((span for span in spans if span[1] > 0), key=lambda span: span[0])
    borders = sorted({border for start, end, _ in spans for border in (start, end)})
    active: list[tuple[int, int, Segment]] = []
    coming = iter([*spans, None])
    following = next(coming)
    for start, end in pairwise(borders):
        while following is not None and following[0] <= start:
            active.append(following)
            following = next(coming)
        active = [span for span in active if span[1] > start]
        if active:
            yield Caption(start, end, tuple(sorted((span[2] for span in active), key=lambda segment: -segment.score)))


class SubRip:
    """Numbered captions. The format has no header and no place for warnings."""

    def __init__(self, header: ActionHeader, top: int) -> None:
        """Nothing of it is shown."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def window(self, window: Window) -> str:
        """Nothing: captions show segments, which are known at the end."""
        return ""

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterator[str]:
        """All captions."""
        for number, caption in enumerate(captions(actions.segments), 1):
            yield f"{number}\n{_clock(caption.start_ms, ',')} --> {_clock(caption.end_ms, ',')}\n"
            yield "".join(f"{_text(segment).translate(_LOOKALIKES)}\n" for segment in caption.segments) + "\n"


class WebVtt:
    """Captions for browsers; where they come from stands in a comment at the head."""

    def __init__(self, header: ActionHeader, top: int) -> None:
        self._header = header

    def head(self) -> str:
        """The format's name, and a note."""
        models = ", ".join(model.name for model in self._header.models)
        note = printable(f"{self._header.source}, by {models}, vidpc {self._header.vidpc_version}").translate(_ENTITIES)
        return f"WEBVTT\n\nNOTE {note}\n\n"

    def window(self, window: Window) -> str:
        """Nothing: captions show segments, which are known at the end."""
        return ""

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterator[str]:
        """All captions."""
        for caption in captions(actions.segments):
            yield f"{_clock(caption.start_ms, '.')} --> {_clock(caption.end_ms, '.')}\n"
            yield "".join(f"{_text(segment).translate(_ENTITIES)}\n" for segment in caption.segments) + "\n"


def _text(segment: Segment) -> str:
    """Label and percent in one line: a blank one would end the caption."""
    return f"{printable(segment.label).strip() or '?'} {100 * segment.score:.0f} %"


def _ms(time_s: Fraction) -> int:
    return round(time_s * 1000)


def _clock(ms: int, point: str) -> str:
    """``00:01:02,500``; the hours take as many digits as they need."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
