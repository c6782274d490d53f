"""Where text goes: a part file that takes its final name only when it is complete, or standard output.

A part file lies beside its target, so that the rename is atomic, and carries the process and a random number in its name,
so that two jobs on one target never write into one file: the one that completes last wins, or is refused without ``overwrite``.
"""

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol

from vidpc.errors import OutputError

STDOUT = "-"
_BUFFER_BYTES = 1 << 16
_COPY_BYTES = 1 << 20
_NAME_CHARACTERS = 40  # of the target's name in that of its part file: names end at 255 bytes


class Sink(Protocol):
    """Takes text, and is completed or thrown away at the end."""

    def write(self, text: str) -> None:
        """Append ``text`` as UTF-8."""
        ...

    def write_bytes(self, content: bytes) -> None:
        """Append ``content``."""
        ...

    def commit(self) -> None:
        """Make what was written last: after this the target is complete."""
        ...

    def discard(self) -> None:
        """Remove what was written, where that can be done. Never fails, and does nothing after ``commit``."""
        ...


def open_sink(target: str | Path, *, overwrite: bool = False) -> Sink:
    """A sink for ``target``: a path, or ``-`` for standard output. An existing file is refused unless ``overwrite``."""
    if str(target) == STDOUT:
        return _StandardOutput()
    # A link keeps pointing where it points: its target is what is replaced.
    path = Path(os.path.realpath(target))
    with writing(path):
        mode = _mode(path)
    if mode is None or stat.S_ISREG(mode):
        refuse_existing(target, overwrite=overwrite)
        return _PartFile(path, overwrite=overwrite)
    if stat.S_ISDIR(mode):
        raise OutputError(f"{target} is a directory: name a file in it")
    return _Device(path)


@contextmanager
def open_binary(target: str | Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """A seekable file for what is not text. Its content is at ``target`` once the block has ended, and only if it ended well.

    What goes to standard output or a device waits in a temporary file until then.
    """
    sink = open_sink(target, overwrite=overwrite)
    try:
        if isinstance(sink, _PartFile):
            yield sink.file
        else:
            with TemporaryFile(prefix="vidpc-") as waiting:
                yield waiting
                waiting.seek(0)
                while content := waiting.read(_COPY_BYTES):
                    sink.write_bytes(content)
        sink.commit()
    except OSError as error:
        raise OutputError(f"writing {target}: {error.strerror or error}") from error
    finally:
        sink.discard()


def refuse_existing(target: str | Path, *, overwrite: bool) -> None:
    """Raise where ``target`` is a file already and may not be replaced."""
    if not overwrite and Path(target).is_file():
        raise OutputError(f"{target} exists already: use --overwrite to replace it, or another name")


def encoded(text: str) -> bytes:
    r"""UTF-8. What cannot be text (bytes of a file name that are no UTF-8) becomes ``\udc..``, which JSON understands."""
    return text.encode("utf-8", errors="backslashreplace")


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextmanager
def writing(target: object) -> Iterator[None]:
    """Say of a failure of the system what was being written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"writing {target}: {error.strerror or error}") from error


class _PartFile:
    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        name = f".{path.name[:_NAME_CHARACTERS]}.part-{os.getpid()}-{secrets.token_hex(4)}"
        self._part = path.with_name(name)
        with writing(path):
            if not path.parent.is_dir():
                raise OutputError(f"writing {path}: the folder {path.parent} does not exist")
            self.file: BinaryIO = self._part.open("x+b", buffering=_BUFFER_BYTES)

    def write(self, text: str) -> None:
        self.write_bytes(encoded(text))

    def write_bytes(self, content: bytes) -> None:
        with writing(self._path):
            self.file.write(content)

    def commit(self) -> None:
        with writing(self._path):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._take_name()

    def _take_name(self) -> None:
        if not self._overwrite:
            try:
                os.link(self._part, self._path)  # fails where another job was faster; a rename would not
            except FileExistsError as error:
                raise OutputError(f"{self._path} was written by another job meanwhile: nothing was replaced") from error
            except OSError:  # a file system without hard links
                self._part.replace(self._path)
            else:
                self._part.unlink()
        else:
            self._part.replace(self._path)

    def discard(self) -> None:
        with suppress(OSError):  # of a full disk: the buffer is lost, as it should be
            self.file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


class _Device:
    """A named pipe or a device: it has no name to take, so it is written as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file: BinaryIO = path.open("wb", buffering=_BUFFER_BYTES)

    def write(self, text: str) -> None:
        self.write_bytes(encoded(text))

    def write_bytes(self, content: bytes) -> None:
        with writing(self._path):
            self._file.write(content)

    def commit(self) -> None:
        with writing(self._path):
            self._file.close()

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()


class _StandardOutput:
    """Flushes after every write: a reader of the pipe sees each frame as it comes."""

    def write(self, text: str) -> None:
        self.write_bytes(encoded(text))

    def write_bytes(self, content: bytes) -> None:
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except OSError as error:
            _silence_stdout()
            raise OutputError(f"writing to standard output: {error.strerror or error}") from error

    def commit(self) -> None:
        """Nothing: every write was flushed."""

    def discard(self) -> None:
        """Nothing: what was written was read already."""


def _silence_stdout() -> None:
    # The interpreter flushes standard output once more when it ends, and would complain of the closed pipe a second time.
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
