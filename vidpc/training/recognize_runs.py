"""What a recogniser's training run works on: its network, its clips, and how a window is cut out of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from vidpc import presets
from vidpc.errors import PresetError
from vidpc.models.motion_timesformer import MotionTimeSformer
from vidpc.tasks.look import Look
from vidpc.tasks.recognisers import build_model
from vidpc.training.clips import Footage, Kept, decoded, listed, scenes
from vidpc.training.recognize_recipe import RecognizeRecipe, parse_class, parse_offset
from vidpc.training.simulated import footage
from vidpc.types import I64
from vidpc.weights import WeightsFile, registry

OWN = "motion-timesformer"
_VAL_SHARE, _VAL_SEED = 9, 1000  # simulated clips to measure on are fewer, and drawn by another seed


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
    subject, kept = own(settings) if init is None else given(registry.load(init), settings)
    begun = folder / "clips"
    found = list(decoded(learned, kept, begun))
    found += decoded([replace(clip, group="") for path in also for clip in listed(path, "all")], kept, begun)
    if settings.simulation.simulated:
        found += footage(places, settings.simulation, kept, length(subject, settings), begun, settings.schedule.seed)
    names = {label: name for name, labels in map(parse_class, settings.classes_of) for label in labels}
    found = [_counted_as(item, names) for item in found]
    classes = tuple(sorted({item.clip.label for item in found}))
    if len(classes) < 2:
        raise PresetError(f"the clips have the labels {classes}, expected at least two")
    if unknown := {label for label, _ in map(parse_offset, settings.offsets)} - set(classes):
        raise PresetError(f"offsets name labels that the clips have not: {', '.join(sorted(unknown))}")
    held = [_counted_as(item, names) for item in decoded(measured, kept, begun)]
    if settings.simulation.simulated and val_scene:
        unseen = [clip for path in val_scene for clip in scenes(path, "val")]
        fewer = replace(settings.simulation, simulated=settings.simulation.simulated // _VAL_SHARE)
        held += footage(unseen, fewer, kept, length(subject, settings), begun, settings.schedule.seed + _VAL_SEED)
    if unknown := {item.clip.label for item in held} - set(classes):
        raise PresetError(f"clips of --val have labels that no clip of --data has: {', '.join(sorted(unknown))}")
    unlabelled = tuple(decoded(places, kept, begun)) if settings.masked else ()
    measured_on = numbered(held, classes) if held else None
    return Run(settings, subject, classes, numbered(found, classes), measured_on, folder, unlabelled)


def _counted_as(item: Footage, names: Mapping[str, str]) -> Footage:
    return replace(item, clip=replace(item.clip, label=names.get(item.clip.label, item.clip.label)))


def numbered(found: Sequence[Footage], classes: tuple[str, ...]) -> Labelled:
    return Labelled(tuple(found), np.array([classes.index(item.clip.label) for item in found], np.int64))


def own(recipe: RecognizeRecipe) -> tuple[Subject, Kept]:
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


def given(file: WeightsFile, recipe: RecognizeRecipe) -> tuple[Subject, Kept]:
    """The network of a weights file, to be trained further or measured."""
    look = Look.of(file.header.input)
    own = file.header.architecture == OWN
    if own and recipe.rate_fps != (rate := rate_fps(look)):
        raise PresetError(f"rate_fps is {recipe.rate_fps:g}, expected {rate:g}: every picture that {file.header.path} sees")
    kept = Kept(_exact(recipe.rate_fps), look.short_side, stretch=look.resize == "stretch", with_flow=own)
    return Subject(file.header.architecture, file.header.config, file.header.input, lambda: build_model(file)), kept


def rate_fps(look: Look) -> float:
    """Pictures a second of a network that sees them side by side."""
    return round(float(look.frames / look.window_s), 3)


def ticks_of(subject: Subject, recipe: RecognizeRecipe) -> tuple[I64, I64]:
    """The kept pictures of a window, counted from its first, and which of them the network is shown."""
    look = subject.look
    rule = look.rule(look.window_s)
    places = [rule.first + i * rule.spacing for i in range(rule.count)]
    ticks = np.array([int(place * look.window_s * _exact(recipe.rate_fps)) for place in places], np.int64)
    if subject.architecture != OWN:
        return ticks, np.arange(len(ticks))
    tube = int(subject.config["tube"])
    return ticks, np.arange(tube // 2, len(ticks) - 1, tube)


def length(subject: Subject, recipe: RecognizeRecipe) -> int:
    return int(ticks_of(subject, recipe)[0][-1]) + 1


def _exact(rate: float) -> Fraction:
    return Fraction(str(rate))
