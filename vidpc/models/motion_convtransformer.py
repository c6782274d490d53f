"""Frames between and after two frames, by motion: the built-in variant of ConvTransformer.

The paper's network (`models.convtransformer`) draws a new frame from features alone. Here the two frames are first brought to
the wanted time along the motion of what is seen then. It is measured (`ops.flow.flow_between`), and improved by a learnt block
that looks at the cost volume of the two aligned frames (bilateral cost volume: J. Park et al., BMBC, ECCV 2020). Then the
convolutional attention of the paper (section 3) weighs, place by place, the two aligned frames, and its synthesis network draws
what is left.

    frames ─┬► measured motion at time t ─► improved, coarse to fine ─┐
            └► embedding ─────────┴───────► both frames at t ◄────────┴─► attention ─► U-Net ─► frame
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc.models.initial import keep_variance, quieten
from vidpc.ops.flow import flow_between
from vidpc.ops.warp import warp

_STRIDE = 4  # pixels of a level to a cell of its features
_LEVELS = 2  # at which the measured motion is looked at again
_MULTIPLE = _STRIDE * 2 ** (_LEVELS - 1)
_SLOPE = 0.1
_LUMA = (0.299, 0.587, 0.114)  # BT.601


@dataclass(frozen=True, slots=True)
class MotionConvTransformerConfig:
    """Sizes."""

    width: int = 24  # channels of the embedding
    motion_width: int = 48
    reach: int = 2  # cells of a level that one look of the cost volume covers, each way and in each frame
    synthesis: tuple[int, ...] = (24, 40, 64)  # channels at a half, a quarter, an eighth of the size
    heads: int = 4

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
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
        width = config.width
        self.embedding = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), _act(), nn.Conv2d(width, width, 3, 1, 1), _act(), nn.Conv2d(width, width, 3, 2, 1)
        )
        self.motion = _Motion(config)
        self.attention = _AlignedAttention(width, config.heads)
        self.synthesis = _Synthesis(config)
        keep_variance(self, _SLOPE)
        quieten(self.motion.change, 0.02)
        quieten(self.synthesis.last, 0.1)

    def forward(self, frames: Tensor, times: Tensor) -> Tensor:
        """The frames at ``times``."""
        return self.drawn(frames, times)[0]

    def drawn(self, frames: Tensor, times: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The frames at ``times``, and for training what plain blending along the motion of each level gives.

        The latter are f32[b*m 3 h/2^l w/2^l], the finest level first.
        """
        b, m = times.shape
        h, w = frames.shape[-2:]
        padded = F.pad(frames.flatten(0, 1), (0, -w % _MULTIPLE, 0, -h % _MULTIPLE), mode="replicate")
        pyramid = [padded]
        for _ in range(_LEVELS - 1):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        features = [self.embedding(level * 2 - 1).unflatten(0, (b, 2)).repeat_interleave(m, dim=0) for level in pyramid]
        pictures = [level.unflatten(0, (b, 2)).repeat_interleave(m, dim=0) for level in pyramid]
        at = times.reshape(b * m, 1, 1, 1)
        motion, hidden, blends = self._motion(pictures, features, at)
        new = self._synthesized(pictures[0], features[0], motion, hidden, at)
        return new[..., :h, :w].unflatten(0, (b, m)), blends

    def _motion(self, pictures: list[Tensor], features: list[Tensor], at: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion f32[n 2 h/2 w/2] in pixels, from the first to the second frame of what is seen at the time; the block's state;
        and in training the blends."""
        with torch.no_grad():
            luma = (pictures[0] * pictures[0].new_tensor(_LUMA)[:, None, None]).sum(dim=2, keepdim=True)
            measured = flow_between(luma[:, 0], luma[:, 1], at)
        n, _, _, h, w = features[-1].shape
        change = features[-1].new_zeros(n, 2, h, w)
        hidden = features[-1].new_zeros(n, self.config.motion_width, h, w)
        blends: list[Tensor] = []
        for level in reversed(range(_LEVELS)):
            if level < _LEVELS - 1:
                change, hidden = 2 * _doubled(change), _doubled(hidden)
            coarse = F.avg_pool2d(measured, 2 ** (level + 1)) / (_STRIDE * 2**level)  # in cells of the level
            step, hidden = self.motion(features[level], coarse + change, hidden, at)
            change = change + step
            if self.training:
                blends.insert(0, _blended(pictures[level], _full(measured, change, level), at))
        return measured + _STRIDE * _doubled(change), hidden, blends

    def _synthesized(self, frames: Tensor, features: Tensor, motion: Tensor, hidden: Tensor, at: Tensor) -> Tensor:
        cells = F.avg_pool2d(motion, 2) / _STRIDE
        before, after = (warp(features[:, i], way) for i, way in enumerate(_ways(cells, at)))
        seen = self.attention(before, after, at)
        first, second = (warp(frames[:, i], way) for i, way in enumerate(_ways(_doubled(motion), at)))
        drawn: Tensor = self.synthesis(first, second, seen, hidden, at)
        return drawn


class _Motion(nn.Module):
    """One look at a level: what the cost volume of the aligned features says of the motion there."""

    def __init__(self, config: MotionConvTransformerConfig) -> None:
        super().__init__()
        self.reach, width = config.reach, config.motion_width
        inputs = (2 * config.reach + 1) ** 2 + 2 * config.width + width + 3
        self.look = nn.Sequential(
            nn.Conv2d(inputs, width, 3, 1, 1), _act(), nn.Conv2d(width, width, 3, 1, 1), _act(),
            nn.Conv2d(width, width, 3, 1, 2, dilation=2), _act(), nn.Conv2d(width, width, 3, 1, 1), _act(),
        )  # fmt: skip
        self.change = nn.Conv2d(width, 2, 3, 1, 1)

    def forward(self, features: Tensor, motion: Tensor, hidden: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        before, after = (warp(features[:, i], way) for i, way in enumerate(_ways(motion, at)))
        cost = F.leaky_relu(_cost_volume(before, after, self.reach), _SLOPE)
        time = at.expand(-1, -1, *motion.shape[-2:])
        hidden = self.look(torch.cat([cost, before, after, hidden, motion / 8, time], dim=1))
        return self.change(hidden), hidden


class _AlignedAttention(nn.Module):
    """Convolutional attention (section 3.3) of a query at the wanted time over the two aligned frames, for every head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(2 * width + 1, width, 3, 1, 1)
        self.key = nn.Conv2d(width + 1, width, 3, 1, 1)
        self.value = nn.Conv2d(width, width, 3, 1, 1)
        self.score = nn.Conv2d(2 * width // heads, 1, 3, 1, 1)

    def forward(self, before: Tensor, after: Tensor, at: Tensor) -> Tensor:
        time = at.expand(-1, -1, *before.shape[-2:])
        query = self.query(torch.cat([before, after, time], dim=1)).unflatten(1, (self.heads, -1))
        scores, values = [], []
        for frame, distance in ((before, time), (after, 1 - time)):
            key = self.key(torch.cat([frame, distance], dim=1)).unflatten(1, (self.heads, -1))
            pairs = torch.cat([query, key], dim=2).flatten(0, 1)
            scores.append(F.leaky_relu(self.score(pairs), _SLOPE).unflatten(0, (-1, self.heads)))
            values.append(self.value(frame).unflatten(1, (self.heads, -1)))
        weights = torch.stack(scores).softmax(dim=0)
        return (weights * torch.stack(values)).sum(dim=0).flatten(1, 2)


class _Synthesis(nn.Module):
    """The synthesis network: a U-Net that weighs the two aligned frames pixel by pixel and draws what neither shows."""

    def __init__(self, config: MotionConvTransformerConfig) -> None:
        super().__init__()
        half, quarter, eighth = config.synthesis
        self.begin = nn.Sequential(nn.Conv2d(4 * 6 + 1, half, 3, 1, 1), _act(), nn.Conv2d(half, half, 3, 1, 1), _act())
        inside = config.width + config.motion_width
        self.down = nn.Sequential(
            nn.Conv2d(half + inside, quarter, 3, 1, 1), _act(), nn.Conv2d(quarter, quarter, 3, 1, 1), _act()
        )
        self.deep = nn.Sequential(nn.Conv2d(quarter, eighth, 3, 2, 1), _act(), nn.Conv2d(eighth, eighth, 3, 1, 1), _act())
        self.up = nn.Sequential(nn.Conv2d(quarter + eighth, quarter, 3, 1, 1), _act())
        self.end = nn.Sequential(nn.Conv2d(half + quarter, half, 3, 1, 1), _act())
        self.last = nn.Conv2d(half, 4 * 4, 3, 1, 1)

    def forward(self, first: Tensor, second: Tensor, seen: Tensor, hidden: Tensor, at: Tensor) -> Tensor:
        pairs = F.pixel_unshuffle(torch.cat([first, second], dim=1), 2)
        half = self.begin(torch.cat([pairs * 2 - 1, at.expand(-1, -1, *pairs.shape[-2:])], dim=1))
        quarter = self.down(torch.cat([F.avg_pool2d(half, 2), seen, hidden], dim=1))
        wide = _doubled(self.deep(quarter))[..., : quarter.shape[-2], : quarter.shape[-1]]
        quarter = self.up(torch.cat([quarter, wide], dim=1))
        drawn = F.pixel_shuffle(self.last(self.end(torch.cat([half, _doubled(quarter)], dim=1))), 2)
        share = torch.sigmoid(drawn[:, :1] + _prior(at))
        new = (1 - share) * first + share * second + drawn[:, 1:] / 4
        return new if self.training else new.clamp(0, 1)


def _prior(at: Tensor) -> Tensor:
    """What the second frame counts for before anything is seen, as a logit: by its nearness in time."""
    near = (at / (at + (1 - at).abs())).clamp(0.1, 0.9)
    return torch.logit(near)


def _ways(motion: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Where what is seen at the time was in the first frame and is in the second one, as displacements."""
    return -at * motion, (1 - at) * motion


def _full(measured: Tensor, change: Tensor, level: int) -> Tensor:
    """The motion at a level's own size, in its pixels, of what was measured and its change in cells."""
    measured = _doubled(measured) if level == 0 else F.avg_pool2d(measured, 2 ** (level - 1))
    return measured / 2**level + _STRIDE * F.interpolate(change, scale_factor=_STRIDE, mode="bilinear", align_corners=False)


def _blended(frames: Tensor, motion: Tensor, at: Tensor) -> Tensor:
    first, second = (warp(frames[:, i], way) for i, way in enumerate(_ways(motion, at)))
    share = torch.sigmoid(_prior(at))
    return (1 - share) * first + share * second


def _cost_volume(before: Tensor, after: Tensor, reach: int) -> Tensor:
    """How alike the two are when one moves there and the other as far back: f32[n (2r+1)^2 h w], the mean of products."""
    before, after = (F.normalize(x, dim=1) for x in (before, after))
    h, w = before.shape[-2:]
    before, after = (F.pad(x, (reach,) * 4) for x in (before, after))
    steps = range(-reach, reach + 1)
    return torch.stack(
        [
            (_shifted(before, -dy, -dx, reach, h, w) * _shifted(after, dy, dx, reach, h, w)).sum(dim=1)
            for dy in steps
            for dx in steps
        ],
        dim=1,
    )


def _shifted(padded: Tensor, dy: int, dx: int, reach: int, h: int, w: int) -> Tensor:
    return padded[..., reach + dy : reach + dy + h, reach + dx : reach + dx + w]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _act() -> nn.Module:
    return nn.LeakyReLU(_SLOPE)
