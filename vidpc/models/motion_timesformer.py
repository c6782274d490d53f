"""A small TimeSformer that is shown motion beside colour: the built-in networks of ``vidpc recognize``.

Divided space-time attention as in TimeSformer (Bertasius et al. 2021), over tubes of pictures instead of single ones. A few
dozen clips do not teach a network to see motion in colours, so it is measured first (``ops.flow``, ``ops.motion``).

    clip ─► luma ─► optical flow ─► motion cells ─► embedded ─┐
         └► the middle picture of every tube ─► patches ──────┴► + ─► TimeSformer ─► class token, mean of the rest ─► head
"""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from vidpc.models.timesformer import TimeSformer, TimeSformerConfig
from vidpc.ops.flow import STRIDE, optical_flow
from vidpc.ops.motion import channels, motion_cells

_LUMA = (0.299, 0.587, 0.114)  # BT.601
_GREY, _DEVIATION = 0.45, 0.25  # of colours, roughly


@dataclass(frozen=True, slots=True)
class MotionTimeSformerConfig:
    """Sizes. A clip has ``frames`` pictures, ``size`` wide and high: tubes of ``tube`` of them, and one more at the end."""

    size: int = 112
    patch: int = 16
    frames: int = 33
    tube: int = 4
    width: int = 96
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 4.0
    classes: int = 2
    drop_path: float = 0.1
    drop_input: float = 0.1  # share of the motion channels that training leaves out of a picture
    drop_head: float = 0.3

    def __post_init__(self) -> None:
        if self.tube < 2 or self.frames % self.tube != 1 or self.frames < self.tube:
            raise ValueError(
                f"{self.frames} pictures in tubes of {self.tube}, expected tubes of 2 or more, and one picture more"
            )
        if self.patch % (2 * STRIDE) or self.size % self.patch:
            raise ValueError(f"size {self.size} in patches of {self.patch}, expected multiples of {2 * STRIDE}")
        self.trunk()  # which checks its own sizes

    @property
    def tubes(self) -> int:
        """How many tubes a clip has."""
        return self.frames // self.tube

    def trunk(self) -> TimeSformerConfig:
        """The TimeSformer inside."""
        return TimeSformerConfig(
            size=(self.size, self.size),
            patch=self.patch,
            frames=self.tubes,
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            mlp_ratio=self.mlp_ratio,
            drop_path=self.drop_path,
        )


class MotionTimeSformer(nn.Module):
    """Class logits of clips."""

    def __init__(self, config: MotionTimeSformerConfig) -> None:
        super().__init__()
        self.config = config
        cells = config.patch // (2 * STRIDE)  # a cell of motion is twice as wide as one of the flow
        self.motion_norm = nn.BatchNorm2d(channels(config.tube))
        self.motion_drop = nn.Dropout2d(config.drop_input)
        self.motion_embed = nn.Conv2d(channels(config.tube), config.width, cells, stride=cells)
        self.trunk = TimeSformer(config.trunk())
        del self.trunk.head  # the one below sees more than the class token
        self.drop = nn.Dropout(config.drop_head)
        self.head = nn.Linear(2 * config.width, config.classes)
        self._start()

    def _start(self) -> None:
        """Larger weights than a wide TimeSformer starts with, whose deviation of 0.02 makes a narrow one learn slowly."""
        for module in self.trunk.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits f32[b classes] of ``clips`` f32[b 3 frames size size], RGB in 0..1."""
        return self.classify(*self.look(clips))

    def look(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """The middle picture of every tube f32[b tubes 3 h w] and its motion cells f32[b tubes c h/8 w/8]."""
        luma = _luma(clips, dim=1)
        return self.cells(self.middles(clips.transpose(1, 2)), optical_flow(luma))

    def middles(self, pictures: Tensor) -> Tensor:
        """Of ``pictures`` [b frames 3 h w] those in the middle of a tube."""
        return pictures[:, self.config.tube // 2 : self.config.frames - 1 : self.config.tube]

    def cells(self, middles: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """``middles`` f32[b tubes 3 h w] and the motion cells of the ``flow`` f32[b frames-1 2 h/4 w/4] around them."""
        luma = reduce(_luma(middles, dim=2), "b t (h i) (w j) -> b t h w", "mean", i=STRIDE, j=STRIDE)
        return middles, motion_cells(flow, luma)

    def classify(self, middles: Tensor, cells: Tensor, colours: Tensor | None = None) -> Tensor:
        """Logits of what ``look`` gave. ``colours`` f32[b] is 0 for clips that training shows without their pictures."""
        return self.head(self.drop(self.features(middles, cells, colours)))

    def features(self, middles: Tensor, cells: Tensor, colours: Tensor | None = None) -> Tensor:
        """What the head sees: the class token and the mean of all others, f32[b 2*width]."""
        tokens = self.tokens(middles, cells, colours)
        return torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=-1)

    def tokens(self, middles: Tensor, cells: Tensor, colours: Tensor | None = None) -> Tensor:
        """The class token and every place of every tube, f32[b 1+n*t width]."""
        return self.trunk.encode(self.embedded(middles, cells, colours))

    def embedded(self, middles: Tensor, cells: Tensor, colours: Tensor | None) -> Tensor:
        """Colour and motion of every place of every tube, f32[b t width rows columns]."""
        seen = self.trunk.patches(rearrange((middles - _GREY) / _DEVIATION, "b t c h w -> b c t h w"))
        if colours is not None:
            seen = seen * colours[:, None, None, None, None]
        motion = self.motion_embed(self.motion_drop(self.motion_norm(cells.flatten(0, 1))))
        return seen + motion.unflatten(0, cells.shape[:2])


def _luma(pictures: Tensor, *, dim: int) -> Tensor:
    """The weighted sum of the colours along ``dim``; not a product of matrices, which lower precisions would round."""
    red, green, blue = pictures.unbind(dim)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
