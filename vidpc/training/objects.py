"""Training of a classifier of objects: its recipe, its batches, its loss and its measure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidpc import presets, weights
from vidpc.errors import PresetError, WeightsError
from vidpc.models.pct import PCT, PCTConfig
from vidpc.ops.clouds import turned
from vidpc.presets import LEAST_POINTS
from vidpc.tasks.classify import Look, build_model, views
from vidpc.training import shapes
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.object_views import ViewOptions, view
from vidpc.training.shapes import Shapes
from vidpc.training.trainee import Schedule, Trainee, train

LOOK = Look(points=1024, centre="box", up="z")


@dataclass(frozen=True, slots=True)
class ObjectRecipe:
    """One training run of a classifier. ``configs/objects.train.toml`` holds that of the built-in ``objects`` weights."""

    network: PCTConfig = field(default_factory=PCTConfig)  # whose classes are those of the data
    batch: int = 32
    points: tuple[int, ...] = (256, 384, 512, 768, 1024)  # of a view; one number is drawn for each batch
    smoothing: float = 0.1
    mixed: float = 0.4  # share of batches whose clouds have a part of another one put in
    votes: int = 8  # when measuring
    hold_out: float = 0.0  # share of each class that is not trained on, and measured where no other objects are named
    view: ViewOptions = field(default_factory=ViewOptions)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if not self.points or min(self.points) < LEAST_POINTS:
            raise PresetError(f"points is {self.points}, expected numbers from {LEAST_POINTS} on")
        if not 0 <= self.hold_out < 1 or not 0 <= self.smoothing < 1:
            raise PresetError(f"hold_out {self.hold_out} and smoothing {self.smoothing}: expected shares from 0 to below 1")
        if self.batch < 2:
            raise PresetError(f"batch is {self.batch}, expected at least 2: batch norms need more than one cloud")


class Batch(NamedTuple):
    """Clouds, and how much of each class every one of them shows."""

    xyz: Tensor  # f32[b n 3]
    shares: Tensor  # f32[b classes]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run works on: objects to learn from, others to measure on, and the folder of its log and checkpoint."""

    recipe: ObjectRecipe
    train: Shapes
    val: Shapes | None
    folder: Path


def prepare(recipe: str, overrides: Mapping[str, Any], *, data: Sequence[Path], val: Sequence[Path], folder: Path) -> Run:
    """The run that a user's words name, its objects read. Raises before anything is trained."""
    settings = presets.load(recipe, ObjectRecipe, overrides)
    if not data:
        raise PresetError("training needs labelled objects: name a folder, .csv or .npz with --data")
    learned = _joined([shapes.load(path, "train") for path in data])
    measured = _joined([shapes.load(path, "val") for path in val]) if val else None
    if measured is not None and measured.classes != learned.classes:
        raise PresetError(f"the objects of --val have the classes {measured.classes}, those of --data {learned.classes}")
    if settings.hold_out:
        learned, held = shapes.hold_out(learned, settings.hold_out, settings.schedule.seed)
        measured = measured or held
    if len(learned.classes) < 2:
        raise PresetError(f"the objects have the classes {learned.classes}, expected at least two")
    settings = replace(settings, network=replace(settings.network, classes=len(learned.classes)))
    return Run(settings, learned, measured, folder)


def carry_out(run: Run, *, resume: bool = False, init: Path | None = None) -> Iterator[dict[str, Any]]:
    """Trains to the end, from random weights or from those of the file ``init``, yielding what the log says."""
    torch.manual_seed(run.recipe.schedule.seed)
    model = PCT(run.recipe.network) if init is None else _started(init, run)
    measured = run.val

    def measure(model: nn.Module) -> Mapping[str, float]:
        return {} if measured is None else {"accuracy": accuracy(model, measured, votes=run.recipe.votes)}

    trainee = Trainee(model, lambda rng: draw(run.train, run.recipe, rng), losses, measure)
    yield from train(trainee, run.recipe.schedule, run.folder, resume=resume)


def _started(init: Path, run: Run) -> PCT:
    file = weights.read(init)
    model = build_model(file)
    if model.config != run.recipe.network or file.header.labels != run.train.classes:
        raise WeightsError(f"{init}: weights of other sizes or labels than the recipe and the data ask for: {model.config}")
    return model


