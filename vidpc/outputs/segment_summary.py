"""What was found in a scan, class by class: as JSON, CSV or lines for people. Shares and confidences have four decimals."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidpc.errors import PresetError, printable
from vidpc.outputs.json_tracks import dumped
from vidpc.outputs.sink import STDOUT
from vidpc.types import LabelCounts, ScanHeader

NAME, VERSION = "vidpc-segments", 1
DECIMALS = 4
COLUMNS = ("source", "label", "name", "points", "share", "confidence")


def json_document(header: ScanHeader, counts: LabelCounts, warnings: Sequence[str]) -> str:
    """One object with everything that is known."""
    record = {
        "format": NAME,
        "version": VERSION,
        "vidpc_version": header.vidpc_version,
        "source": header.source,
        "scan": {"format": header.scan.format, "crs": header.scan.crs},
        "model": asdict(header.model),
        "settings": dict(header.settings),
        "points": _total(counts),
        "unlabelled": counts.unlabelled,
        "classes": list(class_rows(header.model.labels, counts)),
        "warnings": list(dict.fromkeys([*header.scan.warnings, *warnings])),
    }
    return f"{dumped(record)}\n"


def csv_table(header: ScanHeader, counts: LabelCounts, warnings: Sequence[str]) -> str:
    """A row a class; a table has no place for warnings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *((header.source, *row.values()) for row in class_rows(header.model.labels, counts))])
    return text.getvalue()


def text_table(names: Sequence[str], counts: LabelCounts) -> str:
    """Aligned lines: points, share and mean confidence of each class that was found, most points first; then what has none."""
    rows = sorted(class_rows(names, counts), key=lambda row: -row["points"])
    rows.append({"name": "not labelled", **_figures(counts.unlabelled, 0.0, counts)})
    width = max(len(row["name"]) for row in rows)
    lines = [
        f"  {row['name']:<{width}}  {row['points']:>12}  {100 * row['share']:5.1f} %  {row['confidence']:.2f}"
        for row in rows
        if row["points"]
    ]
    head = f"  {'class':<{width}}  {'points':>12}  {'share':>7}  mean confidence"
    return "\n".join([head, *lines])


def class_rows(names: Sequence[str], counts: LabelCounts) -> Iterator[dict[str, Any]]:
    """Every class in the order of its label, found or not. Shares are of all points."""
    for label, (name, points, confidence) in enumerate(zip(names, counts.points, counts.confidence, strict=True)):
        yield {"label": label, "name": name, **_figures(int(points), float(confidence), counts)}


def _figures(points: int, confidence: float, counts: LabelCounts) -> dict[str, Any]:
    share = points / max(_total(counts), 1)
    return {"points": points, "share": round(share, DECIMALS), "confidence": round(confidence, DECIMALS)}


def _total(counts: LabelCounts) -> int:
    return int(counts.points.sum()) + counts.unlabelled


FORMATS: Mapping[str, Callable[[ScanHeader, LabelCounts, Sequence[str]], str]] = {"json": json_document, "csv": csv_table}


def choose_format(target: str) -> str:
    """The format of a summary that a name asks for. Raises ``PresetError`` for a suffix that has none."""
    found = "json" if target == STDOUT else Path(target).suffix.lower().removeprefix(".")
    if found not in FORMATS:
        raise PresetError(f"{printable(target)}: no summary has this suffix: use .json or .csv")
    return found
