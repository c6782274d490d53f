"""Rows with lists of a PLY element in binary: found one after the other, for none says where the next but one begins."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vidpc.errors import PointCloudError
from vidpc.media.ply_header import Element, Property
from vidpc.media.records import FileBytes
from vidpc.media.sources import shown

_WINDOW_BYTES = 1 << 22
_MAX_ROW_BYTES = 1 << 26
_CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I"}
_LEAST_RUN, _LONGEST_RUN = 8, 1 << 16


@dataclass(frozen=True, slots=True)
class Row:
    """One row's bytes in ``raw``: it ends at ``end``, and property i starts at ``starts[i]``."""

    starts: tuple[int, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Run:
    """Rows ``first`` and on, whole, in their bytes."""

    first: int
    raw: bytes
    rows: tuple[Row, ...]


class _Short(Exception):  # noqa: N818 - an answer, not an error
    """The bytes at hand end before the row does; ``needed`` of them would do, as far as is known."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class ListRows:
    """Finds rows of one element that start at a byte of a file."""

    def __init__(self, data: FileBytes, element: Element, order: str, start: int) -> None:
        self._data, self._element, self._start = data, element, start
        self._steps = [_step(entry, order) for entry in element.properties]

    def end(self) -> int:
        """The byte after the last row. Raises PointCloudError where a row reaches beyond the file."""
        row, offset = 0, self._start
        while row < self._element.count:
            window = self._window(row, offset)
            found, size = self._pass(window, self._element.count - row)
            row, offset = row + found, offset + size
        return offset

    def runs(self, rows: int) -> Iterator[Run]:
        """All rows in order, in runs of at most ``rows``."""
        first, offset = 0, self._start
        while first < self._element.count:
            window = self._window(first, offset)
            found = self._rows(window, min(rows, self._element.count - first))
            yield Run(first, window[: found[-1].end], tuple(found))
            first, offset = first + len(found), offset + found[-1].end

    def _window(self, row: int, offset: int) -> bytes:
        """Bytes from ``offset`` that hold one whole row or more."""
        window = self._data.up_to(offset, _WINDOW_BYTES)
        while True:
            try:
                self._row(window, 0)
            except _Short as short:
                if offset + short.needed > self._data.size or short.needed > _MAX_ROW_BYTES:
                    raise self._cut(row, offset, short.needed) from None
                window = self._data.up_to(offset, short.needed)
                if len(window) < short.needed:
                    raise self._cut(row, offset, short.needed) from None
            else:
                return window

    def _cut(self, row: int, offset: int, needed: int) -> PointCloudError:
        element = self._element
        return self._data.damaged(
            f"element {shown(element.name)}, row {row} of {element.count} at byte {offset}: it needs {needed} bytes, "
            f"the file has {self._data.size - offset} there (at most {_MAX_ROW_BYTES} are read)"
        )

    def _row(self, window: bytes, at: int) -> Row:
        starts = []
        position = at
        for counter, item_bytes in self._steps:
            starts.append(position)
            if counter is None:
                position += item_bytes
                continue
            if position + counter.size > len(window):
                raise _Short(position + counter.size - at)
            length = counter.unpack_from(window, position)[0]
            if length < 0:
                raise self._data.damaged(f"element {shown(self._element.name)}: a list of {length} values")
            position += counter.size + length * item_bytes
        if position > len(window):
            raise _Short(position - at)
        return Row(tuple(starts), position)

    def _rows(self, window: bytes, most: int) -> list[Row]:
        found: list[Row] = []
        while len(found) < most:
            try:
                found.append(self._row(window, found[-1].end if found else 0))
            except _Short:
                break
        return found

    def _pass(self, window: bytes, most: int) -> tuple[int, int]:
        """(rows, bytes) that a window holds. Rows like the one before are counted at once: most meshes are of triangles."""
        count = at = 0
        reach = _LEAST_RUN
        while count < most:
            try:
                row = self._row(window, at)
            except _Short:
                break
            alike = self._alike(window, at, row, min(most - count, reach))
            reach = min(4 * reach, _LONGEST_RUN) if alike == reach else _LEAST_RUN
            count, at = count + alike, at + alike * (row.end - at)
        return count, at

    def _alike(self, window: bytes, at: int, row: Row, most: int) -> int:
        """How many rows from ``at`` on have lists as long as ``row`` has, 1 or more."""
        size = row.end - at
        most = min(most, (len(window) - at) // size)
        table = np.frombuffer(window, np.uint8, most * size, at).reshape(most, size)
        same = np.ones(most, bool)
        for start, (counter, _) in zip(row.starts, self._steps, strict=True):
            if counter is not None:
                lengths = table[:, start - at : start - at + counter.size]
                same &= (lengths == lengths[0]).all(axis=1)
        return most if same.all() else int(np.argmin(same))


def _step(entry: Property, order: str) -> tuple[struct.Struct | None, int]:
    item_bytes = np.dtype(entry.value_type).itemsize
    return (struct.Struct(order + _CODES[entry.count_type]) if entry.count_type else None), item_bytes
