"""TimeSformer: Is Space-Time Attention All You Need for Video Understanding? (Bertasius et al. 2021, arXiv 2102.05095).

Loads the published checkpoints (``weights/`` converts their layouts ``timesformer`` and ``timesformer-hf``) and the built-in
networks of ``vidpc recognize``.

    clip ─► patches of every picture ─► + place + time, class token in front
         ─► blocks ─► norm ─► class token ─► head ─► logits
    divided block: time attention of each place ─► space attention of each picture ─► feed-forward
    joint block:   attention of all tokens ─► feed-forward;  space only: the same, each picture for itself, averaged last
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

ATTENTION_KINDS = ("divided_space_time", "joint_space_time", "space_only")
_EPS = 1e-6  # of the layer norms


@dataclass(frozen=True, slots=True)
class TimeSformerConfig:
    """Sizes; the defaults are the published ones. ``size`` (height, width) and ``frames`` are those of the embeddings:

    clips of other sizes go through as well, with embeddings resized on the way.
    """

    size: tuple[int, int] = (224, 224)
    patch: int = 16
    frames: int = 8
    channels: int = 3  # of the input picture
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    classes: int = 400
    attention: str = "divided_space_time"
    qkv_bias: bool = True
    drop_path: float = 0.1  # of the last block's residuals in training; the first block's have none

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION_KINDS:
            raise ValueError(f"attention {self.attention!r}, expected one of {', '.join(ATTENTION_KINDS)}")
        if self.width % self.heads or any(side % self.patch for side in self.size):
            raise ValueError(f"width {self.width} over {self.heads} heads, size {self.size} over patches of {self.patch}")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.size[0] // self.patch, self.size[1] // self.patch


class Attention(nn.Module):
    """Self-attention of sequences f32[b n d]."""

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.qkv_bias)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each f32[b heads n d/heads]
        return self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.enter = nn.Linear(config.width, hidden)
        self.activation = nn.GELU()
        self.leave = nn.Linear(hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.activation(self.enter(x)))


class DropPath(nn.Module):
    """In training, leaves out what a layer adds to whole rows, by chance; rows that stay weigh more."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        kept = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1 - self.share)
        return x * kept / (1 - self.share)


