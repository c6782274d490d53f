"""Decoded frames of one input as pictures of one displayed size."""

from fractions import Fraction

from av import VideoFrame

from vidpc.media.facts import colour_of, view_of
from vidpc.media.picture import Picture, Scaler


class Viewer:
    """Takes size, colours and orientation from the first frame; a later one of other colours or size brings its own.

    ``coded`` is the packet of the first frame.
    """

    def __init__(self, first: VideoFrame, coded: bytes, aspect: Fraction | None) -> None:
        self._scaler = Scaler()
        self._tags = _tags(first)
        self._resized: set[tuple[int, int]] = set()
        self.view, self.warnings = view_of(first, coded, aspect)

    def picture(self, frame: VideoFrame) -> Picture:
        """The frame as it is displayed."""
        tags = _tags(frame)
        colour = self.view.colour if tags == self._tags else colour_of(frame)
        if tags[:2] != self._tags[:2]:
            self._resized.add(tags[:2])
        return Picture(frame, colour, self.view.orientation, self._scaler)

    def changes(self) -> list[str]:
        """What changed from frame to frame, as warnings."""
        if not self._resized:
            return []
        sizes = ", ".join(f"{width}x{height}" for width, height in sorted(self._resized))
        return [f"the picture changes its size to {sizes}: it is scaled to the first one"]


def _tags(frame: VideoFrame) -> tuple[int, int, str, int, int]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
