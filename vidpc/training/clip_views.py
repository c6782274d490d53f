"""A clip as training shows it: another span, another crop, another light each time."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.flow import STRIDE
from vidpc.training.clips import Footage


@dataclass(frozen=True, slots=True)
class ClipViews:
    """How far views may differ from the clip. Deviations are of normal draws; shares are chances."""

    least_crop: float = 0.65  # of the width that a view keeps
    squeeze: float = 0.15  # largest change of a view's shape
    flips: float = 0.5
    speed: float = 0.2  # deviation of the logarithm of what motion is multiplied with
    contrast: float = 0.3  # deviation of the logarithm
    brightness: float = 0.15  # deviation of colours in 0..1
    tint: float = 0.06
    grey: float = 0.3  # share of views without colours


@dataclass(frozen=True, slots=True)
class View:
    """Pictures f32[t 3 h w] in 0..1, and, where the footage has it, the flow f32[n 2 h/4 w/4] of the whole span."""

    pictures: Tensor
    flow: Tensor | None


def span(footage: Footage, ticks: np.ndarray, needed: np.ndarray, first: int) -> View:
    """The view as it is: ``ticks`` are the pictures of a window from ``first`` on, of which those of ``needed`` are taken.

    Pictures past the end repeat the last one, and nothing moves there.
    """
    last = len(footage.pictures) - 1
    chosen = np.minimum(first + ticks[needed], last)
    pictures = torch.from_numpy(np.asarray(footage.pictures[chosen])).permute(0, 3, 1, 2).float() / 255
    if footage.flow is None:
        return View(pictures, None)
    steps = first + ticks[:-1]
    flow = np.zeros((len(steps), *footage.flow.shape[1:]), np.float32)
    flow[steps < last] = footage.flow[steps[steps < last]]
    return View(pictures, torch.from_numpy(flow))


def starts(footage: Footage, length: int, hop: int) -> list[int]:
    """First ticks of windows side by side, the last of which ends with the clip."""
    last = max(0, len(footage.pictures) - length)
    return [*range(0, last, hop), last]


def flipped(view: View) -> View:
    """Left and right exchanged."""
    if view.flow is None:
        return View(view.pictures.flip(-1), None)
    return View(view.pictures.flip(-1), view.flow.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None])


def varied(view: View, rng: np.random.Generator, options: ClipViews, crop: int) -> View:
    """A random view f32[t 3 crop crop] of one that may be larger."""
    view = _cropped(view, rng, options, crop)
    if rng.random() < options.flips:
        view = flipped(view)
    speed = float(np.exp(rng.normal(0, options.speed)))
    return View(_relit(view.pictures, rng, options), None if view.flow is None else view.flow * speed)


def _cropped(view: View, rng: np.random.Generator, options: ClipViews, crop: int) -> View:
    """A rectangle of cells of the flow, scaled to ``crop``; motion is scaled with it."""
    rows, columns = (side // STRIDE for side in view.pictures.shape[-2:])
    share = rng.uniform(options.least_crop, 1)
    shape = np.exp(rng.uniform(-options.squeeze, options.squeeze))
    largest = min(rows, columns)
    w, h = (int(np.clip(round(largest * share * s), 4, largest)) for s in (1.0, shape))
    x, y = int(rng.integers(columns - w + 1)), int(rng.integers(rows - h + 1))
    pictures = view.pictures[..., y * STRIDE : (y + h) * STRIDE, x * STRIDE : (x + w) * STRIDE]
    pictures = F.interpolate(pictures, size=(crop, crop), mode="bilinear", align_corners=False)
    if view.flow is None:
        return View(pictures, None)
    cells = crop // STRIDE
    flow = F.interpolate(view.flow[..., y : y + h, x : x + w], size=(cells, cells), mode="bilinear", align_corners=False)
    return View(pictures, flow * torch.tensor([cells / w, cells / h])[:, None, None])


def _relit(pictures: Tensor, rng: np.random.Generator, options: ClipViews) -> Tensor:
    if rng.random() < options.grey:
        pictures = pictures.mean(dim=1, keepdim=True).expand_as(pictures)
    middle = pictures.mean()
    light = rng.normal(0, options.brightness) + rng.normal(0, options.tint, 3)
    shift = torch.tensor(light, dtype=torch.float32)[:, None, None]
    return (pictures - middle) * float(np.exp(rng.normal(0, options.contrast))) + middle + shift
