"""Point Transformer (Zhao et al. 2021, arXiv 2012.09164): a class for every point of a scan.

Loads checkpoints of the authors' segmentation network and of Pointcept's (``weights/`` converts both layouts,
``point-transformer`` and ``pointcept-ptv1``) and the built-in weights of ``vidpc segment``.

    features ─► linear ─► blocks ──────────────────────────────► add ─► block ─► head ─► logits
                            └─► thin, gather, max ─► blocks ──► add ─► block ─┘ interpolate
                                                       └─► … ─► mean ─► block ─┘
    block = linear ─► vector attention over k nearest ─► linear, with a residual

Clouds lie end to end (``ops.neighbours``). Which points a level keeps and who neighbours whom follows from coordinates
alone: ``plan`` finds it once for all blocks, and may do so ahead of time on another thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.neighbours import clouds_of, farthest, interpolation, lengths, nearest
from ..ops.voxels import voxels


@dataclass(frozen=True, slots=True)
class PointTransformerConfig:
    """Sizes; the defaults are the published ones. All tuples have an entry a level, finest first.

    ``sampling`` is ``farthest`` (published: the first level keeps all, each further one ``1 / strides`` of the one before) or
    ``grid`` (a point a cube: those of level i are ``2**i * grid_m`` wide). A level's points look at ``neighbours`` of their
    own level, and gather as many of the one before. ``share`` channels have a weight in common.
    """

    channels: int = 6
    classes: int = 13
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    blocks: tuple[int, ...] = (1, 2, 3, 5, 2)
    neighbours: tuple[int, ...] = (8, 16, 16, 16, 16)
    strides: tuple[int, ...] = (1, 4, 4, 4, 4)
    share: int = 8
    sampling: str = "farthest"
    grid_m: float = 0.0

    def __post_init__(self) -> None:
        levels = {len(self.widths), len(self.blocks), len(self.neighbours), len(self.strides)}
        if len(levels) != 1 or min(self.blocks) < 1:
            raise ValueError(f"widths, blocks, neighbours and strides must have an entry a level, blocks at least 1: {self}")
        if any(width % self.share for width in self.widths):
            raise ValueError(f"widths {self.widths} are no multiples of {self.share} channels that share a weight")
        if self.sampling not in ("farthest", "grid") or (self.sampling == "grid") != (self.grid_m > 0):
            raise ValueError(f"sampling {self.sampling!r} with grid_m {self.grid_m}: farthest has no grid, grid needs one")
        if self.strides[0] != 1:
            raise ValueError(f"the first level keeps all points, but strides are {self.strides}")


class Steps(NamedTuple):
    """How points of one level reach those of another."""

    points: Tensor  # i64[m k] of the level that is read
    share: Tensor  # f32[m k], of each of them


class Level(NamedTuple):
    """Where the points of a level are, and whom they look at."""

    xyz: Tensor  # f32[n 3]
    offsets: Tensor  # i64[b]
    neighbours: Tensor  # i64[n k] of this level
    gathered: Tensor  # i64[n k] of the finer level; empty for the finest
    spread: Steps | None  # from here to the points of the finer level; None for the finest

    def to(self, device: torch.device) -> "Level":
        """The same on ``device``."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        spread = self.spread and Steps(*map(moved, self.spread))
        return Level(moved(self.xyz), moved(self.offsets), moved(self.neighbours), moved(self.gathered), spread)


Plan = Sequence[Level]


def plan(xyz: Tensor, offsets: Tensor, config: PointTransformerConfig) -> list[Level]:
    """The levels of packed clouds ``xyz`` f32[n 3] with running ends ``offsets`` i64[b], finest first."""
    if config.sampling == "grid":  # which hangs on the middle of each cloud, not on where its origin happens to be
        xyz = xyz - _middles(xyz, offsets)
    near, _ = nearest(xyz, offsets, xyz, offsets, config.neighbours[0])
    levels = [Level(xyz, offsets, near, near.new_empty(0, 0), None)]
    for depth in range(1, len(config.widths)):
        levels.append(_coarser(levels[-1], depth, config))
    return levels


