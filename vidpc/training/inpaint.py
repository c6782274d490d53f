"""Training of networks that fill holes: raw footage, in which holes are cut that have to be filled again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc import presets, weights
from vidpc.errors import PresetError
from vidpc.models.aligned_sttn import STRIDE, AlignedSTTN, AlignedSTTNConfig
from vidpc.ops.camera import aligned, chained, identity, in_window, inverse
from vidpc.tasks.network import build
from vidpc.training.camera_paths import camera_path
from vidpc.training.checkpoint import read_checkpoint
from vidpc.training.holes import moving_hole
from vidpc.training.inpaint_recipe import InpaintRecipe
from vidpc.training.shots import Shot, shots
from vidpc.training.trainee import Trainee, train
from vidpc.types import F32
from vidpc.weights import registry

ARCHITECTURE = "aligned-sttn"
_ROUNDING = 1e-3  # of the absolute difference at 0: Charbonnier's
_LEAST = 12  # frames of a shot
_CHECK_SEED = 77
_CHECKED = 60  # samples that tell what a weights file reaches


class Batch(NamedTuple):
    """Pictures f32[b k 3 h w] with holes f32[b k 1 h w], the one to fill first; ``motions`` f32[b k 2 3] lead to the others
    from its places, ``offsets`` f32[b k] are how many frames away they are."""

    pictures: Tensor
    holes: Tensor
    motions: Tensor
    offsets: Tensor


@dataclass(frozen=True, slots=True)
class Scene:
    """A shot, and the camera's motion from each of its frames to the next, f32[n-1 2 3]."""

    shot: Shot
    path: F32


@dataclass(frozen=True, slots=True)
class Run:
    """What a run works on, and the folder of its log and checkpoint."""

    recipe: InpaintRecipe
    train: Sequence[Scene]
    val: Sequence[Scene]
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
    """The run that a user's words name, its footage decoded and its cameras followed. Raises before anything is trained."""
    settings = presets.load(recipe, InpaintRecipe, overrides)
    if not data:
        raise PresetError("training needs footage: name a video, a folder or a .csv with --data")
    kept = folder / "shots"
    found, held = (
        [
            Scene(shot, camera_path(shot, kept))
            for shot in shots(paths, split, kept, short_side=settings.short_side, least=_LEAST)
        ]
        for paths, split in ((data, "train"), (val, "val"))
    )
    return Run(settings, found, held, folder, None if init is None else _begun(registry.load(init)))


def _begun(file: weights.WeightsFile) -> Mapping[str, Tensor]:
    if file.header.architecture != ARCHITECTURE:
        raise PresetError(f"{file.header.path}: weights of {file.header.architecture!r}, expected {ARCHITECTURE!r}")
    return {name: value.float() for name, value in file.tensors.items()}