def finish(out: Path, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    saved = read_checkpoint(run.folder / "checkpoint.pt")
    schedule = run.recipe.schedule
    return export(
        out,
        saved["average"],
        run.recipe.network,
        labels=run.train.classes,
        licence=licence,
        source=f"vidpc train classify, {saved['step']} steps, seed {schedule.seed}",
    )


def export(
    path: Path, tensors: Mapping[str, Tensor], network: PCTConfig, *, labels: Sequence[str], licence: str, source: str
) -> str:
    """Writes a weights file and returns its sha256. What only training reads is left out."""
    metadata = {
        "architecture": "pct",
        "config": json.dumps(asdict(network)),
        "labels": json.dumps(list(labels)),
        "input": json.dumps(asdict(LOOK)),
        "licence": licence,
        "source": source,
    }
    return weights.write(path, {name: value.half() for name, value in tensors.items() if value.is_floating_point()}, metadata)


def measure_file(file: Path, val: Sequence[Path]) -> dict[str, float]:
    """What the weights in a file reach on the objects of ``val``, from 1024, 512 and 256 points of each."""
    content = weights.read(file)
    model, measured = build_model(content), _joined([shapes.load(path, "val") for path in val])
    if measured.classes != content.header.labels:
        raise PresetError(f"{file} knows {content.header.labels}, the objects have the classes {measured.classes}")
    return {f"{points} points": accuracy(model, measured, votes=8, points=points) for points in (1024, 512, 256)}


def draw(learned: Shapes, recipe: ObjectRecipe, rng: np.random.Generator) -> Batch:
    """A batch of views, each of another object where there are enough."""
    count = int(rng.choice(recipe.points))
    chosen = rng.choice(len(learned), recipe.batch, replace=len(learned) < recipe.batch)
    clouds = np.stack([view(learned.clouds[i], count, rng, recipe.view) for i in chosen])
    shares = np.full((recipe.batch, len(learned.classes)), recipe.smoothing / len(learned.classes), np.float32)
    shares[np.arange(recipe.batch), learned.labels[chosen]] += 1 - recipe.smoothing
    if rng.random() < recipe.mixed:
        clouds, shares = _mixed(clouds, shares, rng)
    return Batch(torch.from_numpy(clouds), torch.from_numpy(shares))


def _mixed(clouds: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Every cloud with its points nearest to a place replaced by those of another cloud; labels go with the points."""
    others = rng.permutation(len(clouds))
    count = int(rng.uniform(0, 0.5) * clouds.shape[1])
    mixed = clouds.copy()
    for cloud, own, other in zip(mixed, clouds, clouds[others], strict=True):
        place = own[rng.integers(len(own))]
        cloud[_nearest(own, place, count)] = other[_nearest(other, place, count)]
    share = count / clouds.shape[1]
    return mixed, ((1 - share) * shares + share * shares[others]).astype(np.float32)


def _nearest(cloud: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(((cloud - place) ** 2).sum(axis=1))[:count]


def _joined(parts: Sequence[Shapes]) -> Shapes:
    """The objects of all parts, whose classes agree."""
    for part in parts[1:]:
        if part.classes != parts[0].classes:
            raise PresetError(f"objects of different classes: {parts[0].classes} and {part.classes}")
    clouds = tuple(cloud for part in parts for cloud in part.clouds)
    return Shapes(clouds, np.concatenate([part.labels for part in parts]), parts[0].classes)


def losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The cross entropy."""
    return {"class": -(batch.shares * model(batch.xyz).log_softmax(dim=-1)).sum(dim=-1).mean()}


@torch.inference_mode()
def accuracy(model: nn.Module, measured: Shapes, *, votes: int, points: int = 1024, seed: int = 0) -> float:
    """The share of objects that are told right, each turned at random about the vertical first."""
    rng = np.random.default_rng(seed)
    right = 0
    for cloud, label in zip(measured.clouds, measured.labels, strict=True):
        drawn = cloud[rng.permutation(len(cloud))[:points]]
        seen = views(turned(drawn, rng.uniform(0, 2 * np.pi)).astype(np.float64), LOOK, points=points, votes=votes)
        right += int(model(torch.from_numpy(seen)).softmax(dim=-1).mean(dim=0).argmax()) == label
    return round(right / len(measured), 4)
