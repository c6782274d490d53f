"""Networks for synthesis whose new frames can be worked by hand, small untrained ones, and their weights files."""

import json
from dataclasses import asdict, dataclass

import torch
from torch import nn

from vidpc import weights
from vidpc.models.convtransformer import ConvTransformer, ConvTransformerConfig
from vidpc.models.motion_convtransformer import MotionConvTransformer, MotionConvTransformerConfig
from vidpc.tasks import synthesize


@dataclass(frozen=True)
class BlendConfig:
    """How many frames the network sees."""

    frames: int = 2


class Blend(nn.Module):
    """Linear in time: between the two frames nearest to a time, and on beyond the last two."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.share = nn.Parameter(torch.ones(1))

    def forward(self, frames, times):
        first = times.floor().clamp(0, frames.shape[1] - 2).long()
        rows = torch.arange(len(frames))[:, None]
        part = (times - first)[:, :, None, None, None]
        return self.share * ((1 - part) * frames[rows, first] + part * frames[rows, first + 1])


SMALL = {
    "motion-convtransformer": (
        MotionConvTransformer,
        MotionConvTransformerConfig(windows=(5,), width=8, synthesis=(8, 8, 8)),
    ),
    "convtransformer": (
        ConvTransformer,
        ConvTransformerConfig(width=16, heads=2, encoder_layers=1, decoder_layers=1, synthesis=(8, 8, 8), stride=2),
    ),
}


def write_weights(path, architecture, network, config, **rules):
    """A weights file of a network drawn by a fixed seed; ``rules`` change its input."""
    torch.manual_seed(0)
    metadata = {
        "format": weights.files.FORMAT,
        "architecture": architecture,
        "config": json.dumps(asdict(config)),
        "labels": "[]",
        "input": json.dumps({"frames": config.frames, "tile": 0, "value_range": [0, 1], **rules}),
        "licence": "none",
        "source": "test",
    }
    weights.write(path, network(config).state_dict(), metadata)
    return path


def write_small(path, architecture, **rules):
    """Weights of a small untrained network of that architecture."""
    return write_weights(path, architecture, *SMALL[architecture], **rules)


def write_blend(path, monkeypatch, frames=2):
    """Weights of ``Blend``, which the task knows until the test ends."""
    monkeypatch.setitem(synthesize.NETWORKS, "blend", (Blend, BlendConfig))
    return write_weights(path, "blend", Blend, BlendConfig(frames))
