"""A trained tracker as a weights file: the averaged weights in half precision, and what inference has to know."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from vidpc import weights
from vidpc.training.batches import MEAN, STD
from vidpc.training.recipe import Recipe
from vidpc.training.validation import LONG_SIDE


def export(path: Path, tensors: Mapping[str, Tensor], recipe: Recipe, *, licence: str, source: str) -> str:
    """Writes the weights file and returns its sha256. Counters that only training reads are left out."""
    kept = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    rules = {"order": "rgb", "mean": MEAN, "std": STD, "resize": "shrink", "long_side": LONG_SIDE}
    metadata = {
        "architecture": "transtrack",
        "config": json.dumps(asdict(recipe.model())),
        "labels": json.dumps(["person"]),
        "input": json.dumps(rules),
        "licence": licence,
        "source": source,
    }
    return weights.write(path, {name: tensor.half() for name, tensor in kept.items()}, metadata)
