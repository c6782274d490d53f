"""Which of a file's named arrays are a scan's coordinates, colour, intensity and label, for NPY and NPZ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.errors import PointCloudError
from vidpc.media.columns import full_scale, roles_of, to_bytes, to_labels
from vidpc.media.unnamed import names_of_columns
from vidpc.types import U8, PointCloud

Array = npt.NDArray[Any]

# Names in lower case; where a file has several, the first in this order counts.
_POINTS = (
    "xyz",
    "coord",
    "coords",
    "coordinates",
    "points",
    "point",
    "pos",
    "position",
    "positions",
    "vertices",
    "pointcloud",
    "pc",
)
_COLOURS = ("rgb", "color", "colors", "colour", "colours")
_LABELS = ("segment", "segments", "labels", "semantic_label", "semantic_labels", "semantic_gt", "sem_label", "gt")
_INTENSITIES = ("strength", "intensities")
_MAX_COLUMNS = 64  # of points: more are rather points along the other axis
TABLE = "table"  # the name of the one array of a file that has no names


@dataclass(frozen=True, slots=True)
class Column:
    """A value a point: column ``index`` of an array, or the whole of one that has no columns (None)."""

    array: str
    index: int | None = None

    def of(self, arrays: Mapping[str, Array]) -> Array:
        """Its values in a run of rows."""
        rows = arrays[self.array]
        return rows if self.index is None else rows[:, self.index]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything is: ``scale`` is full colour."""

    xyz: tuple[Column, Column, Column]
    colour: tuple[Column, Column, Column] | None
    intensity: Column | None
    label: Column | None
    fields: Mapping[str, Column]
    scale: float

    def cloud(self, first: int, arrays: Mapping[str, Array]) -> PointCloud:
        """The points of a run of rows of every array."""
        colour: U8 | None = None
        # What float32 cannot hold becomes infinite, and signalling NaNs become quiet ones, without a word.
        with np.errstate(over="ignore", invalid="ignore"):
            xyz = np.stack([column.of(arrays).astype(np.float64) for column in self.xyz], axis=1)
            if self.colour is not None:
                colour = np.stack([to_bytes(column.of(arrays), self.scale) for column in self.colour], axis=1)
            intensity = None if self.intensity is None else self.intensity.of(arrays).astype(np.float32)
            label = None if self.label is None else to_labels(self.label.of(arrays))
        fields = {name: np.ascontiguousarray(column.of(arrays)) for name, column in self.fields.items()}
        return PointCloud(first, xyz, colour, intensity, label, fields)


def is_table(shape: tuple[int, ...]) -> bool:
    """Whether an array has a row for every point, and coordinates in it."""
    return len(shape) == 2 and 3 <= shape[1] <= _MAX_COLUMNS


def points_name(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The array that holds the coordinates: by its name, or because it is the only one with three columns or more."""
    wide = {name: shape for name, shape in shapes.items() if is_table(shape) and not is_role(name)}
    stored = {name.lower(): name for name in reversed(list(wide))}
    named = next((stored[name] for name in _POINTS if name in stored), None)
    return named or (next(iter(wide)) if len(wide) == 1 else None)


def is_role(name: str) -> bool:
    """Whether an array is called as one of a scan's labels, colours or intensities."""
    return name.lower() in {*_COLOURS, *_LABELS, *_INTENSITIES, "label", "intensity"}


def plan_of(sample: Mapping[str, Array], damaged: Callable[[str], PointCloudError]) -> Plan:
    """The plan for arrays of one row a point, from some rows of each. Raises what ``damaged`` makes without coordinates."""
    columns = _columns(sample)
    roles = roles_of(list(columns))
    if roles is None:
        found = ", ".join(f"{name} {rows.shape[1:]}" for name, rows in sample.items())
        raise damaged(
            f"no coordinates: expected an array such as xyz of shape (n, 3) or x, y and z, found {found or 'nothing'}"
        )
    label = roles.label or _first(columns, _LABELS)
    intensity = roles.intensity or _first(columns, _INTENSITIES)
    colour = None if roles.colour is None else tuple(columns[name] for name in roles.colour)
    scale = 255.0
    if colour is not None:
        scale = full_scale(np.stack([column.of(sample) for column in colour]))
    return Plan(
        xyz=tuple(columns[name] for name in roles.xyz),  # type: ignore[arg-type]
        colour=colour,  # type: ignore[arg-type]
        intensity=columns[intensity] if intensity else None,
        label=columns[label] if label else None,
        fields={name: columns[name] for name in roles.others if name not in (label, intensity)},
        scale=scale,
    )


def _first(columns: Mapping[str, Column], names: Sequence[str]) -> str | None:
    stored = {name.lower(): name for name in reversed(list(columns))}
    return next((stored[name] for name in names if name in stored), None)


def _columns(sample: Mapping[str, Array]) -> dict[str, Column]:
    """Every value a point that is a number, by the name that it has or is given."""
    points = points_name({name: rows.shape for name, rows in sample.items() if rows.dtype.kind in "iuf"})
    colours = _first(
        {name: Column(name) for name, rows in sample.items() if rows.ndim == 2 and rows.shape[1] in (3, 4)}, _COLOURS
    )
    found: dict[str, Column] = {}
    for name, rows in sample.items():
        if rows.dtype.kind not in "biuf":
            continue
        if name == points:
            names: Sequence[str] = names_of_columns(rows)
        elif name == colours:
            names = ("red", "green", "blue", "alpha")
        else:
            names = [f"{name}_{i}" for i in range(rows.shape[1])] if rows.ndim == 2 and rows.shape[1] > 1 else [name]
        for i, column in enumerate(names[: rows.shape[1] if rows.ndim == 2 else 1]):
            found.setdefault(column, Column(name, i if rows.ndim == 2 else None))
    return found
