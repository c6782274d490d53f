"""Actions as a table: comma-separated, with a header line, a row a window and label of its best, rounded as in JSON."""

import csv
import io
from collections.abc import Iterable

from vidpc.outputs.json_tracks import seconds
from vidpc.outputs.ranking import ranked
from vidpc.types import ActionHeader, Actions, Window

COLUMNS = ("source", "start_s", "end_s", "rank", "label", "score", "model")


class CsvActions:
    """Rows in the order of the windows, then of the models; ``rank`` counts from 1 among the labels of one model."""

    def __init__(self, header: ActionHeader, top: int) -> None:
        self._header, self._top = header, top

    def head(self) -> str:
        """The column names."""
        return _lines([COLUMNS])

    def window(self, window: Window) -> str:
        """A row a label."""
        span = (self._header.source, seconds(window.start_s), seconds(window.end_s))
        best = ranked(self._header.models, window.scores, self._top)
        return _lines((*span, entry.rank, entry.label, entry.score, entry.model) for entry in best)

    def tail(self, actions: Actions, warnings: Iterable[str]) -> Iterable[str]:
        """Nothing: a table of windows has no place for segments and warnings."""
        return ()


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
