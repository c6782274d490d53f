"""A very small untrained classifier of objects, and shapes that nobody could confuse."""

import numpy as np
import torch

from vidpc.models.pct import PCT, PCTConfig
from vidpc.training.objects import export

CONFIG = PCTConfig(
    stem=8, sampled=(16, 8), neighbours=(4, 4), widths=(8, 16), core=0.0, attention_layers=1, fused=16, head=(8, 8), classes=3
)
LABELS = ("pole", "plate", "ball")


def write_weights(path, labels=LABELS):
    """Weights of the small network, drawn by a fixed seed."""
    torch.manual_seed(0)
    export(path, PCT(CONFIG).state_dict(), CONFIG, labels=labels, licence="none", source="test")
    return path


def shape(label, count=400, seed=0):
    """Points f64[n 3] of a pole, a plate or a ball, somewhere."""
    rng = np.random.default_rng((seed, LABELS.index(label)))
    if label == "ball":
        xyz = rng.normal(size=(count, 3))
        xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    else:
        xyz = rng.uniform(-1, 1, (count, 3)) * ((0.1, 0.1, 1.0) if label == "pole" else (1.0, 1.0, 0.05))
    return xyz * rng.uniform(0.5, 3) + rng.uniform(-9, 9, 3)


def write_xyz(path, xyz):
    """A text scan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, xyz, fmt="%.6f")
    return path
