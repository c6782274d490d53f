"""A video with what is seen in it written in: a caption and a bar a model, drawn in a second reading of the source.

What a frame shows is known only after its window has ended, and holding frames until then would take memory that grows with
the window. So the source is read again: one frame is held at a time, and times and sound are the source's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidpc.errors import OutputError, SourceError
from vidpc.media.read import open_source
from vidpc.media.sources import Source, shown
from vidpc.media.target import is_folder
from vidpc.media.video_codecs import container_of
from vidpc.media.video_writer import open_video
from vidpc.outputs import canvas
from vidpc.outputs.sink import refuse_existing
from vidpc.outputs.timeline import Timeline
from vidpc.types import U8, ReadOptions

COLOURS: Sequence[canvas.Colour] = ((255, 176, 0), (86, 190, 255), (120, 220, 130), (240, 130, 190))  # of the bars, by model
_WHITE: canvas.Colour = (255, 255, 255)
_TRACK: canvas.Colour = (110, 110, 110)  # of a bar, where it is empty
_TEXT_SHARE = 1 / 22  # of the picture's shorter side
_LEAST_TEXT, _TINY_TEXT = 12, 7  # pixels: that can be read well, and at all
_MOST_LINES = 3  # of a label
_GROUND_LEFT = 0.35  # of the light behind the caption
_MOST_SHARE = 0.5  # of the picture's height that captions may take before their letters get smaller


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says of a moment."""

    label: str
    score: float
    colour: canvas.Colour


@dataclass(frozen=True, slots=True)
class _Row:
    """A reading as it is laid out: its lines of text, the percent beside the first one, and the bar below them."""

    reading: Reading
    lines: tuple[str, ...]
    percent: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes in pixels, the same for every row."""

    text: int

    @property
    def line(self) -> int:
        """The height of a line of text."""
        return canvas.text_size("x", self.text)[1]

    @property
    def bar(self) -> int:
        """The height of a bar."""
        return max(2, self.text // 4)

    @property
    def gap(self) -> int:
        """What is left free around rows and bars."""
        return max(2, self.text // 3)

    def height(self, rows: Sequence[_Row]) -> int:
        """Of the whole caption."""
        return self.gap + sum(len(row.lines) * self.line + self.bar + self.gap for row in rows)


def check_render(target: str | Path, source: Source) -> None:
    """Raises ``OutputError``, before any work, where no video can be made of this source under this name."""
    if not is_folder(target):
        container_of(target)
    if source.kind == "pipe" or (source.kind == "file" and _is_no_plain_file(source.name)):
        raise OutputError(
            f"cannot write {shown(target)}: its source {shown(source.name)} is a pipe, which cannot be read a second time to "
            "draw into it; save it as a file first"
        )
    if source.kind == "url" and source.name.lower().startswith("rtsp"):
        raise OutputError(
            f"cannot write {shown(target)}: a camera cannot be read a second time; save its pictures as a file first"
        )


def _is_no_plain_file(name: str) -> bool:
    try:
        return Path(name).exists() and not Path(name).is_file()
    except (OSError, ValueError):  # a name that cannot be: opening says so
        return False


def render_actions(
    target: str | Path,
    source: Source,
    timeline: Timeline,
    *,
    reading: ReadOptions,
    overwrite: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> tuple[str, ...]:
    """What could not be kept of the source, once the video is complete under its name.

    All frames from ``reading.start_s`` to ``reading.end_s`` are in it, also where fewer were looked at. ``on_frame`` is told
    how many are done. Raises ``OutputError``, then nothing is left behind.
    """
    refuse_existing(target, overwrite=overwrite)
    try:
        with open_source(source, replace(reading, stride=1, rate_fps=None)) as video:
            sound = source.name if source.kind == "file" else None
            opened = open_video(
                target, video.info, copy_from=sound, start_s=reading.start_s, end_s=reading.end_s, overwrite=overwrite
            )
            count = 0
            with opened as writer:
                for count, frame in enumerate(video.frames(), 1):
                    window = timeline.at(frame.time_s)
                    readings = () if window is None else readings_of(timeline, window)
                    writer.write(draw(frame.rgb(), readings), frame.time_s)
                    if on_frame is not None:
                        on_frame(count)
    except SourceError as error:
        raise OutputError(f"cannot write {shown(target)}: its source could not be read a second time: {error}") from error
    return (*writer.warnings, *(() if count else (f"there is no frame in {shown(target)}",)))


def readings_of(timeline: Timeline, window: int) -> tuple[Reading, ...]:
    """The best label of every model in a window; among several models each is named."""
    models = timeline.header.models
    found = []
    for number, model in enumerate(models):
        label, score = timeline.best(window, number)
        name = model.labels[label]
        text = f"{model.name}: {name}" if len(models) > 1 else name
        found.append(Reading(text, score, COLOURS[number % len(COLOURS)]))
    return tuple(found)


def draw(rgb: U8, readings: Sequence[Reading]) -> U8:
    """A copy of ``rgb`` u8[h w 3] with the readings at its foot: a label, its percent and a bar of that length each."""
    picture = rgb.copy()
    if not readings:
        return picture
    height, width = picture.shape[:2]
    layout, rows = _fitted(readings, width, height)
    top = height - layout.height(rows)
    canvas.shade(picture, _GROUND_LEFT, 0, top, width, height)
    top += layout.gap
    for row in rows:
        _draw_row(picture, row, layout, top)
        top += len(row.lines) * layout.line + layout.bar + layout.gap
    return picture


def _fitted(readings: Sequence[Reading], width: int, height: int) -> tuple[_Layout, list[_Row]]:
    """The largest letters with which all readings fit; in a picture that is too small for all, those that fit."""
    size = max(_LEAST_TEXT, round(_TEXT_SHARE * min(width, height)))
    for text in range(size, _TINY_TEXT - 1, -1):
        layout = _Layout(text)
        rows = [_row(reading, layout, width) for reading in readings]
        is_whole = not any("…" in line and "…" not in row.reading.label for row in rows for line in row.lines)
        if is_whole and layout.height(rows) <= _MOST_SHARE * height:
            return layout, rows
    while len(rows) > 1 and layout.height(rows) > height:
        rows.pop()
    return layout, rows


def _row(reading: Reading, layout: _Layout, width: int) -> _Row:
    percent = f"{100 * reading.score:.0f} %"
    free = width - 2 * layout.gap - canvas.text_size(percent, layout.text)[0]
    return _Row(reading, tuple(canvas.wrapped(reading.label, layout.text, free, _MOST_LINES)), percent)


def _draw_row(picture: U8, row: _Row, layout: _Layout, top: int) -> None:
    left, right = layout.gap, picture.shape[1] - layout.gap
    for number, line in enumerate(row.lines):
        canvas.write(picture, _WHITE, line, left, top + number * layout.line, layout.text)
    beside = right - canvas.text_size(row.percent, layout.text)[0]
    canvas.write(picture, _WHITE, row.percent, beside, top, layout.text)
    top += len(row.lines) * layout.line
    canvas.fill(picture, _TRACK, left, top, right, top + layout.bar)
    filled = left + round((right - left) * min(max(row.reading.score, 0.0), 1.0))
    canvas.fill(picture, row.reading.colour, left, top, filled, top + layout.bar)
