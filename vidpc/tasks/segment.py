"""``vidpc segment``: points in, a label and a confidence for each of them out, in the order of the file.

samples   points go into a store by place; then, tile by tile, thinned, cut into blocks, with the features of each block
step      the network's scores of every thinned point of a batch of blocks
results   the blocks' scores added up by thinned point, carried to every point of the tile, and kept by the scan's order

Past the model, as ``Aside``: ``Passed``, ``_Begun`` before the first tile of a scan, ``_Work`` after the last block of a tile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidpc.errors import WeightsError
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig
from vidpc.ops.paper_test import SEED, hashed_voxels, potential_chunks
from vidpc.ops.point_features import BlockPoints, check_names, point_features
from vidpc.ops.tiling import Block, BlockShape, Thinner, Votes, cut
from vidpc.presets import SegmentConfig
from vidpc.stream.block import MEMORY_POINTS, PIECE_POINTS, LabelStore, PointStore, Rows, StoreSize, Tile
from vidpc.tasks.network import build
from vidpc.types import F32, Aside, Closed, LabelCounts, ModelInfo, Opened, PointCloud, PointLabels, Sample, ScanInfo
from vidpc.weights import WeightsFile

ScanItem = Opened[ScanInfo] | PointCloud | Closed
Output = tuple[Sample, Mapping[str, npt.NDArray[Any]]] | Opened[ScanInfo] | Aside | Closed
Stage = Literal["reading", "labelling"]

PAPER_CHUNK_POINTS = 80_000
_FURTHEST = 1e9  # a coordinate beyond it is no place on earth; float32 and voxel keys would not survive it
_CELLS_A_BLOCK = 8  # of the store: finer than blocks, so that tiles can follow the density
_LEAST_POINTS = 256  # a block with so few may be wider than others
_SPARSE_VOXELS = 512  # of a cell of the store, which holds 64 points: what is sparser is hardly in metres
_READ_BY = {"colour": {"colour", "rgb"}, "intensity": {"intensity"}, "returns": {"returns"}}  # column -> groups of features


@dataclass(frozen=True, slots=True)
class Passed:
    """So many points of input number ``stream`` have passed a stage, out of ``total``."""

    stream: int
    stage: Stage
    points: int
    total: int


@dataclass(frozen=True, slots=True)
class ScanLabels:
    """The labels of all points of input number ``stream``."""

    stream: int
    store: LabelStore
    counts: LabelCounts
    warnings: tuple[str, ...] = ()  # of the scan

    def __len__(self) -> int:
        return len(self.store)

    def runs(self, points: int = PIECE_POINTS) -> Iterator[PointLabels]:
        """Labels and confidences in file order. May be called again and again."""
        return self.store.runs(self.stream, points)


class _Work(Protocol):
    """A tile on its way through the model: takes what is said of its blocks, and in the end labels its points."""

    @property
    def points(self) -> int:
        """How many points it labels."""
        ...

    def add(self, number: int, block: Block, scores: F32) -> None: ...
    def finish(self, labels: LabelStore) -> None: ...


@dataclass(frozen=True, slots=True)
class _Begun:
    """A scan was read whole, and this is to be said of it."""

    points: PointStore
    labels: LabelStore
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """What comes back with the scores of a block: pass ``number`` over the points of ``work``, of which it ends ``share``."""

    work: _Work
    number: int
    block: Block
    share: float


@dataclass(slots=True)
class _Scan:
    """A scan that is being read."""

    info: ScanInfo
    points: PointStore
    columns: tuple[str, ...] | None = None
    count: int = 0
    is_black: bool = True  # as long as no point has a colour that is not
    warnings: list[str] = field(default_factory=list)

    def add(self, cloud: PointCloud, wanted: Sequence[str]) -> None:
        """Keeps the points that have a place, and of their values those that the model reads."""
        values = _columns(cloud, wanted)
        if self.columns is None and len(cloud):
            self.columns = tuple(values)
            missing = [name for name in wanted if name not in values]
            self.warnings += [f"the scan has no {name}: labelled without it, which the model can use" for name in missing]
        self.is_black = self.is_black and not ("colour" in values and values["colour"].any())
        has_place = (np.abs(cloud.xyz) <= _FURTHEST).all(axis=1)  # false for what is not a number, too
        index = np.flatnonzero(has_place)
        if len(index):
            self.points.append(
                cloud.first + index, cloud.xyz[index], {name: values[name][index] for name in self.columns or ()}
            )
        self.count += len(cloud)

    def all_warnings(self, voxel_m: float) -> tuple[str, ...]:
        """What is to be said of the scan once it is read and its points are sorted."""
        if not self.count:
            return ("the scan has no points",)
        said = list(self.warnings)
        if "colour" in (self.columns or ()) and self.is_black:
            said.append("all colours of the scan are black: labelled as if it had none")
        lost = self.count - self.points.count
        if lost:
            said.append(f"{lost} of {self.count} points have no usable coordinates and stay without a label")
        if self.points.cell_m > _SPARSE_VOXELS * voxel_m:
            apart = f"points lie about {self.points.cell_m / 10:.0f} m apart, where the model knows {voxel_m:g} m"
            said.append(f"{apart}: is the scan's unit the metre?")
        return tuple(said)


class SegmentTask:
    """Point Transformer on scans of any size: ``samples``, ``step`` and ``results`` of ``vidpc segment``."""

    def __init__(
        self, config: SegmentConfig, weights: WeightsFile, *, name: str = "", memory_points: int = MEMORY_POINTS
    ) -> None:
        """Scans of more than ``memory_points`` points are sorted on disk.

        Raises ``WeightsError`` for weights of another network, or that do not say how points are prepared.
        """
        header = weights.header
        self.config = config
        self.info = ModelInfo(name or config.weights, header.architecture, weights.sha256, header.licence, header.labels)
        self.model = build(weights, "point-transformer", PointTransformer, PointTransformerConfig)
        self.features, trained_voxel_m = _preparation(header.input, str(header.path))
        self.voxel_m = config.voxel_m or trained_voxel_m
        self._logits = list(header.logits)
        self._wanted = [column for column, groups in _READ_BY.items() if groups & set(self.features)]
        self._memory_points = memory_points

    def samples(self, items: Iterable[ScanItem]) -> Iterator[Sample | Opened[ScanInfo] | Aside | Closed]:
        """Each scan's blocks, once all of it was read."""
        scan: _Scan | None = None
        try:
            for item in items:
                if isinstance(item, Opened):
                    scan = self._opened(item.info)
                    yield item
                    stream = item.stream
                elif isinstance(item, Closed):
                    if scan is None or item.error is not None:
                        yield item
                    else:
                        yield from self._blocks(scan, item.stream)
                        yield Closed(item.stream, (*item.warnings, *scan.all_warnings(self.voxel_m)))
                        scan = None  # its store is closed where the last block arrives
                elif scan is not None:
                    scan.add(item, self._wanted)
                    yield Aside(stream, Passed(stream, "reading", scan.count, max(scan.info.count, scan.count)))
        finally:
            if scan is not None:
                scan.points.close()

    def step(self, tensors: Mapping[str, Tensor], streams: Sequence[int], carry: None) -> tuple[dict[str, Tensor], None]:
        """Scores f32[n labels] of packed blocks: probabilities, or under the authors' scheme what they add up, logits."""
        logits = self.model(tensors["xyz"], tensors["features"], tensors["offsets"])[:, self._logits].float()
        return {"scores": logits if self.config.scheme == "paper" else logits.softmax(dim=1)}, None

    def results(self, outputs: Iterable[Output]) -> Iterator[Passed | ScanLabels | Opened[ScanInfo] | Closed]:
        """How far each scan is, and its labels once every block has spoken."""
        begun: dict[int, _Begun] = {}
        labelled = 0
        try:
            for item in outputs:
                if isinstance(item, tuple):
                    sample, arrays = item
                    part: _Part = sample.context
                    part.work.add(part.number, part.block, arrays["scores"])
                    done = labelled + int(part.share * part.work.points)
                    yield Passed(sample.stream, "labelling", done, begun[sample.stream].points.count)
                elif isinstance(item, Aside) and isinstance(item.content, Passed):
                    yield item.content
                elif isinstance(item, Aside) and isinstance(item.content, _Begun):
                    begun[item.stream], labelled = item.content, 0
                elif isinstance(item, Aside):
                    item.content.finish(begun[item.stream].labels)
                    labelled += item.content.points
                    yield Passed(item.stream, "labelling", labelled, begun[item.stream].points.count)
                elif isinstance(item, Opened):
                    yield item
                else:
                    ended = begun.pop(item.stream, None)
                    if ended is not None:
                        ended.points.close()
                        counts = _counts(ended.labels, len(self.info.labels))
                        yield ScanLabels(item.stream, ended.labels, counts, ended.warnings)
                    yield item
        finally:
            for left in begun.values():
                left.points.close()

    def _opened(self, info: ScanInfo) -> _Scan:
        whole = self.config.scheme == "paper"
        # A whole number of voxels to a cell, so that no voxel lies in two.
        cell_m = self.voxel_m * 2 ** round(np.log2(max(self.config.block_m / _CELLS_A_BLOCK / self.voxel_m, 1)))
        tile_points = max(info.count, 1 << 62) if whole else self.config.tile_points
        size = StoreSize(cell_m, tile_points, self._memory_points, info.count)
        return _Scan(info, PointStore(size))

    def _blocks(self, scan: _Scan, stream: int) -> Iterator[Sample | Aside]:
        tiles = scan.points.tiles()
        yield Aside(stream, _Begun(scan.points, LabelStore(scan.count), scan.all_warnings(self.voxel_m)))
        parts = self._paper_parts if self.config.scheme == "paper" else self._tile_parts
        for tile in tiles:
            work: _Work | None = None
            for part, rows in parts(tile):
                work = part.work
                yield self._sample(part, rows, stream)
            if work is not None:
                yield Aside(stream, work)

    def _tile_parts(self, tile: Tile) -> Iterator[tuple[_Part, Rows]]:
        config = self.config
        thinners = [Thinner(self.voxel_m, shift=number / config.votes) for number in range(config.votes)]
        for rows in tile.pieces(halo_m=config.halo_m):
            own = tile.owns(rows["xyz"])
            for thinner in thinners:
                thinner.add(rows, own)
        work = _TileWork(tile, thinners, [Votes(len(thinner.keys), len(self._logits)) for thinner in thinners])
        shape = BlockShape(config.block_m, config.halo_m, config.block_points, _LEAST_POINTS)
        wanted, done = sum(np.count_nonzero(thinner.is_wanted) for thinner in thinners), 0
        for number, thinner in enumerate(thinners):
            kept = thinner.rows
            for block in cut(kept["xyz"][:, :2], thinner.is_wanted, shape):
                done += int(np.count_nonzero(thinner.is_wanted[block.index[block.weight == 1]]))
                yield _Part(work, number, block, done / wanted), kept[block.index]

    def _paper_parts(self, tile: Tile) -> Iterator[tuple[_Part, Rows]]:
        """The authors' test: passes that take every voxel's points in turn, each in chunks that overlap at random."""
        rows = np.concatenate(list(tile.pieces()))
        rows = rows[np.argsort(rows["index"])]
        xyz = rows["xyz"] - rows["xyz"].min(axis=0)  # f64[n 3]
        found = hashed_voxels(xyz, self.voxel_m)
        random = np.random.RandomState(SEED)
        work = _PaperWork(rows["index"], Votes(len(rows), len(self._logits)))
        turns = int(found.counts.max())
        for number in range(turns):
            chosen = found.turn(number)
            potential = random.rand(len(chosen)) * 1e-3 if len(chosen) > PAPER_CHUNK_POINTS else np.empty(0)
            for chunk in potential_chunks(xyz[chosen], PAPER_CHUNK_POINTS, potential):
                index = chosen[chunk]
                yield _Part(work, number, Block(index, np.ones(len(index), np.float32)), number / turns), rows[index]

    def _sample(self, part: _Part, rows: Rows, stream: int) -> Sample:
        """The block around an origin of its own: only then float32 holds its coordinates."""
        xyz = (rows["xyz"] - rows["xyz"].min(axis=0)).astype(np.float32)  # f32[n 3]
        values = {name: rows[name] for name in rows.dtype.names or () if name in _READ_BY}
        features = point_features(BlockPoints(xyz, **values), self.features)
        return Sample({"xyz": xyz, "features": features}, stream, part, layout="packed")


