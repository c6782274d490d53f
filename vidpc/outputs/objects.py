"""What a scan shows, as JSON (``objects.schema.json``) or as a table. Scores are rounded to 0.0001."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vidpc.errors import OutputError
from vidpc.outputs.formats import Formats
from vidpc.outputs.json_tracks import dumped
from vidpc.outputs.sink import Sink, open_sink, writing
from vidpc.types import Candidate, ScanHeader

NAME, VERSION = "vidpc-objects", 1
SCORE_DECIMALS = 4
COLUMNS = ("source", "rank", "label", "score")


@dataclass(slots=True)
class ObjectWriter:
    """Takes what was found of one scan, and writes it all when it is finished."""

    target: str
    sink: Sink
    form: Callable[[ScanHeader, "Sequence[Candidate]", int, Sequence[str]], str]
    header: ScanHeader
    points: int = 0
    candidates: tuple[Candidate, ...] = field(default=())

    def write(self, candidates: tuple[Candidate, ...], points: int) -> None:
        """The classes to be written, best first, and how many points of the scan counted."""
        self.candidates, self.points = candidates, points

    def finish(self, warnings: Sequence[str] = ()) -> None:
        """Complete the file: only now it appears under its name."""
        if not self.candidates:
            raise OutputError(f"writing {self.target}: nothing was found out about the scan")
        with writing(self.target):
            self.sink.write(self.form(self.header, self.candidates, self.points, warnings))
            self.sink.commit()


@contextmanager
def open_objects(
    target: str,
    *,
    header: ScanHeader,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
) -> Iterator[ObjectWriter]:
    """A writer for ``target``, a path or ``-``. Left without ``finish``, or by an exception, it leaves nothing behind."""
    sink = open_sink(target, overwrite=overwrite)
    try:
        yield ObjectWriter(target, sink, FORMATS[choose_format(target, format)], header)
    finally:
        sink.discard()


def json_document(header: ScanHeader, candidates: Sequence[Candidate], points: int, warnings: Sequence[str]) -> str:
    """One object with everything that is known."""
    scan, model = header.scan, header.model
    record = {
        "format": NAME,
        "version": VERSION,
        "vidpc_version": header.vidpc_version,
        "source": header.source,
        "scan": {"format": scan.format, "count": scan.count, "points": points},
        "model": {
            "name": model.name,
            "architecture": model.architecture,
            "sha256": model.sha256,
            "licence": model.licence,
            "labels": list(model.labels),
        },
        "settings": dict(header.settings),
        "top": [{"label": candidate.label, "score": rounded(candidate)} for candidate in candidates],
        "warnings": list(dict.fromkeys([*scan.warnings, *warnings])),
    }
    return f"{dumped(record)}\n"


def csv_table(header: ScanHeader, candidates: Sequence[Candidate], points: int, warnings: Sequence[str]) -> str:
    """A row a class; a table has no place for warnings."""
    text = io.StringIO()
    rows = [(header.source, rank, candidate.label, rounded(candidate)) for rank, candidate in enumerate(candidates, 1)]
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def rounded(candidate: Candidate) -> float:
    """The score as it is written."""
    return round(candidate.score, SCORE_DECIMALS)


FORMATS = {"json": json_document, "csv": csv_table}


def choose_format(target: str | Path, format: str | None = None) -> str:  # noqa: A002 - the option's name
    """The name of a format in ``FORMATS``. Raises ``PresetError`` for a suffix or a name that has none."""
    return Formats("format", FORMATS, {".json": "json", ".csv": "csv"}, "json").choose(target, format)
