"""Training of networks that draw frames: raw footage, of which some frames are left out and have to be drawn."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vidpc import presets, weights
from vidpc.errors import PresetError
from vidpc.models.convtransformer import ConvTransformer, ConvTransformerConfig
from vidpc.models.motion_convtransformer import MotionConvTransformer
from vidpc.tasks.synthesize import build_model
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.shots import Shot, shots
from vidpc.training.synthesize_recipe import SynthesizeRecipe
from vidpc.training.trainee import Trainee, train
from vidpc.types import U8
from vidpc.weights import registry

_ROUNDING = 1e-3  # of the absolute difference at 0: Charbonnier's


class Batch(NamedTuple):
    """Frames f32[b n 3 h w] that are shown, the time f32[b 1] of one that is not, and that one, f32[b 3 h w]."""

    frames: Tensor
    times: Tensor
    wanted: Tensor


@dataclass(frozen=True, slots=True)
class Run:
    """What a run works on, and the folder of its log and checkpoint."""

    recipe: SynthesizeRecipe
    train: Sequence[Shot]
    val: Sequence[Shot]
    folder: Path
    init: Mapping[str, Tensor] | None = None


def prepare(
    recipe: str,
    overrides: Mapping[str, Any],
    *,
    data: Sequence[Path],
    val: Sequence[Path],
    folder: Path,
    init: str | None = None,
) -> Run:
    """The run that a user's words name, its footage decoded. Raises before anything is trained."""
    settings = presets.load(recipe, SynthesizeRecipe, overrides)
    if not data:
        raise PresetError("training needs footage: name a video, a folder or a .csv with --data")
    least = needed(settings)
    kept = folder / "shots"
    found = shots(data, "train", kept, short_side=settings.short_side, least=least)
    held = shots(val, "val", kept, short_side=settings.short_side, least=least)
    return Run(settings, found, held, folder, None if init is None else _begun(registry.load(init), settings))


def needed(recipe: SynthesizeRecipe) -> int:
    """Frames that a shot has at least."""
    return (_shown(recipe) - 1) * max(recipe.spacings) + 1


def _shown(recipe: SynthesizeRecipe) -> int:
    return recipe.network().frames


def _begun(file: weights.WeightsFile, recipe: SynthesizeRecipe) -> Mapping[str, Tensor]:
    if file.header.architecture != recipe.architecture:
        raise PresetError(f"{file.header.path}: weights of {file.header.architecture!r}, expected {recipe.architecture!r}")
    return {name: value.float() for name, value in file.tensors.items()}


