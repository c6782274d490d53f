"""Scores over time as a picture: a panel a model, with a curve for each label that mattered, and the segments as bars below.

Nothing is drawn where no window was looked at. A label that is not among the best sixteen of a window counts as 0 there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageDraw

from vidpc.errors import OutputError
from vidpc.media.sources import shown
from vidpc.outputs import canvas
from vidpc.outputs.canvas import Colour
from vidpc.outputs.sink import open_binary
from vidpc.outputs.timeline import Timeline
from vidpc.types import F64, U8, Actions, Segment

MOST_LABELS = 8  # of a model
_LEAST_PEAK = 0.05  # of a label that is shown, unless fewer than two have one
_COLOURS: Sequence[Colour] = (
    *(
        (31, 110, 190),
        (222, 84, 20),
        (20, 150, 105),
        (190, 80, 150),
        (220, 155, 0),
        (70, 175, 225),
        (110, 75, 45),
        (95, 95, 95),
    ),
)
_BACKGROUND: Colour = (255, 255, 255)
_GRID: Colour = (226, 229, 234)
_AXIS: Colour = (120, 126, 135)
_INK: Colour = (40, 44, 52)
_PALE: Colour = (110, 116, 125)
_FINE = 3  # pixels are drawn this much finer a side, then averaged
_WIDTH, _LEFT, _RIGHT = 1600, 90, 1210  # pixels: of the picture, and where the time axis begins and ends
_HEAD, _FOOT, _BETWEEN = 96, 62, 30  # heights above, below and between panels
_NAME, _CURVES = 34, 260  # heights of a panel's name and of its curves
_ROW, _BAR = 26, 18  # heights of a row of segments and of a segment in it
_LEGEND_ROW = 28
_TITLE, _TEXT, _SMALL = 26, 18, 15  # heights of letters
_LINE = 2.5  # pixels
_DOTTED = 80  # windows up to which each gets a dot
_TICKS = 10  # about so many
_STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_MINUTES_FROM_S = 120.0  # a longer video has its ticks in minutes and seconds


@dataclass(frozen=True, slots=True)
class _Axis:
    """Seconds of the video to pixels."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        return _LEFT + (time_s - self.start_s) / (self.end_s - self.start_s) * (_RIGHT - _LEFT)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One model: where it begins, which labels are shown, and the rows of segments that belong to them."""

    model: int
    top: int
    labels: tuple[int, ...]
    rows: tuple[tuple[int, tuple[Segment, ...]], ...]  # (place of the label in the legend, its segments)

    @property
    def curves_top(self) -> int:
        return self.top + _NAME

    @property
    def foot(self) -> int:
        """Where the curves end and the segments begin."""
        return self.curves_top + _CURVES

    @property
    def bottom(self) -> int:
        below = _ROW * len(self.rows) + (12 if self.rows else 0)
        return max(self.foot + below, self.curves_top + _LEGEND_ROW * (len(self.labels) + 1))

    def y(self, score: float) -> float:
        return self.foot - score * _CURVES


def check_plot(target: str | Path) -> None:
    """Raises ``OutputError``, before any work, unless the name is that of a picture that can be written."""
    if Path(target).suffix.lower() != ".png":
        raise OutputError(f"cannot write {shown(target)}: expected a name that ends in .png")


def plot_actions(target: str | Path, timeline: Timeline, actions: Actions, *, overwrite: bool = False) -> None:
    """Write the picture, complete or not at all."""
    check_plot(target)
    with open_binary(target, overwrite=overwrite) as file:
        Image.fromarray(draw_plot(timeline, actions)).save(file, format="PNG", optimize=True)


def draw_plot(timeline: Timeline, actions: Actions) -> U8:
    """The picture u8[h w 3]."""
    panels = _panels(timeline, actions)
    axis = _axis(timeline, actions)
    height = panels[-1].bottom + _FOOT
    fine = Image.new("RGB", (_WIDTH * _FINE, height * _FINE), _BACKGROUND)
    pen = ImageDraw.Draw(fine)
    for panel in panels:
        _draw_grid(pen, panel, axis)
        for place, label in reversed(list(enumerate(panel.labels))):  # what mattered most lies on top
            _draw_curve(pen, timeline, panel, axis, place, label)
        pen.line(_scaled((_LEFT, panel.foot), (_RIGHT, panel.foot)), fill=_AXIS, width=_FINE)
        _draw_bars(pen, panel, axis)
    picture = np.array(fine.reduce(_FINE))
    _write_head(picture, timeline)
    for panel in panels:
        _write_panel(picture, timeline, panel, actions)
    _write_ticks(picture, panels[-1], axis)
    return picture


