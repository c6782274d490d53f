"""Scans of any size in tiles: points are kept by the horizontal cell they lie in, and come back with their surroundings.

    append   rows of points, sorted by cell as soon as they are many ──> runs of rows (cell, offset, count)
    tiles    neighbouring cells, together about ``tile_points`` rows
    Tile     its own rows, or those within a halo as well, in pieces of bounded size

Rows stay in memory as long as they are few; then they go to a file without a name, which the system removes with the process.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import OutputError
from vidpc.types import F32, F64, I64, PointLabels

Rows = npt.NDArray[Any]  # structured: index i64, xyz f64[3], and a field for every further column

MEMORY_POINTS = 1 << 20  # as many rows are held, then sorted and written: 45 MB of coordinates and colour
PIECE_POINTS = 1 << 18
LABEL_MEMORY_POINTS = 1 << 22
_SPARE_BYTES = 256 << 20  # left free on the disk for everybody else
_LAST_CELL = 1 << 30  # points further out share the outermost cells
_CELL_POINTS = 64  # cells with fewer points on average are made larger: reading them would be all seeking
_CELLS_A_TILE = 4


@dataclass(frozen=True, slots=True)
class StoreSize:
    """``cell_m`` is a first guess that adapts to the points; ``expected_points`` lets a full disk be told early."""

    cell_m: float
    tile_points: int
    memory_points: int = MEMORY_POINTS
    expected_points: int = 0


class PointStore:
    """The points of one scan, written once and then read tile by tile, from any thread.

    ``close`` frees what it holds; so does letting go of it.
    """

    def __init__(self, size: StoreSize) -> None:
        self._size, self._cell_m = size, size.cell_m
        self._waiting: list[Rows] = []
        self._waiting_points = 0
        self._cells: list[I64] = []  # of every run: the key of its cell, and
        self._spans: list[I64] = []  # its offset and its count
        self._is_adapted = False
        self._rows: Rows | None = None
        self._file: BinaryIO | None = None
        self._dtype: np.dtype[Any] | None = None
        self._lock = threading.Lock()
        self.count = 0

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Frees memory and disk. May be called twice."""
        self._waiting, self._rows = [], None
        file, self._file = getattr(self, "_file", None), None
        if file is not None:
            with suppress(OSError):
                file.close()

    @property
    def is_on_disk(self) -> bool:
        """Whether the points were too many for memory."""
        return self._file is not None

    @property
    def cell_m(self) -> float:
        """The side of the cells, settled with the first rows that were sorted."""
        return self._cell_m

    def append(self, index: I64, xyz: F64, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds points: their place in the scan, coordinates f64[n 3] (finite), and columns that are the same in every call."""
        if self._dtype is None:
            further = [(name, column.dtype.str, column.shape[1:]) for name, column in columns.items()]
            self._dtype = np.dtype([("index", "<i8"), ("xyz", "<f8", (3,)), *further])
        if not len(index):
            return
        rows = np.empty(len(index), self._dtype)
        rows["index"], rows["xyz"] = index, xyz
        for name, column in columns.items():
            rows[name] = column
        self.count += len(rows)
        self._waiting.append(rows)
        self._waiting_points += len(rows)
        if self._waiting_points > self._size.memory_points:
            self._spill(self._sorted())

    def tiles(self) -> "list[Tile]":
        """The scan in tiles, neighbours following each other. Nothing may be appended afterwards."""
        if self._waiting:
            rows = self._sorted()
            if self._file is None:
                self._rows = rows
            else:
                self._spill(rows)
        if not self._cells:
            return []
        keys, spans = np.concatenate(self._cells), np.concatenate(self._spans)
        cells, belongs = np.unique(keys, return_inverse=True)
        counts = np.bincount(belongs, weights=spans[:, 1]).astype(np.int64)
        places = np.stack([cells >> 32, (cells & 0xFFFFFFFF) - _LAST_CELL], axis=1)  # i64[cells 2]
        run_places = places[belongs]
        groups = _split(places, counts, np.arange(len(places)), self._size.tile_points)
        return [
            Tile(self, run_places, spans, places[g].min(axis=0), places[g].max(axis=0), int(counts[g].sum())) for g in groups
        ]

    def _sorted(self) -> Rows:
        """The waiting rows by cell, each cell's in their own order; remembers where each run of a cell is going to lie."""
        rows = np.concatenate(self._waiting)
        self._waiting, self._waiting_points = [], 0
        if not self._is_adapted:
            self._cell_m, self._is_adapted = _fitting_cell(rows["xyz"], self._cell_m, self._size.tile_points), True
        keys = _cell_keys(rows["xyz"], self._cell_m)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        counts = np.diff(np.r_[starts, len(keys)])
        written = self.count - len(rows)
        self._cells.append(keys[starts])
        self._spans.append(np.stack([starts + written, counts], axis=1))
        return rows[order]

    def _spill(self, rows: Rows) -> None:
        folder = tempfile.gettempdir()
        due = rows.nbytes if self._file else rows.itemsize * max(len(rows), self._size.expected_points)
        try:
            _refuse_full_disk(folder, due)
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=folder, prefix="vidpc-", buffering=0)  # noqa: SIM115 - closed by close
            content = _bytes_of(rows)
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise OutputError(f"sorting a large scan in {folder}: {error.strerror or error}") from error

    def read(self, offset: int, count: int) -> Rows:
        """``count`` rows from ``offset`` on, as they were written."""
        if self._rows is not None:
            return self._rows[offset : offset + count]
        if self._file is None or self._dtype is None:
            raise ValueError("PointStore: read after close")
        rows = np.empty(count, self._dtype)
        content = _bytes_of(rows)
        with self._lock:
            self._file.seek(offset * rows.itemsize)
            while content:
                got = self._file.readinto(content)  # type: ignore[attr-defined]
                if not got:
                    raise OutputError("the temporary file of a large scan was cut short while it was read")
                content = content[got:]
        return rows


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of cells, ``low`` to ``high`` inclusive, with ``count`` points."""

    store: PointStore
    run_places: I64
    spans: I64
    low: I64
    high: I64
    count: int

    @property
    def box(self) -> tuple[F64, F64]:
        """Where the tile begins and ends in x and y: closed below, open above."""
        side = self.store.cell_m
        return self.low.astype(np.float64) * side, (self.high + 1).astype(np.float64) * side

    def pieces(self, *, halo_m: float = 0.0, points: int = PIECE_POINTS) -> Iterator[Rows]:
        """The tile's rows, with those around it no further than ``halo_m``, in pieces of at most ``points`` as read."""
        reach = int(np.ceil(min(halo_m / self.store.cell_m, _LAST_CELL)))
        is_near = ((self.run_places >= self.low - reach) & (self.run_places <= self.high + reach)).all(axis=1)
        low, high = self.box
        for spans in _gathered(_joined(self.spans[is_near]), points):
            parts = [self.store.read(offset, count) for offset, count in spans]
            rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
            if reach:
                xy = rows["xyz"][:, :2]
                rows = rows[((xy >= low - halo_m) & (xy < high + halo_m)).all(axis=1)]
            if len(rows):
                yield rows

    def owns(self, xyz: F64) -> npt.NDArray[np.bool_]:
        """bool[n]: which of the points f64[n 3] are the tile's own, and not of its surroundings."""
        places = _places(xyz, self.store.cell_m)
        return np.asarray(((places >= self.low) & (places <= self.high)).all(axis=1))


