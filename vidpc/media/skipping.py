"""Reaching ``--start`` without decoding what comes before: packets are dropped up to the last key frame before it.

No seeking, so it works on pipes, and the indices of frames stay exact because every dropped packet is counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_MAX_HELD_BYTES = 64 << 20
_JUMP_S = 1


@dataclass(slots=True)
class KeyframeSkip:
    """Drops packets before the last key frame at or before ``start_s``; ``skipped`` pictures are shown before that one.
    Without a start nothing is dropped.

    ``key_pts`` is that key frame's time: pictures decoded with an earlier one lean on dropped packets and are not whole.
    """

    start_s: Fraction | None
    skipped: int = 0
    key_pts: int | None = None
    last_s: Fraction | None = None  # the latest time among the skipped pictures
    _held: "list[Packet[VideoStream]]" = field(default_factory=list)
    _held_bytes: int = 0

    def packets(self, packets: "Iterable[Packet[VideoStream]]") -> "Iterator[Packet[VideoStream]]":
        """The packets to decode."""
        source = iter(packets)
        if self.start_s is None:
            yield from source
            return
        for packet in source:
            if self._begins(packet):
                break
        self._release()
        yield from self._held
        self._held = []
        yield from source

    def _begins(self, packet: "Packet[VideoStream]") -> bool:
        """Hold a packet, and say whether decoding has to begin."""
        if packet.pts is None or not packet.size:
            self._held.append(packet)
            return True
        time_s = packet.pts * packet.time_base
        jumps_back = self.last_s is not None and time_s < self.last_s - _JUMP_S
        if packet.is_keyframe and time_s <= (self.start_s or 0) and not jumps_back:
            self._drop()
        self._held.append(packet)
        self._held_bytes += packet.size
        return time_s > (self.start_s or 0) or jumps_back or self._held_bytes > _MAX_HELD_BYTES

    def _drop(self) -> None:
        for packet in self._held:
            self._skip(packet)
        self._held, self._held_bytes = [], 0

    def _skip(self, packet: "Packet[VideoStream]") -> None:
        self.skipped += not packet.is_discard
        time_s = (packet.pts or 0) * packet.time_base
        self.last_s = time_s if self.last_s is None else max(self.last_s, time_s)

    def _release(self) -> None:
        """Settle the numbers: pictures of the held packets that are shown before the key frame count as skipped."""
        first = self._held[0] if self._held else None
        if not self.skipped or first is None or first.pts is None:
            return
        self.key_pts = first.pts
        for packet in self._held:
            if packet.pts is not None and packet.pts < first.pts:
                self._skip(packet)
