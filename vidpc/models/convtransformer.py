"""ConvTransformer: frames between and after others, drawn from convolutional attention over a sequence.

Z. Liu and others, ConvTransformer: A Convolutional Transformer Network for Video Frame Synthesis, arXiv 2011.10185, section 3.
There is no released code; the paper's parts, in its order:

    frames ─► feature embedding ─► + positional encoding ─► encoder ─► decoder of queries ─► synthesis feed-forward ─► frames

Where the paper leaves a choice open, this was chosen. The positional encoding counts frames, so that a time between two of
them has one as well. A query begins as what linear interpolation of the embedded frames gives at its time, after the last frame
as the last one, with the encoding of its time: one set of weights answers for any time. The layer's order is that of public
descendants of the paper: attention, residual; one convolution with LeakyReLU, residual; group normalisation. ``stride`` above 1
folds squares of pixels into channels before the embedding and back after the synthesis: attention at full size, as in the paper
(``stride`` 1), is out of reach of a CPU.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from vidpc.models.initial import keep_variance, quieten

_SLOPE = 0.2
_NORM_GROUPS = 4


@dataclass(frozen=True, slots=True)
class ConvTransformerConfig:
    """Sizes. ``frames`` is how many the network is shown."""

    frames: int = 4
    width: int = 128
    heads: int = 4
    encoder_layers: int = 5
    decoder_layers: int = 5
    synthesis: tuple[int, ...] = (128, 192, 256)  # channels of the U-Net at its three sizes
    stride: int = 1

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f"frames is {self.frames}, expected 2 or more")
        if self.width % (2 * self.heads) or self.width % _NORM_GROUPS:
            raise ValueError(f"width {self.width} is no multiple of twice the heads ({self.heads}) and of {_NORM_GROUPS}")
        if len(self.synthesis) != 3:
            raise ValueError(f"synthesis has {len(self.synthesis)} numbers, expected 3")


class ConvTransformer(nn.Module):
    """f32[b n 3 h w] in 0..1 and times f32[b m] to frames f32[b m 3 h w]; of any size.

    The frames are at times 0, 1 .. n-1; times inside are between them, those above n-1 after them.
    """

    def __init__(self, config: ConvTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, pixels = config.width, 3 * config.stride**2
        self.embedding = nn.Sequential(
            *_convolved(pixels, width), *_convolved(width, width), *_convolved(width, width), *_convolved(width, width)
        )
        self.encoder = nn.ModuleList([_Layer(config, ("own",)) for _ in range(config.encoder_layers)])
        self.decoder = nn.ModuleList([_Layer(config, ("own", "memory")) for _ in range(config.decoder_layers)])
        self.synthesis = _Synthesis(config)
        keep_variance(self, _SLOPE)
        quieten(self.synthesis.end, 0.1)

    def forward(self, frames: Tensor, times: Tensor) -> Tensor:
        """The frames at ``times``."""
        h, w = frames.shape[-2:]
        b, n = frames.shape[:2]
        multiple = 4 * self.config.stride
        padded = F.pad(frames.flatten(0, 1), (0, -w % multiple, 0, -h % multiple), mode="replicate")
        folded = F.pixel_unshuffle(padded, self.config.stride)
        embedded = self.embedding(folded * 2 - 1).unflatten(0, (b, n))
        places = torch.arange(n, device=frames.device, dtype=frames.dtype).expand(b, n)
        memory = embedded + _encoding(places, self.config.width)
        for layer in self.encoder:
            memory = layer(memory, memory)
        queries = _between(embedded, times) + _encoding(times, self.config.width)
        for layer in self.decoder:
            queries = layer(queries, memory)
        near = _between(folded.unflatten(0, (b, n)), times)
        drawn = near + self.synthesis(queries.flatten(0, 1)).unflatten(0, times.shape)
        new = F.pixel_shuffle(drawn.flatten(0, 1), self.config.stride).unflatten(0, times.shape)[..., :h, :w]
        return new if self.training else new.clamp(0, 1)


class _Layer(nn.Module):
    """Multi-head convolutional attention to the sequence itself and, in the decoder, to the encoder's; then a feed-forward."""

    def __init__(self, config: ConvTransformerConfig, attends: tuple[str, ...]) -> None:
        super().__init__()
        self.attentions = nn.ModuleDict({name: _Attention(config.width, config.heads) for name in attends})
        self.feed_forward = nn.Sequential(*_convolved(config.width, config.width))
        self.norm = nn.GroupNorm(_NORM_GROUPS, config.width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        for name, attention in self.attentions.items():
            x = x + attention(x, memory if name == "memory" else x)
        flat = x.flatten(0, 1)
        normed: Tensor = self.norm(flat + self.feed_forward(flat)).unflatten(0, x.shape[:2])
        return normed


class _Attention(nn.Module):
    """For every pixel of a query map, a mean of the value maps; how they count is told by a convolution over query and key.

    f32[b m c h w], f32[b n c h w] -> f32[b m c h w]. The channels are split among the heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Sequential(*_convolved(width, width))
        self.key = nn.Sequential(*_convolved(width, width))
        self.value = nn.Sequential(*_convolved(width, width))
        # A convolution over query and key laid side by side is the sum of one over each: the pairs are never built.
        self.score_query = nn.Conv2d(width, heads, 3, 1, 1, groups=heads)
        self.score_key = nn.Conv2d(width, heads, 3, 1, 1, groups=heads, bias=False)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        of_query = self.score_query(self.query(x.flatten(0, 1))).unflatten(0, x.shape[:2])
        flat = memory.flatten(0, 1)
        of_key = self.score_key(self.key(flat)).unflatten(0, memory.shape[:2])
        scores = F.leaky_relu(of_query[:, :, None] + of_key[:, None], _SLOPE)  # [b m n heads h w]
        weights = scores.softmax(dim=2)
        values = rearrange(self.value(flat), "(b n) (k c) h w -> b n k c h w", b=len(x), k=self.heads)
        told = torch.stack([(weights[:, i, :, :, None] * values).sum(dim=1) for i in range(x.shape[1])], dim=1)
        return told.flatten(2, 3)


class _Synthesis(nn.Module):
    """The synthesis feed-forward network: a U-Net from feature maps to (folded) pixels."""

    def __init__(self, config: ConvTransformerConfig) -> None:
        super().__init__()
        whole, half, quarter = config.synthesis
        self.begin = nn.Sequential(*_convolved(config.width, whole))
        self.at_half = nn.Sequential(*_convolved(whole, half, step=2), *_convolved(half, half))
        self.at_quarter = nn.Sequential(*_convolved(half, quarter, step=2), *_convolved(quarter, quarter))
        self.up_half = nn.Sequential(*_convolved(half + quarter, half))
        self.up_whole = nn.Sequential(*_convolved(whole + half, whole))
        self.end = nn.Conv2d(whole, 3 * config.stride**2, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.begin(x)
        half = self.at_half(whole)
        quarter = self.at_quarter(half)
        half = self.up_half(torch.cat([half, _doubled(quarter)], dim=1))
        drawn: Tensor = self.end(self.up_whole(torch.cat([whole, _doubled(half)], dim=1)))
        return drawn


def _between(sequence: Tensor, times: Tensor) -> Tensor:
    """f32[b n ...] at ``times`` f32[b m], linearly between its members; after the last one the last one: f32[b m ...]."""
    n = sequence.shape[1]
    places = torch.arange(n, device=times.device, dtype=times.dtype)
    weights = (1 - (times[..., None].clamp(0, n - 1) - places).abs()).clamp(min=0)
    return torch.einsum("bmn,bn...->bm...", weights, sequence)


def _encoding(times: Tensor, width: int) -> Tensor:
    """Sines and cosines of times f32[b m] at ``width`` / 2 rates: f32[b m width 1 1]."""
    rates = torch.exp(torch.arange(0, width, 2, device=times.device, dtype=times.dtype) * (-math.log(10_000.0) / width))
    angles = times[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., None, None]


def _convolved(inputs: int, outputs: int, step: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, step, 1), nn.LeakyReLU(_SLOPE)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
