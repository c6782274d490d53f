"""What the bytes of a LAS point mean: :class:`PointLayout`, from the point format and the descriptions of extra bytes.

The standard's own values are laspy's table. Extra bytes are described by records of 192 bytes for each value (LAS 1.4 R15,
table 24); what no record describes stays in the rows, but has no name.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.media.columns import distinct
from vidpc.media.las_header import EXTRA_BYTES_ID, POINT_BYTES, SPECIFICATION, LasHeader
from vidpc.types import PointField

DESCRIPTION_BYTES = 192
_MAX_VALUES = 4096  # of a point, behind the standard ones
UNKNOWN = "unknown bytes"  # what undescribed bytes are called inside rows
_HAS_SCALE, _HAS_OFFSET = 0x08, 0x10
# By the number of their type; two or three values of a type have numbers 10 and 20 higher.
_TYPES = ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8")

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ExtraValue:
    """One described value behind the standard ones: ``dtype`` as stored, worth ``stored * scale + offset``."""

    name: str
    dtype: str
    scale: float | None = None
    offset: float | None = None

    @property
    def shown_dtype(self) -> str:
        """The NumPy type of what it is worth."""
        return self.dtype if self.scale is None else "<f8"


@dataclass(frozen=True, slots=True)
class Bits:
    """A value that is some bits of a stored byte."""

    byte: str
    mask: int


@dataclass(frozen=True, slots=True)
class PointLayout:
    """The rows of a file. ``bits`` and ``extra`` are by name; every other value is a whole column of ``dtype``."""

    dtype: np.dtype[Any]
    bits: dict[str, Bits]
    extra: dict[str, ExtraValue]

    @property
    def fields(self) -> tuple[PointField, ...]:
        """Every named value of a point in the order of its bytes, coordinates as x, y and z."""
        found: list[PointField] = []
        for name in self.dtype.names or ():
            inside = [PointField(part, "|u1") for part, bits in self.bits.items() if bits.byte == name]
            if inside:
                found += inside
            elif name in self.extra:
                found.append(PointField(name, np.dtype(self.extra[name].shown_dtype).str))
            elif not name.startswith(UNKNOWN):
                found.append(PointField(name.lower(), self.dtype[name].str))
        return tuple(found)

    def column(self, rows: Array, name: str) -> Array:
        """One value of every row, as a column of its own."""
        if name in self.bits:
            bits = self.bits[name]
            lowest = (bits.mask & -bits.mask).bit_length() - 1
            part: Array = (rows[bits.byte] & np.uint8(bits.mask)) >> np.uint8(lowest)
            return part
        column: Array = np.ascontiguousarray(rows[name])
        value = self.extra.get(name)
        if value is None or value.scale is None:
            return column
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged scale
            return column * value.scale + (value.offset or 0.0)


def layout_of(header: LasHeader) -> tuple[PointLayout, list[str]]:
    """The layout of a file's points, and warnings."""
    from laspy.point import dims

    standard = dims.ALL_POINT_FORMATS_DTYPE[header.point_format]
    composed = dims.COMPOSED_FIELDS[header.point_format]
    bits = {part.name: Bits(byte, part.mask) for byte, parts in composed.items() for part in parts}
    entries, left, warnings = descriptions_of(header)
    values = [value for entry in entries for value in _values(entry)] + ([ExtraValue(UNKNOWN, f"V{left}")] if left else [])
    names = [*standard.names, *bits]
    unique = distinct((value.name for value in values), taken={*names, *(name.lower() for name in names)})
    values = [replace(value, name=name) for value, name in zip(values, unique, strict=True)]
    if unknown := sum(np.dtype(value.dtype).itemsize for value in values if value.name.startswith(UNKNOWN)):
        warnings.append(f"{unknown} bytes of every point are not described: they are kept, and not understood")
    columns = [(name, standard[name].str) for name in standard.names] + [(value.name, value.dtype) for value in values]
    known = {value.name: value for value in values if not value.name.startswith(UNKNOWN)}
    return PointLayout(np.dtype(columns), bits, known), warnings


def descriptions_of(header: LasHeader) -> tuple[list[bytes], int, list[str]]:
    """The descriptions of extra values, from the first, that fit into a point; the bytes left over; and warnings.

    Some programs write one record for each value instead of one for all.
    """
    room = header.record_bytes - POINT_BYTES[header.point_format]
    fitting: list[bytes] = []
    warnings = []
    for entry in _entries(header):
        size = _size(entry)
        if size is None or size > room or len(fitting) == _MAX_VALUES:
            warnings.append(
                f"extra values are described that are not in the points, of no known type, or beyond {_MAX_VALUES}: "
                "they are not read"
            )
            break
        fitting += [entry] if size else []
        room -= size
    return fitting, room, warnings


def _entries(header: LasHeader) -> Iterator[bytes]:
    for record in header.records:
        if (record.user_id, record.record_id) == (SPECIFICATION, EXTRA_BYTES_ID):
            for start in range(0, len(record.data) - DESCRIPTION_BYTES + 1, DESCRIPTION_BYTES):
                yield record.data[start : start + DESCRIPTION_BYTES]


def _size(description: bytes) -> int | None:
    """Bytes of a point that a description is of; None where its type is not known."""
    kind, options = description[2], description[3]
    if kind == 0:  # "undocumented": the options are the number of bytes
        return options
    if kind > 3 * len(_TYPES):
        return None
    return np.dtype(_TYPES[(kind - 1) % len(_TYPES)]).itemsize * ((kind - 1) // len(_TYPES) + 1)


def _values(description: bytes) -> Iterator[ExtraValue]:
    kind, options = description[2], description[3]
    if kind == 0:
        yield ExtraValue(UNKNOWN, f"V{options}")
        return
    name = name_of(description) or "extra"
    count, dtype = (kind - 1) // len(_TYPES) + 1, _TYPES[(kind - 1) % len(_TYPES)]
    scales, offsets = struct.unpack_from("<3d", description, 112), struct.unpack_from("<3d", description, 136)
    for k in range(count):
        scale = scales[k] if options & _HAS_SCALE else 1.0 if options & _HAS_OFFSET else None
        offset = offsets[k] if options & _HAS_OFFSET else None
        yield ExtraValue(name if count == 1 else f"{name}_{k}", dtype, scale, offset)


def name_of(description: bytes) -> str:
    """The name in a description."""
    return description[4:36].split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()
