"""The header of a PLY file: elements, their properties, and the lines as they stand in the file.

ply / format ascii 1.0 / comment … / element vertex 1000 / property float x / property list uchar int ids / end_header
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vidpc.errors import unknown_name
from vidpc.media.records import FileBytes
from vidpc.media.sources import shown
from vidpc.types import PointOptions

Encoding = Literal["ascii", "<", ">"]
ENCODINGS: dict[str, Encoding] = {"ascii": "ascii", "binary_little_endian": "<", "binary_big_endian": ">"}
_OLD_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
}
TYPES = _OLD_TYPES | {f"{kind}{8 * size}": f"{kind[0]}{size}" for kind in ("int", "uint") for size in (1, 2, 4)}
TYPES |= {"float32": "f4", "float64": "f8"}
_MAGIC = re.compile(rb"ply[ \t]*(\r\n|\n|\r)")
_COUNT = re.compile(r"[0-9]{1,19}")
_MAX_ELEMENTS, _MAX_PROPERTIES = 256, 4096
_OTHER_KEYWORDS = ("property", "comment", "obj_info", "end_header", "")


@dataclass(frozen=True, slots=True)
class Property:
    """One value of an element, or a list of them where ``count_type`` is set; types are NumPy's without a byte order."""

    name: str
    value_type: str
    count_type: str | None = None


@dataclass(slots=True)
class Element:
    """One table of the file. ``properties`` grow while the header is read."""

    name: str
    count: int
    properties: list[Property]

    @property
    def has_lists(self) -> bool:
        """Whether its rows differ in length."""
        return any(entry.count_type for entry in self.properties)

    @property
    def scalars(self) -> list[Property]:
        """The properties that are no lists."""
        return [entry for entry in self.properties if entry.count_type is None]

    def dtype(self, encoding: Encoding) -> np.dtype[Any]:
        """A row's scalar values as a record: what stands in the file where there are no lists."""
        order = "=" if encoding == "ascii" else encoding
        return np.dtype([(entry.name, order + entry.value_type) for entry in self.scalars])

    def least_bytes(self, encoding: Encoding) -> int:
        """The shortest that a row can be: empty lists, and one digit and a blank a value in text."""
        if encoding == "ascii":
            return max(1, 2 * len(self.properties))
        return sum(np.dtype(entry.count_type or entry.value_type).itemsize for entry in self.properties)


