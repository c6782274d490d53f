"""VidTr: Video Transformer Without Convolutions (Zhang et al. 2021, arXiv 2104.11746), whole and compact.

Loads the published checkpoints of amazon-science/gluonmm (``weights/`` converts their layout ``vidtr``).

    clip ─► patches ─► grid of (1+t) x (1+n) tokens: class tokens beside every picture and every place
         ─► layers: attention along time, its result the value of attention in space ─► norm ─► first token ─► head ─► logits
    compact: one class token, t x n patches ─► layers that also drop the pictures in which least happens, each head its own
         ─► layers of attention among all that is left ─► norm ─► class token ─► head ─► logits

What differs from the paper is as in the released networks: values are made of tokens that know their place; the class token
of the compact network does not attend before the last pictures are dropped.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, slots=True)
class VidTrConfig:
    """Sizes; the defaults are those of VidTr-S. Clips have to have this size (height, width) and so many frames."""

    size: tuple[int, int] = (224, 224)
    patch: int = 16
    frames: int = 8
    width: int = 768
    depth: int = 12
    heads: int = 12
    feedforward: int = 3072
    classes: int = 400
    placed_layers: int = 1  # the first layers, whose tokens are told their place; VidTr-M: all of them
    dropout: float = 0.1

    @property
    def places(self) -> int:
        """Patches of a picture."""
        return (self.size[0] // self.patch) * (self.size[1] // self.patch)


@dataclass(frozen=True, slots=True)
class CompactVidTrConfig:
    """Sizes; the defaults are those of compact VidTr-S. ``dropped`` pictures go in each of the first layers;

    later layers attend to everything that is left.
    """

    size: tuple[int, int] = (224, 224)
    patch: int = 16
    frames: int = 8
    width: int = 768
    depth: int = 12
    heads: int = 12
    feedforward: int = 3072
    classes: int = 400
    dropped: tuple[int, ...] = (0, 2, 0, 2, 0, 2)
    dropout: float = 0.1

    @property
    def places(self) -> int:
        """Patches of a picture."""
        return (self.size[0] // self.patch) * (self.size[1] // self.patch)


AnyConfig = VidTrConfig | CompactVidTrConfig


class Projections(nn.Module):
    """Queries, keys and values of tokens, and the way out of the heads."""

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def along_time(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of ``x`` f32[b t n d], each f32[b n heads t d/heads]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 2, 4, 1, 5)
        return q, k, v

    def in_space(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of every picture for itself, f32[b t n d], of what ``along_time`` gives."""
        b, _, _, t, _ = q.shape
        q, k, v = (rearrange(x, "b n m t c -> (b t) m n c") for x in (q, k, v))
        return self.out(rearrange(scaled_dot_product_attention(q, k, v), "(b t) m n c -> b t n (m c)", b=b, t=t))


class DividedAttention(nn.Module):
    """Attention along time and then in space, with the same queries and keys (section 3.3)."""

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.projections = Projections(config)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.projections.along_time(x)
        gathered = scaled_dot_product_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1))
        return self.projections.in_space(q, k, gathered.unflatten(0, q.shape[:2]))


