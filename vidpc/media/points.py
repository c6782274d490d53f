"""Scans as streams of points: ``open_points`` for one, ``read_points`` for many, ``write_labelled`` for the way out.

    path -> head of the file -> format -> source: info, clouds() as often as wanted

A format is recognised by its first bytes, and by the suffix of its name where the content does not say. One format is one
module and one row of ``FORMATS``; its libraries are loaded when a file of it is opened.
"""

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from vidpc.errors import OpenError, OutputError, PointCloudError, SourceError
from vidpc.media.sources import Source, natural, read_list, shown
from vidpc.media.spool import regular_file
from vidpc.types import F32, I64, Closed, Opened, PointCloud, PointLabels, PointOptions, ScanInfo

CHUNK_POINTS = 1 << 18
_HEAD_BYTES = 4096
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class PointSource(Protocol):
    """An open scan."""

    @property
    def info(self) -> ScanInfo:
        """What it says of itself."""
        ...

    def clouds(self, points: int = CHUNK_POINTS) -> Iterator[PointCloud]:
        """All its points in file order, in runs of at most ``points``. May be called again: every pass gives the same."""
        ...

    def notes(self) -> list[str]:
        """What was found besides ``info.warnings``, complete after a pass."""
        ...


@dataclass(frozen=True, slots=True)
class Labelling:
    """How labels are written: ``names`` by label, ``palette`` RGB by label (None leaves the points' colours as they are).

    ``classification`` are the ASPRS codes by label, for LAS; ``comments`` are lines of the header where the format has some.
    """

    names: tuple[str, ...] = ()
    palette: Mapping[int, tuple[int, int, int]] | None = None
    classification: Mapping[int, int] | None = None
    comments: tuple[str, ...] = ()


OpenScan = Callable[[Path, str, PointOptions], AbstractContextManager[PointSource]]
# Writes a source and its labels to a binary file, and returns warnings.
WriteScan = Callable[[PointSource, BinaryIO, Iterable[PointLabels], Labelling], list[str]]


@dataclass(frozen=True, slots=True)
class Format:
    """One file format. ``magic`` matches its first bytes; None where they say nothing.

    ``write_own`` keeps everything that a file of this format had, or of one in ``siblings``; ``write_any`` takes every source.
    """

    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes] | None
    opener: Callable[[], OpenScan]
    write_own: Callable[[], WriteScan] | None = None
    write_any: Callable[[], WriteScan] | None = None
    siblings: tuple[str, ...] = ()


def _ply() -> OpenScan:
    from vidpc.media.ply import open_ply

    return open_ply


def _ply_own() -> WriteScan:
    from vidpc.media.ply_write import write_own

    return write_own


def _ply_any() -> WriteScan:
    from vidpc.media.ply_write import write_any

    return write_any


def _pcd() -> OpenScan:
    from vidpc.media.pcd import open_pcd

    return open_pcd


def _pcd_own() -> WriteScan:
    from vidpc.media.pcd_write import write_own

    return write_own


def _las() -> OpenScan:
    from vidpc.media.las import open_las

    return open_las


def _las_own() -> WriteScan:
    from vidpc.media.las_write import write_las

    return write_las


def _laz_own() -> WriteScan:
    from vidpc.media.las_write import write_laz

    return write_laz


def _npy() -> OpenScan:
    from vidpc.media.arrays import open_npy

    return open_npy


def _npz() -> OpenScan:
    from vidpc.media.arrays import open_npz

    return open_npz


def _npz_any() -> WriteScan:
    from vidpc.media.arrays_write import write_npz

    return write_npz


def _text() -> OpenScan:
    from vidpc.media.text import open_text

    return open_text


def _text_own() -> WriteScan:
    from vidpc.media.text_write import write_own

    return write_own


def _text_any() -> WriteScan:
    from vidpc.media.text_write import write_any

    return write_any


def _kitti() -> OpenScan:
    from vidpc.media.kitti import open_kitti

    return open_kitti


