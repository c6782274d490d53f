"""Pipes as inputs: read as they come, or kept in a temporary file where the format has its index at the end."""

import os
import select
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from vidpc.errors import OpenError
from vidpc.media.sources import shown
from vidpc.types import ReadOptions

_CHUNK = 1 << 20
_HEADER = 8
_ISO_BRANDS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


class PipeReader:
    """A pipe with the bytes that were looked at put back in front. It cannot seek, and FFmpeg sees that."""

    def __init__(self, pipe: BinaryIO, head: bytes) -> None:
        self._pipe, self._head = pipe, head

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes."""
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._pipe.read(size)


def is_pipe(path: Path) -> bool:
    """Whether a path is a named pipe, such as a shell's ``<(command)``."""
    return stat.S_ISFIFO(path.stat().st_mode)


def open_named_pipe(path: Path, timeout_s: float) -> BinaryIO:
    """A named pipe once its first bytes are there. Without a writer, opening it plainly would wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    readable, _, _ = select.select([descriptor], [], [], timeout_s)
    if not readable:
        os.close(descriptor)
        raise OpenError(f"cannot read the pipe {shown(path)}: nobody wrote to it for {timeout_s:g} s")
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def open_pipe(pipe: BinaryIO, name: str, options: ReadOptions) -> BinaryIO | PipeReader:
    """The pipe for reading: itself where it is a redirected file, a spooled copy where the index comes last."""
    if pipe.seekable():
        return pipe
    head = b""
    while len(head) < _HEADER and (more := pipe.read(_HEADER - len(head))):
        head += more
    if head[4:8] not in _ISO_BRANDS:
        return PipeReader(pipe, head)
    head, index_is_last = _walk_boxes(pipe, head)
    return _spool(pipe, head, name, options.max_spool_bytes) if index_is_last else PipeReader(pipe, head)


def _walk_boxes(pipe: BinaryIO, head: bytes) -> tuple[bytes, bool]:
    """What was read of an MP4, and whether its data come before its index."""
    start = 0
    while True:
        while len(head) < start + _HEADER:
            more = pipe.read(start + _HEADER - len(head))
            if not more:
                return head, False
            head += more
        size, kind = int.from_bytes(head[start : start + 4]), head[start + 4 : start + 8]
        if kind in (b"moov", b"mdat", b"moof"):
            return head, kind == b"mdat"
        if not _HEADER <= size <= _CHUNK:  # nothing that belongs before the index is large: let FFmpeg judge
            return head, False
        start += size


def _spool(pipe: BinaryIO, head: bytes, name: str, limit: int) -> BinaryIO:
    spooled = tempfile.TemporaryFile(prefix="vidpc-")  # noqa: SIM115 - whoever opened the pipe closes it
    try:
        spooled.write(head)
        while chunk := pipe.read(_CHUNK):
            if spooled.tell() + len(chunk) > limit:
                raise OpenError(
                    f"cannot read {shown(name)} from a pipe: its index comes last and it is larger than {limit} bytes; "
                    "save it as a file, or write it with its index first (faststart)"
                )
            spooled.write(chunk)
        spooled.seek(0)
    except OSError as error:
        spooled.close()
        raise OpenError(f"cannot keep {shown(name)} in a temporary file: {error.strerror}") from error
    except OpenError:
        spooled.close()
        raise
    return spooled
