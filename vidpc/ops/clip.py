"""Pictures into what a network of clips sees: resized by the rule of its authors, cropped, normalised."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.image import resize_plain

Pixels = npt.NDArray[Any]  # u8, or f32 in 0..255


def resized(picture: npt.NDArray[np.uint8], *, rule: str, short_side: int) -> Pixels:
    """u8[h w 3] with its short side at ``short_side`` and the long one rounded down.

    Under the rule ``float`` (TimeSformer) f32 in 0..255, bilinear between the four nearest pixels: resizing and normalising are
    linear, so their order does not matter. Under ``opencv`` (VidTr) and ``antialiased`` (torchvision) the same, rounded to u8:
    torchvision's transform of clips leaves antialiasing off, and OpenCV has none.
    """
    h, w = picture.shape[:2]
    height, width = (short_side * h // w, short_side) if w < h else (short_side, short_side * w // h)
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    if rule == "float":
        scaled = pixels.float()
        if (height, width) != (h, w):
            scaled = F.interpolate(scaled, size=(height, width), mode="bilinear", align_corners=False)
    else:
        scaled = resize_plain(pixels, height=height, width=width)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


def offsets(height: int, width: int, *, rule: str, crop: int, crops: int) -> list[tuple[int, int]]:
    """Top and left corner of each view: the middle, or three along the longer side in the order of the rule's authors."""
    gaps = (height - crop, width - crop)
    top, left = (
        ceil(gap / 2) if rule == "float" else _rounded_half(gap) if rule == "antialiased" else gap // 2 for gap in gaps
    )
    if crops == 1:
        return [(top, left)]
    # VidTr's last view is twice as far as the middle one, so an odd gap leaves a line of pixels behind it.
    ends = [2 * (gap // 2) if rule == "opencv" else gap for gap in gaps]
    first, last = ((0, left), (ends[0], left)) if height > width else ((top, 0), (top, ends[1]))
    return [first, last, (top, left)] if rule == "opencv" else [first, (top, left), last]


def views(picture: Pixels, *, rule: str, crop: int, crops: int, order: str) -> Pixels:
    """[crops crop crop 3] of a resized picture [h w 3], with the colours in ``order`` (rgb, bgr)."""
    corners = offsets(*picture.shape[:2], rule=rule, crop=crop, crops=crops)
    cut = np.stack([picture[top : top + crop, left : left + crop] for top, left in corners])
    return cut if order == "rgb" else np.ascontiguousarray(cut[..., ::-1])


def normalized(clips: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(clips [b t h w 3] in 0..255 / 255 - mean) / std as f32[b 3 t h w]."""
    scale = torch.tensor([1 / (255 * s) for s in std], device=clips.device)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=clips.device)
    return (clips.float() * scale + shift).permute(0, 4, 1, 2, 3).contiguous()


def _rounded_half(gap: int) -> int:
    return round(gap / 2)  # to the even neighbour