# Three numbers or more, which is all that a text can be told by where its name does not say.
_NUMBERS = re.compile(rb"\s*([-+]?[0-9.]+(e[-+]?[0-9]+)?[ \t,;]+){2}[-+]?[0-9.]+(e[-+]?[0-9]+)?[ \t,;\r\n]", re.IGNORECASE)

FORMATS: dict[str, Format] = {
    "ply": Format((".ply",), re.compile(rb"ply[ \t]*[\r\n]"), _ply, _ply_own, _ply_any),
    "pcd": Format((".pcd",), re.compile(rb"\s*(#[^\n]*\n\s*)*(#\s*\.PCD\b|VERSION\s|FIELDS\s)"), _pcd, _pcd_own),
    "las": Format((".las",), re.compile(rb"LASF"), _las, _las_own, siblings=("las", "laz")),
    "laz": Format((".laz",), None, _las, _laz_own, siblings=("las", "laz")),
    "npy": Format((".npy",), re.compile(rb"\x93NUMPY"), _npy),
    "npz": Format((".npz",), re.compile(rb"PK(\x03\x04|\x05\x06)"), _npz, write_any=_npz_any),
    "text": Format((".csv", ".xyz", ".txt", ".asc", ".tsv", ".pts"), None, _text, _text_own, _text_any),
    "kitti": Format((".bin",), None, _kitti),
}


@contextmanager
def open_points(source: Source | str | Path, options: PointOptions | None = None) -> Iterator[PointSource]:
    """One open scan; ``-`` is standard input. What cannot be opened raises OpenError or PointCloudError on entry."""
    options = options or PointOptions()
    name = source.name if isinstance(source, Source) else str(source)
    if _URL.match(name):
        raise OpenError(
            f"cannot open {shown(name)}: scans are read from files and pipes, not from addresses; download it first"
        )
    with regular_file(name, options) as path:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head:
            raise OpenError(f"cannot open {shown(name)}: the file is empty")
        opener = FORMATS[recognise(head, name)].opener()
        with opener(path, name, options) as opened:
            yield opened


def recognise(head: bytes, name: str) -> str:
    """The name of the format that a file's first bytes show, else the one that its suffix says."""
    for format_name, row in FORMATS.items():
        if row.magic is not None and row.magic.match(head):
            return format_name
    suffix = Path(name).suffix.lower()
    for format_name, row in FORMATS.items():
        if suffix in row.suffixes:
            return format_name
    if _NUMBERS.match(head):
        return "text"
    raise OpenError(f"cannot open {shown(name)}: neither its content nor its name is a scan's; formats: {', '.join(FORMATS)}")


Item = Opened[ScanInfo] | PointCloud | Closed


def read_points(
    sources: Iterable[Source | str | Path], options: PointOptions | None = None, points: int = CHUNK_POINTS
) -> Iterator[Item]:
    """The points of all scans, one input after the other. A string is expanded like an argument of the command line.

    One bad input never ends a run over many: what ended it stands in its Closed. Closing the generator closes the open scan.
    """
    options = options or PointOptions()
    resolved = (s for given in sources for s in ([given] if isinstance(given, Source) else expand_scans([given])))
    for number, source in enumerate(resolved):
        yield from _read(number, source, options, points)


def _read(number: int, source: Source, options: PointOptions, points: int) -> Iterator[Item]:
    opened: PointSource | None = None
    error: Exception | None = None
    try:
        with open_points(source, options) as opened:
            yield Opened(number, opened.info)
            yield from opened.clouds(points)
    except (SourceError, PointCloudError) as raised:
        error = raised
    yield Closed(number, tuple(opened.notes()) if opened else (), error)


def expand_scans(arguments: Sequence[str | Path]) -> list[Source]:
    """The scans that the arguments name: files, folders, globs, ``@list.txt`` and ``-``, each argument's in sorted order.

    A file that does not exist stays a source and fails when it is opened, so that it does not end a run over many; an empty
    folder, a glob without a match and an unreadable list raise OpenError at once.
    """
    return [source for argument in arguments for source in _expand(str(argument))]


