"""Training of recognisers of actions: the recipe, its batches, its loss and its measure; the networks that ship, and others."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidpc import presets, weights
from vidpc.errors import PresetError, WeightsError
from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.ops.clip import normalized
from vidpc.tasks.recognize import Look, build_model
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.clip_views import ClipViews, View, span, starts, varied
from vidpc.training.clips import Footage, Kept, decoded, listed, scenes
from vidpc.training.masked import Masked, hidden_places
from vidpc.training.simulated import Simulation, footage
from vidpc.training.trainee import Schedule, Trainee, train
from vidpc.types import F64, I64
from vidpc.weights import WeightsFile, registry

OWN = "motion-timesformer"
_HEADS = ("head", "fc")  # what a recogniser calls its last layer
_VAL_SHARE, _VAL_SEED = 9, 1000  # simulated clips to measure on are fewer, and drawn by another seed
_LEARNS = ("all", "head")
_INSIDE, _MASKED_ALONE = "network.", ("hidden", "predict")  # names of the network's values within ``Masked``, and its own


@dataclass(frozen=True, slots=True)
class RecognizeRecipe:
    """One training run of a recogniser. ``configs/fight.train.toml`` and its neighbours hold those of the built-in weights."""

    network: MotionTimeSformerConfig = field(default_factory=MotionTimeSformerConfig)  # where --init names no other
    # what a label of the data counts as, such as "fight: punch kick push"; labels that none names stay as they are
    classes_of: tuple[str, ...] = ()
    rate_fps: float = 15.0  # at which pictures are kept; the network's own takes every one of them
    batch: int = 16
    smoothing: float = 0.1
    mixed: float = 0.2  # both parameters of the Beta distribution that batches are mixed by; 0: they are not
    colours: float = 0.5  # share of clips whose pictures are shown beside their motion
    learns: str = "all"  # or the head alone
    layer_decay: float = 1.0  # share of a block's learning rate that the block before it has
    masked: float = 0.0  # weight of the loss of masked tubes on the clips of --scenes; 0: there is none
    hidden: float = 0.6  # share of the places that it hides
    views: ClipViews = field(default_factory=ClipViews)
    simulation: Simulation = field(default_factory=Simulation)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.learns not in _LEARNS:
            raise PresetError(f"learns is {self.learns!r}, expected one of {', '.join(_LEARNS)}")
        for text in self.classes_of:
            parse_class(text)
        if self.batch < 2 or not 0 <= self.smoothing < 1 or not 0 < self.layer_decay <= 1 or not self.rate_fps > 0:
            raise PresetError(
                f"batch {self.batch}, smoothing {self.smoothing}, layer_decay {self.layer_decay}, rate_fps {self.rate_fps}: "
                "expected at least 2, 0 to below 1, above 0 to 1, above 0"
            )
        if self.mixed < 0 or self.masked < 0 or not 0 < self.hidden < 1 or not 0 <= self.colours <= 1:
            raise PresetError(
                f"mixed {self.mixed}, masked {self.masked}, hidden {self.hidden}, colours {self.colours}: expected 0 or more, "
                "0 or more, between 0 and 1, 0 to 1"
            )


def parse_class(text: str) -> tuple[str, tuple[str, ...]]:
    """(class, labels) from words such as ``fight: punch kick push``."""
    name, colon, labels = text.partition(":")
    if not colon or not name.strip() or not labels.split():
        raise PresetError(f"classes_of {text!r}: expected CLASS: LABEL …, such as fight: punch kick push")
    return name.strip(), tuple(labels.split())


class Batch(NamedTuple):
    """What a network is shown, and how much of each label that is."""

    inputs: tuple[Tensor, ...]
    shares: Tensor  # f32[b classes]
    masked: tuple[Tensor, ...] = ()  # clips without labels, and which places of them are hidden


@dataclass(frozen=True, slots=True)
class Subject:
    """The network of a run, as its weights file will describe it."""

    architecture: str
    config: Mapping[str, Any]
    rules: Mapping[str, Any]  # of its input
    start: Callable[[], nn.Module]

    @property
    def look(self) -> Look:
        """How it sees a clip."""
        return Look.of(self.rules)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Footage and the number of each clip's label."""

    footage: tuple[Footage, ...]
    labels: I64

    def take(self, chosen: np.ndarray) -> "Labelled":
        """The clips that ``chosen`` bool[n] names."""
        return Labelled(tuple(self.footage[i] for i in np.flatnonzero(chosen)), self.labels[chosen])


