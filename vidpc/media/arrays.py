"""NPY and NPZ files as streams of points: :func:`open_npy`, :func:`open_npz`. Nothing in them is ever unpickled.

An NPZ is a ZIP of NPY files. Both are read in runs of rows from the first; the members of an NPZ are decompressed side by side,
so that memory depends on the run alone. What an array declares is held against the bytes that are there before any are read.
"""

import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError
from vidpc.media.named_arrays import TABLE, Plan, is_role, is_table, plan_of, points_name
from vidpc.media.records import FileBytes, opened, rows_at_once
from vidpc.media.sources import shown
from vidpc.types import PointCloud, PointField, PointOptions, ScanInfo

_CHUNK_POINTS = 1 << 18
_SAMPLE_ROWS = 1 << 16
_MAX_MEMBERS = 4096
_MAX_ROW_BYTES = 1 << 16
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_SKIP_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# What NumPy and zipfile raise for bad input.
_ERRORS = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError, tokenize.TokenError),  # headers
    *(OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """What the head of an array declares. ``start`` is where its data begin, in bytes of its own file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


@contextmanager
def open_npy(path: Path, name: str, options: PointOptions) -> Iterator["ArraySource"]:
    """An open NPY file: rows of three numbers or more, or rows with names."""
    with opened(path, name) as data, ExitStack() as stack:
        with translated(data), path.open("rb") as file:
            array = declared(file, data.size, data)
        if array.dtype.names is None and not is_table(array.shape):
            raise data.damaged(
                f"an array of shape {array.shape}, expected (n, 3) or some columns more, or one with named fields"
            )
        if array.dtype.names is not None and len(array.shape) != 1:
            raise data.damaged(f"named fields in shape {array.shape}, expected (n,)")
        yield ArraySource(data, _File(path), {TABLE: array}, options, stack)


@contextmanager
def open_npz(path: Path, name: str, options: PointOptions) -> Iterator["ArraySource"]:
    """An open NPZ file: an array with coordinates, and others with as many rows."""
    with opened(path, name) as data, ExitStack() as stack:
        with translated(data):
            archive = _Archive(stack.enter_context(zipfile.ZipFile(path)), data, options)
            arrays = archive.arrays()
        kept = _per_point(data, arrays)
        source = ArraySource(data, archive, kept, options, stack)
        source.info = replace(source.info, warnings=tuple(_left_out(arrays, kept)))
        yield source


@contextmanager
def translated(data: FileBytes, doing: str = "") -> Iterator[None]:
    """Turns what NumPy and zipfile raise for damaged files into ours."""
    try:
        yield
    except PointCloudError:
        raise
    except _ERRORS as error:
        raise data.damaged(doing + shown(str(error) or type(error).__name__)) from error


def declared(file: IO[bytes], size: int, data: FileBytes, member: str = "") -> Declared:
    """The checked head of an array whose file has ``size`` bytes."""
    what = f"{member}: " if member else ""
    version = np.lib.format.read_magic(file)
    reader = _HEADER_READERS.get(version, np.lib.format.read_array_header_2_0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy reads a damaged header once more, as one of Python 2, and says so
        shape, is_fortran, dtype = reader(file)
    if dtype.hasobject:
        raise data.damaged(f"{what}it holds Python objects, which are not read: they could run code")
    if any(axis < 0 for axis in shape) or not dtype.itemsize:
        raise data.damaged(f"{what}shape {shape} of {dtype} is no array")
    found, expected = size - file.tell(), dtype.itemsize * math.prod(shape)
    if found != expected:
        raise data.damaged(f"{what}cut off or damaged: shape {shape} of {dtype} has {expected} bytes, found {found}")
    return Declared(dtype, shape, is_fortran and len(shape) > 1, file.tell())


class _File:
    """The one array of an NPY file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> IO[bytes]:
        """The file from its beginning."""
        return self._path.open("rb")


class _Archive:
    """The arrays of an NPZ file, checked before anything is decompressed."""

    def __init__(self, archive: zipfile.ZipFile, data: FileBytes, options: PointOptions) -> None:
        self._archive, self._data = archive, data
        self._members: dict[str, zipfile.ZipInfo] = {}
        entries = archive.infolist()
        if len(entries) > _MAX_MEMBERS:
            raise data.damaged(f"{len(entries)} members are beyond the limit of {_MAX_MEMBERS}")
        if (total := sum(entry.file_size for entry in entries)) > options.max_spool_bytes:
            raise data.damaged(f"its members have {total} bytes, the limit is {options.max_spool_bytes}")
        for entry in entries:
            self._add(entry)

    def _add(self, entry: zipfile.ZipInfo) -> None:
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise self._data.damaged(f"{shown(entry.filename)} is encrypted or compressed in an unknown way")
        if entry.filename in self._members:
            raise self._data.damaged(f"{shown(entry.filename)} is in it twice")
        self._members[entry.filename] = entry

    def arrays(self) -> dict[str, Declared]:
        """Every array by its name without suffix."""
        found = {}
        for name, entry in self._members.items():
            if name.endswith(".npy"):
                with self._archive.open(entry) as file:
                    found[name.removesuffix(".npy")] = declared(file, entry.file_size, self._data, shown(name))
        return found

    def open(self, name: str) -> IO[bytes]:
        """An array's file from its beginning."""
        return self._archive.open(self._members[f"{name}.npy"])

    def members(self) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
        """Every member, open."""
        for entry in self._members.values():
            with self._archive.open(entry) as file:
                yield entry, file


def _per_point(data: FileBytes, arrays: Mapping[str, Declared]) -> dict[str, Declared]:
    """The arrays that have a row for every point."""
    shapes = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "iuf"}
    points = points_name(shapes)
    axis = next((name for name, shape in shapes.items() if name.lower() == "x" and len(shape) == 1), None)
    first = points or axis
    if first is None:
        found = ", ".join(f"{shown(name)} {array.shape}" for name, array in arrays.items())
        raise data.damaged(f"no coordinates: expected an array such as xyz of shape (n, 3), found {found or 'nothing'}")
    count = arrays[first].shape[0]
    for name, array in arrays.items():
        if is_role(name) and array.shape[:1] not in ((count,), ()):
            raise data.damaged(f"{shown(name)} has shape {array.shape}, and {shown(first)} has {count} points")
    kept = {name: array for name, array in arrays.items() if array.shape[:1] == (count,) and len(array.shape) <= 2}
    return {name: array for name, array in kept.items() if array.dtype.kind in "biuf" and array.row_bytes <= _MAX_ROW_BYTES}


