"""Compressed points: the chunk table of a LAZ file held against its size, and rows out of it and into one, through lazrs.

    points: place of the table | chunk | chunk | ... | table (version, number of chunks, coded sizes)

The decoder takes sizes from the table and the items of a point from the ``laszip encoded`` record, so both are checked first.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError, VidpcError
from vidpc.media.las_header import LASZIP, POINT_BYTES, LasHeader
from vidpc.media.records import FileBytes
from vidpc.media.sources import shown

LASZIP_ID = 22204
_RECORD_BYTES, _ITEM_BYTES = 34, 6
_POINTWISE_CHUNKED, _LAYERED_CHUNKED = 2, 3
_TABLE_HEAD_BYTES = 8
_VARIABLE = 0xFFFFFFFF  # chunks of different numbers of points
_PARALLEL_BYTES = 1 << 26  # a larger chunk is decoded bit by bit: the parallel decoder holds whole chunks
_EXTRA = (0, 14)  # items of extra bytes, of as many as they say
# By their numbers, with the bytes of a point that each holds; then which of them a point format has.
_ITEM_SIZES = {6: 20, 7: 8, 8: 6, 9: 29, 10: 30, 11: 6, 12: 8, 13: 29}
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}  # of the items of layered chunks; every extra byte is one
_ITEMS = ((6,), (6, 7), (6, 8), (6, 7, 8), (6, 7, 9), (6, 7, 8, 9), (10,), (10, 11), (10, 12), (10, 13), (10, 12, 13))

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Compression:
    """The checked description of compressed points: lazrs's record, and points and bytes of every chunk."""

    record: bytes
    chunks: tuple[tuple[int, int], ...]

    @property
    def largest(self) -> int:
        """Points of the largest chunk."""
        return max((points for points, _ in self.chunks), default=0)


