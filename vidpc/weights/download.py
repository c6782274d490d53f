"""Fetching files over https: hashed while they stream, resumed where they broke off, named only when they are right."""

import hashlib
import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from vidpc.errors import WeightsError

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
SIZE_LIMIT_BYTES = 4 << 30  # of a file whose size the registry does not say
TIMEOUT_S = 30.0  # without a byte
LOCK_TIMEOUT_S = 3600.0

_OFFLINE_VARIABLES = ("VIDPC_OFFLINE", "HF_HUB_OFFLINE")

Progress = Callable[[int, int | None], None]  # bytes that are there, bytes in all where the server says it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fetch and what is known of it: ``sha256`` or its first digits. The addresses are tried in their order."""

    urls: Sequence[str]
    sha256: str | None = None
    size_bytes: int | None = None


def is_offline() -> bool:
    """Whether the environment forbids the network (``VIDPC_OFFLINE`` or ``HF_HUB_OFFLINE``)."""
    return any(os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on") for name in _OFFLINE_VARIABLES)


def fetch(wanted: Wanted, target: Path, *, progress: Progress = lambda done, total: None) -> str:
    """Downloads to ``target`` and returns its sha256. One process at a time; the others wait, and find the file there.

    Raises ``WeightsError`` with the reason of every address when none gave the file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock")):
            if target.is_file():
                return _sha256(target)
            return _fetch_first(wanted, target, progress)
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error


def _fetch_first(wanted: Wanted, target: Path, progress: Progress) -> str:
    reasons = []
    for url in wanted.urls:
        try:
            return _fetch_one(url, wanted, target, progress)
        except WeightsError as error:
            reasons.append(str(error))
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reasons.append(f"{url}: {error}")
    raise WeightsError(f"cannot fetch {target.name}: {'; '.join(reasons) or 'it has no address'}")


def _fetch_one(url: str, wanted: Wanted, target: Path, progress: Progress) -> str:
    part = target.with_name(f"{target.name}.part")
    with _request(url, part) as response, _opened_part(url, response, part) as file:
        digest, done = _digest_so_far(file)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdecimal() else wanted.size_bytes
        limit = wanted.size_bytes or SIZE_LIMIT_BYTES
        while chunk := response.read(CHUNK_BYTES):
            done += len(chunk)
            if done > limit:
                file.truncate(0)
                raise WeightsError(f"{url}: more than the {limit} bytes that were expected")
            digest.update(chunk)
            file.write(chunk)
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise WeightsError(f"{url}: broke off after {done} of {total} bytes; run it again to go on from there")
    found: str = digest.hexdigest()
    if wanted.sha256 and not found.startswith(wanted.sha256):
        part.unlink()
        raise WeightsError(f"{url}: sha256 {found}, expected {wanted.sha256}: not the file that vidpc knows; nothing was kept")
    part.replace(target)
    _validator_file(part).unlink(missing_ok=True)
    return found


def _request(url: str, part: Path) -> HTTPResponse:
    """The open response: the rest of the file where a part lies here and the server still has the same file."""
    headers = {"User-Agent": "vidpc", "Accept-Encoding": "identity"}
    if (known := _known_validator(url, part)) and part.is_file() and part.stat().st_size:
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": known}
    try:
        response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # the part is as long as the file or longer: it cannot be what the server has
        raise WeightsError(f"{url}: the part that was here did not fit and was removed; run it again") from error
    return response


def _opened_part(url: str, response: HTTPResponse, part: Path) -> IO[bytes]:
    """The part file, open for what the server sends: to go on, or emptied where it sends all of it again."""
    _refuse(url, response)
    size = part.stat().st_size if part.is_file() else 0
    goes_on = response.status == 206
    if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
        raise WeightsError(f"{url}: the server sent {response.headers.get('Content-Range')}, expected bytes from {size} on")
    strong = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if strong and not strong.startswith("W/"):
        _validator_file(part).write_text(json.dumps({"url": url, "validator": strong}), encoding="utf-8")
    else:
        _validator_file(part).unlink(missing_ok=True)
    return part.open("r+b" if goes_on else "w+b")


def _known_validator(url: str, part: Path) -> str | None:
    """By what the server can tell that the file is still the one whose part lies here."""
    try:
        known = json.loads(_validator_file(part).read_text(encoding="utf-8"))
        return str(known["validator"]) if known["url"] == url else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _digest_so_far(file: IO[bytes]) -> tuple[Any, int]:
    """The hash of what the part holds, and its length; the file then stands at its end."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest, file.tell()


def _refuse(url: str, response: HTTPResponse) -> None:
    """Raises where the answer cannot be the file."""
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise WeightsError(f"{url}: refused to be led from https to {response.url}")
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise WeightsError(f"{url}: the server sent a web page, not a file")


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file ``path``; waits while another process does. The system frees it when a process dies."""
    with path.open("a+b") as file:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise WeightsError(f"another process has held {path} for {LOCK_TIMEOUT_S:.0f} s")
            time.sleep(0.1)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
