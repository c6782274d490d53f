"""PCD files with labels: a PCD file's own points with three fields more, in the same kind of body."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import printable
from vidpc.media.ascii_rows import Lines
from vidpc.media.columns import from_bytes, painted
from vidpc.media.pcd import PcdSource
from vidpc.media.pcd_header import Field, record
from vidpc.media.points import Labelling, PointSource, paired
from vidpc.types import F32, I64, U8, PointLabels

_NEW = (
    Field("label", "label", "I", 4, 1),
    Field("scalar_label", "scalar_label", "F", 4, 1),
    Field("confidence", "confidence", "F", 4, 1),
)
_COLOUR = Field("rgb", "rgb", "U", 4, 1)
_OPAQUE = 0xFF << 24
_OURS = "# vidpc "  # what starts our comments, so that those of an earlier run can be replaced

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """The fields of a point as written: those of the input that are kept, and new ones behind them."""

    kept: tuple[Field, ...]
    appended: tuple[Field, ...]
    replaced: tuple[str, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """All of them."""
        return self.kept + self.appended


def write_own(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write a PCD file's points with their labels; returns warnings.

    Every other field, the viewpoint and the comments stay as they are. A compressed body is written uncompressed. Fields of our
    names are replaced.
    """
    if not isinstance(source, PcdSource):
        raise TypeError(f"expected an open PCD file, got {type(source).__name__}")
    plan = _planned(source, labelling)
    file.write(b"".join(_header_lines(source, plan, labelling)))
    for cloud, label, confidence in paired(source.clouds(), labels):
        colours = None if labelling.palette is None else painted(label, labelling.palette)
        columns = _new_columns(source, cloud.records, label, confidence, colours)
        is_text = isinstance(cloud.records, Lines)
        file.write(_text(source, cloud.records, plan, columns) if is_text else _records(cloud.records, plan, columns))
    warnings = [f"the input's own {name} was replaced" for name in plan.replaced]
    if source.header.kind == "binary_compressed":
        warnings.append("the input is compressed, the output is written as plain binary")
    return warnings


def _planned(source: PcdSource, labelling: Labelling) -> _Plan:
    has_colour = bool(source.packed or source.colour_keys)
    appended = _NEW if labelling.palette is None or has_colour else (*_NEW, _COLOUR)
    taken = {one.name for one in appended}
    kept = tuple(one for one in source.header.fields if one.name not in taken)
    return _Plan(kept, appended, tuple(one.name for one in source.header.fields if one.name in taken))


def _header_lines(source: PcdSource, plan: _Plan, labelling: Labelling) -> Iterator[bytes]:
    end = b"\r\n" if source.header.lines[-1][1].endswith(b"\r\n") else b"\n"
    kind = "ascii" if source.header.kind == "ascii" else "binary"
    values = {
        "FIELDS": [one.name for one in plan.fields],
        "SIZE": [str(one.size) for one in plan.fields],
        "TYPE": [one.type for one in plan.fields],
        "COUNT": [str(one.count) for one in plan.fields],
        "DATA": [kind],
    }
    values["COLUMNS"] = values["FIELDS"]
    for keyword, line in source.header.lines:
        if keyword == "DATA":
            said = [*labelling.comments, *(f"label {number} {name}" for number, name in enumerate(labelling.names))]
            yield from (f"{_OURS}{printable(text)}".encode() + end for text in said)
        if keyword in values:
            yield " ".join([keyword, *values[keyword]]).encode() + end
        elif not line.startswith(_OURS.encode()):
            yield line


def _new_columns(source: PcdSource, records: Any, label: I64, confidence: F32, colours: U8 | None) -> Columns:
    """What is new of points, by field: labels, and colours in whichever fields they belong."""
    columns: dict[str, npt.NDArray[Any]] = {"label": label.astype(np.int32), "scalar_label": label.astype(np.float32)}
    columns["confidence"] = confidence
    if colours is None:
        return columns
    if source.colour_keys:
        types = source.header.dtype
        channels = zip(source.colour_keys, colours.T, strict=True)
        return columns | {key: from_bytes(channel, types[key], source.full_scale) for key, channel in channels}
    red, green, blue = colours.T.astype(np.uint32)
    name = source.packed or _COLOUR.name
    is_binary = source.packed is not None and not isinstance(records, Lines)
    stored = np.ascontiguousarray(records[name]).view("<u4") if is_binary else np.full(len(label), _OPAQUE, np.uint32)
    return columns | {name: red << 16 | green << 8 | blue | stored & np.uint32(_OPAQUE)}


def _records(records: npt.NDArray[Any], plan: _Plan, columns: Columns) -> bytes:
    rows = np.empty(len(records), record(plan.fields))
    for one in plan.fields:
        values = columns[one.key] if one.key in columns else records[one.key]
        is_packed = one.key in columns and values.dtype == np.uint32 and one.size == 4
        rows[one.key] = values.view(one.code) if is_packed else values
    return rows.tobytes()


def _text(source: PcdSource, run: Lines, plan: _Plan, columns: Columns) -> bytes:
    """Lines with the new values at their ends, or in place of those that they replace; a packed colour is a whole number."""
    end = b"\r\n" if run.text.endswith(b"\r\n") else b"\n"
    texts = {
        key: [format(value, ".9g" if values.dtype.kind == "f" else "d").encode() for value in values.tolist()]
        for key, values in columns.items()
    }
    tails = [b" ".join(words) for words in zip(*(texts[one.key] for one in plan.appended), strict=True)]
    lines = run.text.split(b"\n")[:-1]
    if not plan.replaced and not any(one.key in columns for one in plan.kept):
        return b"".join(line.rstrip() + b" " + tail + end for line, tail in zip(lines, tails, strict=True))
    pieces = _pieces(source.header.fields, plan.kept)
    rows = (_rebuilt(line.split(), pieces, texts, number) for number, line in enumerate(lines))
    return b"".join(b" ".join((*row, tail)) + end for row, tail in zip(rows, tails, strict=True))


def _pieces(fields: Sequence[Field], kept: Sequence[Field]) -> list[tuple[Field, int]]:
    """Every kept field and its first word in a line."""
    starts = np.cumsum([0, *(one.count for one in fields)]).tolist()
    return [(one, start) for one, start in zip(fields, starts, strict=False) if one in kept]


def _rebuilt(words: list[bytes], pieces: list[tuple[Field, int]], texts: Mapping[str, list[bytes]], number: int) -> list[bytes]:
    row: list[bytes] = []
    for one, start in pieces:
        row += [texts[one.key][number]] if one.key in texts else words[start : start + one.count]
    return row