@dataclass(frozen=True, slots=True)
class _TileWork:
    """The votes of every pass over a tile."""

    tile: Tile
    thinners: Sequence[Thinner]
    votes: Sequence[Votes]

    @property
    def points(self) -> int:
        """How many points the tile holds."""
        return self.tile.count

    def add(self, number: int, block: Block, scores: F32) -> None:
        """Scores f32[n labels] of a block of pass ``number``."""
        self.votes[number].add(block, scores)

    def finish(self, labels: LabelStore) -> None:
        """Every point has the mean of what the passes say of its voxel."""
        means = [votes.mean(thinner.rows["xyz"]) for thinner, votes in zip(self.thinners, self.votes, strict=True)]
        for rows in self.tile.pieces():
            found = [mean[thinner.find(rows["xyz"])] for thinner, mean in zip(self.thinners, means, strict=True)]
            _put(labels, rows["index"], np.mean(found, axis=0, dtype=np.float32))


@dataclass(frozen=True, slots=True)
class _PaperWork:
    """Sums of logits by point."""

    index: npt.NDArray[np.int64]
    votes: Votes

    @property
    def points(self) -> int:
        """How many points the scan holds."""
        return len(self.index)

    def add(self, number: int, block: Block, scores: F32) -> None:
        """Logits f32[n labels] of a chunk."""
        self.votes.add(block, scores)

    def finish(self, labels: LabelStore) -> None:
        """Every point was in some chunk: the turns go on until the fullest voxel is empty."""
        logits = self.votes.mean(np.empty((0, 3)))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        _put(labels, self.index, shares / shares.sum(axis=1, keepdims=True))


