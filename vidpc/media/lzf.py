"""LZF, the compression of binary PCD files, unpacked from one file into another.

A control byte below 32 is followed by that many and one more bytes as they are. Any other is a copy of bytes that were unpacked
before: its upper three bits are the length less two (7: one more byte is added), its lower five and the next byte the distance
less one.
"""

from typing import BinaryIO

from vidpc.media.records import FileBytes

MOST_EXPANSION = 88  # three bytes become 264 at most
_FARTHEST = 1 << 13
_WINDOW_BYTES = 1 << 20
_LONGEST_CODE = 34
_LITERAL, _LONG = 32, 7


def unpack(data: FileBytes, offset: int, packed: int, unpacked: int, target: BinaryIO) -> None:
    """Write the ``unpacked`` bytes that ``packed`` bytes from ``offset`` stand for, or raise PointCloudError."""
    end, written = offset + packed, 0
    out = bytearray()
    while offset < end:
        window = data.at(offset, min(_WINDOW_BYTES, end - offset))
        is_last = offset + len(window) == end
        used = _codes(data, window, offset, len(window) if is_last else len(window) - _LONGEST_CODE, out)
        offset += used
        if written + len(out) > unpacked:
            raise data.damaged(f"compressed points: more than the declared {unpacked} bytes unpacked before byte {offset}")
        settled = len(out) if is_last else max(0, len(out) - _FARTHEST)
        target.write(out[:settled])
        written += settled
        del out[:settled]
    if written != unpacked:
        raise data.damaged(f"compressed points: expected {unpacked} bytes, found {written} when unpacked up to byte {end}")


def _codes(data: FileBytes, window: bytes, offset: int, stop: int, out: bytearray) -> int:
    """Unpack the codes of ``window`` that start before ``stop`` onto ``out``; returns how many bytes they took."""
    at = 0
    try:
        while at < stop:
            control = window[at]
            at += 1
            if control < _LITERAL:
                after = at + control + 1
                out += window[at:after]
                at = after
                continue
            length = (control >> 5) + 2
            if length == _LONG + 2:
                length += window[at]
                at += 1
            start = len(out) - ((control & 31) << 8) - window[at] - 1
            at += 1
            if start < 0:
                raise data.damaged(f"compressed points: byte {offset + at} refers to what was never unpacked")
            piece = out[start : start + length]
            while len(piece) < length:  # a copy that reaches into itself repeats
                piece += piece[: length - len(piece)]
            out += piece
    except IndexError as error:
        raise data.damaged(f"compressed points: they end within a code at byte {offset + len(window)}") from error
    if at > len(window):
        raise data.damaged(f"compressed points: they end within a code at byte {offset + len(window)}")
    return at
