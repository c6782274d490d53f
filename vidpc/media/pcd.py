"""PCD files: text, binary and compressed, fields of several values, packed colours.

A compressed body holds the fields one after the other, each for all points; it is unpacked into a temporary file first.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.media.ascii_rows import Lines, lines, parse
from vidpc.media.columns import Roles, cloud_of, colour_scale, roles_of
from vidpc.media.lzf import MOST_EXPANSION, unpack
from vidpc.media.pcd_header import Field, Header, read_header, record
from vidpc.media.records import FileBytes, Table, opened, require_room, rows_at_once, sampled
from vidpc.types import PointCloud, PointField, PointOptions, ScanInfo

CHUNK_POINTS = 1 << 18
PACKED = ("rgb", "rgba")
_SHIFTS = {"red": 16, "green": 8, "blue": 0}
_SAMPLE_ROWS = 1 << 14
_SIZES_BYTES = 8  # of the two sizes before a compressed body

Rows = npt.NDArray[Any]


@contextmanager
def open_pcd(path: Path, name: str, options: PointOptions) -> Iterator["PcdSource"]:
    """An open PCD file, its header held against its size; a compressed one is unpacked here."""
    with ExitStack() as stack:
        data = stack.enter_context(opened(path, name))
        header = read_header(data, options)
        columns = _unpacked(data, header, options, stack) if header.kind == "binary_compressed" else None
        yield PcdSource(data, header, options, columns)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A body that was compressed: where each field's values start in ``data``."""

    data: FileBytes
    starts: dict[str, int]
    end: int  # of the compressed body, in the file itself


