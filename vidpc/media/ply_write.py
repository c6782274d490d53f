"""PLY files with labels: a PLY file's own rows with three values more, or the points of any scan.

label (int), scalar_label (float: what CloudCompare shows), confidence (float); with a palette red, green, blue
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import OutputError, printable
from vidpc.media.ascii_rows import Lines, grown, line_ends, rearranged, texts
from vidpc.media.columns import from_bytes, painted
from vidpc.media.ply import PlySource, spans
from vidpc.media.ply_header import TYPES, Element, Encoding, Property
from vidpc.media.ply_lists import Run
from vidpc.media.points import Labelling, PointSource, paired
from vidpc.media.sources import shown
from vidpc.types import F32, I64, U8, PointCloud, PointLabels

LABEL_TYPES = {"label": "i4", "scalar_label": "f4", "confidence": "f4"}
_COLOURS = ("red", "green", "blue")
_NAMES = {code: name for name, code in reversed(TYPES.items())}
_OURS = "vidpc "  # what starts our comments, so that those of an earlier run can be replaced
_INPUT_LABEL = "input_label"

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of a row: property i stays (None), is replaced by channel c of the palette's colours, or is not there."""

    channels: Mapping[int, int | None]
    appended: tuple[Property, ...]
    replaced: tuple[str, ...]
    scale: float

    @property
    def is_plain(self) -> bool:
        """Whether rows stay as they are and only grow."""
        return not self.replaced and not any(channel is not None for channel in self.channels.values())


