"""Arguments of a command line to sources: files, folders, globs, ``@list.txt``, image sequences, pipes, URLs."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidpc.errors import OpenError, printable
from vidpc.types import ReadOptions

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "asf", "avi", "dv", "flv", "gif", "h264", "264", "h265", "265", "hevc", "ivf", "m2ts", "m2v", "m4v"),
        *("mj2", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "obu", "ogm", "ogv", "ts", "vob"),
        *("webm", "wmv", "y4m"),
    )
)
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PRINTF = re.compile(r"%(?:0(\d{1,2}))?d")
_MAX_LIST_BYTES = 64 << 20
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Source:
    """One input. ``name`` is what the user called it; ``paths`` are the pictures of an image sequence, in order."""

    name: str
    kind: Literal["file", "images", "pipe", "url"] = "file"
    paths: tuple[Path, ...] = ()
    numbers: tuple[int, ...] = ()  # of the pictures, where a pattern numbers them

    @property
    def stem(self) -> str:
        """A name for outputs: without folders and suffix."""
        if self.kind == "pipe":
            return "stdin"
        return Path(self.name.split("?")[0].rstrip("/")).stem or "video"


def shown(name: object) -> str:
    """A file name for a message: one line, no control characters, of bounded length."""
    text = printable(str(name))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME // 2]}…{text[-_MAX_NAME // 2 :]}"


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key by which frame_9 comes before frame_10."""
    parts = re.split(r"(\d+)", str(path))
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def expand(arguments: Sequence[str | Path], options: ReadOptions | None = None) -> list[Source]:
    """The sources that the arguments name, each argument's in sorted order.

    A file that does not exist stays a source and fails when it is opened, so that it does not end a run over many; an empty
    folder, a glob without a match and an unreadable list raise OpenError at once.
    """
    options = options or ReadOptions()
    return [source for argument in arguments for source in _expand(str(argument), options, lists=True)]


def _expand(argument: str, options: ReadOptions, *, lists: bool) -> Iterator[Source]:
    path = Path(argument)
    if argument == "-":
        yield Source(argument, "pipe")
    elif lists and argument.startswith("@"):
        for line in read_list(argument[1:]):
            yield from _expand(line, options, lists=False)
    elif _URL.match(argument):
        yield Source(argument, "url")
    elif _exists(path):
        yield from _folder(path, options) if path.is_dir() else [Source(argument)]
    elif _PRINTF.search(path.name):
        yield _numbered(path)
    elif glob.has_magic(argument):
        yield from _matches(argument, options)
    else:
        yield Source(argument)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, a symlink loop, a NUL: opening says so
        return False


def read_list(name: str) -> list[str]:
    """Entries of a list file: one argument a line, relative to the current folder; blank lines and # comments are skipped."""
    try:
        with Path(name).open("rb") as file:
            raw = file.read(_MAX_LIST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise OpenError(f"cannot read the list {shown(name)}: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > _MAX_LIST_BYTES or b"\0" in raw:
        raise OpenError(f"cannot read the list {shown(name)}: expected a text file with one input a line")
    lines = [line.strip() for line in raw.decode("utf-8", "surrogateescape").splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise OpenError(f"the list {shown(name)} names no input")
    return entries


def _folder(path: Path, options: ReadOptions) -> list[Source]:
    """The videos of a folder by their suffix; where it has none, its pictures as one sequence."""
    try:
        files = sorted((entry for entry in path.iterdir() if entry.is_file()), key=natural)
    except OSError as error:
        raise OpenError(f"cannot list the folder {shown(path)}: {error.strerror}") from error
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        return [Source(str(file)) for file in videos]
    images = tuple(file for file in files if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise OpenError(f"the folder {shown(path)} holds no video and no picture (by suffix)")
    if options.input_fps is None:
        raise OpenError(
            f"the folder {shown(path)} holds {len(images)} pictures and no video: give --input-fps to read them as one"
        )
    return [Source(str(path), "images", images)]


def _matches(pattern: str, options: ReadOptions) -> list[Source]:
    """The files of a glob; pictures with a given rate are one sequence."""
    files = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=natural)  # noqa: PTH207 - patterns may be absolute
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise OpenError(f"no file matches {shown(pattern)}")
    if options.input_fps is not None and all(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
        return [Source(pattern, "images", tuple(files))]
    return [Source(str(file)) for file in files]


def _numbered(path: Path) -> Source:
    """The pictures of a printf pattern such as ``frame_%04d.png``, by their numbers."""
    field = _PRINTF.search(path.name)
    if field is None or _PRINTF.search(path.name, field.end()):
        raise OpenError(f"the pattern {shown(path)} has to hold exactly one number such as %04d")
    digits = rf"(\d{{{int(field.group(1))},}})" if field.group(1) else r"(\d+)"
    name = re.compile(re.escape(path.name[: field.start()]) + digits + re.escape(path.name[field.end() :]))
    try:
        found = sorted((int(match[1]), entry) for entry in path.parent.iterdir() if (match := name.fullmatch(entry.name)))
    except OSError as error:
        raise OpenError(f"cannot list the folder of {shown(path)}: {error.strerror}") from error
    if not found:
        raise OpenError(f"no picture matches the pattern {shown(path)}")
    return Source(str(path), "images", tuple(entry for _, entry in found), tuple(number for number, _ in found))