def _put(labels: LabelStore, index: npt.NDArray[np.int64], scores: F32) -> None:
    best = scores.argmax(axis=1)
    confidence = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
    labels.put(index, best, np.minimum(confidence, 1).astype(np.float32))


def _counts(labels: LabelStore, classes: int) -> LabelCounts:
    """How many points have each label, and how sure they are."""
    points, sums = np.zeros(classes + 1, np.int64), np.zeros(classes + 1)
    for run in labels.runs(0):
        points += np.bincount(run.label + 1, minlength=classes + 1)
        sums += np.bincount(run.label + 1, weights=run.confidence, minlength=classes + 1)
    return LabelCounts(points[1:], sums[1:] / np.maximum(points[1:], 1), int(points[0]))


def _columns(cloud: PointCloud, wanted: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """The columns among ``wanted`` that the cloud has."""
    pulses = [column for name in ("return_number", "number_of_returns") if (column := cloud.fields.get(name)) is not None]
    returns = np.stack([column.astype(np.float32) for column in pulses], axis=1) if len(pulses) == 2 else None
    known = {"colour": cloud.colour, "intensity": cloud.intensity, "returns": returns}
    return {name: column for name in wanted if (column := known[name]) is not None}


def _preparation(rules: Mapping[str, Any], path: str) -> tuple[tuple[str, ...], float]:
    """The groups of features and the side of the voxels that weights were trained with."""
    try:
        features, voxel_m = tuple(map(str, rules["features"])), float(rules["voxel_m"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: does not say how points are prepared (input: features, voxel_m)") from error
    check_names(features)
    if not 0 < voxel_m < np.inf:
        raise WeightsError(f"{path}: was trained with voxels of {voxel_m} m, expected more than 0")
    return features, voxel_m
