"""As many points of a labelled scan as a picture needs: drawn at random in one pass, whatever the scan's size."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vidpc.media.points import PointSource, paired
from vidpc.types import F32, F64, I64, U8, PointLabels

MOST_POINTS = 1_000_000
_BULK = (4, 96), (4, 96), (0.5, 99.5)  # percentiles along each axis between which the bulk of a scan lies
_AROUND = 0.25  # of its size along the axis that may stick out on either side


@dataclass(frozen=True, slots=True)
class PointSample:
    """``xyz`` f32[n 3] from ``origin`` f64[3], ``label`` i64[n], ``confidence`` f32[n], ``colour`` u8[n 3] where there is one.

    ``counts`` are the points of every label from -1 on, of the whole scan, i64[k+1].
    """

    origin: F64
    xyz: F32
    label: I64
    confidence: F32
    colour: U8 | None
    counts: I64

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True)
class _Part:
    xyz: F64
    label: I64
    confidence: F32
    colour: U8 | None


def draw_sample(source: PointSource, labels: Iterable[PointLabels], classes: int, *, most: int = MOST_POINTS) -> PointSample:
    """At most ``most`` points of a scan and their labels, always the same ones, without those whose place is no number."""
    rng = np.random.default_rng(0)
    share = min(1.0, most / max(source.info.count, 1))
    counts, parts, room = np.zeros(classes + 1, np.int64), list[_Part](), most
    for cloud, label, confidence in paired(source.clouds(), labels):
        counts += np.bincount(np.clip(label, -1, classes - 1) + 1, minlength=classes + 1)
        drawn = np.isfinite(cloud.xyz).all(axis=1) & (rng.random(len(label)) < share)
        at = np.flatnonzero(drawn)[:room]
        room -= len(at)
        parts.append(_Part(cloud.xyz[at], label[at], confidence[at], None if cloud.colour is None else cloud.colour[at]))
    return _joined(parts, counts)


def _joined(parts: list[_Part], counts: I64) -> PointSample:
    xyz = np.concatenate([np.empty((0, 3)), *(part.xyz for part in parts)])
    kept = _near(xyz)
    xyz = xyz[kept]
    origin = (xyz.min(axis=0) + xyz.max(axis=0)) / 2 if len(xyz) else np.zeros(3)
    colours = [part.colour for part in parts if part.colour is not None]
    return PointSample(
        origin,
        np.asarray(xyz - origin, np.float32),
        np.concatenate([np.empty(0, np.int64), *(part.label for part in parts)])[kept],
        np.concatenate([np.empty(0, np.float32), *(part.confidence for part in parts)])[kept],
        np.concatenate(colours)[kept] if parts and len(colours) == len(parts) else None,
        counts,
    )


def _near(xyz: F64) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which points belong to the scan proper: a few that lie far away would shrink it to a dot."""
    if not len(xyz):
        return np.zeros(0, np.bool_)
    low, high = np.transpose([np.percentile(column, pair) for column, pair in zip(xyz.T, _BULK, strict=True)])
    margin = _AROUND * (high - low) + 1e-9
    return np.asarray(((xyz >= low - margin) & (xyz <= high + margin)).all(axis=1))