class LabelStore:
    """A label and a confidence for every point of a scan, -1 and 0 until they are put; in a nameless file where many."""

    def __init__(self, count: int, *, memory_points: int = LABEL_MEMORY_POINTS) -> None:
        dtype = np.dtype([("label", "<i2"), ("confidence", "<f4")])
        if count <= memory_points:
            self._rows: Rows = np.zeros(count, dtype)
        else:
            try:
                _refuse_full_disk(tempfile.gettempdir(), count * dtype.itemsize)  # a full disk ends a mapping with a crash
                with tempfile.TemporaryFile(prefix="vidpc-") as file:  # the mapping outlives the handle
                    self._rows = np.memmap(file, dtype, "w+", shape=(count,))
            except OSError as error:
                raise OutputError(f"keeping the labels of {count} points: {error.strerror or error}") from error
        self._rows["label"] = -1

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, index: I64, label: npt.NDArray[Any], confidence: F32) -> None:
        """Sets the points at ``index``."""
        self._rows["label"][index] = label
        self._rows["confidence"][index] = confidence

    def runs(self, stream: int, points: int = PIECE_POINTS) -> Iterator[PointLabels]:
        """Every point's label in file order, in runs of at most ``points``. May be called again."""
        for first in range(0, len(self._rows), points):
            rows = self._rows[first : first + points]
            yield PointLabels(stream, first, rows["label"].astype(np.int64), rows["confidence"].astype(np.float32))


