"""Text files of points, one a line: XYZ, TXT, CSV, ASC, TSV, PTS. :func:`open_text`.

Numbers stand apart by commas, semicolons, tabs or blanks. A first line of words names the columns, as a comment before the
first point may; without names they go by their number and content. Lines that start with ``#``, ``//`` or ``%`` are comments.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpc.errors import PointCloudError
from vidpc.media.columns import Roles, cloud_of, distinct, full_scale, roles_of
from vidpc.media.records import FileBytes, opened
from vidpc.media.sources import shown
from vidpc.media.unnamed import names_of_columns
from vidpc.types import F64, PointCloud, PointField, PointOptions, ScanInfo

_CHUNK_POINTS = 1 << 18
_HEAD_BYTES = 1 << 16
_WINDOW_BYTES = 1 << 22
_SAMPLES, _SAMPLE_BYTES = 8, 1 << 14
_SHOWN_CHARACTERS = 60
_COMMENT = re.compile(rb"(?m)^[ \t]*(?:#|//|%)[^\n]*\n")
_BLANK = re.compile(rb"(?m)^[ \t\r]*\n")
_FRACTION_COMMA = re.compile(rb"\d,\d")
_COUNT = re.compile(rb"[0-9]{1,19}")  # of points, above them
COMMENTS = (b"#", b"//", b"%")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written: its columns, what stands between them, and where its points start.

    ``header_line`` is the line, from 1, that names the columns, be it a comment; 0 where there is none.
    """

    names: tuple[str, ...]
    width: int
    delimiter: bytes
    decimal: bytes
    newline: bytes
    start: int
    start_line: int
    header_line: int
    declared_count: int | None

    def plain(self, text: bytes) -> bytes:
        """Whole lines as numbers apart by blanks, without comments and empty lines."""
        if self.newline != b"\n":
            text = text.replace(self.newline, b"\n")
        if any(mark in text for mark in COMMENTS):
            text = _COMMENT.sub(b"", text)
        text = text.replace(b'"', b"")
        if self.delimiter in b",;":
            text = text.replace(self.delimiter, b" ")
        if self.decimal == b",":
            text = text.replace(b",", b".")
        return _BLANK.sub(b"", text)


@contextmanager
def open_text(path: Path, name: str, options: PointOptions) -> Iterator["TextSource"]:
    """An open text file. Raises PointCloudError where its first lines are no points."""
    with opened(path, name) as data:
        yield TextSource(data, options)


