"""Labels of two files, point by point: the truth and what was found."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpc.errors import PointCloudError, PresetError, printable
from vidpc.evaluation.segmentation import Grid, SegmentScores, no_scores, renamed, score_points
from vidpc.media.points import open_points
from vidpc.types import F64, I64, PointCloud

Run = tuple[F64 | None, I64]  # coordinates f64[n 3] where the file has them, labels i64[n]
_RUN_POINTS = 1 << 18
_OURS = "label"  # what vidpc calls its labels where a file has others of its own


@dataclass(frozen=True, slots=True)
class Reading:
    """How labels of a file are understood: ``classes`` maps them to the names; None takes them as they are."""

    names: tuple[str, ...]
    truth_classes: dict[int, int] | None = None
    found_classes: dict[int, int] | None = None
    ignored: frozenset[int] = frozenset()  # labels of the truth's file
    grid_m: float | None = None


def score_files(truth: Path, found: Path, reading: Reading) -> SegmentScores:
    """Scores of one pair of files, which have the same points in the same order."""
    scores = no_scores(reading.names)
    grid = Grid(reading.grid_m) if reading.grid_m else None
    with _runs(truth) as truths, _runs(found) as founds:
        for xyz, true_label, found_label in _side_by_side(truth, found, truths, founds):
            chosen = slice(None) if grid is None else grid.first(_placed(xyz, truth, found))
            scores += _scored(true_label[chosen], found_label[chosen], reading)
    return scores


def names_in(path: Path) -> tuple[str, ...] | None:
    """The names of classes that an NPZ file brings along (``names`` or ``label_names``); None where there are none."""
    if path.suffix.lower() != ".npz":
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in ("names", "label_names"):
                if key in arrays and arrays[key].dtype.kind == "U" and arrays[key].ndim == 1:
                    return tuple(arrays[key].tolist())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # reading its points says what is wrong
        return None
    return None


def _scored(truth: I64, found: I64, reading: Reading) -> SegmentScores:
    ignored = np.isin(truth, list(reading.ignored))
    if reading.truth_classes is not None:
        truth = renamed(truth, reading.truth_classes)
    if reading.found_classes is not None:
        found = renamed(found, reading.found_classes)
    return score_points(truth[~ignored], found[~ignored], reading.names)


def _side_by_side(
    truth: Path, found: Path, truths: Iterator[Run], founds: Iterator[Run]
) -> Iterator[tuple[F64 | None, I64, I64]]:
    """Runs of equal length of both."""
    other_xyz: F64 | None
    rest: Run = (None, np.empty(0, np.int64))
    done = 0
    for xyz, label in truths:
        while len(rest[1]) < len(label):
            run = next(founds, None)
            if run is None:
                raise PointCloudError(f"{_shown(found)} ends after {done + len(rest[1])} points, {_shown(truth)} goes on")
            rest = _joined(rest, run)
        n = len(label)
        other_xyz, other = rest
        yield xyz if xyz is not None else (None if other_xyz is None else other_xyz[:n]), label, other[:n]
        rest = (None if other_xyz is None else other_xyz[n:], other[n:])
        done += n
    if len(rest[1]) or next(founds, None) is not None:
        raise PointCloudError(f"{_shown(truth)} ends after {done} points, {_shown(found)} goes on: are these the same scan?")


def _joined(a: Run, b: Run) -> Run:
    if not len(a[1]):
        return b
    xyz = None if a[0] is None or b[0] is None else np.concatenate([a[0], b[0]])
    return xyz, np.concatenate([a[1], b[1]])


def _placed(xyz: F64 | None, truth: Path, found: Path) -> F64:
    if xyz is None:
        raise PresetError(f"scoring on a grid needs coordinates: neither {_shown(truth)} nor {_shown(found)} has them")
    return xyz


@contextmanager
def _runs(path: Path) -> Iterator[Iterator[Run]]:
    if path.suffix.lower() == ".npz" and (alone := _labels_alone(path)) is not None:
        yield iter([(None, alone)])
    else:
        with open_points(path) as source:
            yield (_labels_of(cloud, path) for cloud in source.clouds(_RUN_POINTS))


def _labels_alone(path: Path) -> I64 | None:
    """The labels of an NPZ file that has no coordinates."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if set(arrays.files) <= {_OURS, "confidence", "label_names", "names", "label_rgb"} and _OURS in arrays:
                return np.asarray(arrays[_OURS]).astype(np.int64).reshape(-1)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return None


def _labels_of(cloud: PointCloud, path: Path) -> Run:
    label = cloud.fields.get(_OURS, cloud.label)
    if label is None:
        raise PointCloudError(
            f"reading labels of {_shown(path)}: its points have none; expected a field label or classification"
        )
    return cloud.xyz, np.asarray(label).astype(np.int64)


def _shown(path: Path) -> str:
    return printable(str(path))


def parse_classes(text: str, names: Sequence[str]) -> dict[int, int]:
    """``2=ground,3=vegetation`` (labels of a file, and names or places of classes) as {2: 0, 3: 1}."""
    classes = {}
    for part in text.split(","):
        label, _, name = part.partition("=")
        place = names.index(name.strip()) if name.strip() in names else None
        if place is None and name.strip().isdecimal() and int(name) < len(names):
            place = int(name)
        if place is None or not label.strip().lstrip("-").isdecimal():
            raise PresetError(f"cannot read {part!r} as LABEL=CLASS; classes are {', '.join(names)}")
        classes[int(label)] = place
    return classes
