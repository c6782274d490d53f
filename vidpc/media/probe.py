"""What files hold: of a video, no more than a first picture is decoded; of a scan, as many points as is quick."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from vidpc.errors import OpenError, PointCloudError, SourceError
from vidpc.media.points import FORMATS, PointSource, expand_scans, open_points
from vidpc.media.read import open_source
from vidpc.media.sources import Source, expand
from vidpc.types import F64, I64, PointCloud, PointOptions, ReadOptions, ScanInfo, VideoInfo

QUICK_POINTS = 2_000_000  # of a scan, which are read without being asked
_POINTS_A_CELL, _FEW_CELLS = 4, 64
CELL_M = 1.0
_HEAD_BYTES = 4096
_FAR_CELLS = 1 << 30  # a stray point further out than this counts in the outermost cell
_MAX_CLASSES = 4096
_NUMBERS = ("GEOGCS", "GEOGCRS", "GEODCRS")  # coordinate systems in degrees

XYZ = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PointFacts:
    """What the points of a scan are. ``low_xyz`` and ``high_xyz`` are None where no point is finite.

    ``occupied_m2`` is the area of the cells of ``cell_m`` in x and y that hold a point: wide enough that several points lie in
    each where the scan is sparse. ``classes`` are counts by label.
    """

    count: int
    low_xyz: XYZ | None
    high_xyz: XYZ | None
    occupied_m2: float
    cell_m: float
    not_finite: int
    has_colour: bool
    has_intensity: bool
    classes: dict[int, int] | None


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """A scan's header and, where they were read, its points. ``warnings`` are of both."""

    info: ScanInfo
    points: PointFacts | None
    warnings: tuple[str, ...]

    @property
    def low_xyz(self) -> XYZ | None:
        """The lowest coordinates, as found, else as the header has them."""
        return self.points.low_xyz if self.points else self.info.low_xyz

    @property
    def high_xyz(self) -> XYZ | None:
        """The highest coordinates, as found, else as the header has them."""
        return self.points.high_xyz if self.points else self.info.high_xyz

    @property
    def area_m2(self) -> float | None:
        """What the points cover: occupied cells, else the header's bounds; None where neither is known, or is in degrees."""
        if (self.info.crs or "").startswith(_NUMBERS):
            return None
        if self.points is not None:
            return self.points.occupied_m2 or None
        if self.low_xyz is None or self.high_xyz is None:
            return None
        return (self.high_xyz[0] - self.low_xyz[0]) * (self.high_xyz[1] - self.low_xyz[1]) or None

    @property
    def density_per_m2(self) -> float | None:
        """Points a square metre of ``area_m2``."""
        area_m2 = self.area_m2
        if area_m2 is None:
            return None
        finite = self.points.count - self.points.not_finite if self.points else self.info.count
        return finite / area_m2


Facts = VideoInfo | ScanFacts


def probe(source: Source | str | Path, options: ReadOptions | None = None) -> VideoInfo:
    """The facts of one video. Raises OpenError or DecodeError."""
    options = options or ReadOptions()
    if not isinstance(source, Source):
        source = Source(str(source))
    with open_source(source, options) as reading:
        return reading.info


def probe_scan(source: Source | str | Path, *, read_points: int = QUICK_POINTS) -> ScanFacts:
    """The facts of one scan, from its points where it has no more than ``read_points``. Raises OpenError or PointCloudError."""
    with open_points(source, PointOptions()) as scan:
        points = points_of(scan) if scan.info.count <= read_points else None
        return ScanFacts(scan.info, points, (*scan.info.warnings, *(scan.notes() if points else ())))


def probe_all(
    arguments: Sequence[str], options: ReadOptions | None = None, *, read_points: int = QUICK_POINTS
) -> Iterator[tuple[str, Facts | SourceError | PointCloudError]]:
    """For every input that the arguments name, its facts or why it cannot be read."""
    options = options or ReadOptions()
    for source in [source for argument in arguments for source in _sources(argument, options)]:
        try:
            yield source.name, probe_scan(source, read_points=read_points) if is_scan(source) else probe(source, options)
        except (SourceError, PointCloudError) as error:
            yield source.name, error


def _sources(argument: str, options: ReadOptions) -> list[Source]:
    """The videos and the scans that an argument names."""
    if not Path(argument).is_dir():
        return expand([argument], options)
    scans: list[Source] = []
    try:
        scans = [source for source in expand_scans([argument]) if is_scan(source)]
        return expand([argument], options) + scans
    except OpenError:
        if scans:
            return scans
        return expand([argument], options)


