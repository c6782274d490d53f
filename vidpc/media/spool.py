"""Scans that come through a pipe, kept in a temporary file: their readers jump, and read twice."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from vidpc.errors import OpenError
from vidpc.media.pipe import is_pipe, open_named_pipe
from vidpc.media.sources import shown
from vidpc.types import PointOptions

_CHUNK_BYTES = 1 << 20


@contextmanager
def regular_file(name: str, options: PointOptions) -> Iterator[Path]:
    """The path of a file with the bytes of ``name``: itself, or a copy of a pipe that is removed at the end."""
    with ExitStack() as stack:
        try:
            path = _path_of(name, options, stack)
        except (OSError, ValueError) as error:
            raise OpenError(f"cannot open {shown(name)}: {getattr(error, 'strerror', None) or error}") from error
        yield path


def _path_of(name: str, options: PointOptions, stack: ExitStack) -> Path:
    if name == "-":
        return _copy(sys.stdin.buffer, "standard input", options, stack)
    path = Path(os.path.abspath(name))  # noqa: PTH100 - resolve() would follow links and fail on loops
    mode = path.stat().st_mode
    if is_pipe(path):
        return _copy(stack.enter_context(open_named_pipe(path, options.timeout_s)), name, options, stack)
    if not stat.S_ISREG(mode):
        raise OpenError(f"cannot open {shown(name)}: it is a {'folder' if stat.S_ISDIR(mode) else 'device'}, expected a file")
    path.open("rb").close()
    return path


def _copy(pipe: BinaryIO, name: str, options: PointOptions, stack: ExitStack) -> Path:
    copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="vidpc-"))  # noqa: SIM115 - the stack closes it
    while chunk := pipe.read(_CHUNK_BYTES):
        if copy.tell() + len(chunk) > options.max_spool_bytes:
            raise OpenError(f"cannot keep {shown(name)}: it is larger than {options.max_spool_bytes} bytes; save it as a file")
        copy.write(chunk)
    copy.flush()
    return Path(copy.name)
