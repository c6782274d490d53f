"""NPZ files with labels: ``label`` i32 and ``confidence`` f32 in the file's order, and what the source had."""

import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vidpc.media.arrays import ArraySource
from vidpc.media.columns import painted
from vidpc.media.points import Labelling, PointSource, paired
from vidpc.types import F32, I64, PointCloud, PointLabels

_COPY_BYTES = 1 << 20
_LEVEL = 1  # of compression: higher ones take several times as long
_LARGE_BYTES = 1 << 30  # a member that may grow as large needs the wide form of ZIP

Array = npt.NDArray[Any]


def write_npz(source: PointSource, file: BinaryIO, labels: Iterable[PointLabels], labelling: Labelling) -> list[str]:
    """Write labels with every array of an NPZ file, or with every value of another scan's points; returns warnings.

    A value of the input that is called as one of ours is kept as ``input_label``, ``input_confidence``.
    """
    with ExitStack() as stack, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        spool = _Spool(stack)
        is_own = isinstance(source, ArraySource) and source.info.format == "npz"
        for cloud, label, confidence in paired(source.clouds(), labels):
            columns = _label_columns(label, confidence, labelling)
            spool.append(columns if is_own else columns | _columns(cloud, taken=columns))
        if not source.info.count:
            spool.append(_label_columns(np.empty(0, np.int64), np.empty(0, np.float32), labelling))
        names = spool.write(archive, source.info.count)
        if labelling.names:
            names.add("label_names")
            with archive.open("label_names.npy", "w") as target:
                np.lib.format.write_array(target, np.array(labelling.names), allow_pickle=False)
        return _copy(source, archive, names) if isinstance(source, ArraySource) and is_own else []


def _label_columns(label: I64, confidence: F32, labelling: Labelling) -> dict[str, Array]:
    columns: dict[str, Array] = {"label": label.astype(np.int32), "confidence": confidence}
    if labelling.palette is not None:
        columns["label_rgb"] = painted(label, labelling.palette)
    return columns


def _columns(cloud: PointCloud, taken: Mapping[str, Array]) -> dict[str, Array]:
    """What a cloud holds, by names that are not taken."""
    known = {"xyz": cloud.xyz, "rgb": cloud.colour, "intensity": cloud.intensity, "label": cloud.label, **cloud.fields}
    return {(f"input_{name}" if name in taken else name): values for name, values in known.items() if values is not None}


class _Spool:
    """Columns that grow run by run, each in a temporary file: a ZIP takes one member after the other."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._files: dict[str, IO[bytes]] = {}
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def append(self, columns: Mapping[str, Array]) -> None:
        """Rows for every column."""
        for name, values in columns.items():
            if name not in self._files:
                self._files[name] = self._stack.enter_context(tempfile.TemporaryFile(prefix="vidpc-"))  # noqa: SIM115 - the stack closes it
                self._kinds[name] = values.dtype, values.shape[1:]
            self._files[name].write(np.ascontiguousarray(values).tobytes())

    def write(self, archive: zipfile.ZipFile, count: int) -> set[str]:
        """One member for each column; returns their names."""
        for name, file in self._files.items():
            dtype, rest = self._kinds[name]
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count, *rest)}
            with archive.open(f"{name}.npy", "w", force_zip64=file.tell() > _LARGE_BYTES) as target:
                np.lib.format.write_array_header_1_0(target, header)
                file.seek(0)
                while chunk := file.read(_COPY_BYTES):
                    target.write(chunk)
        return set(self._files)


def _copy(source: ArraySource, archive: zipfile.ZipFile, taken: set[str]) -> list[str]:
    """Copy every member of the source's file; returns what was renamed."""
    warnings = []
    for entry, file in source.members():
        name = entry.filename
        if name.removesuffix(".npy") in taken:
            while name.removesuffix(".npy") in taken:
                name = f"input_{name}"
            taken.add(name.removesuffix(".npy"))
            warnings.append(f"the input has an array {entry.filename!r} already: it is kept as {name!r}")
        with archive.open(name, "w", force_zip64=entry.file_size > _LARGE_BYTES) as target:
            while chunk := file.read(_COPY_BYTES):
                target.write(chunk)
    return warnings
