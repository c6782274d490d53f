"""The header of a LAS or LAZ file, held against the file's size: :func:`read_header`.

ASPRS LAS 1.0 to 1.4 (R15), little endian:

    fixed header | records (VLRs) | free bytes | points | extended records (EVLRs)

Nothing here is as large as what a header claims before the claim was checked. Records are kept as the bytes they were.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vidpc.media.records import FileBytes, Table, require_room
from vidpc.types import PointOptions

HEADER_BYTES = (227, 227, 227, 235, 375)  # by minor version
RECORD_HEAD_BYTES, EXTENDED_HEAD_BYTES = 54, 60
# Bytes of a point of each format, without extra ones.
POINT_BYTES = (20, 28, 26, 34, 57, 63, 30, 36, 38, 59, 67)
LASZIP, COPC, SPECIFICATION, PROJECTION = "laszip encoded", "copc", "LASF_Spec", "LASF_Projection"
EXTRA_BYTES_ID, WKT_ID, GEO_KEYS_ID, GEO_ASCII_ID = 4, 2112, 34735, 34737
_COMPRESSED, _FORMAT_BITS = 0x80, 0x3F
_WAVEFORMS_INSIDE, _WKT = 0x02, 0x10  # of the global encoding
_MAX_RECORDS = 1 << 16
_MAX_TEXT_BYTES = 1 << 20  # of an extended record that is read for the coordinate system


@dataclass(frozen=True, slots=True)
class Record:
    """A variable-length record: whose it is, its payload, and all of its bytes."""

    user_id: str
    record_id: int
    data: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class ExtendedRecord:
    """Where an extended record lies: ``start`` of its head and ``length`` with its head, in bytes of the file."""

    user_id: str
    record_id: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class LasHeader:
    """What a file says of itself. ``raw`` is the fixed header, ``free`` what stands between records and points.

    ``returns`` are the numbers of points by their return, from the first; empty where they are not counted.
    """

    raw: bytes
    minor: int
    point_format: int
    is_compressed: bool
    record_bytes: int
    count: int
    returns: tuple[int, ...]
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    low_xyz: tuple[float, float, float] | None
    high_xyz: tuple[float, float, float] | None
    points_start: int
    waveform_start: int
    file_bytes: int
    records: tuple[Record, ...]
    free: bytes
    extended: tuple[ExtendedRecord, ...]
    crs: str | None
    warnings: tuple[str, ...]

    @property
    def is_copc(self) -> bool:
        """Whether the file is a cloud-optimised one, whose chunks are the nodes of an octree."""
        return any(record.user_id == COPC for record in self.records)

    @property
    def points_end(self) -> int:
        """Where the points of an uncompressed file end, in bytes."""
        return self.points_start + self.count * self.record_bytes


def read_header(data: FileBytes, options: PointOptions) -> LasHeader:
    """The checked header of an open file. Raises PointCloudError."""
    return _Reading(data, options).header()


class _Reading:
    """One reading of a header: what its steps share."""

    def __init__(self, data: FileBytes, options: PointOptions) -> None:
        self._data, self._options = data, options
        self._warnings: list[str] = []
        self._size = data.size
        self._fixed = data.up_to(0, HEADER_BYTES[-1])

    def header(self) -> LasHeader:
        minor = self._minor()
        head_bytes, points_start, records_count = self._places(minor)
        point_format, is_compressed, record_bytes = self._point_format()
        count = self._count(minor)
        records, free = self._records(self._data.at(head_bytes, points_start - head_bytes), records_count)
        scale, offset = self._transform()
        low_xyz, high_xyz = self._bounds(count)
        waveform_start = self._waveform_start(minor)
        extended = self._extended(minor, points_start, waveform_start)
        header = LasHeader(
            raw=self._data.at(0, head_bytes),
            minor=minor,
            point_format=point_format,
            is_compressed=is_compressed,
            record_bytes=record_bytes,
            count=count,
            returns=self._returns(minor, count),
            scale=scale,
            offset=offset,
            low_xyz=low_xyz,
            high_xyz=high_xyz,
            points_start=points_start,
            waveform_start=waveform_start,
            file_bytes=self._size,
            records=records,
            free=free,
            extended=extended,
            crs=self._crs(records, extended),
            warnings=(),
        )
        return self._with_points(header)

    def _unpack(self, form: str, start: int) -> tuple[int, ...]:
        return struct.unpack_from("<" + form, self._fixed, start)

    def _minor(self) -> int:
        if self._fixed[:4] != b"LASF":
            raise self._data.damaged(f"no LAS or LAZ file: expected it to start with LASF, found {self._fixed[:4]!r}")
        if len(self._fixed) < HEADER_BYTES[0]:
            raise self._data.damaged(f"cut off in its header: {self._size} bytes, expected {HEADER_BYTES[0]} or more")
        major, minor = self._fixed[24], self._fixed[25]
        if major != 1 or minor >= len(HEADER_BYTES):
            raise self._data.damaged(f"LAS version {major}.{minor}, expected 1.0 to 1.{len(HEADER_BYTES) - 1}")
        if len(self._fixed) < HEADER_BYTES[minor]:
            raise self._data.damaged(f"cut off in its header: {self._size} bytes, expected {HEADER_BYTES[minor]} or more")
        return minor

    def _places(self, minor: int) -> tuple[int, int, int]:
        """Bytes of the fixed header, where the points start, and how many records stand between."""
        (head_bytes,) = self._unpack("H", 94)
        points_start, records_count = self._unpack("II", 96)
        if not HEADER_BYTES[minor] <= head_bytes <= points_start:
            raise self._data.damaged(
                f"damaged header: its size is {head_bytes} bytes and the points start at byte {points_start}, "
                f"expected {HEADER_BYTES[minor]} or more for version 1.{minor}, and the points behind"
            )
        if points_start > self._size:
            raise self._data.damaged(
                f"cut off or damaged: the points start at byte {points_start}, the file has {self._size} bytes"
            )
        if points_start > self._options.max_header_bytes:
            raise self._data.damaged(
                f"a header of {points_start} bytes is beyond the limit of {self._options.max_header_bytes}"
            )
        if records_count * RECORD_HEAD_BYTES > points_start - head_bytes:
            raise self._data.damaged(
                f"damaged header: {records_count} records do not fit into {points_start - head_bytes} bytes before the points"
            )
        return head_bytes, points_start, records_count

    def _point_format(self) -> tuple[int, bool, int]:
        """The format's number, whether points are compressed, and bytes of a point."""
        stored, (record_bytes,) = self._fixed[104], self._unpack("H", 105)
        number = stored & _FORMAT_BITS
        if number >= len(POINT_BYTES):
            raise self._data.damaged(f"point format {number}, expected 0 to {len(POINT_BYTES) - 1}")
        if record_bytes < POINT_BYTES[number]:
            raise self._data.damaged(
                f"damaged header: points of {record_bytes} bytes, expected {POINT_BYTES[number]} or more for format {number}"
            )
        return number, bool(stored & _COMPRESSED), record_bytes

    def _count(self, minor: int) -> int:
        """How many points there are: version 1.4 counts twice, and the wide count is the one that holds."""
        (legacy,) = self._unpack("I", 107)
        count = self._unpack("Q", 247)[0] if minor >= 4 else legacy
        if minor >= 4 and legacy not in (0, count):
            if count == 0:
                self._warnings.append(f"only the old count of points is set: {legacy} are read")
                count = legacy
            else:
                self._warnings.append(f"the header counts points twice and differently: {count} are read, not {legacy}")
        if count > self._options.max_points:
            raise self._data.damaged(f"{count} points are beyond the limit of {self._options.max_points}")
        return count

    def _returns(self, minor: int, count: int) -> tuple[int, ...]:
        """The points by their return, where they add up to all of them."""
        returns = self._unpack("15Q", 255) if minor >= 4 else self._unpack("5I", 111)
        if sum(returns) == count:
            return returns
        if sum(returns) and not (minor >= 4 and count == self._unpack("I", 107)[0]):
            self._warnings.append(f"the header counts {count} points, and {sum(returns)} by their returns")
        return ()

    def _transform(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Scale and offset of the stored integers."""
        values = struct.unpack_from("<6d", self._fixed, 131)
        scale, offset = values[:3], values[3:]
        if not all(math.isfinite(s) and s != 0 for s in scale):
            raise self._data.damaged(f"damaged header: the scale is {scale}, expected three numbers that are not 0")
        if not all(math.isfinite(o + s * (1 << 31)) for o, s in zip(offset, scale, strict=True)):
            raise self._data.damaged(f"damaged header: the offset is {offset}, expected three numbers")
        return (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2])

    def _bounds(self, count: int) -> tuple[tuple[float, float, float], tuple[float, float, float]] | tuple[None, None]:
        high_x, low_x, high_y, low_y, high_z, low_z = struct.unpack_from("<6d", self._fixed, 179)
        low, high = (low_x, low_y, low_z), (high_x, high_y, high_z)
        if all(math.isfinite(a) and math.isfinite(b) and a <= b for a, b in zip(low, high, strict=True)):
            return low, high
        if count:
            self._warnings.append("the bounds in the header are no bounds")
        return None, None

    def _records(self, area: bytes, count: int) -> tuple[tuple[Record, ...], bytes]:
        """The records, and the bytes that are left before the points."""
        records, at = [], 0
        for number in range(count):
            if at + RECORD_HEAD_BYTES > len(area):
                raise self._data.damaged(f"damaged header: record {number + 1} of {count} reaches into the points")
            record_id, length = struct.unpack_from("<HH", area, at + 18)
            end = at + RECORD_HEAD_BYTES + length
            if end > len(area):
                raise self._data.damaged(f"damaged header: record {number + 1} of {count} reaches into the points")
            raw = area[at:end]
            records.append(Record(_text(raw[2:18]), record_id, raw[RECORD_HEAD_BYTES:], raw))
            at = end
        return tuple(records), area[at:]

    def _waveform_start(self, minor: int) -> int:
        """Where waveforms lie in this file; 0 where they do not."""
        (encoding,) = self._unpack("H", 6)
        if minor < 3 or not encoding & _WAVEFORMS_INSIDE:
            return 0
        return self._unpack("Q", 227)[0]

    def _extended(self, minor: int, points_start: int, waveform_start: int) -> tuple[ExtendedRecord, ...]:
        start, count = self._unpack("QI", 235) if minor >= 4 else (waveform_start, int(waveform_start > 0))
        if not count:
            return ()
        if count > _MAX_RECORDS or not points_start <= start <= self._size - count * EXTENDED_HEAD_BYTES:
            raise self._data.damaged(
                f"cut off or damaged: {count} extended records from byte {start}, the file has {self._size} bytes "
                f"and its points start at byte {points_start}"
            )
        return tuple(self._walk(start, count))

    def _walk(self, start: int, count: int) -> Iterator[ExtendedRecord]:
        for number in range(count):
            head = self._data.up_to(start, EXTENDED_HEAD_BYTES)
            length = EXTENDED_HEAD_BYTES
            if len(head) == EXTENDED_HEAD_BYTES:
                length += struct.unpack_from("<Q", head, 20)[0]
            if start + length > self._size:
                raise self._data.damaged(
                    f"cut off or damaged: extended record {number + 1} of {count} ends at byte {start + length}, "
                    f"the file has {self._size}"
                )
            yield ExtendedRecord(_text(head[2:18]), struct.unpack_from("<H", head, 18)[0], start, length)
            start += length

    def _crs(self, records: tuple[Record, ...], extended: tuple[ExtendedRecord, ...]) -> str | None:
        """The coordinate system: WKT as it stands, else the EPSG number of the GeoTIFF keys, else their text."""
        payloads = {record.record_id: record.data for record in reversed(records) if record.user_id == PROJECTION}
        for entry in extended:
            if entry.user_id == PROJECTION and entry.length <= _MAX_TEXT_BYTES:
                payload = self._data.at(entry.start + EXTENDED_HEAD_BYTES, entry.length - EXTENDED_HEAD_BYTES)
                payloads.setdefault(entry.record_id, payload)
        wkt = _text(payloads.get(WKT_ID, b""))
        keys = epsg_of(payloads.get(GEO_KEYS_ID, b""))
        prefers_wkt = bool(self._unpack("H", 6)[0] & _WKT)
        first, second = (wkt, keys) if prefers_wkt or not keys else (keys, wkt)
        return first or second or _text(payloads.get(GEO_ASCII_ID, b"")).strip("|") or None

    def _with_points(self, header: LasHeader) -> LasHeader:
        """The header with its warnings, once uncompressed points were found to lie inside the file."""
        if not header.is_compressed:
            end = min((e.start for e in header.extended), default=header.file_bytes)
            require_room(self._data, Table("the point data", header.points_start, header.count, header.record_bytes))
            if header.points_end > end:
                raise self._data.damaged(
                    f"the points end at byte {header.points_end}, inside the extended records from byte {end}"
                )
            if room := (end - header.points_end) // header.record_bytes:
                self._warnings.append(f"there is room for {room} points more than the header counts: they are not read")
        return replace(header, warnings=tuple(self._warnings))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()


def epsg_of(keys: bytes) -> str:
    """``EPSG:2154`` from a GeoTIFF key directory, with ``+`` and the height's number where it has one; "" without."""
    words = struct.unpack(f"<{len(keys) // 2}H", keys[: len(keys) // 2 * 2])
    entries = {words[i]: words[i + 3] for i in range(4, len(words) - 3, 4) if words[i + 1] == 0}
    known = {key: number for key, number in entries.items() if 1024 <= number < 32767}
    plane = known.get(3072) or known.get(2048)
    if plane is None:
        return ""
    return f"EPSG:{plane}+{known[4096]}" if 4096 in known else f"EPSG:{plane}"