def compression_of(data: FileBytes, header: LasHeader, file: BinaryIO) -> tuple[Compression, list[str]]:
    """How the points of an open file are compressed, and warnings. Raises PointCloudError where they cannot be all there."""
    record = next((r.data for r in header.records if (r.user_id, r.record_id) == (LASZIP, LASZIP_ID)), None)
    if record is None:
        raise data.damaged("its points are compressed, and the record that says how is missing")
    chunk_points = _check_record(data, header, record)
    if header.count == 0:
        return Compression(record, ()), []
    table_start, chunks_count = _table(data, header)
    file.seek(header.points_start)
    with translated(
        f"cannot read {shown(data.name)}: the table of its compressed chunks at byte {table_start}", PointCloudError
    ):
        import lazrs

        chunks = tuple(lazrs.read_chunk_table(file, lazrs.LazVlr(record)))
    _check_chunks(data, header, chunks, table_start)
    if struct.unpack_from("<H", record)[0] == _LAYERED_CHUNKED:
        _check_layers(data, header, chunks)
    expected = -(-header.count // chunk_points)
    if chunk_points != _VARIABLE and chunks_count != expected:
        raise data.damaged(
            f"the header counts {header.count} points, {expected} chunks of {chunk_points}, and there are {chunks_count} chunks"
        )
    more = sum(points for points, _ in chunks) - header.count if chunk_points == _VARIABLE else 0
    warnings = [f"there are {more} points more than the header counts: they are not read"] if more else []
    return Compression(record, chunks), warnings


def _check_record(data: FileBytes, header: LasHeader, record: bytes) -> int:
    """Points of a chunk, once the record was found to describe points of this format."""
    if len(record) < _RECORD_BYTES:
        raise data.damaged(f"the record of its compression has {len(record)} bytes, expected {_RECORD_BYTES} or more")
    (compressor,), (chunk_points,) = struct.unpack_from("<H", record), struct.unpack_from("<I", record, 12)
    (count,) = struct.unpack_from("<H", record, 32)
    if len(record) < _RECORD_BYTES + count * _ITEM_BYTES:
        raise data.damaged(f"the record of its compression names {count} items, and ends before")
    if compressor not in (_POINTWISE_CHUNKED, _LAYERED_CHUNKED) or chunk_points == 0:
        raise data.damaged(f"compressor {compressor} with chunks of {chunk_points} points, expected compressor 2 or 3")
    items = [struct.unpack_from("<HH", record, _RECORD_BYTES + k * _ITEM_BYTES) for k in range(count)]
    extra = header.record_bytes - POINT_BYTES[header.point_format]
    own = [(kind, _ITEM_SIZES[kind]) for kind in _ITEMS[header.point_format]]
    if items not in [own + ([(kind, extra)] if extra else []) for kind in _EXTRA]:
        raise data.damaged(f"its compression does not describe points of format {header.point_format}: items {items}")
    return int(chunk_points)


def _table(data: FileBytes, header: LasHeader) -> tuple[int, int]:
    """Where the table of chunks starts, and how many it has."""
    start = header.points_start
    (table_start,) = struct.unpack("<q", data.at(start, 8))
    if table_start == -1:  # written to a pipe: the place is at the very end
        (table_start,) = struct.unpack("<q", data.at(data.size - 8, 8))
    if not start + 8 <= table_start <= data.size - _TABLE_HEAD_BYTES:
        raise data.damaged(
            f"cut off or damaged: the table of its chunks is said to start at byte {table_start}, expected {start + 8} to "
            f"{data.size - _TABLE_HEAD_BYTES}"
        )
    version, count = struct.unpack("<II", data.at(table_start, _TABLE_HEAD_BYTES))
    if version or not 0 < count <= table_start - start:
        raise data.damaged(f"the table of its chunks at byte {table_start} is damaged: version {version}, {count} chunks")
    return table_start, count


def _check_chunks(data: FileBytes, header: LasHeader, chunks: tuple[tuple[int, int], ...], table_start: int) -> None:
    first_byte = header.points_start + 8
    held, points = sum(size for _, size in chunks), sum(count for count, _ in chunks)
    if held != table_start - first_byte:
        raise data.damaged(f"its chunks are said to have {held} bytes, and there are {table_start - first_byte}")
    if points < header.count:
        raise data.damaged(f"the header counts {header.count} points, its chunks have {points}")


def _check_layers(data: FileBytes, header: LasHeader, chunks: tuple[tuple[int, int], ...]) -> None:
    """Hold the sizes of a layered chunk's layers against the chunk: the decoder allocates what they say.

    A chunk is its first point as it is, the number of its points, a size for each layer, and the layers.
    """
    extra = header.record_bytes - POINT_BYTES[header.point_format]
    layers = sum(_LAYERS.get(kind, 0) for kind in _ITEMS[header.point_format]) + extra
    head_bytes = header.record_bytes + 4 + 4 * layers
    at, first = header.points_start + 8, 0
    for points, size in chunks:
        if points and size:
            head = data.at(at, min(head_bytes, size)).ljust(head_bytes, b"\0")
            claimed = head_bytes + sum(struct.unpack_from(f"<{layers}I", head, header.record_bytes + 4))
            if claimed != size:
                last = min(first + points, header.count) - 1
                raise data.damaged(
                    f"points {first} to {last} of {header.count}: damaged: their chunk at byte {at} has {size} bytes, "
                    f"its layers {claimed}"
                )
        at, first = at + size, first + points


class Decoder:
    """Rows of compressed points, in file order from the first. ``parts`` picks what is decoded where the format can."""

    def __init__(self, file: BinaryIO, header: LasHeader, compression: Compression, parts: int | None = None) -> None:
        import lazrs

        kind = lazrs.LasZipDecompressor
        if parts is None and compression.largest * header.record_bytes <= _PARALLEL_BYTES:
            kind = lazrs.ParLasZipDecompressor
        file.seek(header.points_start)
        self._decoder = kind(file, compression.record, lazrs.DecompressionSelection(parts or lazrs.SELECTIVE_DECOMPRESS_ALL))

    def seek(self, point: int) -> None:
        """Go on with point number ``point``."""
        self._decoder.seek(point)

    def rows(self, dtype: np.dtype[Any], count: int) -> Array:
        """The next ``count`` rows."""
        rows = np.zeros(count, dtype)
        self._decoder.decompress_many(rows.view(np.uint8))
        return rows


class Encoder:
    """Writes rows compressed behind a header that was written before; ``record`` is what the header has to hold."""

    def __init__(self, point_format: int, extra_bytes: int) -> None:
        import lazrs

        self._kind = lazrs.LazVlr.new_for_compression(point_format, extra_bytes)
        self._encoder: Any = None

    @property
    def record(self) -> bytes:
        """The payload of the ``laszip encoded`` record."""
        return bytes(self._kind.record_data())

    def start(self, file: BinaryIO) -> None:
        """Begin where ``file`` stands."""
        import lazrs

        self._encoder = lazrs.ParLasZipCompressor(file, self._kind)

    def write(self, rows: Array) -> None:
        """Append rows."""
        self._encoder.compress_many(np.ascontiguousarray(rows).view(np.uint8))

    def finish(self) -> None:
        """Write the table of chunks; the file stands behind it."""
        self._encoder.done()


@contextmanager
def translated(doing: str, kind: type[VidpcError]) -> Iterator[None]:
    """Turns lazrs's errors into ours, its panics among them, which are no ``Exception``."""
    try:
        yield
    except BaseException as error:
        module = type(error).__module__
        if isinstance(error, OSError | ValueError | OverflowError | MemoryError) or module.startswith(("lazrs", "pyo3")):
            raise kind(f"{doing}: {shown(str(error) or type(error).__name__)}") from error
        raise
