"""Which of a scan's named values are coordinates, colour, intensity and label, for all formats whose fields have names."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.types import F32, F64, I64, U8, PointCloud

Array = npt.NDArray[Any]
Column = Callable[[str], Array]

# Names in lower case; where a file has several, the first in this order counts.
_COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_INTENSITIES = ("intensity", "scalar_intensity", "reflectance", "remission", "reflectivity")
_LABELS = ("label", "classification", "class", "scalar_label", "scalar_classification", "scalar_class", "semantic", "category")
_BYTE, _WORD = 255, 65535
_NO_LABEL = -1
_UNKNOWN_COLOUR = (128, 128, 128)
_EXACT = 1 << 53  # below it a float64 holds every integer


@dataclass(frozen=True, slots=True)
class Roles:
    """The names, as stored, of the values with a meaning; ``others`` are all the rest."""

    xyz: tuple[str, str, str]
    colour: tuple[str, str, str] | None
    intensity: str | None
    label: str | None
    others: tuple[str, ...]


def roles_of(names: Sequence[str]) -> Roles | None:
    """What the names stand for, whatever their case; None where x, y or z is not among them."""
    stored = {name.lower(): name for name in reversed(names)}
    if not all(axis in stored for axis in "xyz"):
        return None
    colour = next((three for three in _COLOURS if all(name in stored for name in three)), None)
    rgb = (stored[colour[0]], stored[colour[1]], stored[colour[2]]) if colour else None
    intensity = next((stored[name] for name in _INTENSITIES if name in stored), None)
    label = next((stored[name] for name in _LABELS if name in stored), None)
    xyz = stored["x"], stored["y"], stored["z"]
    taken = {*xyz, *(rgb or ()), intensity, label}
    return Roles(xyz, rgb, intensity, label, tuple(name for name in names if name not in taken))


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, those that came before or are ``taken`` with a number behind: ``a``, ``a_2``, ``a_3``."""
    used, repeats = set(taken), Counter[str]()  # counted, for a damaged file may repeat a name tens of thousands of times
    found = []
    for base in names:
        name = base
        while name in used:
            repeats[base] += 1
            name = f"{base}_{repeats[base] + 1}"
        used.add(name)
        found.append(name)
    return found


def full_scale(values: Array) -> float:
    """The value that stands for full colour: 255, 65535 or 1, by the type of ``values`` and the largest of them.

    Values of a wider type than u8 that stay below 256 are bytes all the same: many programs store them so.
    """
    if values.dtype == np.uint8:
        return _BYTE
    finite = values[np.isfinite(values)]
    largest = float(finite.max()) if len(finite) else 0.0
    if values.dtype.kind == "f" and largest <= 1.0:
        return 1.0
    return _BYTE if 0 < largest <= _BYTE else _WORD


def colour_scale(rows: Array, names: Sequence[str]) -> float:
    """``full_scale`` of three columns of some records together."""
    if all(rows.dtype[name] == np.uint8 for name in names):
        return _BYTE
    with np.errstate(invalid="ignore"):  # of NaNs that signal
        return full_scale(np.concatenate([rows[name].astype(np.float64) for name in names]))


def to_bytes(values: Array, scale: float) -> U8:
    """Colour values as u8, rounded; what is no number becomes 0, what is too large 255."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    known = np.nan_to_num(values.astype(np.float64), nan=0.0)
    rounded: U8 = np.rint(np.clip(known, 0, scale) * (_BYTE / scale)).astype(np.uint8)
    return rounded


def to_labels(values: Array) -> I64:
    """Labels as i64; what is no number, or none that fits, becomes -1."""
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    return np.where(np.abs(values) < _EXACT, values, _NO_LABEL).astype(np.int64)


def cloud_of(first: int, column: Column, roles: Roles, scale: float, records: Any = None) -> PointCloud:
    """Points from their columns, where ``column`` gives one by its stored name and ``scale`` is full colour."""
    # What float32 cannot hold becomes infinite, and signalling NaNs become quiet ones, without a word.
    with np.errstate(over="ignore", invalid="ignore"):
        xyz: F64 = np.stack([column(name).astype(np.float64) for name in roles.xyz], axis=1)
        colour = np.stack([to_bytes(column(name), scale) for name in roles.colour], axis=1) if roles.colour else None
        intensity: F32 | None = column(roles.intensity).astype(np.float32) if roles.intensity else None
        label = to_labels(column(roles.label)) if roles.label else None
    fields: Mapping[str, Array] = {name: column(name) for name in roles.others}
    return PointCloud(first, xyz, colour, intensity, label, fields, records)


def painted(label: I64, palette: Mapping[int, tuple[int, int, int]]) -> U8:
    """The palette's colour of every label, u8[n 3]; grey where it has none."""
    known, place = np.unique(label, return_inverse=True)
    colours = np.array([palette.get(int(one), _UNKNOWN_COLOUR) for one in known], np.uint8).reshape(-1, 3)
    found: U8 = colours[place]
    return found


def from_bytes(channel: U8, dtype: np.dtype[Any], scale: float) -> Array:
    """One channel of colours as ``dtype``, where ``scale`` is full colour: what ``to_bytes`` undoes."""
    values = channel.astype(np.float64) * (scale / _BYTE)
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
