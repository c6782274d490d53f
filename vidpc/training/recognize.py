"""Training of recognisers of actions: batches, loss, measure and weights file; of the networks that ship, and of others."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidpc import weights
from vidpc.errors import PresetError, WeightsError
from vidpc.models.motion_timesformer import MotionTimeSformer
from vidpc.ops.clip import normalized
from vidpc.tasks.look import Look
from vidpc.tasks.recognisers import build_model
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.clip_views import ClipViews, View, span, starts, varied
from vidpc.training.clips import Footage, decoded, listed
from vidpc.training.masked import Masked, hidden_places
from vidpc.training.recognize_recipe import RecognizeRecipe, parse_offset
from vidpc.training.recognize_runs import OWN, Labelled, Run, given, numbered, rate_fps, ticks_of
from vidpc.training.trainee import Trainee, train
from vidpc.types import F64, I64

_HEADS = ("head", "fc")  # what a recogniser calls its last layer
_INSIDE, _MASKED_ALONE = "network.", ("hidden", "predict")  # names of the network's values within ``Masked``, and its own


class Batch(NamedTuple):
    """What a network is shown, and how much of each label that is."""

    inputs: tuple[Tensor, ...]
    shares: Tensor  # f32[b classes]
    masked: tuple[Tensor, ...] = ()  # clips without labels, and which places of them are hidden


def carry_out(run: Run, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Trains to the end, yielding what the log says."""
    torch.manual_seed(run.recipe.schedule.seed)
    network = started(run)
    model = Masked(network) if run.unlabelled and isinstance(network, MotionTimeSformer) else network
    measured = run.val

    def measure(model: nn.Module) -> Mapping[str, Any]:
        return {} if measured is None else figures(told(_network(model), measured, run), measured.labels, run.classes)

    def lost(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        return losses(model, batch, masked=run.recipe.masked)

    trainee = Trainee(model, lambda rng: draw(network, run, rng), lost, measure, pace=pace_of(network, run.recipe))
    yield from train(trainee, run.recipe.schedule, run.folder, resume=resume)


def started(run: Run) -> nn.Module:
    """The run's network with a new head for its labels. Raises ``WeightsError``."""
    model = run.subject.start()
    name = next((name for name in _HEADS if isinstance(getattr(model, name, None), nn.Linear)), None)
    if name is None:
        raise WeightsError(f"a network of the kind {run.subject.architecture!r} has no head that could be replaced")
    old: nn.Linear = getattr(model, name)
    head = nn.Linear(old.in_features, len(run.classes))
    nn.init.trunc_normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    setattr(model, name, head)
    return model


def pace_of(model: nn.Module, recipe: RecognizeRecipe) -> Callable[[str], float]:
    """A parameter's share of the learning rate: less for earlier blocks, or nothing for all but the head."""
    last = max((_block(name) for name, _ in model.named_parameters()), default=0)

    def pace(name: str) -> float:
        name = name.removeprefix(_INSIDE)
        if name.split(".")[0] in (*_HEADS, *_MASKED_ALONE):
            return 1.0
        if recipe.learns == "head":
            return 0.0
        block = last if name.removeprefix("trunk.").startswith("norm.") else _block(name)  # the last norm follows all blocks
        return recipe.layer_decay ** (1 + last - block)

    return pace


def _block(name: str) -> int:
    """The number of the block that a parameter stands in, from 1; 0 before the blocks."""
    numbers = [int(word) for word in name.split(".") if word.isdigit()]
    return 1 + numbers[0] if numbers else 0


def draw(model: nn.Module, run: Run, rng: np.random.Generator) -> Batch:
    """A batch of views of clips, as many of each label as chance gives when all labels are equally likely."""
    recipe, labels = run.recipe, run.train.labels
    chosen = [int(rng.choice(np.flatnonzero(labels == label))) for label in rng.choice(np.unique(labels), recipe.batch)]
    ticks, needed = ticks_of(run.subject, recipe)
    crop = run.subject.look.crop
    shown = [_drawn(run.train.footage[i], ticks, needed, rng, recipe.views, crop) for i in chosen]
    shares = np.full((recipe.batch, len(run.classes)), recipe.smoothing / len(run.classes), np.float32)
    shares[np.arange(recipe.batch), labels[chosen]] += 1 - recipe.smoothing
    inputs = seen(model, shown, run.subject.look)
    batch = Batch(inputs, torch.from_numpy(shares))
    if recipe.mixed:
        batch = _mixed(batch, float(rng.beta(recipe.mixed, recipe.mixed)), torch.from_numpy(rng.permutation(recipe.batch)))
    if isinstance(model, MotionTimeSformer):
        colours = torch.from_numpy((rng.random(recipe.batch) < recipe.colours).astype(np.float32))
        batch = batch._replace(inputs=(*batch.inputs, colours))
    if run.unlabelled and isinstance(model, MotionTimeSformer):
        batch = batch._replace(masked=_hidden(model, run, ticks, needed, rng))
    return batch


def _hidden(model: MotionTimeSformer, run: Run, ticks: I64, needed: I64, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Half a batch of clips that nobody labelled, and the places that are hidden."""
    recipe, crop = run.recipe, run.subject.look.crop
    chosen = rng.integers(len(run.unlabelled), size=recipe.batch // 2)
    views = replace(recipe.views, flips=0.5)
    shown = [_drawn(run.unlabelled[i], ticks, needed, rng, views, crop) for i in chosen]
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    rows, columns = model.trunk.config.grid
    return (*seen(model, shown, run.subject.look), hidden_places(len(chosen), rows, columns, recipe.hidden, generator))


def _drawn(item: Footage, ticks: I64, needed: I64, rng: np.random.Generator, views: ClipViews, crop: int) -> View:
    first = int(rng.integers(max(1, len(item.pictures) - int(ticks[-1]))))
    return varied(span(item, ticks, needed, first), rng, views, crop)


def _mixed(batch: Batch, share: float, others: Tensor) -> Batch:
    """Every clip with some of another one (H. Zhang et al., mixup, 2018)."""
    inputs = tuple(share * part + (1 - share) * part[others] for part in batch.inputs)
    return Batch(inputs, share * batch.shares + (1 - share) * batch.shares[others])


def seen(model: nn.Module, shown: Sequence[View], look: Look) -> tuple[Tensor, ...]:
    """What ``said`` takes: pictures and motion for the built-in kind, normalised clips f32[b 3 t h w] for all others."""
    pictures = torch.stack([view.pictures for view in shown])
    if isinstance(model, MotionTimeSformer):
        return model.cells(pictures, torch.stack([view.flow for view in shown if view.flow is not None]))
    clips = pictures.permute(0, 1, 3, 4, 2) * 255
    return (normalized(clips if look.order == "rgb" else clips.flip(-1), mean=look.mean, std=look.std),)


def said(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Logits f32[b classes]."""
    logits: Tensor = model.classify(*inputs) if isinstance(model, MotionTimeSformer) else model(*inputs)
    return logits


def losses(model: nn.Module, batch: Batch, *, masked: float = 0.0) -> dict[str, Tensor]:
    """The cross entropy and, where there are clips without labels, ``masked`` times the error in what is hidden of them."""
    logits = said(_network(model), batch.inputs)
    parts = {"class": -(batch.shares * logits.log_softmax(dim=-1)).sum(dim=-1).mean()}
    return {**parts, "masked": masked * model(*batch.masked)} if isinstance(model, Masked) else parts


def _network(model: nn.Module) -> nn.Module:
    return model.network if isinstance(model, Masked) else model


@torch.inference_mode()
def told(model: nn.Module, clips: Labelled, run: Run) -> F64:
    """Scores f64[n classes]: the mean over windows that overlap by half, as ``vidpc recognize`` answers for a video."""
    ticks, needed = ticks_of(run.subject, run.recipe)
    length, look = int(ticks[-1]) + 1, run.subject.look
    rows = []
    for item in clips.footage:
        shown = [_middle(span(item, ticks, needed, first), look.crop) for first in starts(item, length, max(1, length // 2))]
        rows.append(said(model, seen(model, shown, look)).softmax(dim=-1).mean(dim=0).double().numpy())
    return np.stack(rows)


def _middle(view: View, crop: int) -> View:
    """The square in the middle, which is all where pictures were stretched."""
    top, left = ((side - crop) // 2 for side in view.pictures.shape[-2:])
    return View(view.pictures[..., top : top + crop, left : left + crop], view.flow)


def figures(scores: F64, labels: I64, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy, its mean over labels, and for every label how often which one was told (rows: what it was)."""
    found = scores.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, found), 1)
    present = confusion.sum(axis=1) > 0
    shares = np.diag(confusion)[present] / confusion.sum(axis=1)[present]
    return {
        "accuracy": round(float((found == labels).mean()), 4),
        "mean_class_accuracy": round(float(shares.mean()), 4),
        "clips": len(labels),
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }


def finish(out: Path, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    step, average = learnt(run.folder)
    config = {**run.subject.config, "classes": len(run.classes)}
    metadata = {
        "architecture": run.subject.architecture,
        "config": json.dumps(config),
        "labels": json.dumps(list(run.classes)),
        "input": json.dumps(dict(run.subject.rules)),
        "licence": licence,
        "source": f"vidpc train recognize, {step} steps, seed {run.recipe.schedule.seed}",
    }
    average = {**average, **_offset_head(average, run)}
    tensors = {name: value.half() for name, value in average.items() if value.is_floating_point()}
    return weights.write(out, tensors, metadata)


def _offset_head(average: Mapping[str, Tensor], run: Run) -> dict[str, Tensor]:
    """The bias of the head with the recipe's offsets."""
    offsets = dict(map(parse_offset, run.recipe.offsets))
    name = next(name for name in average if name.split(".")[0] in _HEADS and name.endswith("bias"))
    return {name: average[name] + torch.tensor([offsets.get(label, 0.0) for label in run.classes])}


def learnt(folder: Path) -> tuple[int, dict[str, Tensor]]:
    """The step of a run's checkpoint and the network's averaged weights, without what only masked tubes need."""
    saved = read_checkpoint(folder / "checkpoint.pt")
    masked = "predict.weight" in saved["average"]
    if not masked:
        return saved["step"], saved["average"]
    inside = {name: value for name, value in saved["average"].items() if name.split(".")[0] not in _MASKED_ALONE}
    return saved["step"], {name.removeprefix(_INSIDE): value for name, value in inside.items()}


def measure_file(file: Path, val: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What the weights in a file reach on the clips of ``val`` whose split is val. ``folder`` keeps the decoded clips."""
    content = weights.read(file)
    model, look = build_model(content), Look.of(content.header.input)
    recipe = RecognizeRecipe(rate_fps=rate_fps(look)) if content.header.architecture == OWN else RecognizeRecipe()
    subject, kept = given(content, recipe)
    found = list(decoded([clip for path in val for clip in listed(path, "val")], kept, folder))
    classes = content.header.labels
    if unknown := {item.clip.label for item in found} - set(classes):
        raise PresetError(f"{file} does not know the labels {', '.join(sorted(unknown))}")
    measured = numbered(found, classes)
    run = Run(recipe, subject, classes, measured, measured, folder)
    return figures(told(model, measured, run)[:, list(content.header.logits)], measured.labels, classes)
