"""What FFmpeg does not check of a file's structure: that it reaches the last byte, and that its counts can be true."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BOXES = frozenset(
    b"ftyp styp moov moof mdat imda mfra sidx ssix prft emsg free skip wide uuid udta meta meco pdin pnot PICT junk".split()
)
_NESTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"})
_MAX_DEPTH = 6
_SAMPLES_A_BYTE = 8  # old QuickTime counts samples of compressed sound as they are played, up to some in a byte
_MAX_BOXES = 1_000_000
_TS_SYNC = b"\x47"
_TS_BLOCK = 8192  # packets that are looked at together


def flaw(path: Path, container: str) -> str | None:
    """What is wrong with the end of a file of that container, None where nothing is or nothing can be said."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if container.startswith("mov"):
                return _flaw_of_boxes(file, size)
            if container == "mpegts":
                return _flaw_of_transport(file, size)
    except OSError:
        return "the file can no longer be read"
    return None


def _flaw_of_boxes(file: BinaryIO, size: int) -> str | None:
    """An MP4 is a row of boxes, each with its length; the last one may say 0 and reach the end."""
    position = 0
    for box in _boxes(file, 0, size):
        if box.kind not in _BOXES:
            break
        position = box.end
        if position > size:
            return f"the file is cut off: its last box ends {position - size} bytes after it"
    return None if position == size else f"no box that is known begins at byte {position}"


def impossible_count(path: Path) -> str | None:
    """What an MP4 declares that it cannot hold, None where nothing.

    FFmpeg makes an entry of its index for every declared sample before it reads one: a file of some kilobytes could claim
    a thousand million.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for box in _nested(file, 0, size):
            count, bytes_each = _declared(file, box)
            if count * bytes_each > size * _SAMPLES_A_BYTE:
                return f"it declares {count} samples in {size} bytes"
    return None


def _declared(file: BinaryIO, box: "_Box") -> tuple[int, int]:
    """How many samples a box declares, and the least that each takes of the file."""
    if box.kind not in (b"stsz", b"stz2", b"trun"):
        return 0, 0
    file.seek(box.start)
    body = file.read(12)
    if box.kind == b"trun":
        return int.from_bytes(body[4:8]), 1
    each = int.from_bytes(body[4:8]) if box.kind == b"stsz" else 0
    return int.from_bytes(body[8:12]), max(1, each)


def _nested(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator["_Box"]:
    """Boxes and, where they are known to hold some, the boxes in them."""
    for box in _boxes(file, start, end):
        yield box
        if box.kind in _NESTS and depth < _MAX_DEPTH:
            yield from _nested(file, box.start, min(box.end, end), depth + 1)


@dataclass(frozen=True, slots=True)
class _Box:
    """A box: its four letters, where its content begins and where it ends."""

    kind: bytes
    start: int
    end: int


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """The boxes of a span, as long as their lengths make sense."""
    position = start
    for _ in range(_MAX_BOXES):
        if position >= end:  # a raw H.264 stream begins like a box of 2**63 bytes, where no file can be read
            return
        file.seek(position)
        header = file.read(16)
        length, content = int.from_bytes(header[:4]), 8
        if length == 1:
            length, content = int.from_bytes(header[8:]), 16
        length = length or end - position
        if len(header) < 8 or length < content:
            return
        yield _Box(header[4:8], position + content, position + length)
        position += length


def _flaw_of_transport(file: BinaryIO, size: int) -> str | None:
    """A transport stream is a row of packets of one size; each begins with the sync byte."""
    file.seek(0)
    head = file.read(5)
    step, first = (192, 4) if head[:1] != _TS_SYNC else (204, 0) if size % 188 and not size % 204 else (188, 0)
    if size % step:
        return "the file ends inside a transport packet"
    broken, block = 0, step * _TS_BLOCK
    file.seek(first)
    while data := file.read(block):
        broken += len(data[::step]) - data[::step].count(_TS_SYNC)
    return f"transport packets that are none: {broken}" if broken else None
