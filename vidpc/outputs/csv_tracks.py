"""Tracks as a table: comma-separated, with a header line, a row a box, rounded as in JSON."""

import csv
import io
from collections.abc import Iterable

from vidpc.outputs.json_tracks import rounded, seconds
from vidpc.types import FrameTracks, TrackHeader

COLUMNS = ("index", "time_s", "id", "x1", "y1", "x2", "y2", "score", "label")


class CsvTracks:
    """Rows in the order of the frames. A frame without tracks has no row."""

    def __init__(self, header: TrackHeader) -> None:
        self._labels = header.model.labels

    def head(self) -> str:
        """The column names."""
        return _lines([COLUMNS])

    def frame(self, tracks: FrameTracks) -> str:
        """A row a track."""
        boxes, scores = rounded(tracks)
        names = [self._labels[label] for label in tracks.labels.tolist()]
        rows = zip(tracks.ids.tolist(), boxes, scores, names, strict=True)
        return _lines([tracks.index, seconds(tracks.time_s), i, *box, score, name] for i, box, score, name in rows)

    def tail(self, warnings: Iterable[str]) -> Iterable[str]:
        """Nothing: a table has no place for warnings."""
        return ()

    def close(self) -> None:
        """Nothing is kept."""


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
