"""From pictures to model inputs and back: sizes, resizing, colour conversion, normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

# Luma weights (red, blue) of the colour matrices: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


@dataclass(frozen=True, slots=True)
class Fit:
    """How a source picture was scaled to a model's input; ``undo`` takes boxes back."""

    source_width: int
    source_height: int
    width: int
    height: int

    def undo(self, boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Boxes f[n 4] of the input, in 0..1 of its sides, as pixels of the source. Works for xyxy and for cxcywh."""
        sides = (self.source_width, self.source_height)
        return np.asarray(boxes, dtype=np.float64) * np.array(sides * 2, dtype=np.float64)


def fit(width: int, height: int, *, short_side: int, long_side: int) -> Fit:
    """The short side becomes ``short_side`` unless the long one would exceed ``long_side``.

    DETR's rule, rounding included: where the long side binds, the short one is round(long_side * min / max), and the other
    side is then truncated, so that ``long_side`` is not always reached.
    """
    shorter, longer = min(width, height), max(width, height)
    size = short_side
    if longer / shorter * size > long_side:
        size = max(1, round(long_side * shorter / longer))
    if width <= height:
        return Fit(width, height, size, _other_side(size, height, width, long_side))
    return Fit(width, height, _other_side(size, width, height, long_side), size)


def _other_side(size: int, longer: int, shorter: int, long_side: int) -> int:
    # A strip of one pixel cannot keep its shape: its length is cut down to what was asked for.
    return min(long_side, max(1, int(size * longer / shorter)))


def resize_antialiased(images: Tensor, *, height: int, width: int) -> Tensor:
    """u8[b 3 h w] -> u8[b 3 height width], bilinear with a low-pass filter, as Pillow does."""
    return F.interpolate(images, size=(height, width), mode="bilinear", antialias=True)


def resize_plain(images: Tensor, *, height: int, width: int) -> Tensor:
    """u8[b 3 h w] -> u8[b 3 height width], bilinear between the four nearest pixels, as OpenCV does."""
    scaled = F.interpolate(images.float(), size=(height, width), mode="bilinear", align_corners=False)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def normalize(images: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(u8[b 3 h w] / 255 - mean) / std as f32, channels last in memory."""
    scale = images.new_tensor([1 / (255 * s) for s in std], dtype=torch.float32)
    shift = images.new_tensor([-m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32)
    x = images.float().contiguous(memory_format=torch.channels_last)
    return x * scale[:, None, None] + shift[:, None, None]


def planes_to_rgb(y: Tensor, u: Tensor, v: Tensor, *, matrix: str, full_range: bool) -> Tensor:
    """8-bit 4:2:0 planes u8[b h w], u8[b ceil(h/2) ceil(w/2)] twice, as u8[b 3 h w].

    Chroma is upsampled bilinearly with its samples in the middle of four luma pixels.
    """
    h, w = y.shape[1:]
    chroma = torch.stack([u, v], dim=1).float()
    chroma = F.interpolate(chroma, size=(2 * u.shape[1], 2 * u.shape[2]), mode="bilinear", align_corners=False)
    cb, cr = ((chroma[:, :, :h, :w] - 128) / (255 if full_range else 224)).unbind(1)
    luma = y.float() / 255 if full_range else (y.float() - 16) / 219
    red_share, blue_share = LUMA[matrix]
    red = luma + 2 * (1 - red_share) * cr
    blue = luma + 2 * (1 - blue_share) * cb
    green = (luma - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return (torch.stack([red, green, blue], dim=1) * 255).round_().clamp_(0, 255).to(torch.uint8)


def display(images: Tensor, *, rotation_deg: int, mirrored: bool) -> Tensor:
    """[b c h w] as coded -> as displayed: turned clockwise, then flipped left to right."""
    turned = torch.rot90(images, -rotation_deg // 90 % 4, dims=(2, 3)) if rotation_deg else images
    return turned.flip(3) if mirrored else turned
