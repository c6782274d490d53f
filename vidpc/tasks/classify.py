"""``vidpc classify``: scans of single objects in, what they show out.

samples   a scan's points, however many, become a pool of a few thousand; each vote looks at some of them from another side
step      class scores of a batch of scans, averaged over their votes
results   labels and scores, best first
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidpc.errors import PointCloudError, WeightsError
from vidpc.models.pct import PCT, PCTConfig, PCTParts, PCTPartsConfig
from vidpc.ops.clouds import fitted, turned, upright
from vidpc.presets import LEAST_POINTS, ClassifyConfig
from vidpc.tasks.network import build
from vidpc.types import F32, F64, Aside, Candidate, Closed, ModelInfo, Opened, PointCloud, Sample, ScanInfo
from vidpc.weights import WeightsFile

PointItem = Opened[ScanInfo] | PointCloud | Closed
Output = tuple[Sample, Mapping[str, npt.NDArray[Any]]] | Opened[ScanInfo] | Aside | Closed

_POOL_POINTS = 16384  # kept of a scan: enough for all votes to differ
_SEED = 0


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """What input number ``stream`` shows: every class of the model, best first; ``points`` of the scan are finite."""

    stream: int
    points: int
    candidates: tuple[Candidate, ...]


@dataclass(slots=True)
class Pool:
    """An even draw of the points of one scan, which does not depend on how the scan was cut into runs."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(_SEED))
    xyz: F64 = field(default_factory=lambda: np.empty((0, 3)))
    rank: F64 = field(default_factory=lambda: np.empty(0))
    seen: int = 0
    points: int = 0  # that are finite

    def add(self, cloud: PointCloud) -> None:
        """Every point gets a rank by chance; those with the lowest ranks of the whole scan stay."""
        rank = self.rng.random(len(cloud))
        finite = np.isfinite(cloud.xyz).all(axis=1)
        self.seen += len(cloud)
        self.points += int(finite.sum())
        limit = self.rank.max() if len(self.rank) == _POOL_POINTS else np.inf
        candidates = finite & (rank < limit)
        xyz, rank = np.concatenate([self.xyz, cloud.xyz[candidates]]), np.concatenate([self.rank, rank[candidates]])
        kept = np.argsort(rank, kind="stable")[:_POOL_POINTS]
        self.xyz, self.rank = xyz[kept], rank[kept]


class ClassifyTask:
    """PCT on single objects: ``samples``, ``step`` and ``results`` of ``vidpc classify``."""

    def __init__(self, config: ClassifyConfig, weights: WeightsFile, *, name: str = "") -> None:
        """Raises ``WeightsError`` for weights of another network."""
        header = weights.header
        self.config = config
        self.info = ModelInfo(name or config.weights, header.architecture, weights.sha256, header.licence, header.labels)
        self.model = build_model(weights)
        self._look = Look.of(header.input)
        if len(header.labels) != self.model.config.classes:
            raise WeightsError(f"{header.path}: {len(header.labels)} labels for {self.model.config.classes} classes")

    def samples(self, items: Iterable[PointItem]) -> Iterator[Sample | Opened[ScanInfo] | Closed]:
        """One sample a scan, after the last of its points; a scan that cannot be told ends with the reason."""
        pool = Pool()
        for item in items:
            if isinstance(item, PointCloud):
                pool.add(item)
                continue
            if isinstance(item, Opened):
                pool = Pool()
                path = item.info.path
            elif item.error is None:
                try:
                    yield Sample({"xyz": self._views(pool, path)}, item.stream, pool.points)
                except PointCloudError as error:  # a scan that shows nothing ends its own input alone
                    item = Closed(item.stream, item.warnings, error)
                else:
                    item = Closed(item.stream, (*item.warnings, *_remarks(pool)))
            yield item

    def step(self, tensors: Mapping[str, Tensor], streams: Sequence[int], carry: None) -> tuple[dict[str, Tensor], None]:
        """Scores f32[b classes] of views f32[b votes n 3]."""
        b, votes = tensors["xyz"].shape[:2]
        logits = self.model(tensors["xyz"].flatten(0, 1))
        return {"scores": logits.float().softmax(dim=-1).unflatten(0, (b, votes)).mean(dim=1)}, None

    def results(self, outputs: Iterable[Output]) -> Iterator[ObjectResult | Opened[ScanInfo] | Closed]:
        """The classes of every scan, best first."""
        for item in outputs:
            if isinstance(item, tuple):
                sample, arrays = item
                yield ObjectResult(sample.stream, sample.context, self._ranked(arrays["scores"]))
            elif not isinstance(item, Aside):
                yield item

    def _ranked(self, scores: F32) -> tuple[Candidate, ...]:
        order = np.argsort(-scores, kind="stable")
        return tuple(Candidate(self.info.labels[i], float(scores[i])) for i in order)

    def _views(self, pool: Pool, path: str) -> F32:
        """f32[votes n 3], each vote's points around the origin and within distance 1."""
        if pool.points < LEAST_POINTS:
            raise PointCloudError(
                f"classifying {path}: {pool.points} points with finite coordinates of {pool.seen}, expected at least "
                f"{LEAST_POINTS}: the shape cannot be told from so few"
            )
        try:
            return views(pool.xyz, self._look, points=self.config.points or self._look.points, votes=self.config.votes)
        except PointCloudError as error:
            raise PointCloudError(f"classifying {path}: {error}") from error


@dataclass(frozen=True, slots=True)
class Look:
    """How a network wants to see an object: ``points`` of it, its ``centre`` (box, mean) at the origin, the axis ``up``."""

    points: int
    centre: str
    up: str

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> "Look":
        """The rules of a weights file. Raises ``WeightsError`` for one that vidpc classify cannot follow."""
        look = cls(rules.get("points", 0), rules.get("centre", ""), rules.get("up", ""))
        known = isinstance(look.points, int) and LEAST_POINTS <= look.points <= 8192
        if not known or look.centre not in ("box", "mean") or look.up not in ("z", "y"):
            raise WeightsError(f"the weights ask for an input that vidpc classify does not make: {dict(rules)}")
        return look


def views(xyz: F64, look: Look, *, points: int, votes: int) -> F32:
    """``votes`` views f32[votes n 3] of a cloud: each draws up to ``points`` points and turns it further about the vertical."""
    rng = np.random.default_rng(_SEED)
    count = min(points, len(xyz))
    seen = []
    for vote in range(votes):
        drawn = xyz[rng.permutation(len(xyz))[:count]]
        view = turned(fitted(drawn, look.centre), 2 * np.pi * vote / votes)
        seen.append(view if look.up == "z" else upright(view))
    return np.stack(seen)


def build_model(weights: WeightsFile) -> PCT:
    """The classifier that ``weights`` describe. Raises ``WeightsError``."""
    return build(weights, "pct", PCT, PCTConfig)


def build_parts_model(weights: WeightsFile) -> PCTParts:
    """The part-segmentation network that ``weights`` describe. Raises ``WeightsError``."""
    return build(weights, "pct-parts", PCTParts, PCTPartsConfig)


def _remarks(pool: Pool) -> Iterator[str]:
    if pool.points < pool.seen:
        yield f"{pool.seen - pool.points} of {pool.seen} points have no finite coordinates and were left out"
