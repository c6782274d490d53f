"""Footage of simulated camera moves: real scenes, generated streets, and a camera that is told where to go."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from vidpc.errors import PresetError
from vidpc.synthetic.street import Street
from vidpc.training.actors import actor
from vidpc.training.camera_moves import MOVES, MoveOptions, filmed, path
from vidpc.training.clips import Clip, Footage, Kept, decoded, flow_of
from vidpc.types import U8

SCENE_SIDE = 320  # pixels of a scene, over which the view goes
_STILL_PX = 0.1  # of a scene's flow at a third of its size, over a fifth of a second: a camera that moves less stands still
_TRIES = 50  # draws of a way until one fits into its scene
_STREET_SEED = 20_000  # of the streets: `vidpc demo` and the training of trackers draw from smaller seeds


@dataclass(frozen=True, slots=True)
class Simulation:
    """So many ``simulated`` clips, each of a move and a scene that are drawn; ``streets`` of the scenes are generated."""

    simulated: int = 0
    streets: int = 40
    frozen: float = 0.5  # share of clips on footage of still cameras in which nothing but the camera moves
    actors: int = 0  # things that move in front of a scene, at most; every number of them is as likely
    moves: MoveOptions = field(default_factory=MoveOptions)


@dataclass(frozen=True, slots=True)
class Scene:
    """Pictures u8[n h w 3] that a camera can go over, and whether the one that took them stood still."""

    pictures: U8
    still: bool


def footage(
    scenes: Sequence[Clip], simulation: Simulation, kept: Kept, count: int, folder: Path, seed: int
) -> Iterator[Footage]:
    """The clips, of ``count`` pictures kept as ``kept`` says, from ``folder`` where they are already there.

    Clip i shows the same, whatever the number of clips, until another setting changes; its move is number i of all moves,
    again and again.
    """
    if not scenes and not simulation.streets:
        raise PresetError("simulated camera moves need scenes: name videos, or set streets")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{seed}-{_settings(scenes, simulation, kept, count)}"
    opened: list[Scene] = []
    for number in range(simulation.simulated):
        move, place = MOVES[number % len(MOVES)], folder / f"{name}-{number:06d}"
        if not place.with_suffix(".done").exists():
            opened = opened or [*_real(scenes, kept, folder), *_streets(simulation.streets, seed)]
            shown = _film(opened, simulation, kept, count, move, np.random.default_rng((seed, number)))
            np.save(place.with_suffix(".npy"), shown)
            np.save(place.with_suffix(".flow.npy"), flow_of(shown))
            place.with_suffix(".done").touch()
        shown, flow = (np.load(place.with_suffix(suffix), mmap_mode="r") for suffix in (".npy", ".flow.npy"))
        yield Footage(Clip(place, move, place.name), shown, flow)


def _settings(scenes: Sequence[Clip], simulation: Simulation, kept: Kept, count: int) -> str:
    """What all clips depend on, in a few letters."""
    words = f"{[str(clip.path.resolve()) for clip in scenes]} {replace(simulation, simulated=0)} {kept} {count}"
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _film(scenes: Sequence[Scene], simulation: Simulation, kept: Kept, count: int, move: str, rng: np.random.Generator) -> U8:
    for _ in range(_TRIES):
        scene = scenes[int(rng.integers(len(scenes)))]
        n = len(scene.pictures)
        if scene.still and n >= count and rng.random() >= simulation.frozen:
            first = int(rng.integers(n - count + 1))
            pictures = scene.pictures[first : first + count]
        else:
            pictures = scene.pictures[(first := int(rng.integers(n))) : first + 1]
        drawn = [scenes[int(i)].pictures for i in rng.integers(len(scenes), size=int(rng.integers(simulation.actors + 1)))]
        actors = [actor(run[int(rng.integers(len(run)))], count, float(kept.rate_fps), rng) for run in drawn]
        way = path(move, count, float(kept.rate_fps), rng, simulation.moves)
        shown = filmed(pictures, way, rng, kept.side, actors)
        if shown is not None:
            return shown
    raise PresetError(f"no way of the move {move!r} fits into its scene: slower moves are needed")


def _real(scenes: Sequence[Clip], kept: Kept, folder: Path) -> Iterator[Scene]:
    large = Kept(kept.rate_fps, SCENE_SIDE, stretch=True, with_flow=False)
    for footage in decoded(scenes, large, folder):
        yield Scene(footage.pictures, _is_still(footage.pictures))


def _is_still(pictures: U8) -> bool:
    """Whether the camera stands: seen in a third of the pictures, a third as large."""
    flow = flow_of(pictures[::3, 16:304:3, 16:304:3]).astype(np.float32)
    return len(flow) == 0 or float(np.abs(np.median(flow, axis=(2, 3))).max()) < _STILL_PX


def _streets(count: int, seed: int) -> Iterator[Scene]:
    for number in range(count):
        pixels, _ = Street(seed=_STREET_SEED + 1000 * seed + number).frame(1.0)
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        square = F.interpolate(picture, size=(SCENE_SIDE, SCENE_SIDE), mode="bilinear", antialias=True)
        yield Scene(square.permute(0, 2, 3, 1).numpy(), still=False)