def _refuse_full_disk(folder: str, due: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < due + _SPARE_BYTES:
        raise OutputError(
            f"sorting a large scan needs {due / 1e9:.1f} GB in the folder for temporary files {folder}, and "
            f"{free / 1e9:.1f} GB are free: name another with the environment variable TMPDIR"
        )


def _bytes_of(rows: Rows) -> memoryview:
    content: Any = rows.view(np.uint8)
    return memoryview(content)


def _places(xyz: F64, cell_m: float) -> I64:
    """The cell i64[n 2] of points f64[n 3]."""
    return np.clip(np.floor(xyz[:, :2] / cell_m), -_LAST_CELL, _LAST_CELL - 1).astype(np.int64)


def _cell_keys(xyz: F64, cell_m: float) -> I64:
    places = _places(xyz, cell_m)
    keys: I64 = (places[:, 0] << 32) + (places[:, 1] + _LAST_CELL)
    return keys


def _fitting_cell(xyz: F64, cell_m: float, tile_points: int) -> float:
    """``cell_m`` doubled until cells hold enough points to be worth reading, or halved while one is most of a tile."""
    low, high = xyz[:, :2].min(axis=0), xyz[:, :2].max(axis=0)
    while len(xyz) < _CELL_POINTS * len(np.unique(_cell_keys(xyz, cell_m))) and (high - low).max() > cell_m:
        cell_m *= 2
    smallest = cell_m / 64
    while cell_m > smallest and np.unique(_cell_keys(xyz, cell_m), return_counts=True)[1].max() * _CELLS_A_TILE > tile_points:
        cell_m /= 2
    return cell_m


def _split(places: I64, counts: I64, chosen: I64, most: int) -> list[I64]:
    """``chosen`` cells halved, across the longer side and by points, until each group holds at most ``most`` or is one cell."""
    groups, todo = [], [chosen]
    while todo:
        group = todo.pop()
        spread = np.ptp(places[group], axis=0)
        if counts[group].sum() <= most or not spread.any():
            groups.append(group)
            continue
        axis = int(spread.argmax())
        along = places[group, axis]
        levels, belongs = np.unique(along, return_inverse=True)
        ends = np.cumsum(np.bincount(belongs, weights=counts[group]))
        cut = levels[1 + min(int(np.abs(ends[:-1] - ends[-1] / 2).argmin()), len(levels) - 2)]
        todo += [group[along >= cut], group[along < cut]]
    return groups


def _joined(spans: I64) -> I64:
    """Runs (offset, count) in the order of the file, those that touch made one."""
    spans = spans[np.argsort(spans[:, 0])]
    ends = spans.sum(axis=1)
    starts = np.flatnonzero(np.r_[True, spans[1:, 0] != ends[:-1]])
    last = np.r_[starts[1:], len(spans)] - 1
    return np.stack([spans[starts, 0], ends[last] - spans[starts, 0]], axis=1)


def _gathered(spans: I64, points: int) -> Iterator[Sequence[tuple[int, int]]]:
    """Runs in groups of at most ``points`` rows; a longer one is cut."""
    group: list[tuple[int, int]] = []
    room = points
    for offset, count in spans.tolist():
        while count:
            taken = min(count, room)
            group.append((offset, taken))
            offset, count, room = offset + taken, count - taken, room - taken
            if not room:
                yield group
                group, room = [], points
    if group:
        yield group
