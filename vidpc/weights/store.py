"""From an entry of the registry to a weights file on this machine, and the checks of what is there.

Beside a download without a published hash lies a record of the one that it had when it was first seen.
"""

from dataclasses import dataclass
from pathlib import Path

from vidpc.errors import WeightsError

from .convert import convert
from .download import Progress, Wanted, fetch, is_offline
from .files import read, read_header, sha256
from .registry import VIDPC_LAYOUT, Entry, place


@dataclass(frozen=True, slots=True)
class Pulled:
    """A weights file that is here now. ``published`` says whether its download was held against a published hash."""

    path: Path
    download: Path
    download_sha256: str
    published: bool


def download_path(entry: Entry) -> Path:
    """Where the downloaded file of ``entry`` lies: the place for a file that was fetched by hand, too."""
    return place(entry).with_name(entry.download_name)


def pull(entry: Entry, *, offline: bool = False, progress: Progress = lambda done, total: None) -> Pulled:
    """Fetches, checks and converts the weights of ``entry``, each only where it is not done yet.

    Offline it opens no socket: then the downloaded file must be in its place. Raises ``WeightsError``.
    """
    if entry.builtin:
        path = place(entry)
        return Pulled(path, path, verify(entry), True)
    download = download_path(entry)
    if not download.is_file():
        if offline or is_offline():
            raise WeightsError(f"offline: {entry.id!r} is not here; place {' or '.join(entry.urls)} as {download}")
        fetch(Wanted(entry.urls, entry.sha256, entry.size_bytes), download, progress=progress)
    found = _held_against_known(entry, download)
    path = place(entry)
    if entry.layout != VIDPC_LAYOUT and not _is_converted(path, found):
        convert(download, path, layout=entry.layout, licence=entry.licence, origin=entry.urls[0])
    return Pulled(path, download, found, entry.sha256 is not None)


def verify(entry: Entry) -> str:
    """The sha256 of the file of ``entry``: the built-in one, or the download. Raises ``WeightsError`` unless all is right.

    The weights file is read whole: its header, its shapes against its size, its numbers.
    """
    path = place(entry)
    if entry.builtin:
        found = read(path).sha256
        if entry.sha256 and found != entry.sha256:
            raise WeightsError(f"{path}: sha256 {found}, expected {entry.sha256}; install vidpc again")
        return found
    found = _held_against_known(entry, download_path(entry))
    file = read(path)
    if entry.layout != VIDPC_LAYOUT and file.metadata.get("source_sha256") != found:
        raise WeightsError(f"{path}: made of another download; remove it and run `vidpc models pull {entry.id}`")
    return found


def is_here(entry: Entry) -> bool:
    """Whether the weights file of ``entry`` is on this machine."""
    return place(entry).is_file()


def _held_against_known(entry: Entry, download: Path) -> str:
    """The hash of the download, equal to the published one, or to the recorded one, or recorded now."""
    found = sha256(download)
    record = download.with_name(f"{download.name}.sha256")
    try:
        known = entry.sha256 or (record.read_text(encoding="ascii").split()[0] if record.is_file() else None)
        if known is None:
            record.write_text(f"{found}  {download.name}\n", encoding="ascii")
    except (OSError, ValueError, IndexError) as error:
        raise WeightsError(f"cannot use the record {record}: {error}") from error
    if known and not found.startswith(known):
        source = "published" if entry.sha256 else f"recorded in {record.name}"
        raise WeightsError(f"{download}: sha256 {found}, expected {known} ({source}); remove the file and pull it again")
    return found


def _is_converted(path: Path, source_sha256: str) -> bool:
    return path.is_file() and read_header(path).metadata.get("source_sha256") == source_sha256
