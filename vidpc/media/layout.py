"""Whether a file's outermost structure reaches its last byte: damage that FFmpeg reads over in silence."""

import os
from pathlib import Path
from typing import BinaryIO

_BOXES = frozenset(
    b"ftyp styp moov moof mdat imda mfra sidx ssix prft emsg free skip wide uuid udta meta meco pdin pnot PICT junk".split()
)
_MAX_BOXES = 1_000_000
_TS_PACKETS = ((188, 188), (192, 188), (204, 204))  # size of a packet, distance of its last sync byte from the end
_TS_SYNC = 0x47


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
    for _ in range(_MAX_BOXES):
        if position == size:
            return None
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4])
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:])
        if header[4:8] not in _BOXES or (length < 8 and length != 0):
            return f"no box that is known begins at byte {position}"
        if length == 0:
            return None
        position += length
        if position > size:
            return f"the file is cut off: its last box ends {position - size} bytes after it"
    return None


def _flaw_of_transport(file: BinaryIO, size: int) -> str | None:
    file.seek(max(0, size - 204))
    tail = file.read()
    whole = any(size % step == 0 and len(tail) >= back and tail[-back] == _TS_SYNC for step, back in _TS_PACKETS)
    return None if whole else "the file ends inside a transport packet"
