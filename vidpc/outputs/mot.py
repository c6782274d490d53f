"""Tracks as MOTChallenge text: ``frame,id,left,top,width,height,score,-1,-1,-1``, a row a box.

Frames count from 1, so a row's frame is ``index + 1``, and so do pixels: the picture's left edge is 1, as the benchmark has it.
Boxes have two decimals, scores four. The format has no place for times, labels and warnings.
"""

from collections.abc import Iterable

from vidpc.types import FrameTracks, TrackHeader

FIRST_FRAME = 1
FIRST_PIXEL = 1


class MotText:
    """Rows in the order of the frames."""

    def __init__(self, header: TrackHeader) -> None:
        """The header has no place in this format."""

    def head(self) -> str:
        """Nothing."""
        return ""

    def frame(self, tracks: FrameTracks) -> str:
        """A row a track."""
        rows = zip(tracks.ids.tolist(), tracks.boxes_xyxy.tolist(), tracks.scores.tolist(), strict=True)
        return "".join(_row(tracks.index + FIRST_FRAME, number, box, score) for number, box, score in rows)

    def tail(self, warnings: Iterable[str]) -> Iterable[str]:
        """Nothing."""
        return ()

    def close(self) -> None:
        """Nothing is kept."""


def _row(frame: int, number: int, box: list[float], score: float) -> str:
    x1, y1, x2, y2 = box
    left, top = x1 + FIRST_PIXEL, y1 + FIRST_PIXEL
    return f"{frame},{number},{left:.2f},{top:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n"
