"""What was lost while a video was read, counted, and said at the end.

Damage that changes pixels or bytes without breaking a rule of the format cannot be seen by any reader. What counts, and is
always said, is: packets that the decoder refused, packets and pictures that it marked as damaged, reading that stopped at an
error, fewer pictures than packets came in (where the codec has one picture a packet), fewer pictures than the container
declares, an end before the declared duration where no count is declared, and an outermost structure that does not reach the
end of the file. Gaps in an otherwise even rate are a note of the timeline.
"""

from dataclasses import dataclass, field
from fractions import Fraction

# Containers that write a duration rather than have it estimated from their last packet.
_STATES_DURATION = ("mov", "matroska", "flv", "asf")
_SLACK_S = Fraction(1, 5)


@dataclass(frozen=True, slots=True)
class Claims:
    """What the container declares, for comparison."""

    container: str
    is_countable: bool  # whether a packet holds exactly one picture
    frame_count: int | None
    index_length: int
    start_s: Fraction
    end_s: Fraction | None
    has_exact_end: bool = False  # the end is the video's own, not that of the longest stream
    interval_s: Fraction = Fraction(1, 25)
    is_interlaced: bool = False


@dataclass(slots=True)
class Damage:
    """Counts of one input, from its first packet on."""

    packets: int = 0
    discarded: int = 0
    refused: int = 0
    damaged_packets: int = 0
    damaged_frames: int = 0
    frames: int = 0
    end_s: Fraction | None = None
    stops: list[str] = field(default_factory=list)

    def extend(self, end_s: Fraction | None) -> None:
        """Note that something of the file is shown until a time."""
        if end_s is not None:
            self.end_s = end_s if self.end_s is None else max(self.end_s, end_s)

    def seen(self) -> list[str]:
        """What the demuxer and the decoder reported."""
        said = [f"reading stopped: {stop}" for stop in self.stops[:1]]
        if self.refused:
            said.append(f"damaged packets skipped: {self.refused}")
        if self.damaged_frames or self.damaged_packets:
            said.append(f"damaged pictures: {max(self.damaged_frames, self.damaged_packets)}")
        return said

    def missing(self, claims: Claims) -> list[str]:
        """What the whole file lacks against its own claims; only meaningful when it was read to its end."""
        said = []
        if self._lacks_frames(claims):
            said.append(f"the file declares {claims.frame_count} pictures, {self.frames} could be read")
        elif self._swallowed(claims) > 0:
            said.append(f"packets that gave no picture: {self._swallowed(claims)}")
        if claims.frame_count is None and self._ends_early(claims) and claims.container.startswith(_STATES_DURATION):
            shown = "unknown" if self.end_s is None else f"{float(self.end_s):.3f} s"
            said.append(f"the file declares an end at {float(claims.end_s or 0):.3f} s, its end is {shown}")
        return said

    def unindexed(self, claims: Claims) -> list[str]:
        """Pictures of an MP4 that its edit list leaves out."""
        left_out = (claims.frame_count or 0) - self.discarded - self.frames
        if left_out <= 0 or self._lacks_frames(claims) or not claims.container.startswith("mov"):
            return []
        return [f"pictures that the file declares and its edit list leaves out: {left_out}"]

    def surplus(self, claims: Claims) -> list[str]:
        """More pictures than the container declares."""
        if claims.frame_count is None or self.frames <= claims.frame_count:
            return []
        return [f"the file declares {claims.frame_count} pictures, it holds {self.frames}"]

    def _lacks_frames(self, claims: Claims) -> bool:
        if claims.frame_count is None or self.frames >= claims.frame_count - self.discarded:
            return False
        return not self._is_sparse(claims) or self._swallowed(claims) > 0

    def _is_sparse(self, claims: Claims) -> bool:
        """Whether fewer pictures than declared are no loss: an edit list left some out, or AVI counts places without one."""
        if self.packets != claims.index_length:
            return False
        if claims.container == "avi":
            end_s = claims.start_s + (claims.frame_count or 0) * claims.interval_s
            return self.end_s is not None and self.end_s > end_s - claims.interval_s / 2
        return claims.container.startswith("mov") and not self._ends_early(claims)

    def _swallowed(self, claims: Claims) -> int:
        if not claims.is_countable or claims.is_interlaced:
            return 0
        return self.packets - self.discarded - self.refused - self.frames

    def _ends_early(self, claims: Claims) -> bool:
        if claims.end_s is None:
            return False
        slack_s = claims.interval_s / 2 if claims.has_exact_end else max(_SLACK_S, 3 * claims.interval_s)
        return self.end_s is None or self.end_s < claims.end_s - slack_s
