"""A scan file's bytes, every read of them checked: what a header declares is held against the size of the file first.

Files are read, not mapped: a mapped file that is cut while it is read ends the process, and its pages count as memory.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError
from vidpc.media.sources import shown

_COPY_BYTES = 1 << 22
_SAMPLES, _SAMPLE_ROWS = 64, 512
_RUN_BYTES = 1 << 27


class FileBytes:
    """An open file that is read by offset. ``name`` is what the user called it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._lock, self.name = file, threading.Lock(), name
        self.size = os.fstat(file.fileno()).st_size

    def at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``; a file that lost them since it was opened raises PointCloudError."""
        found = self.up_to(offset, size)
        if len(found) != size:
            raise self.damaged(f"expected {size} bytes at byte {offset}, found {len(found)}: the file ends or was cut")
        return found

    def up_to(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset``: fewer where the file ends."""
        try:
            with self._lock:  # a pass may run in another thread than the one before it
                self._file.seek(offset)
                return self._file.read(size)
        except OSError as error:
            raise self.damaged(f"reading at byte {offset}: {error.strerror}") from error

    def rows(self, offset: int, dtype: np.dtype[Any], first: int, count: int) -> npt.NDArray[Any]:
        """Rows ``first`` to ``first + count`` of a table of fixed records that starts at ``offset``; read-only."""
        return np.frombuffer(self.at(offset + first * dtype.itemsize, count * dtype.itemsize), dtype)

    def copy(self, start: int, end: int, target: BinaryIO) -> None:
        """Write the bytes from ``start`` up to ``end`` to another file."""
        for offset in range(start, end, _COPY_BYTES):
            target.write(self.at(offset, min(_COPY_BYTES, end - offset)))

    def damaged(self, what: str) -> PointCloudError:
        """The error that says what is wrong with this file."""
        return PointCloudError(f"cannot read {shown(self.name)}: {what}")


@dataclass(frozen=True, slots=True)
class Table:
    """Declared fixed records: ``count`` of ``row_bytes`` each from byte ``start``, named for messages."""

    what: str
    start: int
    count: int
    row_bytes: int

    @property
    def end(self) -> int:
        """The byte after the last record."""
        return self.start + self.count * self.row_bytes


def require_room(data: FileBytes, table: Table) -> None:
    """Raise PointCloudError where the file is too short for what its header declares."""
    if table.end <= data.size:
        return
    row = max(0, data.size - table.start) // table.row_bytes
    raise data.damaged(
        f"{table.what} is cut: {table.count} rows of {table.row_bytes} bytes from byte {table.start} would end at byte "
        f"{table.end}, the file ends at byte {data.size}, in row {row}"
    )


def rows_at_once(wanted: int, row_bytes: int) -> int:
    """How many rows are read together: as many as wanted, but no more than 128 MiB of them, and at least one."""
    return max(1, min(wanted, _RUN_BYTES // max(1, row_bytes)))


@contextmanager
def opened(path: Path, name: str) -> Iterator[FileBytes]:
    """The bytes of a file while the context lasts."""
    with path.open("rb") as file:
        yield FileBytes(file, name)


def sampled(data: FileBytes, table: Table, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Rows from everywhere in a table, for what has to be known of all of them before they are read."""
    rows = rows_at_once(_SAMPLE_ROWS, _SAMPLES * table.row_bytes)
    if table.count <= _SAMPLES * rows:
        return data.rows(table.start, dtype, 0, table.count)
    firsts = np.linspace(0, table.count - rows, _SAMPLES).astype(np.int64)
    return np.concatenate([data.rows(table.start, dtype, first, rows) for first in firsts.tolist()])