@dataclass(frozen=True, slots=True)
class Run:
    """What a run works on, and the folder of its log and checkpoint."""

    recipe: RecognizeRecipe
    subject: Subject
    classes: tuple[str, ...]
    train: Labelled
    val: Labelled | None
    folder: Path
    unlabelled: tuple[Footage, ...] = ()  # that masked tubes are learnt from


def prepare(
    recipe: str,
    overrides: Mapping[str, Any],
    *,
    data: Sequence[Path],
    also: Sequence[Path],
    val: Sequence[Path],
    scene: Sequence[Path],
    val_scene: Sequence[Path],
    init: str | None,
    split: str,
    folder: Path,
) -> Run:
    """The run that a user's words name, its clips decoded. ``split`` says which clips of ``data`` are learnt from.

    Those of ``also`` are learnt from, all of them, and never measured on. Raises before anything is trained.
    """
    settings = presets.load(recipe, RecognizeRecipe, overrides)
    learned, measured = ([c for path in paths for c in listed(path, s)] for paths, s in ((data, split), (val, "val")))
    if not learned and not settings.simulation.simulated:
        raise PresetError("training needs labelled clips: name a folder or a .csv with --data")
    places = [clip for path in scene for clip in scenes(path, split)]
    if settings.masked and (init is not None or not places):
        raise PresetError("masked tubes need a network of the built-in kind, and clips: name some with --scenes")
    if scene and not settings.masked and not settings.simulation.simulated:
        raise PresetError("nothing is learnt from --scenes: set simulated or masked in the recipe, or leave them out")
    subject, kept = _own(settings) if init is None else _given(registry.load(init), settings)
    begun = folder / "clips"
    found = list(decoded(learned, kept, begun))
    found += decoded([replace(clip, group="") for path in also for clip in listed(path, "all")], kept, begun)
    if settings.simulation.simulated:
        found += footage(places, settings.simulation, kept, _length(subject, settings), begun, settings.schedule.seed)
    names = {label: name for name, labels in map(parse_class, settings.classes_of) for label in labels}
    found = [_counted_as(item, names) for item in found]
    classes = tuple(sorted({item.clip.label for item in found}))
    if len(classes) < 2:
        raise PresetError(f"the clips have the labels {classes}, expected at least two")
    held = [_counted_as(item, names) for item in decoded(measured, kept, begun)]
    if settings.simulation.simulated and val_scene:
        unseen = [clip for path in val_scene for clip in scenes(path, "val")]
        fewer = replace(settings.simulation, simulated=settings.simulation.simulated // _VAL_SHARE)
        held += footage(unseen, fewer, kept, _length(subject, settings), begun, settings.schedule.seed + _VAL_SEED)
    if unknown := {item.clip.label for item in held} - set(classes):
        raise PresetError(f"clips of --val have labels that no clip of --data has: {', '.join(sorted(unknown))}")
    unlabelled = tuple(decoded(places, kept, begun)) if settings.masked else ()
    measured_on = _numbered(held, classes) if held else None
    return Run(settings, subject, classes, _numbered(found, classes), measured_on, folder, unlabelled)


def _counted_as(item: Footage, names: Mapping[str, str]) -> Footage:
    return replace(item, clip=replace(item.clip, label=names.get(item.clip.label, item.clip.label)))


def _numbered(found: Sequence[Footage], classes: tuple[str, ...]) -> Labelled:
    return Labelled(tuple(found), np.array([classes.index(item.clip.label) for item in found], np.int64))


def _own(recipe: RecognizeRecipe) -> tuple[Subject, Kept]:
    """The built-in kind of network."""
    network = recipe.network
    rules = {
        "frames": network.frames,
        "rate": 0,
        "window_s": network.frames / recipe.rate_fps,
        "sampling": "centres",
        "resize": "stretch",
        "short_side": network.size,
        "crop": network.size,
        "order": "rgb",
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "combine": "scores",
    }
    kept = Kept(_exact(recipe.rate_fps), network.size, stretch=True, with_flow=True)
    return Subject(OWN, asdict(network), rules, lambda: MotionTimeSformer(network)), kept


def _given(file: WeightsFile, recipe: RecognizeRecipe) -> tuple[Subject, Kept]:
    """The network of a weights file, to be trained further or measured."""
    look = Look.of(file.header.input)
    own = file.header.architecture == OWN
    if own and recipe.rate_fps != (rate := _rate_fps(look)):
        raise PresetError(f"rate_fps is {recipe.rate_fps:g}, expected {rate:g}: every picture that {file.header.path} sees")
    kept = Kept(_exact(recipe.rate_fps), look.short_side, stretch=look.resize == "stretch", with_flow=own)
    return Subject(file.header.architecture, file.header.config, file.header.input, lambda: build_model(file)), kept


def _rate_fps(look: Look) -> float:
    """Pictures a second of a network that sees them side by side."""
    return round(float(look.frames / look.window_s), 3)


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

    trainee = Trainee(model, lambda rng: draw(network, run, rng), lost, measure, pace=_pace(network, run.recipe))
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


def _pace(model: nn.Module, recipe: RecognizeRecipe) -> Callable[[str], float]:
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
    ticks, needed = _ticks(run.subject, recipe)
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
    ticks, needed = _ticks(run.subject, run.recipe)
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


def _ticks(subject: Subject, recipe: RecognizeRecipe) -> tuple[I64, I64]:
    """The kept pictures of a window, counted from its first, and which of them the network is shown."""
    look = subject.look
    rule = look.rule(look.window_s)
    places = [rule.first + i * rule.spacing for i in range(rule.count)]
    ticks = np.array([int(place * look.window_s * _exact(recipe.rate_fps)) for place in places], np.int64)
    if subject.architecture != OWN:
        return ticks, np.arange(len(ticks))
    tube = int(subject.config["tube"])
    return ticks, np.arange(tube // 2, len(ticks) - 1, tube)


def _length(subject: Subject, recipe: RecognizeRecipe) -> int:
    return int(_ticks(subject, recipe)[0][-1]) + 1


def finish(out: Path, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    step, average = _learnt(run.folder)
    config = {**run.subject.config, "classes": len(run.classes)}
    metadata = {
        "architecture": run.subject.architecture,
        "config": json.dumps(config),
        "labels": json.dumps(list(run.classes)),
        "input": json.dumps(dict(run.subject.rules)),
        "licence": licence,
        "source": f"vidpc train recognize, {step} steps, seed {run.recipe.schedule.seed}",
    }
    tensors = {name: value.half() for name, value in average.items() if value.is_floating_point()}
    return weights.write(out, tensors, metadata)


def _learnt(folder: Path) -> tuple[int, dict[str, Tensor]]:
    """The step of a run's checkpoint and the network's averaged weights, without what only masked tubes need."""
    saved = read_checkpoint(folder / "checkpoint.pt")
    masked = "predict.weight" in saved["average"]
    if not masked:
        return saved["step"], saved["average"]
    inside = {name: value for name, value in saved["average"].items() if name.split(".")[0] not in _MASKED_ALONE}
    return saved["step"], {name.removeprefix(_INSIDE): value for name, value in inside.items()}


def folds(run: Run, count: int) -> list[I64]:
    """The clips of each fold: those of whole groups, ``count`` folds of about as many clips; 0: a fold for each group.

    Clips of no group are in none.
    """
    groups = sorted({item.clip.group for item in run.train.footage} - {""})
    sizes = {group: sum(item.clip.group == group for item in run.train.footage) for group in groups}
    if len(groups) < 2 or count == 1:
        raise PresetError(
            f"{len(groups)} groups of clips, {count or 'all'} folds: expected two or more, to hold out one of them"
        )
    rng = np.random.default_rng(run.recipe.schedule.seed)
    held: list[list[str]] = [[] for _ in range(min(count or len(groups), len(groups)))]
    for group in sorted(groups, key=lambda group: (-sizes[group], rng.random())):
        min(held, key=lambda fold: sum(sizes[name] for name in fold)).append(group)
    return [np.flatnonzero([item.clip.group in fold for item in run.train.footage]) for fold in held]


def crossed(run: Run, count: int, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Trains once for each fold on all others and measures on it; a line a fold, and at last the figures of all together.

    A fold that is done already, under ``resume``, is not trained again.
    """
    scores = np.zeros((len(run.train.labels), len(run.classes)))
    accuracies = []
    for stale in () if resume else [*run.folder.glob("fold-*/scores.json"), *run.folder.glob("fold-*/checkpoint.pt")]:
        stale.unlink()  # of an earlier run, which this one would else go on with after a stop
    for number, fold in enumerate(folds(run, count)):
        held = np.zeros(len(scores), bool)
        held[fold] = True
        part = replace(run, train=run.train.take(~held), val=run.train.take(held), folder=run.folder / f"fold-{number}")
        result = part.folder / "scores.json"
        if not (resume and result.exists()):
            for line in carry_out(replace(part, val=None), resume=resume and (part.folder / "checkpoint.pt").exists()):
                if line["event"] == "step":
                    yield {**line, "fold": number}
            result.write_text(json.dumps(_scores_of(part)))
        scores[fold] = json.loads(result.read_text())
        accuracies.append(float((scores[fold].argmax(axis=1) == run.train.labels[fold]).mean()))
        yield {"event": "fold", "fold": number, "clips": len(fold), "accuracy": round(accuracies[-1], 4)}
    spread = {
        "folds": len(accuracies),
        "fold_accuracies": [round(a, 4) for a in accuracies],
        "deviation": round(np.std(accuracies), 4),
    }
    measured = np.array([item.clip.group != "" for item in run.train.footage])
    yield {"event": "end", **figures(scores[measured], run.train.labels[measured], run.classes), **spread}


def _scores_of(part: Run) -> list[list[float]]:
    """What the averaged weights of a fold's run say of the clips that were held out."""
    model = started(part)
    model.load_state_dict(_learnt(part.folder)[1])
    assert part.val is not None
    scores: list[list[float]] = told(model.eval(), part.val, part).tolist()
    return scores


def measure_file(file: Path, val: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What the weights in a file reach on the clips of ``val`` whose split is val. ``folder`` keeps the decoded clips."""
    content = weights.read(file)
    model, look = build_model(content), Look.of(content.header.input)
    recipe = RecognizeRecipe(rate_fps=_rate_fps(look)) if content.header.architecture == OWN else RecognizeRecipe()
    subject, kept = _given(content, recipe)
    found = list(decoded([clip for path in val for clip in listed(path, "val")], kept, folder))
    classes = content.header.labels
    if unknown := {item.clip.label for item in found} - set(classes):
        raise PresetError(f"{file} does not know the labels {', '.join(sorted(unknown))}")
    measured = _numbered(found, classes)
    run = Run(recipe, subject, classes, measured, measured, folder)
    return figures(told(model, measured, run)[:, list(content.header.logits)], measured.labels, classes)


def _exact(rate: float) -> Fraction:
    return Fraction(str(rate))
