"""The header of a PCD file: fields with their sizes, types and counts, the number of points, and how the body is kept.

FIELDS x y z rgb / SIZE 4 4 4 4 / TYPE F F F U / COUNT 1 1 1 1 / WIDTH 9 / HEIGHT 1 / POINTS 9 / DATA ascii
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidpc.media.records import FileBytes
from vidpc.media.sources import shown
from vidpc.types import PointOptions

KINDS = ("ascii", "binary", "binary_compressed")
_CODES = {"F": "f", "I": "i", "U": "u"}
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_WHOLE = re.compile(r"[0-9]{1,19}")
_KEYWORDS = ("VERSION", "FIELDS", "COLUMNS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
_NEEDED = ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "DATA")
_MAX_FIELDS, _MAX_COUNT = 4096, 1 << 20
_MAX_ROW_BYTES = 1 << 26
_PADDING = "_"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``key`` is its name, made different for paddings, which all are called ``_``."""

    name: str
    key: str
    type: str
    size: int
    count: int

    @property
    def code(self) -> str:
        """The NumPy type of one value."""
        return f"<{_CODES[self.type]}{self.size}"

    @property
    def is_padding(self) -> bool:
        """Whether the field holds nothing."""
        return self.name == _PADDING

    @property
    def row_bytes(self) -> int:
        """Bytes of a point's values."""
        return self.size * self.count


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header; ``lines`` are its lines by keyword as they stand in the file, ``size`` is where the body starts."""

    fields: tuple[Field, ...]
    points: int
    kind: str
    lines: tuple[tuple[str, bytes], ...]
    size: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """A point as a record."""
        return record(self.fields)


def record(fields: tuple[Field, ...]) -> np.dtype[Any]:
    """A point of some fields as a record, with a second axis where a field has several values."""
    return np.dtype([(one.key, one.code) if one.count == 1 else (one.key, one.code, (one.count,)) for one in fields])


def read_header(data: FileBytes, options: PointOptions) -> Header:
    """The header, checked in itself; the body is checked by its kind."""
    raw = data.up_to(0, options.max_header_bytes)
    lines, size = _lines(data, raw)
    words = {keyword: line.decode("utf-8", "replace").split()[1:] for keyword, line in lines if keyword}
    if "COLUMNS" in words:
        words.setdefault("FIELDS", words["COLUMNS"])
    if missing := [keyword for keyword in _NEEDED if keyword not in words]:
        raise data.damaged(f"its header has no {', '.join(missing)}")
    kind = " ".join(words["DATA"]).lower()
    if kind not in KINDS:
        raise data.damaged(f"its header: expected DATA with one of {', '.join(KINDS)}, found {shown(kind)!r}")
    header = Header(_fields(data, words), _points(data, words, options), kind, tuple(lines), size)
    if missing := [axis for axis in "xyz" if axis not in [one.name.lower() for one in header.fields if one.count == 1]]:
        raise data.damaged(f"it has no field {', '.join(missing)}; it has: {shown(' '.join(words['FIELDS']))}")
    return header


def _lines(data: FileBytes, raw: bytes) -> tuple[list[tuple[str, bytes]], int]:
    """(keyword, line with its end) up to DATA, and the byte after it; comments and blank lines have no keyword."""
    lines: list[tuple[str, bytes]] = []
    start = 0
    while (end := raw.find(b"\n", start)) >= 0:
        line, start = raw[start : end + 1], end + 1
        text = line.decode("utf-8", "replace").strip()
        keyword = "" if not text or text.startswith("#") else text.split()[0]
        if keyword and keyword not in _KEYWORDS:
            raise data.damaged(f"line {len(lines) + 1} of its header: expected a line of a PCD header, found {shown(text)!r}")
        if keyword and any(keyword == other for other, _ in lines):
            raise data.damaged(f"line {len(lines) + 1} of its header: {keyword} stands there twice")
        lines.append((keyword, line))
        if keyword == "DATA":
            return lines, start
    if len(raw) < data.size:
        raise data.damaged(f"its header has no DATA line within {len(raw)} bytes")
    raise data.damaged(f"its header has no DATA line: the file ends at byte {data.size}")


def _fields(data: FileBytes, words: dict[str, list[str]]) -> tuple[Field, ...]:
    names = words["FIELDS"]
    if not 0 < len(names) <= _MAX_FIELDS:
        raise data.damaged(f"its header names {len(names)} fields, expected 1 to {_MAX_FIELDS}")
    counts = words.get("COUNT", ["1"] * len(names))
    for keyword, given in (("SIZE", words["SIZE"]), ("TYPE", words["TYPE"]), ("COUNT", counts)):
        if len(given) != len(names):
            raise data.damaged(f"its header: expected {len(names)} values after {keyword}, one a field, found {len(given)}")
    rows = enumerate(zip(names, words["TYPE"], words["SIZE"], counts, strict=True))
    fields = tuple(_field(data, number, *row) for number, row in rows)
    counts_by_key = Counter(field.key for field in fields)
    if twice := [key for key, count in counts_by_key.items() if count > 1]:
        raise data.damaged(f"its header names the field {shown(twice[0])} twice")
    if (row_bytes := sum(field.row_bytes for field in fields)) > _MAX_ROW_BYTES:
        raise data.damaged(f"its header declares points of {row_bytes} bytes, at most {_MAX_ROW_BYTES} are read")
    return fields


def _field(data: FileBytes, number: int, name: str, kind: str, size: str, count: str) -> Field:
    if kind not in _CODES:
        raise data.damaged(f"its header: expected TYPE F, I or U for field {shown(name)}, found {shown(kind)!r}")
    if size not in map(str, _SIZES[kind]):
        raise data.damaged(
            f"its header: expected SIZE {_SIZES[kind]} for field {shown(name)} of TYPE {kind}, found {shown(size)!r}"
        )
    if not _WHOLE.fullmatch(count) or not 1 <= int(count) <= _MAX_COUNT:
        raise data.damaged(f"its header: expected COUNT 1 to {_MAX_COUNT} for field {shown(name)}, found {shown(count)!r}")
    return Field(name, f"_#{number}" if name == _PADDING else name, kind, int(size), int(count))


def _points(data: FileBytes, words: dict[str, list[str]], options: PointOptions) -> int:
    found = {}
    for keyword in ("WIDTH", "HEIGHT", "POINTS"):
        given = words.get(keyword)
        if given is None:  # POINTS came with a later version of the format
            continue
        if len(given) != 1 or not _WHOLE.fullmatch(given[0]):
            raise data.damaged(f"its header: expected {keyword} and a whole number from 0, found {shown(' '.join(given))!r}")
        found[keyword] = int(given[0])
    points = found["WIDTH"] * found["HEIGHT"]
    if found.get("POINTS", points) != points:
        raise data.damaged(
            f"its header contradicts itself: POINTS {found['POINTS']}, but WIDTH {found['WIDTH']} times HEIGHT "
            f"{found['HEIGHT']} is {points}"
        )
    if points > options.max_points:
        raise data.damaged(f"its header declares {points} points, at most {options.max_points} are read")
    return points
