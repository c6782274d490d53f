"""Labelled scans of single objects, from what a user has: folders, a table, or an archive."""

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpc.errors import PointCloudError, PresetError
from vidpc.media.points import expand_scans, open_points
from vidpc.ops.clouds import F32, fitted
from vidpc.presets import LEAST_POINTS
from vidpc.tasks.classify import Pool
from vidpc.types import I64

_KEPT_POINTS = 2048  # of each object in memory; views draw 256 to 1024 of them


@dataclass(frozen=True, slots=True)
class Shapes:
    """Objects f32[n 3], each fitted, and the number of each one's label in ``classes``."""

    clouds: tuple[F32, ...]
    labels: I64
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clouds)

    def take(self, chosen: np.ndarray) -> "Shapes":
        """Those that ``chosen`` bool[n] or i64[m] names."""
        index = np.arange(len(self))[chosen]
        return Shapes(tuple(self.clouds[i] for i in index), self.labels[index], self.classes)


def load(path: Path, split: str) -> Shapes:
    """The objects of ``split`` (train or val) at ``path``.

    A folder holds a folder of scans for each label; a table (.csv) has columns ``file`` and ``label``; an archive (.npz) has
    ``q`` i16[n 3 m] with ``scale``, or ``xyz`` f32[n m 3], and ``label`` into ``classes``. A column or an array ``split`` says
    which are for training (train, 0); without one, all objects are in both splits.
    """
    if path.is_dir():
        return _read(
            [(file, folder.name) for folder in sorted(path.iterdir()) if folder.is_dir() for file in _files(folder)], path
        )
    if path.suffix == ".csv":
        return _read(list(_rows(path, split)), path)
    if path.suffix == ".npz":
        return _archive(path, split)
    raise PresetError(f"{path}: no folder, .csv or .npz of labelled objects")


def hold_out(shapes: Shapes, share: float, seed: int) -> tuple[Shapes, Shapes]:
    """(the rest, ``share`` of each class), drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(shapes), bool)
    for label in range(len(shapes.classes)):
        members = rng.permutation(np.flatnonzero(shapes.labels == label))
        held[members[: round(share * len(members))]] = True
    return shapes.take(~held), shapes.take(held)


def _files(folder: Path) -> list[Path]:
    return [Path(source.name) for source in expand_scans([folder])]


def _rows(path: Path, split: str) -> Iterator[tuple[Path, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if not {"file", "label"} <= set(table.fieldnames or ()):
            raise PresetError(f"{path}: columns {', '.join(table.fieldnames or ())}, expected file and label")
        for row in table:
            if row.get("split") in (None, "", split):
                yield path.parent / row["file"], row["label"]


def _read(rows: list[tuple[Path, str]], owner: Path) -> Shapes:
    if not rows:
        raise PresetError(f"{owner}: no labelled object in it")
    classes = tuple(sorted({label for _, label in rows}))
    clouds = tuple(_cloud(file) for file, _ in rows)
    return Shapes(clouds, np.array([classes.index(label) for _, label in rows]), classes)


def _cloud(file: Path) -> F32:
    pool = Pool()
    with open_points(file) as source:
        for cloud in source.clouds():
            pool.add(cloud)
    if pool.points < LEAST_POINTS:
        raise PointCloudError(f"reading {file}: {pool.points} points with finite coordinates, expected at least {LEAST_POINTS}")
    return fitted(pool.xyz[:_KEPT_POINTS])


def _archive(path: Path, split: str) -> Shapes:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        xyz = arrays["q"].transpose(0, 2, 1) * arrays["scale"] if "q" in arrays else arrays["xyz"]
        labels, classes = arrays["label"].astype(np.int64), tuple(map(str, arrays["classes"]))
        trains = np.isin(arrays["split"].astype(str), ["0", "train"]) if "split" in arrays else None
        if xyz.ndim != 3 or xyz.shape[::2] != (len(labels), 3) or not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(f"objects {xyz.shape}, labels {labels.shape} into {len(classes)} classes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise PresetError(f"{path}: not an archive of labelled objects: {error}") from error
    chosen = np.ones(len(labels), bool) if trains is None else trains == (split == "train")
    return Shapes(tuple(fitted(cloud.astype(np.float64)) for cloud in xyz[chosen]), labels[chosen], classes)
