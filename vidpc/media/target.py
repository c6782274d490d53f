"""Where a video or a folder of pictures goes: a hidden part beside it, which takes the name only when it is complete."""

import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vidpc.errors import OutputError
from vidpc.media.sources import IMAGE_SUFFIXES, shown

_LOG = logging.getLogger(__name__)
TIMES = "times.csv"
_PICTURE = re.compile(r"\d{6,}\.png")
_NAME_BYTES = 80  # of the target's name in that of its part: names end at 255 bytes
_MOST_PARTIAL = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """A file or, where ``is_folder``, a folder that is made as ``part`` first."""

    name: str  # as the user gave it, for messages
    path: Path
    part: Path
    is_folder: bool
    overwrite: bool

    def complete(self) -> None:
        """Gives the part its name. Raises OutputError where another job was faster, OSError."""
        if self.is_folder:
            self._complete_folder()
        elif self.overwrite:
            self.part.replace(self.path)
        else:
            _take_free_name(self.part, self.path)

    def _complete_folder(self) -> None:
        if self.path.exists() and not self.overwrite:
            self.path.rmdir()  # an empty one; what another job filled meanwhile is refused by the system
        old = self.part.with_name(f"{self.part.name}-old")
        if self.path.exists():
            self.path.replace(old)
        self.part.replace(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def keep_partial(self) -> Path:
        """Gives what is there so far a name that says that it is not complete, and returns it."""
        for number in range(1, _MOST_PARTIAL):
            mark = ".partial" if number == 1 else f".partial-{number}"
            name = f"{self.path.name}{mark}" if self.is_folder else f"{self.path.stem}{mark}{self.path.suffix}"
            partial = self.path.with_name(name)
            if not partial.exists():
                self.part.replace(partial)
                return partial
        raise OutputError(f"there are {_MOST_PARTIAL} partial outputs beside {shown(self.path)}: remove some")

    def discard(self) -> None:
        """Removes the part. Never fails, and does nothing where it has got a name."""
        if self.is_folder:
            shutil.rmtree(self.part, ignore_errors=True)
        else:
            with suppress(OSError):
                self.part.unlink(missing_ok=True)


def is_folder(path: str | Path) -> bool:
    """Whether an output is a folder of pictures: it exists as one, ends in a slash, or has no suffix."""
    text = str(path)
    return text.endswith(("/", os.sep)) or Path(text).is_dir() or not Path(text).suffix


def open_target(path: str | Path, *, inputs: Iterable[str | Path], overwrite: bool) -> Target:
    """The target that a user names, refused with OutputError where it must not be written."""
    if str(path) == "-":
        raise OutputError("cannot write a video to standard output: name a file")
    folder = is_folder(path)
    # A link keeps pointing where it points: its target is what is replaced.
    real = Path(os.path.realpath(path))
    doing = f"cannot write {shown(path)}"
    try:
        _refuse(real, doing, list(inputs), folder=folder, overwrite=overwrite)
    except OSError as error:
        raise OutputError(f"{doing}: {error.strerror}") from error
    name = real.name.encode()[:_NAME_BYTES].decode(errors="ignore")
    part = real.with_name(f".{name}.part-{os.getpid()}-{secrets.token_hex(4)}")
    return Target(shown(path), real, part, folder, overwrite)


def _refuse(real: Path, doing: str, inputs: list[str | Path], *, folder: bool, overwrite: bool) -> None:
    if not real.parent.is_dir():
        raise OutputError(f"{doing}: the folder {shown(real.parent)} does not exist")
    if any(is_same(real, source) for source in inputs):
        raise OutputError(f"{doing}: it is the input, choose another name")
    if not real.exists():
        return
    mode = real.stat().st_mode
    if folder and stat.S_ISDIR(mode):
        _refuse_content(real, doing, overwrite=overwrite)
    elif not stat.S_ISREG(mode) or folder:
        kind = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a device"
        raise OutputError(f"{doing}: it is {kind}; give a file name with a suffix, or a folder for pictures")
    elif not overwrite:
        raise OutputError(f"{shown(real)} exists already: use --overwrite to replace it, or another name")


def _refuse_content(folder: Path, doing: str, *, overwrite: bool) -> None:
    """A folder with something in it; with ``overwrite`` only one that holds more than an earlier run left."""
    names = [entry.name for entry in folder.iterdir()]
    if names and not overwrite:
        raise OutputError(f"{doing}: the folder holds {len(names)} files; use --overwrite to replace them, or another name")
    foreign = [name for name in names if name != TIMES and not _PICTURE.fullmatch(name)]
    if foreign:
        raise OutputError(f"{doing}: the folder holds {shown(foreign[0])}, which is not of an earlier run: choose another name")


def is_same(target: Path, source: str | Path) -> bool:
    """Whether a target is a source, its folder of pictures, or the folder that its pattern names."""
    places = [Path(source)]
    if target.is_dir() and places[0].suffix.lower() in IMAGE_SUFFIXES:
        places.append(places[0].parent)  # one picture, or a pattern such as frames/%04d.png
    for place in places:
        with suppress(OSError, ValueError):
            if place.samefile(target):
                return True
    return False


def _take_free_name(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # fails where another job was faster; a rename would not
    except FileExistsError as error:
        raise OutputError(f"{shown(path)} was written by another job meanwhile: nothing was replaced") from error
    except OSError:  # a file system without hard links
        part.replace(path)
    else:
        part.unlink()


def is_interruption(kind: type[BaseException] | None) -> bool:
    """Whether somebody ended the run (Ctrl-C, a signal), rather than an error."""
    return kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit)


def say_partial(target: Target, partial: Path) -> None:
    """Says where the beginning of an interrupted output is."""
    _LOG.warning(
        "interrupted: what was written of %s so far is in %s", target.name, shown(Path(target.name).with_name(partial.name))
    )
