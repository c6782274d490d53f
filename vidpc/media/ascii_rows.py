"""Numbers in lines of text, many lines at a time: a row is a line, and a line that does not fit is named with its byte."""

import io
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.media.records import FileBytes
from vidpc.media.sources import shown

_WINDOW_BYTES = 1 << 22
_MAX_LINE_BYTES = 1 << 24
_SHOWN_CHARACTERS = 60
# What numbers are written with. NumPy takes further bytes for blanks; what it reads and what a line's words are must agree.
_PLAIN = bytes([*range(0x20, 0x7F), *b"\t\r\n"])
_BLANK = re.compile(rb"(?m)^[ \t\r]*\n")


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of text with something in them, each ended by a newline: ``first`` is the row of the first, ``offset`` its byte.

    ``end`` is the byte after the last. Where blank lines were left out, the bytes of single rows are found by counting again.
    """

    first: int
    offset: int
    end: int
    text: bytes
    count: int


def lines(data: FileBytes, offset: int, count: int, rows: int, newline: bytes = b"\n") -> Iterator[Lines]:
    """``count`` lines from byte ``offset`` in runs of at most ``rows``; the last run ends early where the file does."""
    first = 0
    while first < count:
        run = _run(data, first, offset, min(rows, count - first), newline)
        if run.count:
            yield run
        first, offset = first + run.count, run.end
        if offset >= data.size:
            return


def _run(data: FileBytes, first: int, offset: int, rows: int, newline: bytes) -> Lines:
    """At most ``rows`` lines from ``offset``."""
    parts: list[bytes] = []
    found, at = 0, offset
    while found < rows and at < data.size:
        text, at = _block(data, at, rows - found, newline)
        parts.append(text)
        found += text.count(b"\n")
    return Lines(first, offset, at, b"".join(parts), found)


def _block(data: FileBytes, offset: int, rows: int, newline: bytes) -> tuple[bytes, int]:
    """Whole lines of one window without blank ones, at most ``rows``, and the byte after them."""
    window = data.up_to(offset, _WINDOW_BYTES)
    if newline not in window and offset + len(window) < data.size:
        window = data.up_to(offset, _MAX_LINE_BYTES)
        if newline not in window and offset + len(window) < data.size:
            raise data.damaged(f"the line at byte {offset} is longer than {_MAX_LINE_BYTES} bytes")
    is_last = offset + len(window) == data.size
    ends = np.flatnonzero(np.frombuffer(window, np.uint8) == newline[0])[:rows] + 1
    stop = len(window) if is_last and len(ends) < rows else int(ends[-1])
    text = window[:stop]
    if not text.endswith(newline):
        text += newline
    if newline != b"\n":
        text = text.replace(newline, b"\n")
    return _BLANK.sub(b"", text) if _has_blank(text) else text, offset + stop


def _has_blank(text: bytes) -> bool:
    return text[:1] in b"\r\n \t" or b"\n\n" in text or b"\n\r" in text or b"\n " in text or b"\n\t" in text


def parse(data: FileBytes, run: Lines, dtype: np.dtype[Any], what: str) -> npt.NDArray[Any]:
    """The rows of a run as records of ``dtype``; a line with other than one number a field raises PointCloudError."""
    try:
        return _records(run.text, run.count, dtype)
    except (ValueError, OverflowError) as error:
        raise _bad_line(data, run, dtype, what) from error


def _records(text: bytes, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """``count`` records, or ValueError."""
    if text.translate(None, _PLAIN):
        raise ValueError("not a text of numbers")
    try:
        rows = np.atleast_1d(_load(text, dtype))
    except (ValueError, OverflowError):
        rows = _rounded(text, dtype)
    if len(rows) != count:
        raise ValueError(f"{len(rows)} rows")
    return rows


def texts(values: npt.NDArray[Any]) -> list[bytes]:
    """Numbers as words: whole ones in full, others in as many digits as a float32 has."""
    template = b"%d" if values.dtype.kind in "iu" else b"%.9g"
    return [template % value for value in values.tolist()]


def grown(run: Lines, columns: Sequence[Sequence[bytes]], newline: bytes) -> bytes:
    """The lines with further words at their ends, a column of words each; ended as the first of them ends."""
    rows, end = line_ends(run, newline)
    tails = map(b" ".join, zip(*columns, strict=True))
    return b"".join([b"%b %b%b" % (row.rstrip(), tail, end) for row, tail in zip(rows, tails, strict=True)])


def rearranged(run: Lines, places: Sequence[int], columns: Sequence[Sequence[bytes]], newline: bytes) -> bytes:
    """Lines of the words at ``places``, counted through a line's own words and then through the ``columns`` of further ones."""
    rows, end = line_ends(run, newline)
    pick = operator.itemgetter(*places)
    return b"".join(
        [b" ".join(pick([*row.split(), *new])) + end for row, new in zip(rows, zip(*columns, strict=True), strict=True)]
    )


def line_ends(run: Lines, newline: bytes) -> tuple[list[bytes], bytes]:
    """The lines without their newlines, and what ended the first of them."""
    rows = run.text.split(b"\n")[:-1]
    return rows, b"\r\n" if rows and rows[0].endswith(b"\r") else newline


def _load(text: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.loadtxt(io.BytesIO(text), dtype, comments=None, encoding="latin-1")


def _rounded(text: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Rows whose whole numbers are written as 255.0."""
    names = dtype.names or ()
    table = np.atleast_1d(_load(text, np.dtype([(name, "f8") for name in names])))
    rows = np.empty(len(table), dtype)
    for name in names:
        with np.errstate(invalid="ignore", over="ignore"):
            rows[name] = table[name]
        if dtype[name].kind in "iu" and not np.array_equal(rows[name], table[name]):
            raise ValueError(name)
    return rows


def _bad_line(data: FileBytes, run: Lines, dtype: np.dtype[Any], what: str) -> Exception:
    """The error for the first line of a run that cannot be read."""
    names = dtype.names or ()
    offset = run.offset
    for number, line in enumerate(run.text.split(b"\n")[:-1]):
        if not _fits(line, dtype):
            said = shown(line.decode("latin-1").strip()[:_SHOWN_CHARACTERS])
            return data.damaged(
                f"{what}, row {run.first + number} (about byte {offset}): expected {len(names)} numbers "
                f"({shown(' '.join(names))}), found {said!r}"
            )
        offset += len(line) + 1
    return data.damaged(f"{what}, rows {run.first} to {run.first + run.count}: not the numbers that the header declares")


def _fits(line: bytes, dtype: np.dtype[Any]) -> bool:
    try:
        if len(line.split()) != len(dtype.names or ()):
            return False
        _records(line + b"\n", 1, dtype)
    except (ValueError, OverflowError):
        return False
    return True