def is_scan(source: Source) -> bool:
    """Whether an input is a scan by its first bytes, or by its suffix where they say nothing."""
    if source.kind == "pipe":
        head = sys.stdin.buffer.peek(_HEAD_BYTES) if isinstance(sys.stdin.buffer, BufferedReader) else b""
    elif source.kind == "file":
        head = _head(source.name)
    else:
        return False
    has_magic = any(row.magic is not None and row.magic.match(head) for row in FORMATS.values())
    return has_magic or Path(source.name).suffix.lower() in {suffix for row in FORMATS.values() for suffix in row.suffixes}


def _head(name: str) -> bytes:
    """The first bytes of a regular file; none of anything else."""
    path = Path(name)
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError):  # opening it says why
        return b""


def points_of(scan: PointSource) -> PointFacts:
    """What the points of an open scan are, from one pass over them."""
    tally = _Tally()
    for cloud in scan.clouds():
        tally.add(cloud)
    return tally.facts()


class _Tally:
    """Sums over the runs of a scan."""

    def __init__(self) -> None:
        self._count = self._not_finite = 0
        self._low: F64 = np.full(3, np.inf)
        self._high: F64 = np.full(3, -np.inf)
        self._cells = _Cells()
        self._classes: Counter[int] | None = None
        self._has_colour = self._has_intensity = False

    def add(self, cloud: PointCloud) -> None:
        """Count a run in."""
        finite = cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)]
        self._count += len(cloud)
        self._not_finite += len(cloud) - len(finite)
        if len(finite):
            self._low = np.minimum(self._low, finite.min(axis=0))
            self._high = np.maximum(self._high, finite.max(axis=0))
            self._cells.add(finite)
        if cloud.label is not None:
            self._classes = self._classes or Counter()
            values, counts = np.unique(cloud.label, return_counts=True)
            self._classes.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self._has_colour |= cloud.colour is not None
        self._has_intensity |= cloud.intensity is not None and bool(cloud.intensity.any())

    def facts(self) -> PointFacts:
        """The sums."""
        low, high = (_xyz(self._low), _xyz(self._high)) if self._count > self._not_finite else (None, None)
        cells, cell_m = self._cells.counted(self._count - self._not_finite)
        classes = self._classes if self._classes is not None and len(self._classes) <= _MAX_CLASSES else None
        return PointFacts(
            count=self._count,
            low_xyz=low,
            high_xyz=high,
            occupied_m2=cells * cell_m**2,
            cell_m=cell_m,
            not_finite=self._not_finite,
            has_colour=self._has_colour,
            has_intensity=self._has_intensity,
            classes=None if classes is None else dict(sorted(classes.items())),
        )


def _xyz(values: F64) -> XYZ:
    return float(values[0]), float(values[1]), float(values[2])


class _Cells:
    """The different cells of a plane that points lie in."""

    def __init__(self) -> None:
        self._known: I64 = np.empty(0, np.int64)
        self._new: list[I64] = []
        self._pending = 0
        self._origin: F64 | None = None

    def add(self, xyz: F64) -> None:
        """Put points into their cells."""
        if self._origin is None:
            self._origin = np.floor(xyz[0, :2])
        with np.errstate(over="ignore"):  # what lies too far out for a number counts in the outermost cell
            steps = np.clip(np.floor((xyz[:, :2] - self._origin) / CELL_M), -_FAR_CELLS, _FAR_CELLS).astype(np.int64)
        cells = np.unique(steps[:, 0] * (1 << 32) + steps[:, 1])
        self._new.append(cells)
        self._pending += len(cells)
        if self._pending > len(self._known):
            self._merge()

    def _merge(self) -> None:
        self._known = np.unique(np.concatenate([self._known, *self._new]))
        self._new, self._pending = [], 0

    def counted(self, points: int) -> tuple[int, float]:
        """How many cells there are, and their size: doubled until several of the points lie in each, or few cells are left."""
        self._merge()
        cells, cell_m = self._known, CELL_M
        while len(cells) > _FEW_CELLS and points < _POINTS_A_CELL * len(cells):
            x = (cells + (1 << 31)) >> 32
            y = cells - (x << 32)
            cells, cell_m = np.unique((x >> 1) * (1 << 32) + (y >> 1)), 2 * cell_m
        return len(cells), cell_m
