"""Batches of pairs as tensors, drawn by step number, so that a resumed run sees what it would have seen."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidpc.ops.boxes import xyxy_to_cxcywh
from vidpc.training.losses import Batch
from vidpc.training.pictures import UNLINKED, Marks
from vidpc.training.scenes import Pair, Scenes
from vidpc.training.targets import Truth

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
ALONE = 0.25  # share of pictures that are their own predecessor, as the first frame of a video is


class PairBatches(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Item ``step`` is the batch of that step: ``pairs`` pairs, pictures 2i and 2i + 1 belong together.

    ``stages`` says from which item on pictures have which sizes (width, height), of which one is drawn for a batch.
    """

    def __init__(self, scenes: Scenes, stages: Sequence[tuple[int, list[tuple[int, int]]]], *, pairs: int, seed: int) -> None:
        self.scenes, self.stages, self.pairs, self.seed = scenes, stages, pairs, seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, step))
        sizes = next(sizes for start, sizes in reversed(self.stages) if step >= start)
        width, height = sizes[int(rng.integers(len(sizes)))]
        pairs = [self.scenes.draw(rng, width, height) for _ in range(self.pairs)]
        return collate(pairs, rng)


def collate(pairs: list[Pair], rng: np.random.Generator) -> dict[str, Tensor]:
    """``images`` u8[b h w 3] and what `Batch` holds beside them, b twice the number of pairs."""
    pictures = [picture for pair in pairs for picture in (pair.before, pair.after)]
    height, width = pictures[0].pixels.shape[:2]
    order = np.arange(len(pictures))
    partner = order ^ 1  # time may run either way
    previous = np.where(rng.random(len(order)) < ALONE, order, partner)
    truth = stack_truth([picture.marks for picture in pictures], width, height)
    return {
        "images": torch.from_numpy(np.stack([picture.pixels for picture in pictures])),
        "previous": torch.from_numpy(previous),
        "complete": torch.tensor([pair.complete for pair in pairs]).repeat_interleave(2),
        **truth._asdict(),
    }


def stack_truth(marks: list[Marks], width: int, height: int) -> Truth:
    """Marks of pictures of one size as padded tensors in 0..1."""
    size = np.array([width, height] * 2, np.float32)
    people = [mark.take(~mark.ignored) for mark in marks]
    regions = [mark.take(mark.ignored) for mark in marks]
    m, k = max(1, *map(len, people)), max(1, *map(len, regions))  # a slot that is padding even where nobody is
    boxes, ignored = torch.full((len(marks), m, 4), 0.5), torch.zeros(len(marks), k, 4)
    ids = torch.full((len(marks), m), UNLINKED)
    present = torch.zeros(len(marks), m, dtype=torch.bool)
    for row, (person, region) in enumerate(zip(people, regions, strict=True)):
        boxes[row, : len(person)] = xyxy_to_cxcywh(torch.from_numpy(person.boxes_xyxy / size))
        ids[row, : len(person)] = torch.from_numpy(person.ids)
        present[row, : len(person)] = True
        ignored[row, : len(region)] = torch.from_numpy(region.boxes_xyxy / size)
    return Truth(boxes, present, ids, ignored)


def to_batch(item: dict[str, Tensor], device: torch.device) -> Batch:
    """The item on a device, its pictures normalised and channels last."""
    item = {name: value.to(device, non_blocking=True) for name, value in item.items()}
    truth = Truth(item["boxes"], item["present"], item["ids"], item["ignored"])
    return Batch(normalised(item["images"]), item["previous"], truth, item["complete"])


def normalised(images: Tensor) -> Tensor:
    """f32[b 3 h w] in channels-last order from u8[b h w 3]."""
    mean, std = (images.new_tensor(v, dtype=torch.float32) * 255 for v in (MEAN, STD))
    return ((images - mean) / std).permute(0, 3, 1, 2)
