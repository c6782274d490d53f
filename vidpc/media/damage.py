"""What was lost while a video was read, counted, and said at the end.

Damage that changes pixels or bytes without breaking a rule of the format cannot be seen by any reader. What counts, and is
always said, is: packets that the decoder refused, packets and pictures that it marked as damaged, reading that stopped at an
error, fewer pictures than packets came in (where the codec has one picture a packet), fewer pictures than the container
declares, an end before the declared duration where no count is declared, and a transport stream that ends inside a packet.
"""

from dataclasses import dataclass, field
from fractions import Fraction

# Containers that write a duration rather than have it estimated from their last packet.
_STATES_DURATION = ("mov", "matroska", "flv", "asf")
_TS_PACKET_BYTES = (188, 192, 204)
_SLACK_S = Fraction(1, 5)


@dataclass(frozen=True, slots=True)
class Claims:
    """What the container declares, for comparison."""

    container: str
    is_countable: bool
    frame_count: int | None
    index_length: int
    end_s: Fraction | None
    interval_s: Fraction = Fraction(1, 25)
    size_bytes: int | None = None
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
            shown = f"{float(self.end_s):.3f}" if self.end_s is not None else "unknown"
            said.append(f"the file declares an end at {float(claims.end_s or 0):.3f} s, it ends at {shown} s")
        if claims.container == "mpegts" and claims.size_bytes and all(claims.size_bytes % n for n in _TS_PACKET_BYTES):
            said.append("the file ends inside a transport packet")
        return said

    def _lacks_frames(self, claims: Claims) -> bool:
        if claims.frame_count is None or self.frames >= claims.frame_count - self.discarded:
            return False
        # An edit list may leave pictures out of the index: then the index is complete and the presentation reaches its end.
        edited = claims.container.startswith("mov") and self.packets == claims.index_length and not self._ends_early(claims)
        return not edited or self._swallowed(claims) > 0

    def _swallowed(self, claims: Claims) -> int:
        if not claims.is_countable or claims.is_interlaced:
            return 0
        return self.packets - self.discarded - self.refused - self.frames

    def _ends_early(self, claims: Claims) -> bool:
        if claims.end_s is None:
            return False
        return self.end_s is None or self.end_s < claims.end_s - max(_SLACK_S, 3 * claims.interval_s)