def write_own(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write a PLY file's points with their labels in its own encoding; returns warnings.

    Every other element, property, comment and byte stays as it is and where it is. Properties of our names are replaced.
    """
    if not isinstance(source, PlySource):
        raise TypeError(f"expected an open PLY file, got {type(source).__name__}")
    header, data = source.header, source.data
    plan = _planned(source, labelling)
    file.write(b"".join(_header_lines(source, plan, labelling)))
    data.copy(header.size, source.body.vertex_start, file)
    for cloud, label, confidence in paired(source.clouds(), labels):
        colours = None if labelling.palette is None else painted(label, labelling.palette)
        file.write(_rows(source, cloud.records, plan, label_columns(label, confidence, colours)))
    data.copy(source.vertex_end, data.size, file)
    return [f"the input's own {name} was replaced" for name in plan.replaced]


def label_columns(label: I64, confidence: F32, colours: U8 | None) -> Columns:
    """The new values of points, by their names in the file; colours as well where they are painted."""
    known = {"label": label.astype(np.int32), "scalar_label": label.astype(np.float32), "confidence": confidence}
    return known | ({} if colours is None else dict(zip(_COLOURS, colours.T, strict=True)))


def _planned(source: PlySource, labelling: Labelling) -> _Plan:
    properties = source.header.vertex.properties
    own_colour = source.colour_names if labelling.palette is not None else ()
    kept = {
        i: (own_colour.index(p.name) if p.name in own_colour else None)
        for i, p in enumerate(properties)
        if p.name not in LABEL_TYPES
    }
    appended = [Property(name, code) for name, code in LABEL_TYPES.items()]
    if labelling.palette is not None and not own_colour:
        appended += [Property(name, "u1") for name in _COLOURS]
    taken = {properties[i].name for i in kept} & {entry.name for entry in appended}
    kept = {i: channel for i, channel in kept.items() if properties[i].name not in taken}
    replaced = tuple(entry.name for i, entry in enumerate(properties) if i not in kept)
    return _Plan(kept, tuple(appended), replaced, source.full_scale)


def _header_lines(source: PlySource, plan: _Plan, labelling: Labelling) -> Iterator[bytes]:
    """The input's lines without what is replaced, the new properties after its last one, our comments at the end."""
    written = source.header.lines
    end = b"\r\n" if written[0].raw.endswith(b"\r\n") else source.header.newline
    last = max(i for i, line in enumerate(written) if line.element == "vertex" and line.property is not None)
    for i, line in enumerate(written):
        is_replaced = line.element == "vertex" and line.property in plan.replaced
        is_ours = (
            line.keyword == "comment"
            and line.raw.split(maxsplit=1)[1:]
            and line.raw.split(maxsplit=1)[1].startswith(_OURS.encode())
        )
        if line.keyword == "end_header":
            yield from (comment.encode() + end for comment in _comments(labelling))
        if not is_replaced and not is_ours:
            yield line.raw
        if i == last:
            yield from (f"property {_NAMES[entry.value_type]} {entry.name}".encode() + end for entry in plan.appended)


def _comments(labelling: Labelling) -> list[str]:
    said = [*labelling.comments, *(f"label {number} {name}" for number, name in enumerate(labelling.names))]
    return [f"comment {_OURS}{printable(line)}" for line in said]


def _rows(source: PlySource, records: Any, plan: _Plan, columns: Columns) -> bytes:
    vertex, encoding = source.header.vertex, source.header.encoding
    if isinstance(records, Lines):
        return _text_rows(records, vertex, plan, columns, source.header.newline)
    if isinstance(records, Run):
        return _list_rows(records, vertex, encoding, plan, columns)
    kept = {i: vertex.properties[i] for i in plan.channels}
    fields = [(entry.name, encoding + entry.value_type) for entry in (*kept.values(), *plan.appended)]
    rows = np.empty(len(records), np.dtype(fields))
    colours = _stored_colours(vertex, encoding, plan, columns)
    for i, entry in kept.items():
        rows[entry.name] = colours[i] if i in colours else records[entry.name]
    for entry in plan.appended:
        rows[entry.name] = columns[entry.name]
    return rows.tobytes()


def _list_rows(run: Run, vertex: Element, encoding: Encoding, plan: _Plan, columns: Columns) -> bytes:
    """Rows with lists, put together one by one: they are rare."""
    appended = np.empty(len(run.rows), np.dtype([(entry.name, encoding + entry.value_type) for entry in plan.appended]))
    for entry in plan.appended:
        appended[entry.name] = columns[entry.name]
    colours = _stored_colours(vertex, encoding, plan, columns)
    parts: list[bytes] = []
    for number, row in enumerate(run.rows):
        ends = (*row.starts[1:], row.end)
        for i in plan.channels:
            parts.append(colours[i][number].tobytes() if i in colours else run.raw[row.starts[i] : ends[i]])
        parts.append(appended[number].tobytes())
    return b"".join(parts)


def _text_rows(run: Lines, vertex: Element, plan: _Plan, columns: Columns, newline: bytes) -> bytes:
    """Lines of text with the new values at their ends, and colours in the place of others."""
    tails = [texts(columns[entry.name]) for entry in plan.appended]
    if plan.is_plain:
        return grown(run, tails, newline)
    colours = {i: texts(values) for i, values in _stored_colours(vertex, "=", plan, columns).items()}
    if vertex.has_lists:
        return _list_lines(run, vertex, plan, [colours.get(i) for i in plan.channels], tails, newline)
    words = len(vertex.properties)
    places = [words + list(colours).index(i) if i in colours else i for i in plan.channels]
    new = [*colours.values(), *tails]
    return rearranged(run, [*places, *range(words + len(colours), words + len(new))], new, newline)


def _stored_colours(vertex: Element, order: str, plan: _Plan, columns: Columns) -> dict[int, npt.NDArray[Any]]:
    """The palette's colours by the number of the property that takes them, in its type."""
    return {
        i: from_bytes(columns[_COLOURS[channel]], np.dtype(order + vertex.properties[i].value_type), plan.scale)
        for i, channel in plan.channels.items()
        if channel is not None
    }


def _list_lines(
    run: Lines,
    vertex: Element,
    plan: _Plan,
    colours: Sequence[Sequence[bytes] | None],
    tails: Sequence[Sequence[bytes]],
    newline: bytes,
) -> bytes:
    """Lines with lists in them, put together one by one: they are rare."""
    rows, end = line_ends(run, newline)
    parts: list[bytes] = []
    for number, row in enumerate(rows):
        words = row.split()
        places = spans(words, vertex)
        kept = (
            words[slice(*places[i])] if colour is None else [colour[number]]
            for i, colour in zip(plan.channels, colours, strict=True)
        )
        parts.append(b" ".join((*chain.from_iterable(kept), *(tail[number] for tail in tails))) + end)
    return b"".join(parts)


def write_any(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write the points of any scan with their labels as binary PLY, coordinates in double precision; returns warnings.

    Every field that is a number is kept; one whose name is taken, such as a label that the input had, as ``input_label``.
    """
    dropped: dict[str, None] = {}
    written, dtype = 0, None
    for cloud, label, confidence in paired(source.clouds(), labels):
        columns = _columns(cloud, label, confidence, labelling, dropped)
        if dtype is None:
            dtype = np.dtype([(name, "<" + _code(values)) for name, values in columns.items()])
            file.write(_new_header(dtype, source.info.count, labelling))
        rows = np.empty(len(cloud), dtype)
        for name, values in columns.items():
            rows[name] = values
        file.write(rows.tobytes())
        written += len(cloud)
    if dtype is None:
        nothing = label_columns(np.empty(0, np.int64), np.empty(0, np.float32), None)
        dtype = np.dtype(
            [*((axis, "<f8") for axis in "xyz"), *((name, "<" + _code(values)) for name, values in nothing.items())]
        )
        file.write(_new_header(dtype, 0, labelling))
    if written != source.info.count:
        raise OutputError(
            f"writing {shown(source.info.path)} as PLY: it declares {source.info.count} points and holds {written}"
        )
    return [f"not written: {name}" for name in dropped]


def _columns(cloud: PointCloud, label: I64, confidence: F32, labelling: Labelling, dropped: dict[str, None]) -> Columns:
    """All values of points by the names that they take in the file; fields that it cannot hold are added to ``dropped``."""
    colours = cloud.colour if labelling.palette is None else painted(label, labelling.palette)
    new = label_columns(label, confidence, colours)
    columns: dict[str, npt.NDArray[Any]] = dict(zip("xyz", cloud.xyz.T, strict=True))
    columns |= {name: new[name] for name in _COLOURS if name in new}
    if cloud.intensity is not None:
        columns["intensity"] = cloud.intensity
    if cloud.label is not None:
        columns[_INPUT_LABEL] = cloud.label
    for stored, values in _flat(cloud.fields):
        name = _free(stored, {*columns, *new})
        if values.dtype.kind not in "biuf":
            dropped[f"the field {shown(stored)} ({values.dtype})"] = None
        else:
            columns[name] = values
    return columns | {name: new[name] for name in LABEL_TYPES}


def _free(name: str, taken: Collection[str]) -> str:
    """``name``, or another for a field whose name is taken by what is written anew."""
    choices = chain([name, f"input_{name}"], (f"input_{name}_{number}" for number in count(2)))
    return next(choice for choice in choices if choice not in taken)


def _flat(fields: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Fields of one value a point, with names that a PLY header can hold."""
    for name, values in fields.items():
        plain = re.sub(r"\s+", "_", printable(name).strip()) or "unnamed"
        if values.ndim == 1:
            yield plain, values
        else:
            wide = values.reshape(len(values), -1)
            yield from ((f"{plain}_{i}", wide[:, i]) for i in range(wide.shape[1]))


def _code(values: npt.NDArray[Any]) -> str:
    """The PLY type for an array, as NumPy's: integers of 64 bits become double, for PLY has none."""
    code = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"b1": "u1", "f2": "f4"}.get(code, code if code in _NAMES else "f8")


def _new_header(dtype: np.dtype[Any], points: int, labelling: Labelling) -> bytes:
    properties = [f"property {_NAMES[dtype[name].str[1:]]} {name}" for name in dtype.names or ()]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *_comments(labelling),
        f"element vertex {points}",
        *properties,
        "end_header",
    ]
    return "".join(f"{line}\n" for line in lines).encode()
