"""Weights files: safetensors that describe themselves, read without trusting a byte of them.

Layout of the file: u64 little-endian length of the header, the header as JSON ({name: {dtype, shape, data_offsets}} and
``__metadata__``, a map of strings), then the tensors. Everything that the header claims is held against the size of the
file before anything is allocated. torch is imported when tensors are: listing weights needs none.
"""

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpc.errors import OutputError, WeightsError, unknown_name

if TYPE_CHECKING:
    import torch

FORMAT = "vidpc-1"
HEADER_LIMIT_BYTES = 8 << 20  # the published TransTrack needs 80 KB
SIZE_LIMIT_BYTES = 8 << 30

_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_FOREIGN_BEGINNINGS = {
    b"PK\x03\x04": "it is a PyTorch checkpoint; convert it with `vidpc models convert`",
    b"\x80\x02": "it is a PyTorch checkpoint; convert it with `vidpc models convert`",
    b"<": "it is a web page; the download went wrong",
    b"version https://git-lfs": "it is a Git LFS pointer; fetch the file that it stands for",
}

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Header:
    """What a weights file says of itself: string metadata and the shape of every tensor."""

    path: Path
    metadata: Mapping[str, str]
    shapes: Shapes

    @property
    def architecture(self) -> str:
        """The name of the network that the tensors belong to."""
        return self._text("architecture")

    @property
    def config(self) -> dict[str, Any]:
        """The fields of the network's config dataclass."""
        config: dict[str, Any] = self._json("config", dict)
        return config

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of every class."""
        return tuple(map(str, self._json("labels", list)))

    @property
    def logits(self) -> tuple[int, ...]:
        """Which logit belongs to each label. Published networks have logits that nothing was trained for."""
        if "logits" not in self.metadata:
            return tuple(range(len(self.labels)))
        return tuple(map(int, self._json("logits", list)))

    @property
    def input(self) -> dict[str, Any]:
        """How pictures are prepared: mean, std, channel order, resize rule."""
        rules: dict[str, Any] = self._json("input", dict)
        return rules

    @property
    def licence(self) -> str:
        """The terms under which the weights may be used."""
        return self._text("licence")

    def _text(self, key: str) -> str:
        if key not in self.metadata:
            raise WeightsError(f"{self.path}: the metadata has no {key!r}")
        return self.metadata[key]

    def _json(self, key: str, kind: type) -> Any:
        try:
            value = json.loads(self._text(key))
        except (json.JSONDecodeError, RecursionError) as error:
            raise WeightsError(f"{self.path}: metadata {key!r} is not JSON: {error}") from error
        if not isinstance(value, kind):
            raise WeightsError(f"{self.path}: metadata {key!r} is a {type(value).__name__}, expected a {kind.__name__}")
        return value


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A weights file that was read whole: its header, its tensors by name, and the sha256 of its bytes."""

    header: Header
    tensors: Mapping[str, "torch.Tensor"]
    sha256: str

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself, as strings."""
        return self.header.metadata


def read_header(path: str | Path) -> Header:
    """The header of a weights file, checked against the file's size. Raises ``WeightsError``."""
    path = Path(path)
    with _opened(path) as file:
        return _parse_header(path, file.read(8 + HEADER_LIMIT_BYTES), path.stat().st_size)


def read(path: str | Path, *, expected: Shapes | None = None) -> WeightsFile:
    """The whole file on the CPU. ``expected`` names the tensors and shapes that have to be there, no more and no fewer.

    Raises ``WeightsError`` for a file that is missing, foreign, damaged, of another layout, or that holds numbers which
    are not finite.
    """
    import safetensors
    import safetensors.torch

    path = Path(path)
    with _opened(path) as file:
        content = file.read()
    header = _parse_header(path, content, len(content))
    if expected is not None:
        check_shapes(header.shapes, expected, owner=str(path))
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: damaged safetensors file: {error}") from error
    check_finite(tensors, owner=str(path))
    return WeightsFile(header, tensors, hashlib.sha256(content).hexdigest())