def _left_out(arrays: Mapping[str, Declared], kept: Mapping[str, Declared]) -> Iterator[str]:
    """Warnings of labels, colours and intensities that are no numbers."""
    for name, array in arrays.items():
        if is_role(name) and array.shape and name not in kept:
            yield f"{shown(name)} is not read: shape {array.shape} of {array.dtype} holds no numbers of points"


class ArraySource:
    """An open file of arrays. ``archive`` and ``arrays`` are for the writer."""

    def __init__(
        self,
        data: FileBytes,
        archive: _File | _Archive,
        arrays: Mapping[str, Declared],
        options: PointOptions,
        stack: ExitStack,
    ) -> None:
        self.data, self.archive, self.arrays = data, archive, arrays
        counts = {array.shape[0] for array in arrays.values()}
        self._count = counts.pop() if counts else 0
        if self._count > options.max_points:
            raise data.damaged(f"{self._count} points are beyond the limit of {options.max_points}")
        for name, array in arrays.items():
            if not 0 < array.row_bytes <= _MAX_ROW_BYTES:
                raise data.damaged(f"{shown(name)}: rows of {array.row_bytes} bytes, expected 1 to {_MAX_ROW_BYTES}")
        self._plan: Plan = plan_of(self._sample(), data.damaged)
        self.info = ScanInfo(
            path=data.name,
            format="npz" if isinstance(archive, _Archive) else "npy",
            count=self._count,
            fields=tuple(_fields(arrays, self._plan)),
        )

    def clouds(self, points: int = _CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order, in runs of at most ``points``."""
        for first, arrays in self._runs(points):
            yield self._plan.cloud(first, arrays)

    def notes(self) -> list[str]:
        """Nothing: what is wrong with an array is an error."""
        return []

    def members(self) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
        """Every member of an archive, open; none of a plain array."""
        if isinstance(self.archive, _Archive):
            with translated(self.data):
                yield from self.archive.members()

    def _runs(self, points: int) -> Iterator[tuple[int, dict[str, Array]]]:
        """Every array's rows side by side, with the number of the first."""
        points = rows_at_once(points, sum(array.row_bytes for array in self.arrays.values()))
        with ExitStack() as stack:
            with translated(self.data):
                readers = {name: _Rows(self, name, array, stack) for name, array in self.arrays.items()}
            for first in range(0, self._count, points):
                count = min(points, self._count - first)
                with translated(self.data, f"points {first} to {first + count - 1}: "):
                    named = {name: reader.take(count) for name, reader in readers.items()}
                    if first + count == self._count:
                        for reader in readers.values():
                            reader.finish()
                yield first, _split(named)

    def _sample(self) -> dict[str, Array]:
        for _, arrays in self._runs(min(_SAMPLE_ROWS, max(1, self._count))):
            return arrays
        return _split({name: np.empty((0, *array.shape[1:]), array.dtype) for name, array in self.arrays.items()})


class _Rows:
    """Rows of one array, from the first on."""

    def __init__(self, source: ArraySource, name: str, array: Declared, stack: ExitStack) -> None:
        self._array = array
        # Columns that lie one after the other are read side by side.
        self._columns = array.shape[1] if array.is_fortran and len(array.shape) == 2 else 1
        self._files = []
        for column in range(self._columns):
            file = stack.enter_context(source.archive.open(name))
            _skip(file, array.start + column * array.shape[0] * array.dtype.itemsize)
            self._files.append(file)

    def take(self, count: int) -> Array:
        """The next ``count`` rows."""
        array = self._array
        if self._columns == 1:
            raw = _exactly(self._files[0], count * array.row_bytes)
            return np.frombuffer(raw, array.dtype).reshape((count, *array.shape[1:]))
        parts = [np.frombuffer(_exactly(file, count * array.dtype.itemsize), array.dtype) for file in self._files]
        return np.stack(parts, axis=1)

    def finish(self) -> None:
        """Read to the end of the member, where its checksum is compared."""
        self._files[-1].read(1)


def _exactly(file: IO[bytes], size: int) -> bytes:
    found = file.read(size)
    if len(found) != size:
        raise EOFError(f"expected {size} bytes, found {len(found)}")
    return found


def _skip(file: IO[bytes], size: int) -> None:
    while size:
        size -= len(_exactly(file, min(size, _SKIP_BYTES)))


def _split(named: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays whose rows have names as one array a name."""
    found: dict[str, Array] = {}
    for name, rows in named.items():
        if rows.dtype.names is None:
            found[name] = rows
        else:
            found |= {field: rows[field] for field in rows.dtype.names if rows[field].ndim <= 2}
    return found


def _fields(arrays: Mapping[str, Declared], plan: Plan) -> Iterator[PointField]:
    """Every value a point with a meaning or a name of its own."""
    dtypes: dict[str, np.dtype[Any]] = {}
    for name, array in arrays.items():
        inner = {field: array.dtype[field].base for field in array.dtype.names or ()}
        dtypes |= inner or {name: array.dtype}
    for axis, column in zip("xyz", plan.xyz, strict=True):
        yield PointField(axis, dtypes[column.array].str)
    for channel, column in zip(("red", "green", "blue"), plan.colour or (), strict=False):
        yield PointField(channel, dtypes[column.array].str)
    for name, one in (("intensity", plan.intensity), ("label", plan.label), *plan.fields.items()):
        if one is not None:
            yield PointField(name, dtypes[one.array].str)
