"""The weights that vidpc knows by name, and where each is on this machine."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from vidpc.errors import WeightsError, unknown_name

from .class_names import named_list
from .files import WeightsFile, read

VIDPC_LAYOUT = "vidpc"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of ``registry.toml``. ``sha256``, or its first digits, and ``size_bytes`` are those of the file at the addresses,

    or built in.
    """

    id: str
    task: str
    architecture: str
    layout: str
    licence: str
    labels: tuple[str, ...]
    input: str
    about: str
    urls: tuple[str, ...] = ()
    file: str | None = None
    builtin: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None

    @property
    def download_name(self) -> str:
        """The name of the file at the addresses: ``file`` where they do not say it."""
        return self.file or self.urls[0].partition("?")[0].rpartition("/")[2]


@cache
def entries() -> Mapping[str, Entry]:
    """Every row by its id, in the order of the file."""
    rows = tomllib.loads(resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8"))["weights"]
    return {row["id"]: _entry(row) for row in rows}


def find(name: str) -> Entry:
    """The entry of that id; ``WeightsError`` with the nearest ids where there is none."""
    if name not in entries():
        raise WeightsError(unknown_name("weights", name, entries()))
    return entries()[name]


def locate(name: str) -> Path:
    """The weights file of a registered name or a path.

    Raises ``WeightsError`` where it is not on this machine, with the command that fetches it.
    """
    if is_path(name):
        return Path(name)
    entry = find(name)
    path = place(entry)
    if path.is_file():
        return path
    if entry.builtin:
        raise WeightsError(f"weights {name!r} are built in, but {path} is missing: install vidpc again")
    raise WeightsError(
        f"weights {name!r} are not on this machine (expected {path}); fetch them with `vidpc models pull {name}`"
    )


def load(name: str) -> WeightsFile:
    """The weights of a registered name or a path, read and checked against the hash that is known for them."""
    path = locate(name)
    file = read(path)
    entry = entries().get(name)
    if entry and entry.layout == VIDPC_LAYOUT and entry.sha256 and file.sha256 != entry.sha256:
        raise WeightsError(f"{path}: sha256 {file.sha256}, expected {entry.sha256}; the file was changed or damaged")
    return file


def is_path(name: str) -> bool:
    """Whether ``name`` is a file rather than an entry: it has a separator or the suffix ``.safetensors``."""
    return "/" in name or os.sep in name or name.endswith(".safetensors")


def place(entry: Entry) -> Path:
    """Where the weights file of ``entry`` lies once it is here: in the package, or in the cache."""
    if entry.builtin:
        return Path(str(resources.files(__package__))) / "builtin" / entry.builtin
    name = entry.download_name if entry.layout == VIDPC_LAYOUT else f"{entry.id}.safetensors"
    return cache_root() / "models" / entry.id / name


def cache_root() -> Path:
    """The cache's folder: ``$VIDPC_CACHE``, ``$XDG_CACHE_HOME/vidpc`` or ``~/.cache/vidpc``. It need not exist."""
    if folder := os.environ.get("VIDPC_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "vidpc"
    try:
        return Path.home() / ".cache" / "vidpc"
    except RuntimeError as error:
        raise WeightsError("there is no home folder for the cache; set VIDPC_CACHE to a folder") from error


def _entry(row: Mapping[str, Any]) -> Entry:
    known = {field.name for field in fields(Entry)}
    for key in row:
        if key not in known:
            raise WeightsError(f"registry.toml: {row.get('id')}: {unknown_name('key', key, known)}")
    labels = row.get("labels")
    named = {"labels": named_list(labels)} if isinstance(labels, str) else {}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in {**row, **named}.items()
    }
    return Entry(**values)