def _middles(xyz: Tensor, offsets: Tensor) -> Tensor:
    """The mean of its cloud for every point, f32[n 3]."""
    cloud, length = clouds_of(offsets), lengths(offsets)
    sums = torch.zeros(len(length), 3, dtype=torch.float64, device=xyz.device).index_add_(0, cloud, xyz.double())
    return (sums / length[:, None])[cloud].to(xyz.dtype)


def _coarser(finer: Level, depth: int, config: PointTransformerConfig) -> Level:
    """The level below ``finer``, number ``depth``."""
    k = config.neighbours[depth]
    kept, offsets = _kept(finer, depth, config)
    xyz = finer.xyz[kept]
    if k <= finer.neighbours.shape[1]:
        gathered = finer.neighbours[kept, :k]
    else:
        gathered, _ = nearest(finer.xyz, finer.offsets, xyz, offsets, k)
    near, _ = nearest(xyz, offsets, xyz, offsets, k)
    return Level(xyz, offsets, near, gathered, Steps(*interpolation(xyz, offsets, finer.xyz, finer.offsets)))


def _kept(finer: Level, depth: int, config: PointTransformerConfig) -> tuple[Tensor, Tensor]:
    """Which points of ``finer`` level ``depth`` keeps, i64[m], and where their clouds end.

    Every cloud keeps at least one: the published network is not defined for clouds that run out of points.
    """
    length = lengths(finer.offsets)
    if config.sampling == "farthest":
        offsets = torch.minimum((length // config.strides[depth]).clamp(min=1), length).cumsum(0)
        return farthest(finer.xyz, finer.offsets, offsets), offsets
    xyz, cloud = finer.xyz.double().cpu().numpy(), clouds_of(finer.offsets).cpu()
    kept = torch.from_numpy(voxels(xyz, config.grid_m * 2**depth, cloud=cloud.numpy()).central(xyz))
    ends = cloud[kept].bincount(minlength=len(length)).cumsum(0)
    return kept.to(length.device), ends.to(length.device)


class LinearNorm(nn.Module):
    """A linear layer and a batch norm on rows f32[n c]; one product where nothing is trained."""

    def __init__(self, channels: int, out: int, *, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out, bias=bias)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(x)) if self.training else F.linear(x, *self.folded())

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the two as one linear layer."""
        scale, shift = affine(self.norm)
        bias = shift if self.linear.bias is None else self.linear.bias * scale + shift
        return self.linear.weight * scale[:, None], bias


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """A trained norm as scale and shift of a channel."""
    assert norm.running_mean is not None  # we never build one without
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class VectorAttention(nn.Module):
    """Attention whose weights are vectors, over each point's neighbours (section 3.2, equation 3).

    Neighbours' rows are looked up as embeddings: on a CPU their gradients cost a third of those of ``index_select``.

    The value of neighbour j is v_j + p_j, p its place as seen from the point. p is linear in a vector ``step`` of three
    numbers, so its weighted sum is that of the steps, projected once a point and not once a neighbour.
    """

    def __init__(self, width: int, share: int) -> None:
        super().__init__()
        self.share = share
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.place_in = LinearNorm(3, 3, bias=True)
        self.place_out = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)
        self.weigh_in = LinearNorm(width, width // share, bias=True)
        self.weigh_out = nn.Linear(width // share, width // share)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        value = self.value(x)
        if self.training:
            step = self.place_in(_relative(level.xyz, level.neighbours, level.xyz)).relu()
            query = self.query(x) - self.place_out.bias
            relation = (F.embedding(level.neighbours, self.key(x)) - query[:, None]).flatten(0, 1)  # f32[n*k c]
            relation = self.norm(torch.addmm(relation, step, self.place_out.weight.T)).relu()
            return self._mixed(relation, value, level.neighbours, step)
        # The norm's scale and shift go into what it would be applied to: three small matrices instead of f32[n k c].
        scale, shift = affine(self.norm)
        key = F.linear(x, self.key.weight * scale[:, None])
        query = F.linear(x, self.query.weight * scale[:, None])
        bias = (self.key.bias - self.query.bias + self.place_out.bias) * scale + shift
        place = (self.place_out.weight * scale[:, None]).T
        query = query - bias
        mixed = []
        for rows in _blocks(level.neighbours, x):
            near = level.neighbours[rows]
            step = self.place_in(_relative(level.xyz, near, level.xyz[rows])).relu_()
            relation = torch.addmm(F.embedding(near.flatten(), key), step, place)  # f32[rows*k c]
            relation = relation.view(*near.shape, -1).sub_(query[rows, None]).relu_().flatten(0, 1)
            mixed.append(self._mixed(relation, value, near, step))
        return torch.cat(mixed)

    def _mixed(self, relation: Tensor, value: Tensor, near: Tensor, step: Tensor) -> Tensor:
        """Values f32[n c] of ``near`` i64[n k], weighted by ``relation`` f32[n*k c] and seen along ``step`` f32[n*k 3]."""
        n, k = near.shape
        weight = self.weigh_out(self.weigh_in(relation).relu()).view(n, k, -1).softmax(dim=1)  # f32[n k c/share]
        values = F.embedding(near, value).view(n, k, self.share, -1)
        mixed = (values * weight[:, :, None]).sum(dim=1)  # f32[n share c/share]
        steps = torch.einsum("nkg,nkx->gnx", weight, step.view(n, k, 3).to(weight.dtype))
        place = self.place_out.weight.view(self.share, -1, 3)
        return (mixed + torch.einsum("gnx,sgx->nsg", steps, place)).flatten(1) + self.place_out.bias


class Block(nn.Module):
    """Vector attention between two linear layers, with a residual (figure 4a)."""

    def __init__(self, width: int, share: int) -> None:
        super().__init__()
        self.enter = LinearNorm(width, width, bias=False)
        self.attention = VectorAttention(width, share)
        self.norm = nn.BatchNorm1d(width)
        self.leave = LinearNorm(width, width, bias=False)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        y = self.norm(self.attention(self.enter(x).relu(), level)).relu()
        return (x + self.leave(y)).relu()


class Gather(nn.Module):
    """From a finer level down: the largest of what each point's neighbours there say (figure 4b)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.place = nn.Linear(3, out, bias=False)
        self.linear = nn.Linear(channels, out, bias=False)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor, finer: Level, level: Level) -> Tensor:
        y = self.linear(x)  # once a point of the finer level, not once a neighbour
        gathered = level.gathered
        if self.training:
            said = F.embedding(gathered.flatten(), y) + self.place(_relative(finer.xyz, gathered, level.xyz))
            return self.norm(said).relu().view(*gathered.shape, -1).amax(dim=1)
        scale, shift = affine(self.norm)
        y, place = y * scale, (self.place.weight * scale[:, None]).T
        largest = []
        for rows in _blocks(gathered, y):
            near = gathered[rows]
            said = torch.addmm(F.embedding(near.flatten(), y), _relative(finer.xyz, near, level.xyz[rows]), place)
            largest.append(said.view(*near.shape, -1).amax(dim=1))
        return (torch.cat(largest) + shift).relu()


