"""Labelled scans as files: which format a target asks for, how it is called by default, and what its header says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vidpc.errors import OutputError, PresetError, printable, unknown_name
from vidpc.media.points import Labelling, writer_for
from vidpc.outputs.palette import Colour
from vidpc.outputs.sink import STDOUT
from vidpc.types import ScanHeader

SUMMARY = "json"  # a target of this format holds what was found, and no points
# name -> (suffixes, the first of them the usual one; the format of media.points that writes it)
FORMATS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ply": ((".ply",), "ply"),
    "las": ((".las",), "las"),
    "laz": ((".laz",), "laz"),
    "pcd": ((".pcd",), "pcd"),
    "npz": ((".npz",), "npz"),
    "csv": ((".csv", ".txt", ".xyz", ".asc", ".tsv", ".pts"), "text"),
    SUMMARY: ((".json",), SUMMARY),
}
_LIKE_ITS_SOURCE = {"npy": ".npz", "kitti": ".npz", "text": ".csv"}  # others keep their suffix
ADDITION = ".segmented"

# The ASPRS codes of LAS 1.4 by the names of our classes. Vegetation of unknown height is the code for high.
_ASPRS = {
    "other": 1,
    "unclassified": 1,
    "ground": 2,
    "low vegetation": 3,
    "medium vegetation": 4,
    "high vegetation": 5,
    "vegetation": 5,
    "building": 6,
    "noise": 7,
    "water": 9,
    "rail": 10,
    "road": 11,
    "wire": 14,
    "bridge": 17,
}


def choose_format(target: str, given: str | None = None) -> str:
    """The format of a target: the given one, else what its suffix says. Raises ``PresetError`` where neither says one."""
    if given is not None:
        if given not in FORMATS:
            raise PresetError(unknown_name("format of points", given, FORMATS))
        return given
    if target == STDOUT:
        return SUMMARY
    suffix = Path(target).suffix.lower()
    for name, (suffixes, _) in FORMATS.items():
        if suffix in suffixes:
            return name
    known = ", ".join(suffixes[0] for suffixes, _ in FORMATS.values())
    raise PresetError(f"{printable(target)}: no format of points has this suffix ({known}); give --format")


def check_format(name: str, source_format: str, what: str) -> None:
    """Raises ``OutputError`` where ``what``, a scan of that format, cannot be written as ``name``, and says what can."""
    if name == SUMMARY:
        return
    try:
        writer_for(source_format, FORMATS[name][1])
    except OutputError as error:
        raise OutputError(f"writing {what}: {error}") from error


def default_suffix(source: str, source_format: str, given: str | None = None) -> str:
    """The end of an output's name that was not chosen: ``.segmented`` and what fits the format of the input ``source``."""
    if given is not None:
        return ADDITION + FORMATS[given][0][0]
    own = Path(source).suffix
    if source_format == "text" and own.lower() in FORMATS["csv"][0]:  # its rows come out as they were: with a head or without
        return ADDITION + own
    return ADDITION + _LIKE_ITS_SOURCE.get(source_format, f".{source_format}")


def labelling_of(header: ScanHeader, colours: Mapping[int, Colour] | None = None, warnings: Sequence[str] = ()) -> Labelling:
    """How the labels of a scan are written: their names, what is to be said of them, and the colours of painted points."""
    names = header.model.labels
    comments = (f"{header.vidpc_version} segment, model {header.model.name}", *warnings)
    return Labelling(names, colours, classification(names), comments)


def classification(names: Sequence[str]) -> dict[int, int] | None:
    """The ASPRS code of every label, None where one has none."""
    codes = {label: _ASPRS.get(name.lower()) for label, name in enumerate(names)}
    found = {label: code for label, code in codes.items() if code is not None}
    return found if len(found) == len(names) else None
