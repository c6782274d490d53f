"""Labelled scans in memory, and what is cut out of them: blocks of at most so many points, one a voxel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.errors import PresetError
from vidpc.media.points import open_points
from vidpc.ops.point_features import BlockPoints
from vidpc.types import F32, I64, PointCloud

Index = npt.NDArray[Any]  # i64[m] or bool[n]

UNLABELLED = -1
_SUFFIXES = (".las", ".laz", ".ply", ".pcd", ".npz", ".npy")


@dataclass(frozen=True, slots=True)
class LabelledPoints:
    """Points and the class of each, ``label`` i64[n]; -1 where nobody knows."""

    points: BlockPoints
    label: I64

    @property
    def xyz(self) -> F32:
        """f32[n 3] metres."""
        return self.points.xyz

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: Index) -> "LabelledPoints":
        """Those points, in that order."""
        points = self.points
        return LabelledPoints(
            BlockPoints(
                points.xyz[index],
                None if points.colour is None else points.colour[index],
                None if points.intensity is None else points.intensity[index],
                None if points.returns is None else points.returns[index],
            ),
            self.label[index],
        )

    def moved(self, xyz: F32) -> "LabelledPoints":
        """The same points in other places."""
        points = self.points
        return LabelledPoints(BlockPoints(xyz, points.colour, points.intensity, points.returns), self.label)

    def in_box(self, centre_xy: npt.NDArray[Any], side_m: float, turn_rad: float = 0.0) -> Index:
        """bool[n]: inside an upright box that is turned about the vertical."""
        x, y = (self.xyz[:, :2] - centre_xy).T
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        half = np.float32(side_m / 2)
        inside: Index = (np.abs(cos * x - sin * y) <= half) & (np.abs(sin * x + cos * y) <= half)
        return inside


@dataclass(frozen=True, slots=True)
class Scan:
    """A labelled scan: its file's name without the suffix, and its points."""

    name: str
    block: LabelledPoints


def load(path: Path, codes: Sequence[Sequence[int]]) -> list[Scan]:
    """The labelled scans of a file or of a folder. ``codes`` are the files' labels of every class; others count as none."""
    paths = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
    scans = [Scan(file.stem, _read(file, codes)) for file in paths]
    if not scans:
        raise PresetError(f"{path}: no scan in this folder; expected files that end in {', '.join(_SUFFIXES)}")
    return scans


def _read(path: Path, codes: Sequence[Sequence[int]]) -> LabelledPoints:
    with open_points(path) as source:
        clouds = [_finite(cloud) for cloud in source.clouds()]
    if not any(map(len, clouds)):
        raise PresetError(f"{path}: no points to train on")
    origin = clouds[0].xyz[0].round()
    parts = [_labelled(cloud, origin, codes, path) for cloud in clouds]
    return joined(parts)


def _finite(cloud: PointCloud) -> PointCloud:
    kept = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    columns = {name: _rows(getattr(cloud, name), kept) for name in ("colour", "intensity", "label")}
    return PointCloud(cloud.first, cloud.xyz[kept], **columns, fields={name: v[kept] for name, v in cloud.fields.items()})


def _rows(column: Any, kept: Index) -> Any:
    return None if column is None else column[kept]


def _labelled(cloud: PointCloud, origin: npt.NDArray[Any], codes: Sequence[Sequence[int]], path: Path) -> LabelledPoints:
    stored = cloud.label if cloud.label is not None else cloud.fields.get("classification")
    if stored is None:
        raise PresetError(f"{path}: the points have no label; expected a field called label or classification")
    returns = [cloud.fields.get(name) for name in ("return_number", "number_of_returns")]
    known = None if any(column is None for column in returns) else np.stack(returns, axis=1).astype(np.float32)  # type: ignore[arg-type]
    return LabelledPoints(
        BlockPoints((cloud.xyz - origin).astype(np.float32), cloud.colour, cloud.intensity, known), classes_of(stored, codes)
    )


def classes_of(stored: npt.NDArray[Any], codes: Sequence[Sequence[int]]) -> I64:
    """The class i64[n] of labels as a file has them; -1 for those that no class means."""
    label = np.full(len(stored), UNLABELLED, np.int64)
    for index, values in enumerate(codes):
        label[np.isin(stored, values)] = index
    return label


def joined(parts: Sequence[LabelledPoints]) -> LabelledPoints:
    """All points in one; a column that one part lacks is lost."""

    def column(name: str) -> Any:
        columns = [getattr(part.points, name) for part in parts]
        return None if any(values is None for values in columns) else np.concatenate(columns)

    points = BlockPoints(*(column(name) for name in ("xyz", "colour", "intensity", "returns")))
    return LabelledPoints(points, np.concatenate([part.label for part in parts]))


def one_a_voxel(xyz: F32, voxel_m: float, rng: np.random.Generator) -> I64:
    """Indices of one point of every voxel, any of them, of a grid that begins anywhere."""
    order = rng.permutation(len(xyz))
    cells = np.floor((xyz[order] - xyz.min(0)) / voxel_m + rng.random(3)).astype(np.int64)
    extent = cells.max(0) + 1
    _, first = np.unique((cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2], return_index=True)
    return np.asarray(order[first])


def tiles(block: LabelledPoints, core_m: float, halo_m: float) -> Iterator[tuple[I64, Index]]:
    """Indices of the points of every tile with its halo, and bool[m] which of them are in the tile itself."""
    low = block.xyz[:, :2].min(0)
    cells = np.floor((block.xyz[:, :2] - low) / np.float32(core_m)).astype(np.int64)
    for cell in np.unique(cells, axis=0):
        near = np.flatnonzero(block.in_box(low + (cell + 0.5) * np.float32(core_m), core_m + 2 * halo_m))
        yield near, (cells[near] == cell).all(1)
