"""From what a user names (recipe, label files, folder) to a run, and from a finished run to a weights file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidpc import presets, weights
from vidpc.errors import DeviceError, PresetError
from vidpc.models.transtrack import TransTrack
from vidpc.tasks.track import build_model
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.export import export
from vidpc.training.footage import load
from vidpc.training.loop import Run
from vidpc.training.pictures import Clip
from vidpc.training.recipe import Recipe
from vidpc.training.validation import validate


def prepare(
    recipe: str,
    overrides: Mapping[str, Any],
    *,
    labels: Sequence[Path],
    images: Sequence[Path],
    val: Sequence[Path],
    folder: Path,
    device: str,
    processes: int,
) -> tuple[Recipe, Run]:
    """The recipe with its changes, and the run with its pictures read. Raises before anything is trained."""
    settings = presets.load(recipe, Recipe, overrides)
    if not labels:
        raise PresetError("training needs labels: name a COCO document with --labels")
    if images and len(images) != len(labels):
        raise PresetError(f"{len(images)} folders of pictures for {len(labels)} label files: name one each, or none")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {device}: CUDA is not available; train with --device cpu")
    folders: Sequence[Path | None] = images or [None] * len(labels)
    train = [clip for path, place in zip(labels, folders, strict=True) for clip in load(path, images=place, split="train")]
    measured: list[Clip] = [clip for path in val for clip in load(path, split="val")]
    return settings, Run(folder, train, measured, torch.device(device), processes=processes)


def first_weights(path: Path, recipe: Recipe) -> dict[str, Tensor]:
    """The tensors of a weights file that fits the recipe's network."""
    model = TransTrack(recipe.model())
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items() if value.is_floating_point()}
    file = weights.read(path, expected=shapes)
    return {**model.state_dict(), **{name: tensor.float() for name, tensor in file.tensors.items()}}


def measure(file: Path, val: Sequence[Path]) -> dict[str, dict[str, float]]:
    """What the weights in a file reach on labelled pictures, under ``all`` and under each set's name."""
    clips = [clip for path in val for clip in load(path, split="val")]
    if not clips:
        raise PresetError(f"{', '.join(map(str, val))}: no picture to measure on; those whose split is train do not count")
    return validate(build_model(weights.read(file)), clips)


def finish(out: Path, recipe: Recipe, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint and returns the file's sha256."""
    saved = read_checkpoint(run.checkpoint)
    source = f"vidpc train track, {saved['step']} steps, seed {recipe.seed}"
    return export(out, saved["average"], recipe, licence=licence, source=source)
