"""The random forests that the built-in `aerial` and `rooms` weights are held against. Needs scikit-learn, which vidpc does not.

python benchmarks/point_forest.py aerial ../shared/data/lidar
python benchmarks/point_forest.py rooms ../shared/data/rooms

A point is described by the shape of its 16 (rooms: also 64) nearest points, its height above the lowest of a 10 m window and
its intensity (rooms: above the floor and below the ceiling). Prints JSON: mIoU over the classes present, IoU of each.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree
from sklearn.ensemble import RandomForestClassifier

from vidpc.training.scans import UNLABELLED, LabelledPoints, one_a_voxel
from vidpc.training.scans import load as load_scans

AERIAL = {"ground": (2,), "vegetation": (3, 4, 5), "building": (6,)}
AERIAL_VAL = ("city_a_77060_627760", "town_b_0382_6565_north")
ROOMS = (
    "ceiling",
    "floor",
    "wall",
    "beam",
    "column",
    "window",
    "door",
    "chair",
    "table",
    "bookcase",
    "sofa",
    "board",
    "clutter",
)
ROOMS_VAL = ("room_09", "room_10", "room_11")
POINTS_A_SCAN = 40_000  # that a forest is fitted on, drawn at random
Array = np.ndarray[Any, Any]


def shape(xyz: Array, k: int) -> Array:
    """Linearity, planarity, roughness, verticality and spread of the k nearest points, f[n 5]."""
    _, near = cKDTree(xyz).query(xyz, k=k)
    offsets = xyz[near] - xyz[near].mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets) / k)
    low, middle, high = values.clip(1e-9).T
    return np.stack([(high - middle) / high, (middle - low) / high, low / high, 1 - np.abs(vectors[:, 2, 0]), high**0.5], 1)


def above_lowest(xyz: Array, cell_m: float = 2.0, cells: int = 5) -> Array:
    """Height above the lowest point of the window around, f[n 1]."""
    place = np.floor((xyz[:, :2] - xyz[:, :2].min(0)) / cell_m).astype(int)
    grid = np.full(place.max(0) + 1, np.inf)
    np.minimum.at(grid, tuple(place.T), xyz[:, 2])
    return xyz[:, 2:] - minimum_filter(grid, cells, mode="nearest")[tuple(place.T)][:, None]


def aerial_columns(block: LabelledPoints) -> Array:
    """What a forest reads of aerial points."""
    assert block.points.intensity is not None
    return np.concatenate([shape(block.xyz, 16), above_lowest(block.xyz), block.points.intensity[:, None]], axis=1)


def room_columns(block: LabelledPoints) -> Array:
    """What a forest reads of the points of a room."""
    height = block.xyz[:, 2:]
    return np.concatenate([shape(block.xyz, 16), shape(block.xyz, 64), height - height.min(), height.max() - height], axis=1)


def overlaps(truth: Array, found: Array, names: list[str]) -> dict[str, float]:
    """IoU of every class present, and their mean."""
    ious = {
        name: float(((truth == i) & (found == i)).sum() / ((truth == i) | (found == i)).sum())
        for i, name in enumerate(names)
        if (truth == i).any()
    }
    return {"miou": round(float(np.mean(list(ious.values()))), 4), **{name: round(iou, 4) for name, iou in ious.items()}}


def main() -> None:
    """Fit on the scans for training, measure on the others."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    rng, rooms = np.random.default_rng(0), kind == "rooms"
    names = list(ROOMS if rooms else AERIAL)
    codes = [(i,) for i in range(len(ROOMS))] if rooms else list(AERIAL.values())
    val = ROOMS_VAL if rooms else AERIAL_VAL
    scans = [scan for path in sorted(folder.glob("room_*.npz" if rooms else "*.laz")) for scan in load_scans(path, codes)]
    columns, labels, names_of = [], [], []
    for scan in scans:
        block = scan.block.take(one_a_voxel(scan.block.xyz, 0.05, rng)) if rooms else scan.block
        columns.append(room_columns(block) if rooms else aerial_columns(block))
        labels.append(block.label)
        names_of.append(scan.name)
    picks = []
    for row, label in enumerate(labels):
        known = np.flatnonzero(label != UNLABELLED)
        if names_of[row] not in val and len(known):
            picks.append((row, rng.permutation(known)[:POINTS_A_SCAN]))
    forest = RandomForestClassifier(
        100, min_samples_leaf=5, max_features="sqrt", class_weight="balanced_subsample", random_state=0
    )
    forest.fit(np.concatenate([columns[row][pick] for row, pick in picks]), np.concatenate([labels[r][p] for r, p in picks]))
    known = {row: labels[row] != UNLABELLED for row, name in enumerate(names_of) if name in val}
    truth = {names_of[row]: labels[row][mask] for row, mask in known.items()}
    found = {names_of[row]: forest.predict(columns[row][mask]) for row, mask in known.items()}
    scores = {name: overlaps(truth[name], found[name], names) for name in truth}
    if rooms:
        scores["all"] = overlaps(np.concatenate(list(truth.values())), np.concatenate(list(found.values())), names)
    report = {"machine": platform.processor(), "python": platform.python_version(), "scores": scores}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
