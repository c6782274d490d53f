"""Text files with labels: a text file's own lines with two values more, or any scan as CSV with a line of names."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.errors import OutputError
from vidpc.media.columns import painted
from vidpc.media.points import Labelling, PointSource, paired
from vidpc.media.text import COMMENTS, TextSource, windows
from vidpc.types import F32, I64, PointCloud, PointLabels

_RUN_ROWS = 1 << 12
_COLOURS = ("red", "green", "blue")

Array = npt.NDArray[Any]


def write_own(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write a text file's lines as they are, each with label and confidence at its end; returns warnings."""
    if not isinstance(source, TextSource):
        raise TypeError(f"expected an open text file, got {type(source).__name__}")
    dialect, data = source.dialect, source.data
    own = set(dialect.names)
    names = [name if name not in own else f"vidpc_{name}" for name in ("label", "confidence")]
    for number, line in enumerate(data.at(0, dialect.start).split(dialect.newline)[:-1], 1):
        more = dialect.delimiter + dialect.delimiter.join(name.encode() for name in names)
        is_header = number == dialect.header_line
        file.write((line.rstrip() + more + _ending(line) if is_header else line) + dialect.newline)
    tails = _tails(labels, dialect.delimiter, dialect.decimal)
    for _, text in windows(data, dialect):
        file.write(_with_tails(text, dialect.newline, tails))
    if next(tails, None) is not None:
        raise OutputError("there are more labels than points")
    warnings = [
        f"the input has a column {name!r} already: ours is called 'vidpc_{name}'"
        for name in ("label", "confidence")
        if name in own
    ]
    return warnings + (["text keeps its colours: the palette is not written"] if labelling.palette is not None else [])


def _with_tails(text: bytes, newline: bytes, tails: Iterator[bytes]) -> bytes:
    parts: list[bytes] = []
    for line in text.split(newline)[:-1]:
        body = line.strip()
        if not body or body.startswith(COMMENTS):
            parts.append(line)
            continue
        tail = next(tails, None)
        if tail is None:
            raise OutputError("there are fewer labels than points")
        parts.append(line.rstrip() + tail + _ending(line))
    return b"".join(part + newline for part in parts)


def _ending(line: bytes) -> bytes:
    return b"\r" if line.endswith(b"\r") else b""


def _tails(labels: Iterable[PointLabels], delimiter: bytes, decimal: bytes) -> Iterator[bytes]:
    for run in labels:
        for label, confidence in zip(run.label.tolist(), run.confidence.tolist(), strict=True):
            yield delimiter + b"%d" % label + delimiter + (b"%.4f" % confidence).replace(b".", decimal)


def write_any(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write the points of any scan with their labels as CSV; returns warnings.

    Columns: x, y, z, colour, intensity, every field, the input's label as ``input_label``, then label and confidence.
    """
    names: list[str] = []
    for cloud, label, confidence in paired(source.clouds(), labels):
        columns = _columns(cloud, label, confidence, labelling)
        if not names:
            names = list(columns)
            file.write((",".join(names) + "\n").encode())
        row = ",".join(_format(name, values) for name, values in columns.items()) + "\n"
        for start in range(0, len(cloud), _RUN_ROWS):
            run = [values[start : start + _RUN_ROWS].tolist() for values in columns.values()]
            # One format of all rows at once is several times as fast as one a row.
            file.write((row * len(run[0]) % tuple(chain.from_iterable(zip(*run, strict=True)))).encode())
    if not names:
        file.write(b"x,y,z,label,confidence\n")
    return []


def _columns(cloud: PointCloud, label: I64, confidence: F32, labelling: Labelling) -> dict[str, Array]:
    """Every value a point by the name of its column."""
    colours = cloud.colour if labelling.palette is None else painted(label, labelling.palette)
    columns: dict[str, Array] = dict(zip("xyz", cloud.xyz.T, strict=True))
    columns |= {} if colours is None else dict(zip(_COLOURS, colours.T, strict=True))
    columns |= {} if cloud.intensity is None else {"intensity": cloud.intensity}
    last: dict[str, Array] = {} if cloud.label is None else {"input_label": cloud.label}
    last |= {"label": label, "confidence": confidence}
    return columns | _fields(cloud.fields, {*columns, *last}) | last


def _fields(fields: Mapping[str, Array], taken: set[str]) -> dict[str, Array]:
    """Fields of one value a point, under names that are not taken and need no quotes."""
    found: dict[str, Array] = {}
    for name, values in fields.items():
        plain = "".join("_" if c in ',"\n\r' else c for c in name)
        wide = values.reshape(len(values), -1) if len(values) else values.reshape(0, int(np.prod(values.shape[1:])))
        for i in range(wide.shape[1]):
            column = plain if values.ndim == 1 else f"{plain}_{i}"
            while column in taken or column in found:
                column = f"input_{column}"
            found[column] = wide[:, i]
    return found


def _format(name: str, values: Array) -> str:
    """How a column is printed: doubles with 15 digits, so that 0.1 stays 0.1, singles with the 9 that they need."""
    if values.dtype.kind != "f":
        return "%d"
    if name == "confidence":
        return "%.4f"
    return "%.15g" if values.dtype.itemsize > 4 else "%.9g"