def carry_out(run: Run, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Trains to the end, yielding what the log says."""
    torch.manual_seed(run.recipe.schedule.seed)
    model = AlignedSTTN(run.recipe.network).to(memory_format=torch.channels_last)
    if run.init is not None:
        model.load_state_dict(run.init)
    held = _held(run.val, run.recipe, run.recipe.check_samples)

    def measure(model: nn.Module) -> Mapping[str, Any]:
        return figures(model, held) if held else {}

    def lost(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        return losses(model, batch, run.recipe)

    trainee = Trainee(model, lambda rng: draw(run, rng), lost, measure)
    yield from train(trainee, run.recipe.schedule, run.folder, resume=resume)


def _held(scenes: Sequence[Scene], recipe: InpaintRecipe, count: int) -> list[Batch]:
    """So many samples of the scenes in turn, the same every time."""
    rng = np.random.default_rng(_CHECK_SEED)
    return [sample(scenes[i % len(scenes)], recipe, rng) for i in range(count)] if scenes else []


def draw(run: Run, rng: np.random.Generator) -> Batch:
    """A batch of samples; every frame of all shots is as likely to be filled."""
    chances = np.array([len(scene.shot) for scene in run.train], np.float64)
    chosen = rng.choice(len(run.train), run.recipe.batch, p=chances / chances.sum())
    return batch_of([sample(run.train[i], run.recipe, rng) for i in chosen])


def batch_of(samples: Sequence[Batch]) -> Batch:
    """Samples of one laid together."""
    return Batch(*(torch.cat(parts) for parts in zip(*samples, strict=True)))


def sample(scene: Scene, recipe: InpaintRecipe, rng: np.random.Generator) -> Batch:
    """A frame with a hole and others of its shot, all in one window."""
    frames, (width, height) = scene.shot.frames, recipe.size
    target = int(rng.integers(len(frames)))
    around = [i for i in range(max(0, target - recipe.farthest), min(len(frames), target + recipe.farthest + 1)) if i != target]
    chosen = np.array([target, *rng.choice(around, recipe.references, replace=len(around) < recipe.references)])
    offsets = chosen - target
    x1, y1, x2, y2 = _window(frames.shape[2], frames.shape[1], recipe, rng)
    crops = torch.from_numpy(np.stack([frames[i, y1:y2, x1:x2] for i in chosen])).permute(0, 3, 1, 2).float() / 255
    pictures = F.interpolate(crops, size=(height, width), mode="bilinear", antialias=True)
    holes = torch.from_numpy(moving_hole(offsets, width, height, recipe.holes, rng))[:, None].float()
    places = torch.tensor([[x1, y1, x2, y2]]) / torch.tensor([frames.shape[2], frames.shape[1]] * 2) * 2 - 1
    motions = torch.cat([in_window(_motion(scene.path, target, i), places, places) for i in chosen])
    if rng.random() < 0.5:
        pictures, holes, motions = pictures.flip(-1), holes.flip(-1), motions * torch.tensor([[1.0, -1, -1], [-1, 1, 1]])
    pictures = pictures[:, torch.from_numpy(rng.permutation(3))]
    return Batch(pictures[None], holes[None], motions[None], torch.from_numpy(offsets)[None].float())


def _window(width: int, height: int, recipe: InpaintRecipe, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A window of about the size's shape."""
    share = rng.uniform(recipe.least_window, 1)
    shape = recipe.size[0] / recipe.size[1]
    w = min(width, height * shape) * share
    h = w / shape * rng.uniform(0.9, 1.1)
    w, h = int(w), int(min(h, height))
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return x, y, x + w, y + h


def _motion(path: F32, first: int, second: int) -> Tensor:
    """The camera's motion f32[1 2 3] from one frame of a shot to another."""
    steps = torch.from_numpy(np.asarray(path[min(first, second) : max(first, second)]))
    total = identity(torch.zeros(1))
    for step in steps:
        total = chained(total, step[None])
    return total if second >= first else inverse(total)


def filled(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """The first picture of every sample, whole again, and the painted picture: f32[b 3 h w] each."""
    if not isinstance(model, AlignedSTTN):
        raise TypeError(f"filled: the network is {type(model).__name__}, expected AlignedSTTN")
    b, k = batch.holes.shape[:2]
    features = model.encode(batch.pictures.flatten(0, 1), batch.holes.flatten(0, 1))
    shown = F.avg_pool2d(1 - batch.holes.flatten(0, 1), STRIDE)
    motions = batch.motions.flatten(0, 1)
    moved = aligned(torch.cat([features, shown], dim=1), motions).unflatten(0, (b, k))
    weights, painted = model.fill(moved[:, :, :-1], moved[:, :, -1:], batch.offsets)
    seen = aligned(batch.pictures.flatten(0, 1), motions).unflatten(0, (b, k))[:, 1:]
    made = weights[:, :1] * painted + (weights[:, 1:, None] * seen).sum(dim=1)
    hole = batch.holes[:, 0]
    return hole * made + (1 - hole) * batch.pictures[:, 0], painted


def losses(model: nn.Module, batch: Batch, recipe: InpaintRecipe) -> dict[str, Tensor]:
    """The mean error in the holes, of what fills them and of what was painted there; a little of what is painted around."""
    made, painted = filled(model, batch)
    wanted, hole = batch.pictures[:, 0], batch.holes[:, 0]
    area = hole.sum().clamp(min=1) * 3
    in_hole = (_distance(made, wanted) * hole).sum() / area
    own = (_distance(painted, wanted) * (0.1 + 0.9 * hole)).sum() / area
    return {"filled": in_hole, "painted": recipe.painted * own}


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return ((one - other).square() + _ROUNDING**2).sqrt()


@torch.inference_mode()
def figures(model: nn.Module, held: Sequence[Batch]) -> dict[str, Any]:
    """Mean PSNR in dB inside the holes, of what fills them and of the painted picture alone."""
    rows = []
    for batch in held:
        made, painted = filled(model, batch)
        hole = batch.holes[:, 0].expand_as(made) > 0
        errors = [float((x - batch.pictures[:, 0])[hole].square().mean()) for x in (made, painted)]
        rows.append([-10 * np.log10(max(error, 1e-6)) for error in errors])
    psnr, painted_psnr = np.mean(rows, axis=0)
    return {"psnr": round(float(psnr), 3), "painted": round(float(painted_psnr), 3), "frames": len(rows)}


def measure_file(file: Path, val: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What the weights in a file reach on drawn holes in the shots of ``val`` whose split is val."""
    content = weights.read(file)
    model, recipe = build(content, ARCHITECTURE, AlignedSTTN, AlignedSTTNConfig), InpaintRecipe()
    found = shots(val, "val", folder, short_side=recipe.short_side, least=_LEAST)
    return figures(model, _held([Scene(shot, camera_path(shot, folder)) for shot in found], recipe, _CHECKED))


def finish(out: Path, run: Run, *, licence: str) -> str:
    """Writes the averaged weights of the run's checkpoint, in half precision, and returns the file's sha256."""
    saved = read_checkpoint(run.folder / "checkpoint.pt")
    width, height = run.recipe.run_size
    metadata = {
        "architecture": ARCHITECTURE,
        "config": json.dumps(asdict(run.recipe.network)),
        "labels": json.dumps([]),
        "input": json.dumps({"width": width, "height": height, "references": list(run.recipe.run_references)}),
        "licence": licence,
        "source": f"vidpc train inpaint, {saved['step']} steps, seed {run.recipe.schedule.seed}",
    }
    return weights.write(out, {name: value.half() for name, value in saved["average"].items()}, metadata)