def _expand(argument: str) -> list[Source]:
    if argument.startswith("@"):
        return [source for line in read_list(argument[1:]) for source in _named(line)]
    return _named(argument)


def _named(argument: str) -> list[Source]:
    if argument == "-":
        return [Source(argument, "pipe")]
    path = Path(argument)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name that is too long, a symlink loop, a NUL: opening says so
        return [Source(argument)]
    if is_folder:
        return _folder(path)
    if not exists and glob.has_magic(argument) and not _URL.match(argument):
        return _matches(argument)
    return [Source(argument)]


def _folder(path: Path) -> list[Source]:
    """The scans of a folder by their suffix; text files only where it holds nothing else, for many are no scans."""
    try:
        files = sorted((entry for entry in path.iterdir() if entry.is_file()), key=natural)
    except OSError as error:
        raise OpenError(f"cannot list the folder {shown(path)}: {error.strerror}") from error
    suffixes = {suffix for row in FORMATS.values() for suffix in row.suffixes}
    scans = [file for file in files if file.suffix.lower() in suffixes]
    sure = [file for file in scans if file.suffix.lower() not in (".txt", ".csv", ".tsv")]
    if not scans:
        raise OpenError(f"the folder {shown(path)} holds no scan (by suffix: {', '.join(sorted(suffixes))})")
    return [Source(str(file)) for file in sure or scans]


def _matches(pattern: str) -> list[Source]:
    files = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=natural)  # noqa: PTH207 - patterns may be absolute
    files = [file for file in files if not file.is_dir()]
    if not files:
        raise OpenError(f"no file matches {shown(pattern)}")
    return [Source(str(file)) for file in files]


def write_labelled(
    source: PointSource, file: BinaryIO, format_name: str, labels: Iterable[PointLabels], labelling: Labelling
) -> list[str]:
    """Write the points of ``source`` with their labels to a binary file in a format; returns warnings.

    In the source's own format everything it had is kept. ``file`` has to be seekable for formats other than ply, pcd and text.
    """
    return writer_for(source.info.format, format_name)(source, file, labels, labelling)


def writer_for(source_format: str, format_name: str) -> WriteScan:
    """What writes a scan of one format as another; raises OutputError where that cannot be done, and says what can."""
    loader = _writer(source_format, FORMATS[format_name], format_name)
    if loader is None:
        able = [name for name, row in FORMATS.items() if _writer(source_format, row, name)]
        raise OutputError(f"a scan read from {source_format} cannot be written as {format_name}; possible: {', '.join(able)}")
    return loader()


def _writer(source_format: str, row: Format, name: str) -> Callable[[], WriteScan] | None:
    is_own = source_format == name or source_format in row.siblings
    return row.write_own if is_own and row.write_own else row.write_any


def paired(clouds: Iterator[PointCloud], labels: Iterable[PointLabels]) -> Iterator[tuple[PointCloud, I64, F32]]:
    """Every cloud with its label i64[n] and confidence f32[n]; labels may come in runs of other lengths, in file order."""
    runs = iter(labels)
    label, confidence = np.empty(0, np.int64), np.empty(0, np.float32)
    for cloud in clouds:
        while len(label) < len(cloud):
            due = cloud.first + len(label)
            run = next(runs, None)
            if run is None:
                raise OutputError(f"labels end at point {due}, the scan goes on")
            if run.first != due:
                raise ValueError(f"labels of point {run.first} came where those of {due} were due")
            label, confidence = np.concatenate([label, run.label]), np.concatenate([confidence, run.confidence])
        yield cloud, label[: len(cloud)], confidence[: len(cloud)]
        label, confidence = label[len(cloud) :], confidence[len(cloud) :]
    if len(label) or next(runs, None) is not None:
        raise OutputError("there are more labels than points")
