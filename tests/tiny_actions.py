"""A very small untrained recogniser of actions, and its weights file."""

import json

import torch

from vidpc import weights
from vidpc.models.timesformer import TimeSformer, TimeSformerConfig

LABELS = ("wave", "jump", "stand")
SIZE, FRAMES, WINDOW_S = 32, 4, 1.0
INPUT = {
    "frames": FRAMES,
    "rate": 0,
    "window_s": WINDOW_S,
    "sampling": "centres",
    "resize": "stretch",
    "short_side": SIZE,
    "crop": SIZE,
    "order": "rgb",
    "mean": [0.45, 0.45, 0.45],
    "std": [0.225, 0.225, 0.225],
    "combine": "scores",
}
CONFIG = {"size": [SIZE, SIZE], "frames": FRAMES, "width": 16, "depth": 1, "heads": 2, "classes": len(LABELS)}


def write_weights(path, labels=LABELS, seed=0, **rules):
    """Weights of the small network, drawn by ``seed``; ``rules`` change its input."""
    torch.manual_seed(seed)
    fields = {**CONFIG, "size": (SIZE, SIZE), "classes": len(labels)}
    model = TimeSformer(TimeSformerConfig(**fields))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)  # so that scores differ from picture to picture
    metadata = {
        "format": weights.files.FORMAT,
        "architecture": "timesformer",
        "config": json.dumps({**CONFIG, "classes": len(labels)}),
        "labels": json.dumps(list(labels)),
        "input": json.dumps({**INPUT, **rules}),
        "licence": "none",
        "source": "test",
    }
    weights.write(path, model.state_dict(), metadata)
    return path