class PcdSource:
    """One open PCD file."""

    def __init__(self, data: FileBytes, header: Header, options: PointOptions, unpacked: Unpacked | None) -> None:
        self.data, self.header, self._unpacked, self._strict = data, header, unpacked, options.strict
        self._notes: list[str] = []
        self._check_room()
        self.packed = _packed_colour(header)
        self._roles = _roles(header, self.packed)
        self._is_whole = header.kind == "ascii" and self.packed is not None and self._packs_as_whole_numbers(self.packed)
        self.full_scale = self._full_scale()
        warnings = self._warnings()
        self._refuse_damage(warnings)
        fields = tuple(PointField(one.name, _type(one)) for one in header.fields)
        self._info = ScanInfo(data.name, "pcd", header.points, fields, warnings=tuple(warnings))

    @property
    def info(self) -> ScanInfo:
        """What the header says."""
        return self._info

    @property
    def colour_keys(self) -> tuple[str, ...]:
        """The fields that are red, green and blue, where they are not packed into one."""
        return () if self.packed or not self._roles.colour else self._roles.colour

    def notes(self) -> list[str]:
        """What a pass found after the points of a text."""
        return list(self._notes)

    def clouds(self, points: int = CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order."""
        for first, rows, records in self._rows(rows_at_once(points, self.header.dtype.itemsize)):
            column = _Columns(rows, self.packed)
            yield cloud_of(first, column, self._roles, self.full_scale, records)

    def _rows(self, points: int) -> Iterator[tuple[int, Rows, Rows | Lines]]:
        if self.header.kind == "ascii":
            yield from self._text_rows(points)
            return
        for first in range(0, self.header.points, points):
            rows = self._binary_rows(first, min(points, self.header.points - first))
            yield first, rows, rows

    def _binary_rows(self, first: int, count: int) -> Rows:
        dtype = self.header.dtype
        if self._unpacked is None:
            return self.data.rows(self.header.size, dtype, first, count)
        rows = np.zeros(count, dtype)  # a padding may not be kept: it is nothing
        for one in self.header.fields:
            if one.key in self._unpacked.starts:
                values = np.dtype((one.code, (one.count,)) if one.count > 1 else one.code)
                start = self._unpacked.starts[one.key] + first * one.row_bytes
                raw = self._unpacked.data.at(start, count * one.row_bytes)
                rows[one.key] = np.frombuffer(raw, values.base).reshape(count, *values.shape)
        return rows

    def _text_rows(self, points: int) -> Iterator[tuple[int, Rows, Lines]]:
        done, end = 0, self.header.size
        for run in lines(self.data, end, self.header.points, points):
            yield run.first, self._parsed(run), run
            done, end = done + run.count, run.end
        if done < self.header.points:
            raise self.data.damaged(
                f"its points are cut: the file ends at byte {self.data.size} after row {done} of {self.header.points}"
            )
        if any(lines(self.data, end, 1, 1)):
            self._notes = [f"{self.data.size - end} bytes follow the last point (from byte {end})"]
            self._refuse_damage(self._notes)

    def _parsed(self, run: Lines) -> Rows:
        """Lines as records; a packed colour, whose number may be a whole one, as the bits that it stands for."""
        flat = [(f"{one.key}#{i}", one) for one in self.header.fields for i in range(one.count)]
        wide = np.dtype([(key, "f8" if one.name == self.packed else one.code) for key, one in flat])
        table = parse(self.data, run, wide, "points")
        rows = np.empty(len(table), np.dtype([(key, one.code) for key, one in flat]))
        for key, one in flat:
            rows[key] = self._bits(table[key], one) if one.name == self.packed else table[key]
        return rows.view(self.header.dtype)

    def _bits(self, values: Rows, one: Field) -> Rows:
        with np.errstate(invalid="ignore", over="ignore"):
            if one.type != "F" or self._is_whole:
                bits: Rows = values.astype(np.int64).astype(np.uint32).view(one.code)
                return bits
            return values.astype(np.float32)

    def _packs_as_whole_numbers(self, packed: str) -> bool:
        """Whether a text writes a packed colour as the whole number that its bits are, whatever its TYPE says."""
        place = sum(one.count for one in self.header.fields[: [one.name for one in self.header.fields].index(packed)])
        for run in lines(self.data, self.header.size, min(self.header.points, _SAMPLE_ROWS), _SAMPLE_ROWS):
            words = [line.split()[place : place + 1] for line in run.text.split(b"\n")[:-1]]
            return all(re.fullmatch(rb"[0-9]+", word) for row in words for word in row)
        return True

    def _full_scale(self) -> float:
        if self.packed or self._roles.colour is None:
            return 255.0
        return colour_scale(self._sample(), self._roles.colour)

    def _sample(self) -> Rows:
        if self.header.kind == "binary":
            return sampled(self.data, self._table(), self.header.dtype)
        return next((rows for _, rows, _ in self._rows(_SAMPLE_ROWS)), np.empty(0, self.header.dtype))

    def _table(self) -> Table:
        return Table("its table of points", self.header.size, self.header.points, self.header.dtype.itemsize)

    def _check_room(self) -> None:
        if self.header.kind == "binary":
            require_room(self.data, self._table())
        elif self.header.kind == "ascii":
            _check_text_room(self.data, self.header)

    def _warnings(self) -> list[str]:
        if self.header.kind == "ascii":
            return []
        end = self._table().end if self._unpacked is None else self._unpacked.end
        return [f"{self.data.size - end} bytes follow the last point (from byte {end})"] if end < self.data.size else []

    def _refuse_damage(self, found: list[str]) -> None:
        if self._strict and found:
            raise self.data.damaged(f"{'; '.join(found)} (--strict)")


class _Columns:
    """Gives a column of some records by its name; red, green and blue out of a packed colour."""

    def __init__(self, rows: Rows, packed: str | None) -> None:
        self._rows, self._packed = rows, packed

    def __call__(self, name: str) -> Rows:
        if self._packed is None or name not in _SHIFTS:
            return self._rows[name]
        bits = np.ascontiguousarray(self._rows[self._packed]).view("<u4")
        return (bits >> _SHIFTS[name] & 0xFF).astype(np.uint8)


def _roles(header: Header, packed: str | None) -> Roles:
    single = [one.key for one in header.fields if one.count == 1 and not one.is_padding and one.name != packed]
    roles = roles_of([*single, *(_SHIFTS if packed else ())])
    assert roles is not None  # the header was checked
    several = tuple(one.key for one in header.fields if one.count > 1 and not one.is_padding)
    return Roles(roles.xyz, roles.colour, roles.intensity, roles.label, (*roles.others, *several))


def _packed_colour(header: Header) -> str | None:
    """The field whose four bytes are blue, green, red and what is left; not where the file has such fields of their own."""
    names = [one.name for one in header.fields]
    if any(name in names for name in _SHIFTS):
        return None
    return next((one.name for one in header.fields if one.name in PACKED and one.size == 4 and one.count == 1), None)


def _type(one: Field) -> str:
    return one.code if one.count == 1 else f"({one.count},){one.code}"


def _check_text_room(data: FileBytes, header: Header) -> None:
    needed = header.points * 2 * sum(one.count for one in header.fields)
    room = data.size - header.size
    if needed > room + 1:  # the last line needs no newline
        raise data.damaged(
            f"its header declares {header.points} points, which need {needed} bytes or more; the file has {room} bytes after "
            f"its header (byte {header.size} of {data.size})"
        )


def _unpacked(data: FileBytes, header: Header, options: PointOptions, stack: ExitStack) -> Unpacked:
    """The body in a temporary file that lasts as long as ``stack``; what it declares is checked first."""
    if header.points == 0:
        return Unpacked(data, {}, data.size)
    sizes = np.frombuffer(data.at(header.size, _SIZES_BYTES), "<u4")
    packed, unpacked = int(sizes[0]), int(sizes[1])
    start = header.size + _SIZES_BYTES
    kept = _kept_fields(data, header, unpacked)
    if packed > data.size - start:
        raise data.damaged(
            f"its compressed points are cut: {packed} bytes from byte {start}, the file ends at byte {data.size}"
        )
    if unpacked > packed * MOST_EXPANSION:
        raise data.damaged(f"its compressed points cannot be: {packed} bytes at byte {start} are said to unpack to {unpacked}")
    if unpacked > options.max_spool_bytes:
        raise data.damaged(
            f"its points unpack to {unpacked} bytes, at most {options.max_spool_bytes} are kept in a temporary file"
        )
    file = stack.enter_context(tempfile.TemporaryFile(prefix="vidpc-"))  # noqa: SIM115 - the stack closes it
    unpack(data, start, packed, unpacked, file)
    file.flush()
    ends = np.cumsum([0, *(one.row_bytes * header.points for one in kept)]).tolist()
    starts = {one.key: begin for one, begin in zip(kept, ends, strict=False)}
    return Unpacked(FileBytes(file, data.name), starts, start + packed)


def _kept_fields(data: FileBytes, header: Header, unpacked: int) -> tuple[Field, ...]:
    """The fields that a compressed body holds: some writers leave out the paddings."""
    without = tuple(one for one in header.fields if not one.is_padding)
    for kept in (header.fields, without):
        if unpacked == header.points * record(kept).itemsize:
            return kept
    raise data.damaged(
        f"its compressed points are declared as {unpacked} bytes (byte {header.size + 4}), {header.points} points of "
        f"{header.dtype.itemsize} bytes are {header.points * header.dtype.itemsize}"
    )
