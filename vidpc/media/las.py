"""LAS, LAZ and COPC files as streams of points: :func:`open_las`.

Versions 1.0 to 1.4, all point formats, plain or compressed. Points come in file order, whatever order their chunks have.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError
from vidpc.media.las_header import LasHeader, read_header
from vidpc.media.las_points import PointLayout, layout_of
from vidpc.media.laz import Compression, Decoder, compression_of, translated
from vidpc.media.records import FileBytes, Table, opened, rows_at_once, sampled
from vidpc.media.sources import shown
from vidpc.types import F64, U8, PointCloud, PointOptions, ScanInfo

_CHUNK_POINTS = 1 << 18
_COLOURS = ("red", "green", "blue")
_NOT_FIELDS = frozenset({"X", "Y", "Z", "intensity", "classification", *_COLOURS})
_BYTE = 255
_PROBES, _PROBE_POINTS = 16, 1024  # of a compressed file, for its colours
_RETURNS = 16  # that four bits can tell
_FIRST_LAYERED = 6  # the first point format whose parts are compressed apart

Array = npt.NDArray[Any]


@contextmanager
def open_las(path: Path, name: str, options: PointOptions) -> Iterator["LasSource"]:
    """An open LAS or LAZ file. Raises PointCloudError where its header cannot be true."""
    with opened(path, name) as data:
        header = read_header(data, options)
        layout, warnings = layout_of(header)
        compression = None
        if header.is_compressed:
            with path.open("rb") as file:
                compression, more = compression_of(data, header, file)
            warnings += more
        yield LasSource(path, data, header, layout, compression, warnings)


class _Rows(Protocol):
    """Where rows come from, in file order."""

    def rows(self, dtype: np.dtype[Any], count: int) -> Array:
        """The next ``count`` rows."""
        ...


class LasSource:
    """An open file. ``header``, ``layout`` and ``data`` are for its writer."""

    def __init__(
        self,
        path: Path,
        data: FileBytes,
        header: LasHeader,
        layout: PointLayout,
        compression: Compression | None,
        warnings: list[str],
    ) -> None:
        self.header, self.layout, self.data = header, layout, data
        self._path, self._compression = path, compression
        self.colour_scale = self._colour_scale()
        self._forget()
        self.info = ScanInfo(
            path=data.name,
            format="laz" if header.is_compressed else "las",
            count=header.count,
            fields=layout.fields,
            low_xyz=header.low_xyz,
            high_xyz=header.high_xyz,
            crs=header.crs,
            warnings=(*header.warnings, *warnings),
        )

    def clouds(self, points: int = _CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order, in runs of at most ``points``."""
        self._forget()
        points = rows_at_once(points, self.header.record_bytes)
        with self._path.open("rb") as file:
            source = self._rows(file)
            for first in range(0, self.header.count, points):
                count = min(points, self.header.count - first)
                with translated(f"{self._reading(first, count)}: damaged", PointCloudError):
                    rows = source.rows(self.layout.dtype, count)
                yield self._cloud(first, rows)

    def notes(self) -> list[str]:
        """Where the points are not those of the header, and how many had a colour that nobody expected."""
        notes = [f"{self._outside} points lie outside the bounds in the header"] if self._outside else []
        counted = self.header.returns
        if counted and self._returns.sum() == self.header.count and tuple(self._returns[1 : len(counted) + 1]) != counted:
            notes.append(
                "the numbers of points by their return are not those in the header: damaged, or changed and not counted"
            )
        if self._uncoloured:
            notes.append(
                f"{self._uncoloured} points have colours, none of those that were looked at first: they are read without"
            )
        return notes

    def _forget(self) -> None:
        """What an earlier pass found."""
        self._outside = self._uncoloured = 0
        self._returns = np.zeros(_RETURNS, np.int64)

    def _reading(self, first: int, count: int) -> str:
        return f"cannot read {shown(self.data.name)}: points {first} to {first + count - 1} of {self.header.count}"

    def _rows(self, file: BinaryIO) -> _Rows:
        if self._compression is None:
            return _PlainRows(self.data, self.header)
        if not self.header.count:
            return _PlainRows(self.data, self.header)
        with translated(self._reading(0, self.header.count), PointCloudError):
            return Decoder(file, self.header, self._compression)

    def _cloud(self, first: int, rows: Array) -> PointCloud:
        xyz: F64 = np.empty((len(rows), 3))
        for axis, name in enumerate("XYZ"):
            np.multiply(rows[name], self.header.scale[axis], out=xyz[:, axis])
            xyz[:, axis] += self.header.offset[axis]
        self._outside += self._count_outside(xyz)
        names = {*(self.layout.dtype.names or ()), *self.layout.bits}
        fields = {field.name: self._column(rows, field.name) for field in self.layout.fields if field.name in names}
        label = fields["classification"].astype(np.int64)
        self._returns += np.bincount(fields["return_number"], minlength=_RETURNS)
        return PointCloud(
            first=first,
            xyz=xyz,
            colour=self._colour(rows),
            intensity=rows["intensity"].astype(np.float32),
            label=label,
            fields={name: column for name, column in fields.items() if name not in _NOT_FIELDS},
            records=rows,
        )

    def _column(self, rows: Array, name: str) -> Array:
        return self.layout.column(rows, name)

    def _colour(self, rows: Array) -> U8 | None:
        if "red" not in (self.layout.dtype.names or ()):
            return None
        if self.colour_scale == 0:
            self._uncoloured += int((rows["red"] | rows["green"] | rows["blue"]).astype(bool).sum())
            return None
        stored: Array = np.stack([rows[name] for name in _COLOURS], axis=1)  # u16[n 3]
        colour: U8 = (np.minimum(stored, _BYTE) if self.colour_scale == _BYTE else stored >> 8).astype(np.uint8)
        return colour

    def _count_outside(self, xyz: F64) -> int:
        """Points beyond the header's bounds by more than the bounds' rounding."""
        if self.header.low_xyz is None or self.header.high_xyz is None or not len(xyz):
            return 0
        slack = np.abs(self.header.scale) * 2
        low, high = self.header.low_xyz - slack, self.header.high_xyz + slack
        if (xyz.min(axis=0) >= low).all() and (xyz.max(axis=0) <= high).all():
            return 0
        return int(((xyz < low) | (xyz > high)).any(axis=1).sum())

    def _colour_scale(self) -> int:
        """What full colour is stored as: 65535, or 255 by writers who keep bytes; 0 where no point has a colour."""
        if "red" not in (self.layout.dtype.names or ()) or not self.header.count:
            return 0
        seen = self._colour_samples()
        largest = max(int(seen[name].max()) for name in _COLOURS)
        return 0 if largest == 0 else _BYTE if largest <= _BYTE else 65535

    def _colour_samples(self) -> Array:
        """Rows from everywhere in the file."""
        header = self.header
        if self._compression is None:
            table = Table("the point data", header.points_start, header.count, header.record_bytes)
            return sampled(self.data, table, self.layout.dtype)
        import lazrs

        parts = lazrs.SELECTIVE_DECOMPRESS_RGB if header.point_format >= _FIRST_LAYERED else lazrs.SELECTIVE_DECOMPRESS_ALL
        with self._path.open("rb") as file, translated(self._reading(0, header.count), PointCloudError):
            decoder = Decoder(file, header, self._compression, parts)
            starts = np.concatenate([[0], np.cumsum([points for points, _ in self._compression.chunks])])[:-1]
            starts = starts[starts < header.count]
            chosen = starts[np.unique(np.linspace(0, len(starts) - 1, _PROBES).astype(np.int64))]
            found = []
            probed = rows_at_once(_PROBE_POINTS, _PROBES * header.record_bytes)
            for start in chosen.tolist():
                decoder.seek(start)
                found.append(decoder.rows(self.layout.dtype, min(probed, header.count - start)))
        return np.concatenate(found)


class _PlainRows:
    """Rows of uncompressed points."""

    def __init__(self, data: FileBytes, header: LasHeader) -> None:
        self._data, self._start, self._next = data, header.points_start, 0

    def rows(self, dtype: np.dtype[Any], count: int) -> Array:
        """The next ``count`` rows."""
        rows = self._data.rows(self._start, dtype, self._next, count)
        self._next += count
        return rows
