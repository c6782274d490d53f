"""PLY files: text and both binary orders, any property, lists skipped, other elements kept where they are.

A body is the elements one after the other, as the header names them. Points are the element ``vertex``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError
from vidpc.media.ascii_rows import Lines, lines, parse
from vidpc.media.columns import Roles, cloud_of, colour_scale, roles_of
from vidpc.media.ply_header import Element, Header, read_header
from vidpc.media.ply_lists import ListRows, Run
from vidpc.media.records import FileBytes, Table, opened, require_room, rows_at_once, sampled
from vidpc.media.sources import shown
from vidpc.types import PointCloud, PointField, PointOptions, ScanInfo

CHUNK_POINTS = 1 << 18
_SAMPLE_ROWS = 1 << 14
_SKIPPED_LINES = 1 << 16

# What a cloud's ``records`` are: fixed rows, rows with lists in them, or lines of text.
Records = npt.NDArray[Any] | Run | Lines


@contextmanager
def open_ply(path: Path, name: str, options: PointOptions) -> Iterator["PlySource"]:
    """An open PLY file, its header held against its size."""
    with opened(path, name) as data:
        yield PlySource(data, options)


@dataclass(frozen=True, slots=True)
class Body:
    """Where the rows of ``vertex`` start, and what lies after them (in binary: None where only a pass can tell)."""

    vertex_start: int
    vertex_end: int | None
    warnings: tuple[str, ...] = ()


class PlySource:
    """One open PLY file."""

    def __init__(self, data: FileBytes, options: PointOptions) -> None:
        self.data, self._strict = data, options.strict
        self.header = read_header(data, options)
        self.body = _locate(data, self.header)
        vertex = self.header.vertex
        roles = roles_of([entry.name for entry in vertex.scalars])
        assert roles is not None  # the header was checked
        self._roles: Roles = roles
        self._dtype = vertex.dtype(self.header.encoding)
        self._ascii_end: int | None = None
        self._notes: list[str] = []
        self._refuse_damage(self.body.warnings)
        self.full_scale = self._full_scale()
        self._info = ScanInfo(data.name, "ply", vertex.count, _fields(self.header), warnings=self.body.warnings)

    @property
    def info(self) -> ScanInfo:
        """What the header says."""
        return self._info

    @property
    def vertex_end(self) -> int:
        """The byte after the last point; known of a text only after a pass."""
        end = self.body.vertex_end if self._ascii_end is None else self._ascii_end
        if end is None:
            raise ValueError("the end of the points is known after a pass over them")
        return end

    @property
    def colour_names(self) -> tuple[str, ...]:
        """The properties that are red, green and blue, or nothing."""
        return self._roles.colour or ()

    def notes(self) -> list[str]:
        """What a pass found after the points of a text."""
        return list(self._notes)

    def clouds(self, points: int = CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order."""
        for first, rows, records in self._rows(rows_at_once(points, self._dtype.itemsize)):
            yield cloud_of(first, rows.__getitem__, self._roles, self.full_scale, records)

    def _rows(self, points: int) -> Iterator[tuple[int, npt.NDArray[Any], Records]]:
        vertex = self.header.vertex
        if self.header.encoding == "ascii":
            yield from self._ascii_rows(points)
        elif vertex.has_lists:
            for run in ListRows(self.data, vertex, self.header.encoding, self.body.vertex_start).runs(points):
                yield run.first, _scalars(run, vertex, self._dtype), run
        else:
            for first in range(0, vertex.count, points):
                rows = self.data.rows(self.body.vertex_start, self._dtype, first, min(points, vertex.count - first))
                yield first, rows, rows

    def _ascii_rows(self, points: int) -> Iterator[tuple[int, npt.NDArray[Any], Records]]:
        vertex, done, end = self.header.vertex, 0, self.body.vertex_start
        for run in lines(self.data, end, vertex.count, points, self.header.newline):
            yield run.first, _parsed(self.data, run, vertex, self._dtype), run
            done, end = done + run.count, run.end
        if done < vertex.count:
            raise self.data.damaged(
                f"element vertex is cut: the file ends at byte {self.data.size} after row {done} of {vertex.count}"
            )
        self._ascii_end = end
        self._notes = _after_ascii(self.data, self.header, end)
        self._refuse_damage(self._notes)

    def _refuse_damage(self, found: Sequence[str]) -> None:
        if self._strict and found:
            raise self.data.damaged(f"{'; '.join(found)} (--strict)")

    def _full_scale(self) -> float:
        if self._roles.colour is None or all(self._dtype[name] == np.uint8 for name in self._roles.colour):
            return 255.0
        return colour_scale(self._sample(), self._roles.colour)

    def _sample(self) -> npt.NDArray[Any]:
        """Rows from everywhere in a file of fixed rows, else its first ones."""
        vertex = self.header.vertex
        if self.header.encoding != "ascii" and not vertex.has_lists:
            return sampled(self.data, _table(vertex, self.header, self.body.vertex_start), self._dtype)
        return next((rows for _, rows, _ in self._rows(_SAMPLE_ROWS)), np.empty(0, self._dtype))


