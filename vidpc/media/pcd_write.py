"""PCD files with labels: a PCD file's own points with three fields more, in the same kind of body."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import printable
from vidpc.media.ascii_rows import Lines, grown, rearranged, texts
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
    words = {one.key: texts(columns[one.key]) for one in plan.fields if one.key in columns}
    if not plan.replaced and len(words) == len(plan.appended):
        return grown(run, list(words.values()), b"\n")
    own = sum(one.count for one in source.header.fields)
    starts = dict(zip((one.key for one in source.header.fields), _starts(source.header.fields), strict=True))
    new = {key: own + number for number, key in enumerate(words)}
    places = [[new[one.key]] if one.key in new else range(starts[one.key], starts[one.key] + one.count) for one in plan.fields]
    return rearranged(run, list(chain.from_iterable(places)), list(words.values()), b"\n")


def _starts(fields: Sequence[Field]) -> list[int]:
    """Every field's first word in a line."""
    ends = list(accumulate(one.count for one in fields))
    return [end - one.count for end, one in zip(ends, fields, strict=True)]