def labels_that_mattered(timeline: Timeline, model: int, segments: Sequence[Segment]) -> tuple[int, ...]:
    """At most ``MOST_LABELS``: those with segments first, the longest time first, then those with the highest scores."""
    info, peaks = timeline.header.models[model], timeline.peaks(model)
    time_s = dict.fromkeys(info.labels, 0.0)
    for segment in segments:
        if segment.model == info.name and segment.label in time_s:
            time_s[segment.label] += float(segment.end_s - segment.start_s)
    order = sorted(range(len(peaks)), key=lambda label: (-time_s[info.labels[label]], -peaks[label]))
    return tuple(
        label
        for place, label in enumerate(order[:MOST_LABELS])
        if place < 2 or time_s[info.labels[label]] or peaks[label] >= _LEAST_PEAK
    )


def _panels(timeline: Timeline, actions: Actions) -> list[_Panel]:
    panels: list[_Panel] = []
    top = _HEAD
    for number, info in enumerate(timeline.header.models):
        labels = labels_that_mattered(timeline, number, actions.segments)
        own = [segment for segment in actions.segments if segment.model == info.name]
        by_label = [(place, tuple(s for s in own if s.label == info.labels[label])) for place, label in enumerate(labels)]
        panels.append(_Panel(number, top, labels, tuple(row for row in by_label if row[1])))
        top = panels[-1].bottom + _BETWEEN
    return panels


def _axis(timeline: Timeline, actions: Actions) -> _Axis:
    """From the first window to the end of the last one, or of the segments: they may reach the video's very end."""
    if not len(timeline):
        return _Axis(0.0, 1.0)
    spans_s = timeline.spans_s
    start_s = float(spans_s[:, 0].min())
    ends_s = [float(spans_s[:, 1].max()), *(float(segment.end_s) for segment in actions.segments)]
    return _Axis(start_s, max(*ends_s, start_s + 1e-3))


def _scaled(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * _FINE, y * _FINE) for x, y in points]


def _draw_grid(pen: ImageDraw.ImageDraw, panel: _Panel, axis: _Axis) -> None:
    for time_s in ticks(axis.start_s, axis.end_s):
        pen.line(_scaled((axis.x(time_s), panel.curves_top), (axis.x(time_s), panel.foot)), fill=_GRID, width=_FINE)
    for score in (0.25, 0.5, 0.75, 1.0):
        pen.line(_scaled((_LEFT, panel.y(score)), (_RIGHT, panel.y(score))), fill=_GRID, width=_FINE)


def _draw_curve(pen: ImageDraw.ImageDraw, timeline: Timeline, panel: _Panel, axis: _Axis, place: int, label: int) -> None:
    spans_s, scores = timeline.spans_s, timeline.curve(panel.model, label)
    middles = spans_s.mean(axis=1)
    for run in _runs(spans_s):
        times = [spans_s[run[0], 0], *middles[run], spans_s[run[-1], 1]]
        heights = [scores[run[0]], *scores[run], scores[run[-1]]]
        points = _scaled(*((axis.x(time), panel.y(score)) for time, score in zip(times, heights, strict=True)))
        pen.line(points, fill=_COLOURS[place], width=round(_LINE * _FINE), joint="curve")
    if len(scores) <= _DOTTED:
        radius = 1.6 * _LINE * _FINE
        for x, y in _scaled(*((axis.x(t), panel.y(s)) for t, s in zip(middles, scores, strict=True))):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_COLOURS[place])


