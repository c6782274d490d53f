"""From what a user names (recipe, labelled scans, folder) to a trained network that labels points, and to its weights file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidpc import presets, weights
from vidpc.errors import PresetError
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig
from vidpc.ops.point_features import features_width
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.made_rooms import made_rooms
from vidpc.training.point_batches import Draw, PointBatch, to_batch
from vidpc.training.scans import UNLABELLED, Scan, load, one_a_voxel, tiles
from vidpc.training.segment_losses import class_weights, point_losses
from vidpc.training.segment_recipe import SegmentRecipe
from vidpc.training.trainee import Trainee, train


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """What a run works on. ``checkpoint.pt`` and ``log.jsonl`` stand in ``folder``."""

    recipe: SegmentRecipe
    folder: Path
    train: list[Scan]
    val: list[Scan]


def prepare(
    recipe: str, overrides: Mapping[str, Any], *, data: Sequence[Path], val: Sequence[Path], folder: Path
) -> SegmentRun:
    """The recipe with its changes, and the scans read. Raises before anything is trained."""
    settings = presets.load(recipe, SegmentRecipe, overrides)
    if not data and not settings.generated:
        raise PresetError("training needs labelled scans: name files or folders with --data")
    scans = [scan for path in data for scan in load(path, settings.codes)]
    scans += made_rooms(settings.generated, settings.codes, seed=settings.schedule.seed)
    measured = [scan for path in val for scan in load(path, settings.codes)]
    return SegmentRun(settings, folder, scans, measured)


def network(recipe: SegmentRecipe) -> PointTransformerConfig:
    """The network that the recipe trains."""
    return PointTransformerConfig(
        channels=features_width(recipe.features),
        classes=len(recipe.classes),
        widths=recipe.widths,
        blocks=recipe.blocks,
        neighbours=recipe.neighbours,
        strides=(1, *(4 for _ in recipe.widths[1:])),  # of the other kind of sampling
        sampling="grid",
        grid_m=recipe.grid_m,
    )


def trained(run: SegmentRun, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Train, yielding what the log says; at the end the checkpoint is in ``run.folder``."""
    recipe = run.recipe
    torch.manual_seed(recipe.schedule.seed)
    model = PointTransformer(network(recipe))
    draw = Draw(run.train, recipe, model.config)
    shares = recipe.loss_shares
    weights_of = class_weights(_counts(run.train, len(recipe.classes), recipe), recipe.balance) * torch.tensor(shares)
    aside = [index for index, share in enumerate(shares) if share < 1]
    prepared = [(scan.name, list(_measured(scan, recipe, model.config))) for scan in run.val]

    def losses(model: nn.Module, batch: PointBatch) -> dict[str, Tensor]:
        logits = model(batch.xyz, batch.features, batch.offsets, batch.levels)
        return point_losses(logits, batch.label, weights_of, smoothing=recipe.smoothing, aside=aside)

    def measure(model: nn.Module) -> dict[str, Any]:
        return {name: overlap(model, batches, recipe.labels) for name, batches in prepared}

    yield from train(Trainee(model, draw, losses, measure if prepared else None), recipe.schedule, run.folder, resume=resume)


def _counts(scans: Iterable[Scan], classes: int, recipe: SegmentRecipe) -> Tensor:
    """How often each class is met, scans weighed as they are drawn."""
    counts = np.zeros(classes)
    for scan in scans:
        own = np.bincount(scan.block.label[scan.block.label != UNLABELLED], minlength=classes)
        counts += recipe.weight_of(scan.name) * own / max(own.sum(), 1)
    return torch.from_numpy(counts).float()


def _measured(scan: Scan, recipe: SegmentRecipe, config: PointTransformerConfig) -> Iterator[tuple[PointBatch, Tensor]]:
    """The thinned scan tile by tile, with bool[n] which points are in the tile itself."""
    block = scan.block.take(one_a_voxel(scan.block.xyz, recipe.voxel_m, np.random.default_rng(0)))
    for near, inside in tiles(block, recipe.core_m, recipe.halo_m):
        yield to_batch([block.take(near)], recipe.features, config), torch.from_numpy(inside)


@torch.inference_mode()
def overlap(model: nn.Module, batches: Iterable[tuple[PointBatch, Tensor]], labels: Sequence[str]) -> dict[str, float]:
    """IoU of every class present and their mean, over one labelled point a voxel."""
    table = torch.zeros(len(labels), len(labels), dtype=torch.long)
    for batch, inside in batches:
        found = model(batch.xyz, batch.features, batch.offsets, batch.levels).argmax(1)
        counted = inside & (batch.label != UNLABELLED)
        pairs = batch.label[counted] * len(labels) + found[counted]
        table += torch.bincount(pairs, minlength=table.numel()).view_as(table)
    shared, union = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    scores = {
        name: round(float(shared[index] / union[index]), 4) for index, name in enumerate(labels) if table[index].sum() > 0
    }
    return {"miou": round(float(np.mean(list(scores.values()))), 4) if scores else 0.0, **scores}


def finish(out: Path, run: SegmentRun, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    saved = read_checkpoint(run.folder / "checkpoint.pt")
    recipe = run.recipe
    metadata = {
        "architecture": "point-transformer",
        "config": json.dumps(asdict(network(recipe))),
        "labels": json.dumps(recipe.labels),
        "input": json.dumps({"features": recipe.features, "voxel_m": recipe.voxel_m}),
        "licence": licence,
        "source": f"vidpc train segment, {saved['step']} steps, seed {recipe.schedule.seed}",
    }
    kept = {name: tensor.half() for name, tensor in saved["average"].items() if tensor.is_floating_point()}
    return weights.write(out, kept, metadata)