def write(path: str | Path, tensors: Mapping[str, "torch.Tensor"], metadata: Mapping[str, str]) -> str:
    """Writes a weights file and returns its sha256. Equal tensors and metadata give equal bytes, on any machine.

    The file takes its name only when it is complete. ``format`` is added to the metadata. Raises ``OutputError``.
    """
    path = Path(path)
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # large items first keep all aligned
    header: dict[str, Any] = {"__metadata__": dict(sorted({**metadata, "format": FORMAT}.items()))}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        dtype = _DTYPES[str(tensors[name].dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        with part.open("wb") as file:
            for piece in (struct.pack("<Q", len(text)), text, *(_content(tensors[name]) for name in names)):
                digest.update(piece)
                file.write(piece)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write weights to {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()


def check_shapes(found: Shapes, expected: Shapes, *, owner: str) -> None:
    """Raises ``WeightsError`` unless both hold the same names with the same shapes; it names the first few differences."""
    unknown = [unknown_name("tensor", name, expected) for name in found if name not in expected]
    missing = [f"missing tensor {name!r}" for name in expected if name not in found]
    wrong = [
        f"{name!r} is {list(found[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    if differences := unknown + missing + wrong:
        more = f", and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise WeightsError(f"{owner}: does not fit the network: {', '.join(differences[:3])}{more}")


def check_finite(tensors: Mapping[str, "torch.Tensor"], *, owner: str) -> None:
    """Raises ``WeightsError`` where a tensor holds a NaN or an infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise WeightsError(f"{owner}: tensor {name!r} holds numbers that are not finite")


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(tensor: "torch.Tensor") -> bytes:
    import torch

    return bytes(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def _opened(path: Path) -> Any:
    """The file, open for reading; refused where it is no regular file or too large to be weights."""
    try:
        if not path.is_file():  # before open: a FIFO would block, a device would never end
            raise WeightsError(f"cannot read weights {path}: {'not a regular file' if path.exists() else 'no such file'}")
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            raise WeightsError(f"cannot read weights {path}: {path.stat().st_size} bytes, more than {SIZE_LIMIT_BYTES}")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}") from error


def _parse_header(path: Path, content: bytes, size: int) -> Header:
    length = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 2 <= length <= min(HEADER_LIMIT_BYTES, size - 8):
        meaning = next((text for start, text in _FOREIGN_BEGINNINGS.items() if content.startswith(start)), None)
        reason = meaning or f"a safetensors file would have a header of {length} bytes here, in {size}: damaged or cut short"
        raise WeightsError(f"{path}: not a weights file: {reason}")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: the safetensors header is damaged: {error}") from error
    try:
        metadata = {str(key): str(value) for key, value in header.pop("__metadata__", {}).items()}
        shapes = _checked_shapes(header, size - 8 - length)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: the safetensors header is damaged: {error!r}") from error
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise WeightsError(f"{path}: format {found!r}, expected {FORMAT!r}; convert it with `vidpc models convert`")
    return Header(path, metadata, shapes)


def _checked_shapes(header: dict[str, Any], data_bytes: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor; they fill the data exactly, one behind the other."""
    shapes, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape = tuple(entry["shape"])
        if not all(type(length) is int and 0 <= length < 1 << 40 for length in shape) or len(shape) > 8:
            raise ValueError(f"{name!r} has shape {shape}")
        size = math.prod(shape) * _ITEM_BYTES[entry["dtype"]]
        if entry["data_offsets"] != [end, end + size]:
            raise ValueError(f"{name!r} lies at {entry['data_offsets']}, expected {[end, end + size]}")
        shapes[name], end = shape, end + size
    if end != data_bytes:
        raise ValueError(f"tensors of {end} bytes in {data_bytes} bytes of data")
    return shapes