class Spread(nn.Module):
    """From a coarser level up: its values between its points, added to those of this level (figure 4c)."""

    def __init__(self, deep: int, width: int) -> None:
        super().__init__()
        self.skip = LinearNorm(width, width, bias=True)
        self.deep = LinearNorm(deep, width, bias=True)

    def forward(self, x: Tensor, deep: Tensor, steps: Steps) -> Tensor:
        values = self.deep(deep).relu()
        return self.skip(x).relu() + F.embedding_bag(
            steps.points, values, per_sample_weights=steps.share.to(values.dtype), mode="sum"
        )


class Overview(nn.Module):
    """At the coarsest level: every point learns the mean of its cloud."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, width)
        self.merge = LinearNorm(2 * width, width, bias=True)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        cloud, count = clouds_of(offsets), lengths(offsets).clamp(min=1)
        mean = x.new_zeros(len(offsets), x.shape[1]).index_add(0, cloud, x) / count[:, None].to(x.dtype)
        return self.merge(torch.cat([x, self.mean(mean).relu()[cloud]], dim=1)).relu()


class Encoder(nn.Module):
    """One level on the way down."""

    def __init__(self, config: PointTransformerConfig, depth: int) -> None:
        super().__init__()
        width = config.widths[depth]
        self.enter = Gather(config.widths[depth - 1], width) if depth else LinearNorm(config.channels, width, bias=False)
        self.blocks = nn.ModuleList(Block(width, config.share) for _ in range(config.blocks[depth]))

    def forward(self, x: Tensor, levels: Plan) -> Tensor:
        """``levels`` are this one and, but for the finest, the one before it."""
        x = self.enter(x, *levels) if isinstance(self.enter, Gather) else self.enter(x).relu()
        for block in self.blocks:
            x = block(x, levels[-1])
        return x


class Decoder(nn.Module):
    """One level on the way up."""

    def __init__(self, config: PointTransformerConfig, depth: int) -> None:
        super().__init__()
        width, deepest = config.widths[depth], depth == len(config.widths) - 1
        self.up = Overview(width) if deepest else Spread(config.widths[depth + 1], width)
        self.block = Block(width, config.share)

    def forward(self, x: Tensor, level: Level, *above: Tensor | Steps | None) -> Tensor:
        """``above`` are the coarser level's values and how they reach this one; nothing at the coarsest."""
        return self.block(self.up(x, *(above or (level.offsets,))), level)


