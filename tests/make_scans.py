"""Small scans for tests, written without vidpc: a sloping street with walls, and its fields."""

from pathlib import Path

import laspy
import numpy as np

ORIGIN = np.array([770_500.0, 6_277_500.0, 20.0])


def points(count=1000, seed=0):
    """Coordinates f64[n 3] in whole centimetres, far from zero, as a map's are."""
    rng = np.random.default_rng(seed)
    return ORIGIN + np.rint(rng.random((count, 3)) * (5000, 5000, 800)) / 100


def write_las(path, *, count=1000, version="1.4", point_format=6, extra=(), colour=None, seed=0, change=None):
    """A LAS or LAZ file by laspy; ``colour`` is the largest value of its colours, ``change`` is given the laspy object."""
    rng = np.random.default_rng(seed)
    header = laspy.LasHeader(version=version, point_format=point_format)
    header.scales, header.offsets = [0.01, 0.01, 0.001], [770_000.0, 6_277_000.0, 0.0]
    for params in extra:
        header.add_extra_dim(params)
    las = laspy.LasData(header)
    las.x, las.y, las.z = points(count, seed).T
    las.intensity = rng.integers(0, 4000, count)
    las.classification = rng.integers(0, 18, count)
    las.return_number, las.number_of_returns = rng.integers(1, 3, count), np.full(count, 2)
    las.point_source_id = rng.integers(0, 9, count)
    if colour is not None:
        for name in ("red", "green", "blue"):
            las[name] = rng.integers(0, colour + 1, count)
    if change is not None:
        change(las)
    las.write(str(path), do_compress=Path(path).suffix == ".laz")
    return path


def write_ply(path, count=1000):
    """A binary PLY file with double coordinates, colour and a label."""
    rows = np.empty(
        count, [("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("label", "<i4")]
    )
    rows["x"], rows["y"], rows["z"] = points(count).T
    for name in ("red", "green", "blue", "label"):
        rows[name] = np.arange(count) % 13
    names = {"f8": "double", "u1": "uchar", "i4": "int"}
    lines = [f"property {names[rows.dtype[name].str[1:]]} {name}" for name in rows.dtype.names]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {count}", *lines, "end_header", ""]
    path.write_bytes("\n".join(head).encode() + rows.tobytes())
    return path


def write_pcd(path, count=1000):
    """A binary PCD file with intensity."""
    rows = np.empty(count, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
    rows["x"], rows["y"], rows["z"] = (points(count) - ORIGIN).T
    rows["intensity"] = np.arange(count) % 100
    head = f"""# .PCD v0.7
VERSION 0.7
FIELDS x y z intensity
SIZE 4 4 4 4
TYPE F F F F
COUNT 1 1 1 1
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA binary
"""
    path.write_bytes(head.encode() + rows.tobytes())
    return path


def write_npz(path, count=1000):
    """A compressed NPZ file as the rooms of indoor data sets are."""
    label = (np.arange(count) % 13).astype(np.int16)
    np.savez_compressed(path, xyz=points(count).astype(np.float32), label=label, names=np.array(["ceiling", "floor"]))
    return path


WRITERS = {".las": write_las, ".laz": write_las, ".ply": write_ply, ".pcd": write_pcd, ".npz": write_npz}
