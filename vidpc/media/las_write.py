"""A LAS or LAZ file with labels: everything that the source file had, and two values more.

Header, records, extended records and points are copied as bytes; only places, sizes and what was asked for are changed. The
classes go into the ASPRS ``classification`` where the labelling maps them to its codes, else into an extra value ``label``.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import OutputError
from vidpc.media.columns import distinct, painted
from vidpc.media.las import LasSource
from vidpc.media.las_header import (
    COPC,
    EXTRA_BYTES_ID,
    LASZIP,
    POINT_BYTES,
    SPECIFICATION,
    LasHeader,
)
from vidpc.media.las_points import descriptions_of, name_of
from vidpc.media.laz import LASZIP_ID, Encoder, translated
from vidpc.media.points import Labelling, PointSource, paired
from vidpc.types import F32, I64, PointLabels

LABEL, CONFIDENCE = "label", "confidence"
_CONFIDENCE_STEP = 0.004  # of a byte: 0 to 250 stand for 0 to 1
_UNCLASSIFIED = 1  # the code of points that were looked at and belong to no class
_CLASS_MASK_0 = 0x1F  # of the byte that holds class and flags, in point formats 0 to 5
_LARGEST_CODE = (31, 255)  # in point formats 0 to 5, and from 6 on
_U1, _I2 = 1, 4  # numbers of types in descriptions
_SCALED, _COMPRESSED = 0x08, 0x80
_MAX_RECORD_BYTES = 0xFFFF
_WORD_OF_BYTE = 257  # 255 becomes 65535

Array = npt.NDArray[Any]


def write_las(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write a labelled LAS file; returns warnings."""
    return _write(source, file, labels, labelling, None)


