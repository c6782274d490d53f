"""Networks and frames for tests of inpainting: small weights, a network that only averages, pictures whose truth is known."""

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from vidpc import weights
from vidpc.models.aligned_sttn import AlignedSTTN, AlignedSTTNConfig
from vidpc.models.sttn import STTN, STTNConfig
from vidpc.types import Frame, MaskedFrame

TINY = AlignedSTTNConfig(width=4, blocks=1, patches=((2, 2), (1, 1)), score_width=2)
RULES = {"width": 64, "height": 48, "references": [-6, -3, 3, 6]}
TINY_STTN = STTNConfig(channels=8, blocks=1, patches=((8, 6), (4, 3), (2, 3), (1, 1)))
STTN_RULES = {"width": 64, "height": 48}


def write_weights(path: Path) -> Path:
    """An untrained network over aligned frames."""
    return _write(path, "aligned-sttn", AlignedSTTN, TINY, RULES)


def write_sttn(path: Path) -> Path:
    """An untrained STTN for pictures of 64x48."""
    return _write(path, "sttn", STTN, TINY_STTN, STTN_RULES)


def _write(path, architecture, network, config, rules):
    torch.manual_seed(0)
    metadata = {
        "architecture": architecture,
        "config": json.dumps(asdict(config)),
        "labels": "[]",
        "input": json.dumps(rules),
        "licence": "none",
    }
    weights.write(path, network(config).state_dict(), metadata)
    return path


class Averaging(nn.Module):
    """Fills with the mean of the frames that see a place, and paints ``grey`` where none does. Counts the frames it encodes."""

    grey = 0.25

    def __init__(self):
        super().__init__()
        self.config = TINY
        self.encoded = 0

    def encode(self, frames, holes):
        self.encoded += len(frames)
        return F.avg_pool2d(frames, 4)

    def fill(self, features, visible, offsets):
        seen = (visible[:, :, 0] > 0.99).float()
        seen = torch.cat([(seen[:, 1:].sum(dim=1, keepdim=True) == 0).float(), seen[:, 1:]], dim=1)
        shares = F.interpolate(seen / seen.sum(dim=1, keepdim=True), scale_factor=4, mode="nearest")
        b, _, h, w = shares.shape
        return shares, torch.full((b, 3, h, w), self.grey)


class Picture:
    """Pixels u8 or u16 [h w 3] as a decoded picture gives them."""

    def __init__(self, pixels):
        self.held = pixels
        self.nbytes = pixels.nbytes

    def pixels(self, width, height):
        return self.held

    def rgb(self, width, height):
        values = torch.from_numpy(self.held.astype(np.float32) / (257 if self.held.dtype == np.uint16 else 1))
        scaled = F.interpolate(values.permute(2, 0, 1)[None], size=(height, width), mode="bilinear", antialias=True)
        return scaled[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()

    def planes(self):
        return None


def masked(pictures, holes):
    """Pictures and masks as frames of 25 a second."""
    pairs = zip(pictures, holes, strict=True)
    return [
        MaskedFrame(Frame(Picture(p), k, Fraction(k, 25), p.shape[1], p.shape[0]), hole) for k, (p, hole) in enumerate(pairs)
    ]


def texture(height, width, seed=0, cell=4):
    """A picture u8[h w 3] of soft blotches, so that it can be followed and sampled between its pixels."""
    noise = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=torch.Generator().manual_seed(seed))
    soft = F.interpolate(noise, scale_factor=cell, mode="bicubic")[0, :, :height, :width]
    return (soft.clamp(0, 1) * 200 + 25).round().to(torch.uint8).permute(1, 2, 0).numpy()


def square(height, width, x, y, side):
    """A mask bool[h w] of one square."""
    mask = np.zeros((height, width), bool)
    mask[y : y + side, x : x + side] = True
    return mask