@dataclass(frozen=True, slots=True)
class Line:
    """A header line as it stands in the file with its end, and the element and property that it belongs to or declares."""

    raw: bytes
    keyword: str
    element: str | None = None
    property: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header; ``size`` is where the body starts, ``newline`` ends the lines of a text body."""

    encoding: Encoding
    elements: tuple[Element, ...]
    lines: tuple[Line, ...]
    size: int
    newline: bytes

    @property
    def vertex(self) -> Element:
        """The element of the points."""
        return next(element for element in self.elements if element.name == "vertex")


def read_header(data: FileBytes, options: PointOptions) -> Header:
    """The header, checked in itself and against the size of the file."""
    raw = data.up_to(0, options.max_header_bytes)
    magic = _MAGIC.match(raw)
    if magic is None:
        raise data.damaged(f"not a PLY file: expected it to start with a line 'ply', found {raw[:16]!r}")
    parser = _Parser(data, options, magic[1][-1:])
    size = parser.read(raw, magic.end())
    header = Header(parser.encoding_or_error(), tuple(parser.elements), tuple(parser.lines), size, magic[1][-1:])
    _check_points(data, header)
    _check_counts(data, header)
    return header


class _Parser:
    """Reads line by line, so that a header of rubbish ends at its first line."""

    def __init__(self, data: FileBytes, options: PointOptions, newline: bytes) -> None:
        self._data, self._options, self._newline = data, options, newline
        self._encoding: Encoding | None = None
        self.elements: list[Element] = []
        self.lines: list[Line] = []
        self._properties: set[str] = set()  # names of the last element's

    def read(self, raw: bytes, start: int) -> int:
        """Take the first line, which ends at ``start``, and those up to ``end_header``; returns the byte after it."""
        self.lines.append(Line(raw[:start], "ply"))
        while (end := raw.find(self._newline, start)) >= 0:
            line, start = raw[start : end + 1], end + 1
            if self._take(line):
                return start
        limit = self._options.max_header_bytes
        if len(raw) == limit < self._data.size:
            raise self._data.damaged(f"its header has no end_header within {limit} bytes")
        raise self._data.damaged(f"its header has no end_header: the file ends at byte {self._data.size}")

    def encoding_or_error(self) -> Encoding:
        """The encoding that the format line gave."""
        if self._encoding is None:
            raise self._data.damaged("its header has no format line")
        return self._encoding

    def _take(self, raw: bytes) -> bool:
        text = raw.decode("utf-8", "replace").strip()
        words = text.split()
        keyword = words[0] if words else ""
        element = self.elements[-1].name if self.elements else None
        if keyword == "element":
            element = self._element(words)
        elif keyword == "format":
            self._format(words)
        elif keyword not in _OTHER_KEYWORDS:
            raise self._bad(text, "a line of a PLY header")
        name = self._property(words) if keyword == "property" else None
        self.lines.append(Line(raw, keyword, element, name))
        return keyword == "end_header"

    def _bad(self, text: str, expected: str) -> Exception:
        return self._data.damaged(f"line {len(self.lines) + 1} of its header: expected {expected}, found {shown(text)!r}")

    def _format(self, words: list[str]) -> None:
        if len(words) != 3 or words[1] not in ENCODINGS or words[2] != "1.0":
            raise self._bad(" ".join(words), f"'format' with one of {', '.join(ENCODINGS)} and 1.0")
        if self._encoding is not None:
            raise self._bad(" ".join(words), "one format line only")
        self._encoding = ENCODINGS[words[1]]

    def _element(self, words: list[str]) -> str:
        text = " ".join(words)
        if len(words) != 3 or not _COUNT.fullmatch(words[2]):
            raise self._bad(text, "'element', a name and a whole number from 0")
        name, count = words[1], int(words[2])
        if any(element.name == name for element in self.elements):
            raise self._bad(text, "each element once")
        if len(self.elements) == _MAX_ELEMENTS:
            raise self._bad(text, f"at most {_MAX_ELEMENTS} elements")
        self._properties = set()
        if name == "vertex" and count > self._options.max_points:
            raise self._bad(text, f"at most {self._options.max_points} points")
        self.elements.append(Element(name, count, []))
        return name

    def _property(self, words: list[str]) -> str:
        text = " ".join(words)
        if not self.elements:
            raise self._bad(text, "an element before its properties")
        parsed = self._parsed(words, text)
        owner = self.elements[-1]
        if parsed.name in self._properties:
            raise self._bad(text, f"each property of {owner.name} once")
        if len(owner.properties) == _MAX_PROPERTIES:
            raise self._bad(text, f"at most {_MAX_PROPERTIES} properties")
        owner.properties.append(parsed)
        self._properties.add(parsed.name)
        return parsed.name

    def _parsed(self, words: list[str], text: str) -> Property:
        is_list = len(words) == 5 and words[1] == "list"
        if len(words) != 3 and not is_list:
            raise self._bad(text, "'property type name' or 'property list type type name'")
        for name in words[2:4] if is_list else words[1:2]:
            if name not in TYPES:
                raise self._data.damaged(
                    f"line {len(self.lines) + 1} of its header: {unknown_name('type', shown(name), TYPES)}"
                )
        if not is_list:
            return Property(words[2], TYPES[words[1]])
        if TYPES[words[2]].startswith("f"):
            raise self._bad(text, "a list whose length is a whole number")
        return Property(words[4], TYPES[words[3]], TYPES[words[2]])


def _check_points(data: FileBytes, header: Header) -> None:
    names = [element.name for element in header.elements]
    if "vertex" not in names:
        raise data.damaged(f"it has no element vertex; it has: {', '.join(map(shown, names)) or 'none'}")
    scalars = [entry.name.lower() for entry in header.vertex.scalars]
    if missing := [axis for axis in "xyz" if axis not in scalars]:
        raise data.damaged(f"element vertex has no {', '.join(missing)}; it has: {shown(', '.join(scalars)) or 'none'}")


def _check_counts(data: FileBytes, header: Header) -> None:
    """Refuse counts that the file cannot hold, before anything is read or allocated for them."""
    room = data.size - header.size
    needed = 0
    for element in header.elements:
        needed += element.count * element.least_bytes(header.encoding)
        # The last line of a text needs no newline.
        if needed > room + (header.encoding == "ascii"):
            raise data.damaged(
                f"element {shown(element.name)} is declared with {element.count} rows, which need {needed} bytes or more "
                f"with what comes before; the file has {room} bytes after its header (byte {header.size} of {data.size})"
            )
        if element.name == "vertex":
            return