def carry_out(run: Run, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Trains to the end, yielding what the log says."""
    torch.manual_seed(run.recipe.schedule.seed)
    model = started(run.recipe)
    if run.init is not None:
        model.load_state_dict(run.init)
    measured = samples(run.val, _shown(run.recipe), run.recipe.check_samples)

    def measure(model: nn.Module) -> Mapping[str, Any]:
        return figures(model, measured) if measured else {}

    trainee = Trainee(model, lambda rng: draw(run, rng), losses, measure)
    yield from train(trainee, run.recipe.schedule, run.folder, resume=resume)


def started(recipe: SynthesizeRecipe) -> nn.Module:
    """The recipe's network with random weights, laid out in memory as convolutions on a CPU like it."""
    config = recipe.network()
    model = ConvTransformer(config) if isinstance(config, ConvTransformerConfig) else MotionConvTransformer(config)
    return model.to(memory_format=torch.channels_last)


def draw(run: Run, rng: np.random.Generator) -> Batch:
    """A batch of crops; every frame of all shots is as likely."""
    recipe = run.recipe
    chances = np.array([len(shot) for shot in run.train], np.float64)
    chosen = rng.choice(len(run.train), recipe.batch, p=chances / chances.sum())
    drawn = [_sample(run.train[i].frames, recipe, rng) for i in chosen]
    frames = torch.from_numpy(np.stack([pictures for pictures, _ in drawn])).permute(0, 1, 4, 2, 3).float() / 255
    times = torch.tensor([[time] for _, time in drawn])
    return Batch(frames[:, :-1], times, frames[:, -1])


def _sample(frames: U8, recipe: SynthesizeRecipe, rng: np.random.Generator) -> tuple[U8, float]:
    """Crops u8[n+1 crop crop 3], the wanted frame last, and its time."""
    n = _shown(recipe)
    if rng.random() < recipe.after:
        spacing, time = 1, float(n)
        first = int(rng.integers(len(frames) - n))
        indices = np.arange(first, first + n + 1)
    else:
        spacing = int(rng.choice(recipe.spacings))
        first = int(rng.integers(len(frames) - (n - 1) * spacing))
        gap, inside = int(rng.integers(n - 1)), int(rng.integers(1, spacing))
        time = gap + inside / spacing
        indices = np.array([*range(first, first + (n - 1) * spacing + 1, spacing), first + gap * spacing + inside])
    if time < n - 1 and rng.random() < 0.5:  # backwards
        indices = np.append(indices[-2::-1], indices[-1])
        time = n - 1 - time
    return _varied(_cropped(frames, indices, recipe, rng), rng), time


def _cropped(frames: U8, indices: np.ndarray, recipe: SynthesizeRecipe, rng: np.random.Generator) -> U8:
    """The crop that changes most of a few; smaller pictures are repeated beyond their border."""
    step = 2 if rng.random() < recipe.halved and min(frames.shape[1:3]) >= 1.2 * recipe.crop else 1
    side = min(recipe.crop * step, 2 * (min(frames.shape[1:3]) // 2))
    best: U8 | None = None
    most = -1.0
    for _ in range(recipe.tries):
        y, x = (int(rng.integers(length - side + 1)) for length in frames.shape[1:3])
        crops = np.stack([frames[i, y : y + side, x : x + side] for i in indices])
        change = float(np.abs(crops[0, ::8, ::8].astype(np.int16) - crops[-2, ::8, ::8]).mean())
        if change > most:
            best, most = crops, change
    assert best is not None  # tries is at least 1
    return _fitted(best, step, recipe.crop)


def _fitted(crops: U8, step: int, side: int) -> U8:
    if step == 2:
        halves = crops.reshape(len(crops), crops.shape[1] // 2, 2, crops.shape[2] // 2, 2, 3)
        crops = np.round(halves.mean(axis=(2, 4))).astype(np.uint8)
    missing = [side - length for length in crops.shape[1:3]]
    if not any(missing):
        return crops
    return np.pad(crops, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")


def _varied(crops: U8, rng: np.random.Generator) -> U8:
    """Turned, mirrored, with its colours exchanged."""
    crops = np.rot90(crops, int(rng.integers(4)), axes=(1, 2))
    crops = crops[:, :, ::-1] if rng.random() < 0.5 else crops
    return np.ascontiguousarray(crops[..., rng.permutation(3)])


def losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """How far the drawn frame is from the one that was left out."""
    return {"drawn": _distance(model(batch.frames, batch.times)[:, 0], batch.wanted)}


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return ((one - other).square() + _ROUNDING**2).sqrt().mean()


class Question(NamedTuple):
    """Frames u8[n h w 3] with every second one left out, and the one in the middle of them."""

    frames: U8
    time: float
    wanted: U8
    clip: str


def samples(found: Sequence[Shot], shown: int, count: int | None = None) -> list[Question]:
    """Questions from all places of the shots, or ``count`` of them evenly spread: the frame between the middle two."""
    places = [(shot, first) for shot in found for first in range(len(shot) - 2 * (shown - 1))]
    if count is not None and len(places) > count:
        places = [places[int((i + 0.5) * len(places) / count)] for i in range(count)]
    return [
        Question(
            shot.frames[first : first + 2 * shown - 1 : 2],
            (shown - 1) / 2 if shown % 2 == 0 else (shown - 2) / 2,
            shot.frames[first + shown - 1 if shown % 2 == 0 else first + shown - 2],
            shot.clip.path.stem,
        )
        for shot, first in places
    ]


@torch.inference_mode()
def figures(model: nn.Module, questions: Sequence[Question]) -> dict[str, Any]:
    """Mean PSNR in dB of what the network draws, and of the mean of the two frames around."""
    drawn, averaged = [], []
    for question in questions:
        frames = torch.from_numpy(np.ascontiguousarray(question.frames)).permute(0, 3, 1, 2)[None].float() / 255
        new = model(frames, torch.tensor([[question.time]]))[0, 0].permute(1, 2, 0).mul(255).round().numpy()
        wanted = question.wanted.astype(np.float32)
        before = int(question.time)
        mean = np.round(question.frames[before : before + 2].astype(np.float32).mean(axis=0))
        drawn.append(_psnr(new, wanted))
        averaged.append(_psnr(mean, wanted))
    return {"psnr": round(float(np.mean(drawn)), 3), "averaging": round(float(np.mean(averaged)), 3), "frames": len(drawn)}


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(float(np.square(one - other).mean()), 1e-6)))


def measure_file(file: Path, val: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What the weights in a file reach on all shots of ``val`` whose split is val. ``folder`` keeps the decoded footage."""
    content = weights.read(file)
    model, shown = build_model(content), int(content.header.input["frames"])
    found = shots(val, "val", folder, short_side=SynthesizeRecipe().short_side, least=2 * shown - 1)
    return figures(model, samples(found, shown))


def finish(out: Path, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    saved = read_checkpoint(run.folder / "checkpoint.pt")
    metadata = {
        "architecture": run.recipe.architecture,
        "config": json.dumps(asdict(run.recipe.network())),
        "labels": json.dumps([]),
        "input": json.dumps({"frames": _shown(run.recipe), "value_range": [0, 1]}),
        "licence": licence,
        "source": f"vidpc train synthesize, {saved['step']} steps, seed {run.recipe.schedule.seed}",
    }
    return weights.write(out, {name: value.half() for name, value in saved["average"].items()}, metadata)