class PointTransformer(nn.Module):
    """Logits of every point of packed clouds."""

    def __init__(self, config: PointTransformerConfig) -> None:
        super().__init__()
        self.config = config
        depths = range(len(config.widths))
        self.encoder = nn.ModuleList(Encoder(config, depth) for depth in depths)
        self.decoder = nn.ModuleList(Decoder(config, depth) for depth in depths)
        self.head = LinearNorm(config.widths[0], config.widths[0], bias=True)
        self.classify = nn.Linear(config.widths[0], config.classes)

    def forward(self, xyz: Tensor, features: Tensor, offsets: Tensor, levels: Plan | None = None) -> Tensor:
        """Logits f32[n classes] of points ``xyz`` f32[n 3] with ``features`` f32[n channels], running ends ``offsets`` i64[b].

        ``levels`` is the ``plan`` of these points where it is known already.
        """
        if not len(xyz):
            return features.new_zeros(0, self.config.classes)
        levels = plan(xyz, offsets, self.config) if levels is None else levels
        x, passed = features, []
        for depth, encoder in enumerate(self.encoder):
            x = encoder(x, levels[max(0, depth - 1) : depth + 1])
            passed.append(x)
        x = self.decoder[-1](x, levels[-1])
        for depth in range(len(levels) - 2, -1, -1):
            x = self.decoder[depth](passed[depth], levels[depth], x, levels[depth + 1].spread)
        return self.classify(self.head(x).relu())


_BLOCK_BYTES = {"cpu": 1 << 21}  # of f32[rows*k c]: what stays in a core's cache between one step and the next
_BLOCK_BYTES_ELSEWHERE = 1 << 28


def _blocks(near: Tensor, x: Tensor) -> list[slice]:
    """Runs of rows of ``near`` i64[n k] whose neighbours' values, rows of ``x`` f32[n c], are looked at at once."""
    n, k = near.shape
    rows = max(1, _BLOCK_BYTES.get(x.device.type, _BLOCK_BYTES_ELSEWHERE) // (4 * k * x.shape[1]))
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]


def _relative(points: Tensor, near: Tensor, centres: Tensor) -> Tensor:
    """``points[near]`` as seen from ``centres`` f32[n 3], f32[n*k 3]."""
    return (points.index_select(0, near.flatten()).view(*near.shape, 3) - centres[:, None]).flatten(0, 1)
