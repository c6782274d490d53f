"""Frames between and after two frames, by motion: the built-in variant of ConvTransformer.

The paper's network (`models.convtransformer`) draws a new frame from features alone. Here the two frames are first brought to
the wanted time along a motion that is estimated for that time, coarse to fine, by one block that all scales share; then the
convolutional attention of the paper (section 3.3) weighs, place by place, the two aligned frames, and its synthesis network
(3.5) draws what is left. Motion at the wanted time from a bilateral cost volume is after J. Park et al., BMBC (ECCV 2020),
the shared block after X. Jin et al., Enhanced Bi-directional Motion Estimation (WACV 2023).

    frames ─► pyramid ─► embedding ─► motion v at time t, coarse to fine ─► both frames at t ─► attention ─► U-Net ─► frame
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc.ops.warp import warp

_STRIDE = 4  # pixels of a level to a cell of its features
_COARSEST_CELLS = 7  # of the short side of the pyramid's top, at least
_SLOPE = 0.1


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

    def forward(self, frames: Tensor, times: Tensor) -> Tensor:
        """The frames at ``times``."""
        return self.drawn(frames, times)[0]

    def drawn(self, frames: Tensor, times: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The frames at ``times``, and for training what plain blending along the motion of each level gives.

        The latter are f32[b*m 3 h/2^l w/2^l], the finest level first.
        """
        b, _, _, h, w = frames.shape
        padded, levels = self._padded(frames)
        pyramid = [padded.flatten(0, 1)]
        for _ in range(levels - 1):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        features = [self.embedding(level * 2 - 1).unflatten(0, (b, 2)) for level in pyramid]
        m = times.shape[1]
        at = times.reshape(b * m, 1, 1, 1)
        repeated = [level.unflatten(0, (b, 2)).repeat_interleave(m, dim=0) for level in pyramid]
        features = [level.repeat_interleave(m, dim=0) for level in features]
        motion, hidden, blends = self._motion(repeated, features, at)
        new = self._synthesized(repeated[0], features[0], motion, hidden, at)
        return new[..., :h, :w].unflatten(0, (b, m)), blends

    def _padded(self, frames: Tensor) -> tuple[Tensor, int]:
        """Frames whose sides fit the pyramid, their border repeated, and how many levels it has."""
        h, w = frames.shape[-2:]
        levels = max(1, int(math.log2(max(1.0, min(h, w) / _STRIDE / _COARSEST_CELLS))) + 1)
        multiple = max(8, _STRIDE * 2 ** (levels - 1))
        bottom, right = -h % multiple, -w % multiple
        if not bottom and not right:
            return frames, levels
        return F.pad(frames.flatten(0, 1), (0, right, 0, bottom), mode="replicate").unflatten(0, frames.shape[:2]), levels

    def _motion(self, pyramid: list[Tensor], features: list[Tensor], at: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion f32[n 2 h/4 w/4] from the first to the second frame of what is seen at the time, and the block's state."""
        n, _, _, h, w = features[-1].shape
        motion = features[-1].new_zeros(n, 2, h, w)
        hidden = features[-1].new_zeros(n, self.config.motion_width, h, w)
        blends: list[Tensor] = []
        for frames, level in zip(reversed(pyramid), reversed(features), strict=True):
            if level.shape[-2:] != motion.shape[-2:]:
                motion, hidden = 2 * _doubled(motion), _doubled(hidden)
            motion, hidden = self.motion(level, motion, hidden, at)
            if self.training:
                full = _STRIDE * F.interpolate(motion, scale_factor=_STRIDE, mode="bilinear", align_corners=False)
                blends.insert(0, _blended(frames, full, at))
        return motion, hidden, blends

    def _synthesized(self, frames: Tensor, features: Tensor, motion: Tensor, hidden: Tensor, at: Tensor) -> Tensor:
        before, after = (warp(features[:, i], way) for i, way in enumerate(_ways(motion, at)))
        seen = self.attention(before, after, hidden, at)
        full = _STRIDE * F.interpolate(motion, scale_factor=_STRIDE, mode="bilinear", align_corners=False)
        first, second = (warp(frames[:, i], way) for i, way in enumerate(_ways(full, at)))
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
        nn.init.normal_(self.change.weight, std=1e-3)

    def forward(self, features: Tensor, motion: Tensor, hidden: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        before, after = (warp(features[:, i], way) for i, way in enumerate(_ways(motion, at)))
        cost = F.leaky_relu(_cost_volume(before, after, self.reach), _SLOPE)
        time = at.expand(-1, -1, *motion.shape[-2:])
        hidden = self.look(torch.cat([cost, before, after, hidden, motion / 8, time], dim=1))
        return motion + self.change(hidden), hidden


class _AlignedAttention(nn.Module):
    """Convolutional attention (section 3.3) of a query at the wanted time over the two aligned frames, for every head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(2 * width + 1, width, 3, 1, 1)
        self.key = nn.Conv2d(width + 1, width, 3, 1, 1)
        self.value = nn.Conv2d(width, width, 3, 1, 1)
        self.score = nn.Conv2d(2 * width // heads, 1, 3, 1, 1)

    def forward(self, before: Tensor, after: Tensor, hidden: Tensor, at: Tensor) -> Tensor:
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
        self.end = nn.Sequential(nn.Conv2d(half + quarter, half, 3, 1, 1), _act(), nn.Conv2d(half, 4 * 4, 3, 1, 1))

    def forward(self, first: Tensor, second: Tensor, seen: Tensor, hidden: Tensor, at: Tensor) -> Tensor:
        pairs = F.pixel_unshuffle(torch.cat([first, second], dim=1), 2)
        half = self.begin(torch.cat([pairs * 2 - 1, at.expand(-1, -1, *pairs.shape[-2:])], dim=1))
        quarter = self.down(torch.cat([F.avg_pool2d(half, 2), seen, hidden], dim=1))
        wide = _doubled(self.deep(quarter))[..., : quarter.shape[-2], : quarter.shape[-1]]
        quarter = self.up(torch.cat([quarter, wide], dim=1))
        drawn = F.pixel_shuffle(self.end(torch.cat([half, _doubled(quarter)], dim=1)), 2)
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