class TextSource:
    """An open file. ``data`` and ``dialect`` are for its writer."""

    def __init__(self, data: FileBytes, options: PointOptions) -> None:
        self.data = data
        self.dialect = _dialect(data)
        count = sum(self.dialect.plain(text).count(b"\n") for _, text in windows(data, self.dialect))
        if count > options.max_points:
            raise data.damaged(f"{count} points are beyond the limit of {options.max_points}")
        sample = self._sample()
        names = self.dialect.names or names_of_columns(sample)
        roles = roles_of(names)
        if roles is None:
            raise data.damaged(f"its columns are {shown(' '.join(names))}, expected x, y and z among them")
        self._roles: Roles = roles
        self._place = {name: place for place, name in enumerate(names)}
        colours = [sample[:, self._place[name]] for name in roles.colour or ()]
        self._scale = full_scale(np.stack(colours)) if colours else 255.0
        self.info = ScanInfo(
            path=data.name,
            format="text",
            count=count,
            fields=tuple(PointField(name, "<f8") for name in names),
            warnings=tuple(self._warnings(names, count)),
        )

    def clouds(self, points: int = _CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order, in runs of at most ``points``."""
        first = 0
        for line, text in windows(self.data, self.dialect):
            table = self._table(text, line)
            for start in range(0, len(table), points):
                yield self._cloud(first, table[start : start + points])
                first += len(table[start : start + points])

    def notes(self) -> list[str]:
        """Nothing: a line that is no point is an error."""
        return []

    def _warnings(self, names: tuple[str, ...], count: int) -> Iterator[str]:
        if not self.dialect.names and len(names) > 3:
            yield f"its columns have no names: they are taken as {' '.join(names)}"
        if self.dialect.declared_count not in (None, count):
            yield f"its first line declares {self.dialect.declared_count} points, it has {count}"
        if self.data.at(self.data.size - 1, 1) not in b"\r\n":
            yield "its last line has no end: if the file was cut, the last value may be another"

    def _cloud(self, first: int, table: F64) -> PointCloud:
        return cloud_of(first, lambda name: table[:, self._place[name]], self._roles, self._scale)

    def _table(self, text: bytes, line: int) -> F64:
        """The numbers of whole lines, f64[n columns]; ``line`` is the number of the first of them."""
        plain = self.dialect.plain(text)
        width = self.dialect.width
        if not plain:
            return np.empty((0, width))
        try:
            table: F64 = np.loadtxt(io.BytesIO(plain), np.float64, comments=None, encoding="latin-1", ndmin=2)
        except (ValueError, OverflowError) as error:
            raise self._bad_line(text, line) from error
        if table.shape[1] != width:
            raise self._bad_line(text, line)
        return table

    def _bad_line(self, text: bytes, line: int) -> PointCloudError:
        """The error for the first line that is no row of as many numbers as the first point has."""
        width = self.dialect.width
        for number, raw in enumerate(text.split(self.dialect.newline), line):
            words = self.dialect.plain(raw + self.dialect.newline).split()
            if not words:
                continue
            if len(words) != width or not all(is_number(word) for word in words):
                said = shown(raw.decode("latin-1").strip()[:_SHOWN_CHARACTERS])
                return self.data.damaged(f"line {number}: expected {width} numbers, found {said!r}")
        return self.data.damaged(f"the lines from {line} on are no table of numbers")

    def _sample(self) -> F64:
        """Points from everywhere in the file."""
        tables = []
        starts = np.unique(np.linspace(self.dialect.start, max(self.dialect.start, self.data.size - _SAMPLE_BYTES), _SAMPLES))
        for start in starts.astype(np.int64).tolist():
            text = self.data.up_to(start, _SAMPLE_BYTES)
            newline = self.dialect.newline
            if start > self.dialect.start:
                text = text.partition(newline)[2]
            if start + _SAMPLE_BYTES < self.data.size:
                text = text.rpartition(newline)[0]
            try:
                tables.append(self._table(text + newline, self.dialect.start_line))
            except PointCloudError:
                if not tables:
                    raise  # of others, the pass over all lines says which it is
        return np.concatenate(tables)


def windows(data: FileBytes, dialect: Dialect) -> Iterator[tuple[int, bytes]]:
    """Whole lines from the first point to the end, some at a time, each ended, with the number of the first."""
    offset, line = dialect.start, dialect.start_line
    while offset < data.size:
        text = data.up_to(offset, _WINDOW_BYTES)
        if offset + len(text) < data.size:
            end = text.rfind(dialect.newline) + 1
            if not end:
                raise data.damaged(f"line {line} is longer than {_WINDOW_BYTES} bytes")
            text = text[:end]
        elif not text.endswith(dialect.newline):
            yield line, text + dialect.newline
            return
        yield line, text
        offset, line = offset + len(text), line + text.count(dialect.newline)


def is_number(word: bytes) -> bool:
    """Whether a word is a number as NumPy reads it."""
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word


@dataclass(frozen=True, slots=True)
class _Prologue:
    """What stands before the first point, and its line."""

    comment: bytes
    comment_line: int
    header: bytes
    header_line: int
    count: int | None
    first: bytes
    first_line: int
    offset: int


def _dialect(data: FileBytes) -> Dialect:
    """How the file is written, from its first lines."""
    head = data.up_to(0, _HEAD_BYTES)
    if b"\0" in head:
        raise data.damaged("expected lines of numbers, found bytes that are no text")
    newline = b"\n" if b"\n" in head or b"\r" not in head else b"\r"
    found = _prologue(head, newline)
    if found is None:
        raise data.damaged(f"expected lines of three numbers or more, found none in its first {len(head)} bytes")
    delimiter, decimal = _separators(found.first)
    width = len(_words(found.first, delimiter))
    if width < 3:
        raise data.damaged(f"line {found.first_line}: expected 3 numbers or more, found {width}")
    names = _words(found.header, delimiter)
    if names and len(names) != width:
        raise data.damaged(f"line {found.header_line} names {len(names)} columns, line {found.first_line} has {width}")
    if not names:
        said = _words(found.comment, delimiter)
        said = said if len(said) == width else found.comment.split()
        names = said if len(said) == width and not any(is_number(word) for word in said) else []
    names_line = (found.header_line or found.comment_line) if names else 0
    return Dialect(
        names=tuple(distinct(word.decode("utf-8", errors="replace") or "unnamed" for word in names)),
        width=width,
        delimiter=delimiter,
        decimal=decimal,
        newline=newline,
        start=found.offset,
        start_line=found.first_line,
        header_line=names_line,
        declared_count=found.count,
    )


def _prologue(head: bytes, newline: bytes) -> _Prologue | None:
    """The lines before the first that is all numbers, of which there are at least two."""
    offset = 3 if head.startswith(b"\xef\xbb\xbf") else 0  # the mark of UTF-8
    comment, comment_line, header, header_line, count = b"", 0, b"", 0, None
    for number, raw in enumerate(head[offset:].split(newline), 1):
        line = raw.strip()
        words = re.split(rb"[\s,;]+", line.replace(b'"', b"").strip(b" \t,;"))
        if line.startswith(COMMENTS):
            comment, comment_line = line.lstrip(b"#/% \t"), number
        elif not all(is_number(word) for word in words if word):
            if header:
                return None
            header, header_line = line, number
        elif len(words) == 1 and _COUNT.fullmatch(words[0]) and count is None:
            count = int(words[0])
        elif words != [b""]:
            return _Prologue(comment, comment_line, header, header_line, count, line, number, offset)
        offset += len(raw) + len(newline)
    return None


def _separators(line: bytes) -> tuple[bytes, bytes]:
    """What stands between the numbers of a line, and before their fractions."""
    if b";" in line:
        return b";", b"," if b"." not in line and _FRACTION_COMMA.search(line) else b"."
    blank = b"\t" if len(line.split(b"\t")) == len(line.split()) > 1 else b" "
    if b"," in line and b"." not in line and len(line.split()) >= 3 and b", " not in line:
        return blank, b","
    return (b"," if b"," in line else blank), b"."


def _words(line: bytes, delimiter: bytes) -> list[bytes]:
    plain = line.replace(b'"', b"").strip()
    if delimiter == b" ":
        return plain.split()
    return [word.strip() for word in plain.strip(delimiter).split(delimiter)] if plain else []
