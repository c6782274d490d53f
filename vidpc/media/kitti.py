"""KITTI scans: ``.bin`` files of four little-endian float32 a point, x y z in metres and the strength of the return."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vidpc.media.records import FileBytes, Table, opened, sampled
from vidpc.types import PointCloud, PointField, PointOptions, ScanInfo

_CHUNK_POINTS = 1 << 18
_ROW = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
_FARTHEST_M = 1e5  # no scanner sees so far: other numbers, or no numbers at all


@contextmanager
def open_kitti(path: Path, name: str, options: PointOptions) -> Iterator["KittiSource"]:
    """An open scan. Raises PointCloudError where the file is no whole number of points, or holds no such numbers."""
    with opened(path, name) as data:
        count, rest = divmod(data.size, _ROW.itemsize)
        if rest:
            raise data.damaged(
                f"{data.size} bytes are no whole number of points of 4 float32 (16 bytes): it is cut off, or no KITTI scan"
            )
        if count > options.max_points:
            raise data.damaged(f"{count} points are beyond the limit of {options.max_points}")
        rows = sampled(data, Table("points", 0, count, _ROW.itemsize), _ROW)
        with np.errstate(invalid="ignore"):
            far = sum(int((~(np.abs(rows[axis]) < _FARTHEST_M)).sum()) for axis in "xyz")
        if far > len(rows):
            raise data.damaged(f"its numbers are no coordinates of a KITTI scan: expected metres below {_FARTHEST_M:g}")
        yield KittiSource(data, count)


class KittiSource:
    """An open scan."""

    def __init__(self, data: FileBytes, count: int) -> None:
        self._data, self._count = data, count
        fields = tuple(PointField(name, _ROW[name].str) for name in _ROW.names or ())
        self.info = ScanInfo(path=data.name, format="kitti", count=count, fields=fields)

    def clouds(self, points: int = _CHUNK_POINTS) -> Iterator[PointCloud]:
        """All points in file order, in runs of at most ``points``."""
        for first in range(0, self._count, points):
            rows = self._data.rows(0, _ROW, first, min(points, self._count - first))
            with np.errstate(invalid="ignore"):  # a NaN may signal
                xyz = np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)
            yield PointCloud(first, xyz, intensity=rows["intensity"].astype(np.float32), records=rows)

    def notes(self) -> list[str]:
        """Nothing: every number is taken as it is."""
        return []
