"""Frames between and after two frames, by motion: the built-in variant of ConvTransformer.

The paper's network (`models.convtransformer`) draws a new frame from features alone. Here the two frames are first brought to
the wanted time along the motion of what is seen then. That motion is measured (`ops.flow.flow_between`), several times, with
larger and smaller neighbourhoods: each is right somewhere. The frames that this gives are the sequence to which the paper's
convolutional attention (section 3) attends, pixel by pixel, and its synthesis network draws what none of them shows.

    frames ─► measured motions at time t ─► candidates ─► embedding ─► attention ─► blend ─► U-Net ─► frame
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc.models.initial import keep_variance, quieten
from vidpc.ops.flow import flow_between
from vidpc.ops.warp import warp

_MULTIPLE = 8  # of a picture's sides within the network
_SLOPE = 0.1
_LUMA = (0.299, 0.587, 0.114)  # BT.601


@dataclass(frozen=True, slots=True)
class MotionConvTransformerConfig:
    """Sizes. ``windows``: sides of the neighbourhoods that move as one, in pixels, of each measurement of motion."""

    windows: tuple[int, ...] = (5, 9, 19)
    width: int = 16  # channels of the embedding
    synthesis: tuple[int, ...] = (24, 40, 64)  # channels at a half, a quarter, an eighth of the size

    def __post_init__(self) -> None:
        if not self.windows or any(window < 3 or window % 2 == 0 for window in self.windows):
            raise ValueError(f"windows are {self.windows}, expected odd numbers of 3 or more")
        if len(self.synthesis) != 3:
            raise ValueError(f"synthesis has {len(self.synthesis)} numbers, expected 3")

    @property
    def frames(self) -> int:
        """Frames that the network is shown."""
        return 2


class MotionConvTransformer(nn.Module):
    """f32[b 2 3 h w] in 0..1 and times f32[b m] to frames f32[b m 3 h w]; of any size.

    Time 0 is the first frame and 1 the second; times inside are between them, those above 1 after them.
    """

    def __init__(self, config: MotionConvTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = _CandidateAttention(config.width)
        self.synthesis = _Synthesis(config)
        keep_variance(self, _SLOPE)
        for layer in (self.attention.score_query, self.attention.score_key, self.synthesis.last):
            quieten(layer, 0.1)

    def forward(self, frames: Tensor, times: Tensor) -> Tensor:
        """The frames at ``times``."""
        b, m = times.shape
        h, w = frames.shape[-2:]
        padded = F.pad(frames.flatten(0, 1), (0, -w % _MULTIPLE, 0, -h % _MULTIPLE), mode="replicate").unflatten(0, (b, 2))
        at = times.reshape(b * m, 1, 1, 1)
        candidates = self.candidates(padded.repeat_interleave(m, dim=0), at)
        new = self.drawn(candidates, at)[..., :h, :w].unflatten(0, (b, m))
        return new if self.training else new.clamp(0, 1)

    @torch.no_grad()
    def candidates(self, frames: Tensor, at: Tensor) -> Tensor:
        """f32[n 2 3 h w] brought to the times f32[n 1 1 1] along every motion: f32[n k 2 3 h w]. Sides are multiples of 8."""
        luma = (frames * frames.new_tensor(_LUMA)[:, None, None]).sum(dim=2, keepdim=True)
        pairs = []
        for window in self.config.windows:
            motion = flow_between(luma[:, 0], luma[:, 1], at, window)
            full = F.interpolate(motion, scale_factor=2, mode="bilinear", align_corners=False)
            pairs.append(torch.stack([warp(frames[:, 0], -at * full), warp(frames[:, 1], (1 - at) * full)], dim=1))
        return torch.stack(pairs, dim=1)

    def drawn(self, candidates: Tensor, at: Tensor) -> Tensor:
        """The frame f32[n 3 h w] that candidates f32[n k 2 3 h w] give."""
        weights, seen = self.attention(candidates, at)
        flat = candidates.flatten(1, 2)
        blend = (weights * flat).sum(dim=1)
        spread = (weights * (flat - blend[:, None]).abs()).sum(dim=1)
        drawn: Tensor = blend + self.synthesis(blend, spread, seen, at)
        return drawn


class _CandidateAttention(nn.Module):
    """Convolutional attention (section 3) of the frame that is wanted to its candidates, a head for each pixel of 2 x 2.

    What is attended to are pixels: the weights f32[n 2k 1 h w] come out, and the embedding that they give, f32[n c h/2 w/2].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Sequential(nn.Conv2d(2 * 12 + 1, width, 3, 1, 1), _act(), nn.Conv2d(width, width, 3, 1, 1), _act())
        self.query = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), _act())
        self.key = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), _act())
        # A convolution over query and key laid side by side is the sum of one over each.
        self.score_query = nn.Conv2d(width, 4, 3, 1, 1)
        self.score_key = nn.Conv2d(width, 4, 3, 1, 1, bias=False)

    def forward(self, candidates: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        n, k = candidates.shape[:2]
        apart = (candidates[:, :, :1] - candidates[:, :, 1:]).abs().expand_as(candidates)
        folded = F.pixel_unshuffle(torch.cat([candidates * 2 - 1, apart * 4], dim=3).flatten(0, 2), 2)
        away = torch.stack([at, (1 - at).abs()], dim=1)[:, None].expand(n, k, 2, 1, *folded.shape[-2:]).flatten(0, 2)
        embedded = self.embedding(torch.cat([folded, away], dim=1))
        together = embedded.unflatten(0, (n, 2 * k))
        of_query = self.score_query(self.query(together.mean(dim=1)))
        of_key = self.score_key(self.key(embedded)).unflatten(0, (n, 2 * k))
        scores = F.leaky_relu(of_query[:, None] + of_key, _SLOPE)
        scores = scores + _nearness(at, k)
        weights = scores.softmax(dim=1)
        seen = (weights.mean(dim=2, keepdim=True) * together).sum(dim=1)
        return F.pixel_shuffle(weights.flatten(0, 1), 2).unflatten(0, (n, 2 * k)), seen


class _Synthesis(nn.Module):
    """The synthesis network: a U-Net that draws what is missing in the blend of the candidates."""

    def __init__(self, config: MotionConvTransformerConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.synthesis
        inputs = 2 * 12 + config.width + 1
        self.begin = nn.Sequential(nn.Conv2d(inputs, half, 3, 1, 1), _act(), nn.Conv2d(half, half, 3, 1, 1), _act())
        self.down = nn.Sequential(nn.Conv2d(half, quarter, 3, 2, 1), _act(), nn.Conv2d(quarter, quarter, 3, 1, 1), _act())
        self.deep = nn.Sequential(nn.Conv2d(quarter, eighth, 3, 2, 1), _act(), nn.Conv2d(eighth, eighth, 3, 1, 1), _act())
        self.up = nn.Sequential(nn.Conv2d(quarter + eighth, quarter, 3, 1, 1), _act())
        self.end = nn.Sequential(nn.Conv2d(half + quarter, half, 3, 1, 1), _act())
        self.last = nn.Conv2d(half, 12, 3, 1, 1)

    def forward(self, blend: Tensor, spread: Tensor, seen: Tensor, at: Tensor) -> Tensor:
        folded = F.pixel_unshuffle(torch.cat([blend * 2 - 1, spread * 4], dim=1), 2)
        half = self.begin(torch.cat([folded, seen, at.expand(-1, -1, *seen.shape[-2:])], dim=1))
        quarter = self.down(half)
        wide = _doubled(self.deep(quarter))[..., : quarter.shape[-2], : quarter.shape[-1]]
        quarter = self.up(torch.cat([quarter, wide], dim=1))
        return F.pixel_shuffle(self.last(self.end(torch.cat([half, _doubled(quarter)], dim=1))), 2) / 4


def _nearness(at: Tensor, count: int) -> Tensor:
    """What the candidates count for before anything is seen, by the nearness of their frames in time: f32[n 2*count 1 1 1]."""
    share = (at / (at + (1 - at).abs())).clamp(0.1, 0.9)
    return torch.stack([(1 - share).log(), share.log()], dim=1).repeat(1, count, 1, 1, 1)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _act() -> nn.Module:
    return nn.LeakyReLU(_SLOPE)