def _fields(header: Header) -> tuple[PointField, ...]:
    scalars = header.vertex.dtype(header.encoding)
    return tuple(
        PointField(entry.name, scalars[entry.name].str if entry.count_type is None else f"list of {entry.value_type}")
        for entry in header.vertex.properties
    )


def _table(element: Element, header: Header, start: int) -> Table:
    return Table(f"element {shown(element.name)}", start, element.count, element.dtype(header.encoding).itemsize)


def _locate(data: FileBytes, header: Header) -> Body:
    """Where the points lie; in binary also whether the file ends where the last element does."""
    position = header.size
    elements = iter(header.elements)
    for element in elements:
        end = (
            _skip_lines(data, header, element, position)
            if header.encoding == "ascii"
            else _end(data, header, element, position)
        )
        if element.name == "vertex":
            break
        position = end
    if header.encoding == "ascii":
        return Body(position, None)
    return Body(position, end, tuple(_after_binary(data, header, list(elements), end)))


def _end(data: FileBytes, header: Header, element: Element, start: int) -> int:
    """The byte after an element of a binary file."""
    if element.has_lists:
        return ListRows(data, element, header.encoding, start).end()
    table = _table(element, header, start)
    require_room(data, table)
    return table.end


def _after_binary(data: FileBytes, header: Header, elements: Sequence[Element], position: int) -> list[str]:
    """What is wrong after the points: it costs no point, so it is said and kept as it is."""
    try:
        for element in elements:
            position = _end(data, header, element, position)
    except PointCloudError as error:
        return [f"damaged after the points: {str(error).partition(': ')[2]}"]
    if position < data.size:
        return [f"{data.size - position} bytes follow the last element (from byte {position})"]
    return []


def _skip_lines(data: FileBytes, header: Header, element: Element, start: int) -> int:
    """The byte after an element of a text that comes before the points; of the points themselves, their start."""
    if element.name == "vertex":
        return start
    done, end = _count_lines(data, header, element, start)
    if done < element.count:
        raise data.damaged(
            f"element {shown(element.name)} is cut: the file ends at byte {data.size} after row {done} of {element.count}"
        )
    return end


def _count_lines(data: FileBytes, header: Header, element: Element, start: int) -> tuple[int, int]:
    """(rows, byte after the last of them) of an element in a text."""
    done, end = 0, start
    for run in lines(data, start, element.count, _SKIPPED_LINES, header.newline):
        done, end = done + run.count, run.end
    return done, end


def _after_ascii(data: FileBytes, header: Header, position: int) -> list[str]:
    names = [element.name for element in header.elements]
    for element in header.elements[names.index("vertex") + 1 :]:
        done, position = _count_lines(data, header, element, position)
        if done < element.count:
            return [f"damaged after the points: element {shown(element.name)} has {done} rows of {element.count}"]
    extra = sum(run.count for run in lines(data, position, 1, 1, header.newline))
    return [f"{data.size - position} bytes follow the last element (from byte {position})"] if extra else []


def _scalars(run: Run, element: Element, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The scalar values of rows with lists."""
    rows = np.empty(len(run.rows), dtype)
    raw = np.frombuffer(run.raw, np.uint8)
    starts = np.array([row.starts for row in run.rows], np.int64)  # i64[n properties]
    for number, entry in enumerate(element.properties):
        if entry.count_type is None:
            reach = np.arange(dtype[entry.name].itemsize)
            rows[entry.name] = raw[starts[:, number, None] + reach].view(dtype[entry.name])[:, 0]
    return rows


def _parsed(data: FileBytes, run: Lines, element: Element, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if not element.has_lists:
        return parse(data, run, dtype, "element vertex")
    kept = [_without_lists(words, element) for words in (line.split() for line in run.text.split(b"\n")[:-1])]
    text = b"".join(b" ".join(words) + b"\n" for words in kept)
    return parse(data, Lines(run.first, run.offset, run.end, text, run.count), dtype, "element vertex")


def spans(words: Sequence[bytes], element: Element) -> list[tuple[int, int]]:
    """Which words of a line are each property's, half-open; beyond the last word where the line is too short."""
    found, at = [], 0
    for entry in element.properties:
        is_number = at < len(words) and words[at].isdigit()
        length = 1 if entry.count_type is None else 1 + (int(words[at][:9]) if is_number else len(words))
        found.append((at, at + length))
        at += length
    return found


def _without_lists(words: Sequence[bytes], element: Element) -> list[bytes]:
    """The scalar words of a line; too few or too many of them where the line does not fit its element."""
    places = spans(words, element)
    kept = [
        words[start]
        for (start, end), entry in zip(places, element.properties, strict=True)
        if entry.count_type is None and end <= len(words)
    ]
    return [*kept, *words[places[-1][1] :]]