def write_laz(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write a labelled LAZ file; returns warnings."""
    return _write(source, file, labels, labelling, Encoder)


def _write(
    source: PointSource,
    file: BinaryIO,
    labels: Iterable[PointLabels],
    labelling: Labelling,
    compress: Callable[[int, int], Encoder] | None,
) -> list[str]:
    if not isinstance(source, LasSource):
        raise OutputError(f"a scan read from {source.info.format} cannot be written as LAS: only one that was LAS can")
    rows = LabelledRows(source, labelling)
    header = source.header
    encoder = None
    with translated(f"writing points of format {header.point_format} compressed", OutputError):
        if compress is not None:
            encoder = compress(header.point_format, rows.dtype.itemsize - POINT_BYTES[header.point_format])
    file.write(_head(header, rows, encoder))
    if encoder is not None:
        encoder.start(file)
    for cloud, label, confidence in paired(source.clouds(), labels):
        changed = rows.of(cloud.records, label, confidence)
        if encoder is not None:
            encoder.write(changed)
        else:
            file.write(changed.view(np.uint8).data)
    if encoder is not None:
        encoder.finish()
    _write_extended(source, file)
    return rows.warnings


class LabelledRows:
    """How rows get their labels: the new rows' ``dtype``, and the descriptions of their extra values as bytes."""

    def __init__(self, source: LasSource, labelling: Labelling) -> None:
        header, self._old = source.header, source.layout.dtype
        self._labelling, self._format = labelling, header.point_format
        self._has_colour = "red" in (self._old.names or ())
        self._colour_factor = 1 if source.colour_scale == 255 else _WORD_OF_BYTE
        self.warnings = _warnings(header, labelling, has_colour=self._has_colour)
        _check_codes(labelling.classification, header.point_format)
        added = [(CONFIDENCE, "u1", describe(CONFIDENCE, _U1, "vidpc: from 0 to 1", _CONFIDENCE_STEP))]
        if labelling.classification is None:
            added.insert(0, (LABEL, "<i2", describe(LABEL, _I2, "vidpc: class, -1 for none")))
        self.descriptions = _descriptions(header, [name for name, _, _ in added], self.warnings)
        self.descriptions += b"".join(description for _, _, description in added)
        # The old bytes are one column, so that no name of theirs can be in the way.
        self.dtype = np.dtype([("old", self._old), *((name, kind) for name, kind, _ in added)])

    def of(self, records: Array, label: I64, confidence: F32) -> Array:
        """The rows with their labels."""
        rows: Array = np.empty(len(records), self.dtype)
        rows["old"] = records
        if self._labelling.classification is None:
            rows[LABEL] = label
        else:
            self._classify(rows["old"], label, self._labelling.classification)
        rows[CONFIDENCE] = np.rint(np.clip(confidence, 0, 1) / _CONFIDENCE_STEP).astype(np.uint8)
        if self._labelling.palette is not None and self._has_colour:
            colours = painted(label, self._labelling.palette).astype(np.uint16) * np.uint16(self._colour_factor)
            for axis, name in enumerate(("red", "green", "blue")):
                rows["old"][name] = colours[:, axis]
        return rows

    def _classify(self, rows: Array, label: I64, codes: Mapping[int, int]) -> None:
        known, place = np.unique(label, return_inverse=True)
        found = np.array([codes.get(int(one), _UNCLASSIFIED) for one in known], np.uint8)[place]
        if self._format >= 6:
            rows["classification"] = found
        else:
            rows["raw_classification"] = (rows["raw_classification"] & ~np.uint8(_CLASS_MASK_0)) | found


def describe(name: str, kind: int, text: str, scale: float | None = None) -> bytes:
    """The 192 bytes that describe an extra value."""
    options, number = (_SCALED, scale) if scale is not None else (0, 0.0)
    head = struct.pack("<2xBB32s4x", kind, options, name.encode()[:32])
    return head + bytes(72) + struct.pack("<6d", number, 0, 0, 0, 0, 0) + struct.pack("<32s", text.encode()[:31])


def _warnings(header: LasHeader, labelling: Labelling, *, has_colour: bool) -> list[str]:
    warnings = []
    if header.is_copc:
        warnings.append("the cloud-optimised file (COPC) is written as a plain one: its octree is not")
    if header.waveform_start and not _holds_waveforms(header):
        warnings.append(
            f"no extended record starts at byte {header.waveform_start}, where waveforms should be: none are written"
        )
    if labelling.palette is not None and not has_colour:
        warnings.append(f"point format {header.point_format} has no colours: the palette is not written")
    return warnings


def _holds_waveforms(header: LasHeader) -> bool:
    return any(entry.start == header.waveform_start for entry in header.extended)


def _check_codes(codes: Mapping[int, int] | None, point_format: int) -> None:
    largest = _LARGEST_CODE[point_format >= 6]
    for label, code in (codes or {}).items():
        if not 0 <= code <= largest:
            raise OutputError(f"class {label} has code {code}, and point format {point_format} holds 0 to {largest}")


def _descriptions(header: LasHeader, added: list[str], warnings: list[str]) -> bytes:
    """The descriptions of the file's own extra values, those that are called as the added ones under other names."""
    entries, left, _ = descriptions_of(header)
    names = {name_of(entry) for entry in entries}
    own = []
    for entry in entries:
        name = name_of(entry)
        if name in added:
            (kept,) = distinct([f"input_{name}"], names)
            names.add(kept)
            entry = entry[:4] + struct.pack("<32s", kept.encode()) + entry[36:]
            warnings.append(f"the input has a value {name!r} already: it is kept as {kept!r}")
        own.append(entry)
    own += [struct.pack("<2xBB188x", 0, min(255, left - k)) for k in range(0, left, 255)]
    return b"".join(own)


def _head(header: LasHeader, rows: LabelledRows, encoder: Encoder | None) -> bytes:
    """Everything before the points: the source's bytes with other places, sizes and descriptions."""
    records = _records(header, rows.descriptions)
    if encoder is not None:
        records.append(record_bytes(LASZIP, LASZIP_ID, "http://laszip.org", encoder.record))
    area = b"".join(records) + header.free
    head = bytearray(header.raw)
    struct.pack_into("<II", head, 96, len(head) + len(area), len(records))
    head[104] = header.point_format | (_COMPRESSED if encoder is not None else 0)
    struct.pack_into("<H", head, 105, rows.dtype.itemsize)
    if header.minor >= 4:
        struct.pack_into("<QI", head, 235, 0, 0)  # extended records: set once they are written
    if header.waveform_start:
        struct.pack_into("<Q", head, 227, 0)  # as well
    return bytes(head) + area


def _records(header: LasHeader, descriptions: bytes) -> list[bytes]:
    """The source's records, with one description of all extra values where the first was, or at the end."""
    described = record_bytes(SPECIFICATION, EXTRA_BYTES_ID, "Extra Bytes", descriptions)
    kept: list[bytes] = []
    for record in header.records:
        if (record.user_id, record.record_id) == (SPECIFICATION, EXTRA_BYTES_ID):
            kept += [described] if described not in kept else []
        elif record.user_id not in (LASZIP, COPC):
            kept.append(record.raw)
    return kept if described in kept else [*kept, described]


def record_bytes(user_id: str, record_id: int, text: str, data: bytes) -> bytes:
    """A variable-length record."""
    if len(data) > _MAX_RECORD_BYTES:
        raise OutputError(f"writing record {record_id} of {user_id}: {len(data)} bytes, a record holds {_MAX_RECORD_BYTES}")
    return struct.pack("<2x16sHH32s", user_id.encode(), record_id, len(data), text.encode()) + data


def _write_extended(source: LasSource, file: BinaryIO) -> None:
    """Copy what stands behind the points, and set the places in the header."""
    header = source.header
    kept = [entry for entry in header.extended if entry.user_id != COPC]
    if not kept:
        return
    start = file.tell()
    waveform_start = 0
    for entry in kept:
        if entry.start == header.waveform_start:
            waveform_start = file.tell()
        source.data.copy(entry.start, entry.start + entry.length, file)
    end = file.tell()
    if waveform_start:
        file.seek(227)
        file.write(struct.pack("<Q", waveform_start))
    if header.minor >= 4:
        file.seek(235)
        file.write(struct.pack("<QI", start, len(kept)))
    file.seek(end)