class PoolingAttention(nn.Module):
    """Divided attention that goes on with the pictures whose attention along time is most uneven (section 3.4)."""

    def __init__(self, config: AnyConfig, dropped: int) -> None:
        super().__init__()
        self.projections = Projections(config)
        self.dropped = dropped

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The kept pictures f32[b kept n d], and which these are, i64[b n heads kept]: each head of each place chooses."""
        q, k, v = self.projections.along_time(x)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)  # f32[b n heads t t]
        kept = weights.std(dim=-1).topk(weights.shape[-1] - self.dropped, dim=-1).indices.sort(dim=-1).values
        gathered = _rows(weights, kept).softmax(dim=-1) @ v  # a second time, as in the released networks
        return self.projections.in_space(_rows(q, kept), _rows(k, kept), gathered), kept


class JointAttention(nn.Module):
    """Attention among all tokens f32[b n d]."""

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.projections = Projections(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.projections.in_space(*self.projections.along_time(x[:, None]))[:, 0]


class FeedForward(nn.Module):
    """Two linear layers with a rectifier between them."""

    def __init__(self, config: AnyConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(config.width, config.feedforward)
        self.dropout = nn.Dropout(config.dropout)
        self.leave = nn.Linear(config.feedforward, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.dropout(self.enter(x).relu()))


class Layer(nn.Module):
    """An encoder layer on tokens of any shape that its attention takes."""

    def __init__(self, config: AnyConfig, attention: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.attention = attention
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, place: Tensor | None) -> Tensor:
        normed = self.norm(x) if place is None else self.norm(x) + place
        x = x + self.dropout(self.attention(normed))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class CompactLayer(nn.Module):
    """An encoder layer on f32[b 1+t*n d], whose patches attend and whose class token goes on alone."""

    def __init__(self, config: CompactVidTrConfig, dropped: int) -> None:
        super().__init__()
        self.places, self.dropped = config.places, dropped
        self.norm = nn.LayerNorm(config.width)
        self.attention = PoolingAttention(config, dropped) if dropped else DividedAttention(config)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, place: Tensor | None) -> Tensor:
        normed = self.norm(x) if place is None else self.norm(x) + place
        attended, patches = self._attend(self._grid(normed), self._grid(x))
        change = torch.cat([normed[:, :1], attended.flatten(1, 2)], dim=1)
        x = torch.cat([x[:, :1], patches.flatten(1, 2)], dim=1) + self.dropout(change)
        return x + self.dropout(self.feed(self.feed_norm(x)))

    def _attend(self, normed: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """What attention makes of the pictures that stay, and their patches as they were, both f32[b kept n d]."""
        if not self.dropped:
            return self.attention(normed), patches
        attended, kept = self.attention(normed)
        split = rearrange(patches, "b t n (m c) -> b n m t c", m=kept.shape[2])
        return attended, rearrange(_rows(split, kept), "b n m t c -> b t n (m c)")

    def _grid(self, x: Tensor) -> Tensor:
        """The patches of all tokens, f32[b t n d]."""
        return x[:, 1:].unflatten(1, (-1, self.places))


class VidTr(nn.Module):
    """Class logits of clips."""

    def __init__(self, config: VidTrConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.cls_s = nn.Parameter(torch.zeros(config.frames, 1, config.width))  # one a picture
        self.cls_t = nn.Parameter(torch.zeros(1, 1 + config.places, config.width))  # one a place, and one for all
        self.pos_embed = nn.Parameter(torch.zeros(1, (1 + config.frames) * (1 + config.places), config.width))
        self.layers = nn.ModuleList(Layer(config, DividedAttention(config)) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)
        _start(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b 3 t h w]."""
        return self.head(self.features(clips))

    def features(self, clips: Tensor) -> Tensor:
        """What the head sees of ``clips``: the normed first token, f32[b width]."""
        x, place = self.tokens(clips), self.pos_embed.unflatten(1, (1 + self.config.frames, -1))
        for i, layer in enumerate(self.layers):
            x = layer(x, place if i < self.config.placed_layers else None)
        return self.norm(x[:, 0, 0])

    def tokens(self, clips: Tensor) -> Tensor:
        """The embedded clips and their class tokens, f32[b 1+t 1+n d]."""
        patches = _patches(self.patch_embed, clips)
        pictures = torch.cat([self.cls_s.expand(len(clips), -1, -1, -1), patches], dim=2)
        return torch.cat([self.cls_t.expand(len(clips), -1, -1, -1), pictures], dim=1)


class CompactVidTr(nn.Module):
    """Class logits of clips, from fewer pictures from layer to layer."""

    def __init__(self, config: CompactVidTrConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.frames * config.places, config.width))
        divided = [CompactLayer(config, dropped) for dropped in config.dropped]
        joint = [Layer(config, JointAttention(config)) for _ in range(config.depth - len(divided))]
        self.layers = nn.ModuleList([*divided, *joint])
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)
        _start(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b 3 t h w]."""
        return self.head(self.features(clips))

    def features(self, clips: Tensor) -> Tensor:
        """What the head sees of ``clips``: the normed class token, f32[b width]."""
        x = self.tokens(clips)
        for i, layer in enumerate(self.layers):
            x = layer(x, self.pos_embed if i == 0 else None)
        return self.norm(x[:, 0])

    def tokens(self, clips: Tensor) -> Tensor:
        """The embedded clips behind the class token, f32[b 1+t*n d], places running fastest."""
        return torch.cat([self.cls_token.expand(len(clips), -1, -1), _patches(self.patch_embed, clips).flatten(1, 2)], dim=1)


def _patches(embed: nn.Module, clips: Tensor) -> Tensor:
    """The embedded patches of every picture, f32[b t n d]."""
    return rearrange(embed(rearrange(clips, "b c t h w -> (b t) c h w")), "(b t) d h w -> b t (h w) d", b=len(clips))


def _rows(x: Tensor, kept: Tensor) -> Tensor:
    """The rows ``kept`` i64[... kept] of ``x`` f32[... t c]."""
    return x.gather(-2, kept[..., None].expand(*kept.shape, x.shape[-1]))


def _start(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if name.startswith(("cls_", "pos_embed")):
            nn.init.trunc_normal_(parameter, std=0.02)
        elif parameter.ndim == 2:
            nn.init.xavier_uniform_(parameter)
