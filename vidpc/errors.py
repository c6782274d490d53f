"""Every error that a user of vidpc can meet.

    VidpcError
    ├── SourceError              an input file, folder or stream
    │   ├── OpenError            cannot be opened, or is refused before decoding
    │   └── DecodeError          opened, but its content is damaged
    │       └── TruncatedError   damage that was recovered from, met under ``--strict``
    ├── PointCloudError          a scan: header, counts, values
    ├── PresetError              a preset, a setting or a label that does not exist or does not fit
    ├── WeightsError             a weights file: missing, wrong hash, wrong layout, unsafe
    ├── DeviceError              a device or a precision that is not there
    │   └── OutOfMemoryError     memory ran out even after the batch was halved
    └── OutputError              an output that cannot be written

A message says what was being done, to which file or frame, what was expected and found, and what to do. It is one line.
"""

from collections.abc import Iterable


class VidpcError(Exception):
    """Base of all errors that are meant for the user."""


class SourceError(VidpcError):
    """An input could not be read."""


class OpenError(SourceError):
    """An input could not be opened, or was refused before anything was decoded."""


class DecodeError(SourceError):
    """An input was opened, but its content is damaged."""


class TruncatedError(DecodeError):
    """Damage that vidpc could recover from, but the user asked for none (``--strict``)."""


class PointCloudError(VidpcError):
    """A point cloud could not be read."""


class PresetError(VidpcError):
    """A preset, a setting or a label does not exist or does not fit."""


class WeightsError(VidpcError):
    """A weights file is missing, damaged, unsafe or of another layout."""


class DeviceError(VidpcError):
    """A device or a precision is not available."""


class OutOfMemoryError(DeviceError):
    """Memory ran out even with the smallest batch."""


class OutputError(VidpcError):
    """An output could not be written."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that does not exist: the nearest ones where some are near, else all of them."""
    from difflib import get_close_matches  # only on the way to an error

    names = list(known)
    near = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"unknown {kind} {name!r}; {hint}"


def printable(text: str) -> str:
    """``text`` in one line without control characters, so that no file name can move the cursor of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