class Block(nn.Module):
    """Attention among all tokens, then the feed-forward part."""

    def __init__(self, config: TimeSformerConfig, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.attention = Attention(config)
        self.feed_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.feed = FeedForward(config)
        self.drop = DropPath(drop_path)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        x = x + self.drop(self.attention(self.norm(x)))
        return x + self.drop(self.feed(self.feed_norm(x)))


class DividedBlock(nn.Module):
    """Attention of each place along time, then of each picture in space, then the feed-forward part (section 3.2)."""

    def __init__(self, config: TimeSformerConfig, drop_path: float) -> None:
        super().__init__()
        self.time_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.time_attention = Attention(config)
        self.time_change = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.attention = Attention(config)
        self.feed_norm = nn.LayerNorm(config.width, eps=_EPS)
        self.feed = FeedForward(config)
        self.drop = DropPath(drop_path)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """``x`` f32[b 1+n*t d], time running fastest behind the class token."""
        first, patches = x[:, :1], x[:, 1:]
        places = rearrange(patches, "b (n t) d -> (b n) t d", t=frames)
        change = self.time_change(self.drop(self.time_attention(self.time_norm(places))))
        patches = patches + rearrange(change, "(b n) t d -> b (n t) d", b=x.shape[0])
        # Every picture attends with the class token in front; the token takes the mean of what its copies gather.
        pictures = rearrange(patches, "b (n t) d -> (b t) n d", t=frames)
        pictures = torch.cat([first.repeat_interleave(frames, dim=0), pictures], dim=1)
        change = rearrange(self.drop(self.attention(self.norm(pictures))), "(b t) n d -> b n t d", t=frames)
        first = first + change[:, 0].mean(dim=1, keepdim=True)
        x = torch.cat([first, patches + change[:, 1:].flatten(1, 2)], dim=1)
        return x + self.drop(self.feed(self.feed_norm(x)))


class TimeSformer(nn.Module):
    """Class logits of clips."""

    def __init__(self, config: TimeSformerConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Conv2d(config.channels, config.width, config.patch, stride=config.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid[0] * config.grid[1], config.width))
        if config.attention != "space_only":
            self.time_embed = nn.Parameter(torch.zeros(1, config.frames, config.width))
        block = DividedBlock if config.attention == "divided_space_time" else Block
        shares = [config.drop_path * i / max(config.depth - 1, 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(block(config, share) for share in shares)
        self.norm = nn.LayerNorm(config.width, eps=_EPS)
        self.head = nn.Linear(config.width, config.classes)
        self._start()

    def _start(self) -> None:
        """As the authors start: small weights, and time attention that changes nothing yet."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(embedding, std=0.02)
        for block in self.blocks:
            if isinstance(block, DividedBlock):
                nn.init.zeros_(block.time_change.weight)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b c t h w], whose sides are multiples of the patch."""
        return self.head(self.features(clips))

    def features(self, clips: Tensor) -> Tensor:
        """What the head sees of ``clips``: the normed class token, f32[b width]."""
        return self.encode(self.patches(clips))[:, 0]

    def patches(self, clips: Tensor) -> Tensor:
        """The patches of every picture of ``clips`` f32[b c t h w], embedded: f32[b t d rows columns]."""
        pictures = rearrange(clips, "b c t h w -> (b t) c h w")
        return self.patch_embed(pictures).unflatten(0, (len(clips), clips.shape[2]))

    def encode(self, patches: Tensor) -> Tensor:
        """Embedded patches f32[b t d rows columns] through all blocks and the last norm: f32[b 1+n*t d], class token first."""
        b, frames = patches.shape[:2]
        x = self._tokens(patches)
        for block in self.blocks:
            x = block(x, frames)
        if self.config.attention == "space_only":
            x = rearrange(x, "(b t) n d -> b t n d", b=b).mean(dim=1)
        return self.norm(x)

    def _tokens(self, patches: Tensor) -> Tensor:
        """With place, time and the class token: f32[b 1+n*t d], or f32[b*t 1+n d] where pictures never meet."""
        frames = patches.shape[1]
        place = self._place_embedding(patches.shape[-2], patches.shape[-1])
        tokens, first = rearrange(patches, "b t d h w -> (b t) (h w) d") + place[:, 1:], self.cls_token + place[:, :1]
        if self.config.attention != "space_only":
            tokens = rearrange(tokens, "(b t) n d -> b n t d", t=frames) + self._time_embedding(frames)
            tokens = tokens.flatten(1, 2)
        return torch.cat([first.expand(len(tokens), -1, -1), tokens], dim=1)

    def _place_embedding(self, rows: int, columns: int) -> Tensor:
        """The embedding of the class token and of every place of this grid: nearest in two dimensions."""
        if (rows, columns) == self.config.grid:
            return self.pos_embed
        places = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, self.config.grid)
        places = interpolate(places, size=(rows, columns), mode="nearest").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], places], dim=1)

    def _time_embedding(self, frames: int) -> Tensor:
        return self.time_embed if frames == self.config.frames else _nearest_tokens(self.time_embed, frames)


def resized_embeddings(tensors: Mapping[str, Tensor], config: TimeSformerConfig) -> dict[str, Tensor]:
    """``tensors`` with embeddings as long as a network of ``config`` wants them, as the authors load other checkpoints.

    They take the nearest token of the row that the places make: not the nearest place, as ``TimeSformer`` does on its way.
    """
    resized = dict(tensors)
    if (wanted := config.grid[0] * config.grid[1]) != tensors["pos_embed"].shape[1] - 1:
        first, places = tensors["pos_embed"].split([1, tensors["pos_embed"].shape[1] - 1], dim=1)
        resized["pos_embed"] = torch.cat([first, _nearest_tokens(places, wanted)], dim=1)
    if "time_embed" in tensors and tensors["time_embed"].shape[1] != config.frames:
        resized["time_embed"] = _nearest_tokens(tensors["time_embed"], config.frames)
    return resized


def _nearest_tokens(tokens: Tensor, length: int) -> Tensor:
    """``tokens`` f32[1 n d] as f32[1 length d]."""
    return interpolate(tokens.transpose(1, 2), size=length, mode="nearest").transpose(1, 2)
