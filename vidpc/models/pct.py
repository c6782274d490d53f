"""PCT: Point Cloud Transformer (Guo et al. 2020, arXiv 2012.09688): what a cloud is, and which part of it a point is.

Loads the classification network of Strawberry-Eat-Mango/PCT_Pytorch, the part-segmentation network of MenghaoGuo/PCT
(``weights/`` converts both, layout ``pct``) and the built-in ``objects`` weights.

    xyz ─► 2 dense ─► sample and group, twice ─► 2 dense ─► 4 offset-attention layers ─► fuse ─► max ─► head ─► logits
    xyz ─► 2 dense ─────────────────────────────────────► 4 offset-attention layers ─► fuse ─┬─► head ─► logits a point
                                                                       max, mean, category ──┘
Every layer works on rows f32[... c]: what the published networks call convolutions of width one are linear layers here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from ..ops.grouping import farthest_rows, nearest_rows, rows_at

SLOPE = 0.2  # of the leaky rectifiers behind the fusion


@dataclass(frozen=True, slots=True)
class PCTConfig:
    """Sizes of the classifier; the defaults are the published ones.

    Level i keeps ``sampled[i]`` points, each of which looks at its ``neighbours[i]`` nearest and has ``widths[i]`` channels.
    Points whose squared distance to the origin is at most ``core`` are never kept, but for a cloud's first point.
    """

    stem: int = 64
    sampled: tuple[int, ...] = (512, 256)
    neighbours: tuple[int, ...] = (32, 32)
    widths: tuple[int, ...] = (128, 256)
    core: float = 1e-3
    attention_layers: int = 4
    fused: int = 1024
    head: tuple[int, int] = (512, 256)
    classes: int = 40
    dropout: float = 0.5


@dataclass(frozen=True, slots=True)
class PCTPartsConfig:
    """Sizes of the part-segmentation network; the defaults are the published ones."""

    width: int = 128
    attention_layers: int = 4
    fused: int = 1024
    categories: int = 16
    category_width: int = 64
    head: tuple[int, int] = (512, 256)
    parts: int = 50
    dropout: float = 0.5


class Dense(nn.Module):
    """A linear layer and a batch norm on rows f32[... c]; the activation is the caller's."""

    def __init__(self, channels: int, out: int, *, bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out, bias=bias)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.normed(self.linear(x))

    def normed(self, x: Tensor) -> Tensor:
        """The batch norm of rows that the linear layer made."""
        rows: Tensor = self.norm(x.reshape(-1, x.shape[-1]))
        return rows.view(x.shape)


class OffsetAttention(nn.Module):
    """Self-attention whose layer works on what attention changes (section 3.3). Queries and keys share their weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width // 4, bias=False)
        self.value = nn.Linear(width, width)
        self.change = Dense(width, width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        keys = self.key(x)
        attention = (keys @ keys.transpose(1, 2)).softmax(dim=-1)  # f32[b n m], rows of one
        attention = attention / (1e-9 + attention.sum(dim=1, keepdim=True))  # over the other axis: m is the receiver
        return x + relu(self.change(x - attention.transpose(1, 2) @ self.value(x)))


class Embedding(nn.Module):
    """Two dense layers with rectifiers."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = Dense(channels, width)
        self.second = Dense(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.second(relu(self.first(x))))


class Group(nn.Module):
    """Sample and group (section 3.4): fewer points, each with what its neighbourhood holds."""

    def __init__(self, channels: int, width: int, *, sampled: int, neighbours: int, core: float) -> None:
        super().__init__()
        self.sampled, self.neighbours, self.core = sampled, neighbours, core
        self.local = Embedding(2 * channels, width)

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """The kept points f32[b m 3] and their features f32[b m width]."""
        kept = farthest_rows(xyz, self.sampled, core=self.core)  # i64[b m]
        centres = rows_at(xyz, kept)
        # The first layer of cat(neighbour - centre, centre), taken of every point once and not in each of its neighbourhoods:
        # the layer is linear, and this makes a step of training a third shorter.
        of_offset, of_centre = self.local.first.linear.weight.chunk(2, dim=1)
        around = rows_at(features @ of_offset.T, nearest_rows(centres, xyz, self.neighbours))  # f32[b m k width]
        own = rows_at(features @ (of_centre - of_offset).T, kept)
        x = relu(self.local.first.normed(around + own[:, :, None]))
        return centres, relu(self.local.second(x)).amax(dim=2)


class PCT(nn.Module):
    """Class logits of clouds of equal size."""

    def __init__(self, config: PCTConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Embedding(3, config.stem)
        channels = (config.stem, *config.widths)
        rules = zip(channels, config.widths, config.sampled, config.neighbours, strict=False)
        self.groups = nn.ModuleList(Group(c, w, sampled=m, neighbours=k, core=config.core) for c, w, m, k in rules)
        width = channels[-1]
        self.embedding = Embedding(width, width)
        self.attention = nn.ModuleList(OffsetAttention(width) for _ in range(config.attention_layers))
        self.fuse = Dense(width * (config.attention_layers + 1), config.fused)
        self.head = nn.ModuleList([Dense(config.fused, config.head[0]), Dense(*config.head, bias=True)])
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.head[1], config.classes)

    def forward(self, xyz: Tensor) -> Tensor:
        """Logits f32[b classes] of ``xyz`` f32[b n 3]."""
        x = self.fused(xyz).amax(dim=1)
        for layer in self.head:
            x = self.dropout(leaky_relu(layer(x), SLOPE))
        return self.classify(x)

    def fused(self, xyz: Tensor) -> Tensor:
        """The features of the last kept points, f32[b m fused]."""
        x = self.stem(xyz)
        for group in self.groups:
            xyz, x = group(xyz, x)
        attended = attend(self.attention, self.embedding(x))
        return leaky_relu(self.fuse(torch.cat([*attended, x], dim=-1)), SLOPE)


class PCTParts(nn.Module):
    """Part logits of every point of clouds of equal size, whose category is known."""

    def __init__(self, config: PCTPartsConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Embedding(3, config.width)
        self.attention = nn.ModuleList(OffsetAttention(config.width) for _ in range(config.attention_layers))
        self.fuse = Dense(config.width * config.attention_layers, config.fused)
        self.category = Dense(config.categories, config.category_width)
        first, second = config.head
        self.head = nn.ModuleList(
            [Dense(3 * config.fused + config.category_width, first, bias=True), Dense(first, second, bias=True)]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(second, config.parts)

    def forward(self, xyz: Tensor, category: Tensor) -> Tensor:
        """Logits f32[b n parts] of ``xyz`` f32[b n 3]; ``category`` f32[b categories] is one for each cloud's own."""
        x = self.fused(xyz)
        known = leaky_relu(self.category(category), SLOPE)
        whole = torch.cat([x.amax(dim=1), x.mean(dim=1), known], dim=-1)
        x = torch.cat([x, whole[:, None].expand(-1, x.shape[1], -1)], dim=-1)
        first, second = self.head
        return self.classify(relu(second(self.dropout(relu(first(x))))))

    def fused(self, xyz: Tensor) -> Tensor:
        """The features of every point, f32[b n fused]."""
        return leaky_relu(self.fuse(torch.cat(attend(self.attention, self.stem(xyz)), dim=-1)), SLOPE)


def attend(layers: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """What each of the layers, one on the other, makes of ``x``."""
    outputs = []
    for layer in layers:
        x = layer(x)
        outputs.append(x)
    return outputs