def _runs(spans_s: F64) -> Iterator[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The windows in runs without a gap between them."""
    if len(spans_s):
        gaps = np.flatnonzero(spans_s[1:, 0] > spans_s[:-1, 1] + 1e-6) + 1
        yield from np.split(np.arange(len(spans_s)), gaps)


def _draw_bars(pen: ImageDraw.ImageDraw, panel: _Panel, axis: _Axis) -> None:
    for row, (place, segments) in enumerate(panel.rows):
        top = _bar_top(panel, row)
        pen.rectangle(_scaled((_LEFT, top), (_RIGHT, top + _BAR)), fill=(246, 247, 249))
        for segment in segments:
            left, right = axis.x(float(segment.start_s)), axis.x(float(segment.end_s))
            pen.rectangle(_scaled((left, top), (max(right - 1, left + 1), top + _BAR)), fill=_COLOURS[place])


def _bar_top(panel: _Panel, row: int) -> int:
    return panel.foot + 12 + row * _ROW


def _write_head(picture: U8, timeline: Timeline) -> None:
    header = timeline.header
    name = canvas.shortened(PurePath(header.source).name or header.source, _TITLE, _WIDTH - 2 * _LEFT)
    canvas.write(picture, _INK, name, _LEFT - 5, 18, _TITLE)
    count = len(timeline)
    windows = f"{count} window{'s'[: count != 1]} of {float(header.window_s):.4g} s"
    hop = f", one every {float(header.hop_s):.4g} s" if count > 1 and header.hop_s else ""
    canvas.write(picture, _PALE, windows + hop, _LEFT - 4, 56, _TEXT)


def _write_panel(picture: U8, timeline: Timeline, panel: _Panel, actions: Actions) -> None:
    model = timeline.header.models[panel.model]
    canvas.write(picture, _INK, canvas.shortened(model.name, _TEXT, _RIGHT - _LEFT), _LEFT - 4, panel.top, _TEXT)
    for score in (0, 50, 100):
        _write_right(picture, f"{score} %", _LEFT - 6, round(panel.y(score / 100)))
    if len(timeline):
        _write_legend(picture, timeline, panel, actions)
    else:
        canvas.write(picture, _PALE, "no window was looked at", _LEFT + 20, panel.curves_top + _CURVES // 2, _TEXT)


def _write_legend(picture: U8, timeline: Timeline, panel: _Panel, actions: Actions) -> None:
    """A row a label: its colour, its name, and its score over the whole video."""
    model = timeline.header.models[panel.model]
    left, right, top = _RIGHT + 24, _WIDTH - 24, panel.curves_top
    _write_right(picture, "whole video", right, panel.top + _NAME // 2 - 4)
    for place, label in enumerate(panel.labels):
        share = f"{100 * float(actions.scores[panel.model][label]):.0f} %"
        beside = right - canvas.text_size(share, _TEXT)[0]
        canvas.fill(picture, _COLOURS[place], left, top + 7, left + 16, top + 15)
        canvas.write(picture, _PALE, share, beside, top, _TEXT)
        _write_fitted(picture, model.labels[label], left + 22, top, beside - left - 22)
        top += _LEGEND_ROW
    if hidden := len(_labels_with_segments(actions, model.name) - {model.labels[label] for label in panel.labels}):
        canvas.write(picture, _PALE, f"{hidden} more with segments", left + 22, top, _SMALL)


def _write_fitted(picture: U8, text: str, left: int, top: int, width: int) -> None:
    """``text`` in letters that are smaller where it is long; what is still too long is shortened."""
    size = next((size for size in range(_TEXT, _SMALL, -1) if canvas.text_size(text, size)[0] <= width), _SMALL)
    canvas.write(picture, _INK, canvas.shortened(text, size, width), left, top + (_TEXT - size) // 2, size)


def _labels_with_segments(actions: Actions, model: str) -> set[str]:
    return {segment.label for segment in actions.segments if segment.model == model}


def _write_ticks(picture: U8, last: _Panel, axis: _Axis) -> None:
    top = last.bottom + 8
    in_minutes = axis.end_s > _MINUTES_FROM_S
    for time_s in ticks(axis.start_s, axis.end_s):
        text = tick_text(time_s, in_minutes=in_minutes)
        width = canvas.text_size(text, _SMALL)[0]
        canvas.write(picture, _PALE, text, round(axis.x(time_s) - width / 2), top, _SMALL)
    unit = "h:mm:ss" if axis.end_s >= 3600 else "m:ss" if in_minutes else "seconds"
    canvas.write(picture, _PALE, unit, _RIGHT + 48, top, _SMALL)


def _write_right(picture: U8, text: str, right: int, middle: int) -> None:
    width, height = canvas.text_size(text, _SMALL)
    canvas.write(picture, _PALE, text, right - width, middle - height // 2, _SMALL)


def ticks(start_s: float, end_s: float) -> list[float]:
    """Round times from ``start_s`` to ``end_s``, about ten of them."""
    step_s = next((step for step in _STEPS_S if (end_s - start_s) / step <= _TICKS), 86400.0)
    while (end_s - start_s) / step_s > _TICKS:
        step_s *= 2
    first, last = int(np.ceil(start_s / step_s - 1e-9)), int(np.floor(end_s / step_s + 1e-9))
    return [number * step_s for number in range(first, last + 1)]


def tick_text(time_s: float, *, in_minutes: bool) -> str:
    """``7.5``, or ``2:30``, or ``1:02:30``."""
    if not in_minutes:
        return f"{time_s:.3g}" if time_s < 100 else f"{time_s:.0f}"
    whole = round(time_s)
    minutes, seconds = divmod(abs(whole), 60)
    text = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else str(minutes)
    return f"{'-' if whole < 0 else ''}{text}:{seconds:02d}"
