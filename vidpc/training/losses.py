"""The training loss: matched detections, tracks, encoder proposals, denoising, and a dense head that is dropped later."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc.models.deformable import MLP
from vidpc.models.transtrack import Decoded, Memory, Proposals, Queries, TransTrack, token_anchors
from vidpc.ops.boxes import cxcywh_to_xyxy, inverse_sigmoid
from vidpc.training.targets import Assigned, Truth, assign, follow, judged, match, overlap, token_places

PROPOSALS_A_BOX = 3  # encoder tokens that answer for a box: a few, so that a crowd still fits into the queries
DENSE_A_BOX = 10
NOISE_QUERIES = 72
BOX_NOISE = 0.4
NOISE_WEIGHT = 0.5


class TrainingHeads(nn.Module):
    """What only training needs: a dense head over the encoder's tokens and the content of denoising queries."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense_class = nn.Linear(width, 1)
        self.dense_box = MLP(width, width, 4, depth=2)
        self.noise_content = nn.Parameter(torch.randn(width) * 0.02)
        nn.init.constant_(self.dense_class.bias, -4.6)
        for parameter in self.dense_box.layers[-1].parameters():  # a box starts at its anchor
            nn.init.zeros_(parameter)


@dataclass(frozen=True, slots=True)
class Batch:
    """``images`` f32[b 3 h w] normalised; row i's frame before is row ``previous[i]`` (itself: a first frame)."""

    images: Tensor
    previous: Tensor  # i64[b]
    truth: Truth
    complete: Tensor  # bool[b]


@dataclass(frozen=True, slots=True)
class Noise:
    """Denoising queries of a batch: noisy copies of the labelled boxes in groups, half of them too far off to keep."""

    boxes: Tensor  # f32[b q 4]
    label: Tensor  # i64[b q] the box that it is a copy of, -1 for decoys and padding
    counted: Tensor  # bool[b q] False in padding
    groups: int  # of equal length; a group sees no other


def loss_parts(
    model: TransTrack, heads: TrainingHeads, batch: Batch, rng: torch.Generator, *, decoders: bool = True
) -> dict[str, Tensor]:
    """Every part of the loss by name, weighted; their sum is what is minimised. ``decoders`` False leaves theirs out."""
    truth = batch.truth
    levels = model.levels(batch.images)
    memory = model.encode(levels, [level[batch.previous] for level in levels])
    proposals = model.propose(memory)
    dense = (heads.dense_box(memory.tokens).float() + inverse_sigmoid(token_anchors(memory))).sigmoid()
    parts = {
        "proposal": dense_loss(proposals.logits, proposals.boxes, memory, truth, count=PROPOSALS_A_BOX),
        "dense": dense_loss(heads.dense_class(memory.tokens), dense, memory, truth, count=DENSE_A_BOX),
    }
    if decoders:
        parts |= decoder_parts(model, heads, memory, proposals, batch, make_noise(truth, rng))
    return parts


def decoder_parts(
    model: TransTrack, heads: TrainingHeads, memory: Memory, proposals: Proposals, batch: Batch, noise: Noise
) -> dict[str, Tensor]:
    """The losses of both decoders."""
    truth = batch.truth
    queries, allowed = with_noise(model, heads, model.queries(memory, proposals), noise)
    own = queries.content.shape[1] - noise.boxes.shape[1]
    detected = model.detect(memory, queries, allowed)
    logits = [classify(hidden).float() for classify, hidden in zip(model.class_embed, detected.hidden, strict=True)]
    layers = list(zip(logits, detected.boxes, strict=True))
    matched = [match(scores[:, :own], boxes[:, :own], truth) for scores, boxes in layers]
    all_counted = torch.ones_like(matched[0], dtype=torch.bool)
    detect = [
        set_loss(scores[:, :own], boxes[:, :own], label, all_counted, truth)
        for (scores, boxes), label in zip(layers, matched, strict=True)
    ]
    denoise = [set_loss(scores[:, own:], boxes[:, own:], noise.label, noise.counted, truth) for scores, boxes in layers]
    found = torch.cat([matched[-1], noise.label], dim=1)
    return {
        "detect": sum_layers(detect),
        "noise": NOISE_WEIGHT * sum_layers(denoise),
        "track": track_loss(model, memory, detected, found, noise, batch, allowed),
    }


def sum_layers(losses: Iterable[Tensor]) -> Tensor:
    """The sum of the layers' losses."""
    return torch.stack(list(losses)).sum()


def track_loss(
    model: TransTrack, memory: Memory, detected: Decoded, found: Tensor, noise: Noise, batch: Batch, allowed: Tensor
) -> Tensor:
    """Every query of the picture before shall find the same identity here."""
    rows = (batch.previous != torch.arange(len(batch.previous), device=batch.previous.device)).nonzero()[:, 0]
    if not len(rows):
        return memory.tokens.new_zeros(())
    earlier = batch.previous[rows]
    here = Memory(memory.tokens[rows], memory.shapes, None, memory.valid_ratios[rows])
    tracked = model.track(here, detected.hidden[-1][earlier], detected.boxes[-1][earlier].detach(), allowed)
    truth = batch.truth.rows(rows)
    label, known = follow(found[earlier], batch.truth.rows(earlier), truth, complete=batch.complete[rows])
    own = found.shape[1] - noise.boxes.shape[1]
    known[:, own:] &= noise.counted[earlier]
    return sum_layers(
        set_loss(classify(hidden).float(), boxes, label, known, truth)
        for classify, hidden, boxes in zip(model.class_embed, tracked.hidden, tracked.boxes, strict=True)
    )


def set_loss(logits: Tensor, boxes: Tensor, label: Tensor, counted: Tensor, truth: Truth) -> Tensor:
    """Class, L1 and generalised IoU loss of queries whose boxes ``label`` i64[b n] names (-1: background)."""
    positive = label >= 0
    target = truth.boxes.gather(1, label.clamp(min=0)[..., None].expand(-1, -1, 4))
    number = positive.sum().clamp(min=1)
    iou, giou = aligned_iou(boxes[positive], target[positive])
    quality = torch.zeros_like(logits[..., 0])
    quality[positive] = iou.detach().clamp(min=0.05)
    counts = counted & (positive | judged(boxes, truth.ignored))
    box_loss = 5 * (boxes[positive] - target[positive]).abs().sum() + 2 * (1 - giou).sum()
    return (class_loss(logits[..., 0], quality, counts) + box_loss) / number


def class_loss(logits: Tensor, quality: Tensor, counts: Tensor) -> Tensor:
    """Varifocal loss, summed: ``quality`` is the target, background counts by how wrong it is (Zhang et al. 2021, eq. 2)."""
    weight = torch.where(quality > 0, quality, 0.75 * logits.detach().sigmoid() ** 2)
    return (F.binary_cross_entropy_with_logits(logits, quality, reduction="none") * weight * counts).sum()


def aligned_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU f32[n] of cxcywh boxes f32[n 4], row by row."""
    a, b = cxcywh_to_xyxy(a), cxcywh_to_xyxy(b)
    common = overlap(a, b)
    union = ((a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - common).clamp(min=1e-9)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1).clamp(min=1e-9)
    iou = common / union
    return iou, iou - (hull - union) / hull


def dense_loss(logits: Tensor, boxes: Tensor, memory: Memory, truth: Truth, *, count: int) -> Tensor:
    """The loss of a head that speaks for every token, each labelled box given to the ``count`` best of them."""
    logits = logits.float()
    centres, reach = token_places(memory)
    assigned: Assigned = assign(logits, boxes, centres, reach, truth, count=count)
    positive = assigned.label >= 0
    target = truth.boxes.gather(1, assigned.label.clamp(min=0)[..., None].expand(-1, -1, 4))[positive]
    weight = assigned.quality[positive].clamp(min=0.05)
    _, giou = aligned_iou(boxes[positive], target)
    distance = (boxes[positive] - target).abs().sum(-1)
    quality = torch.zeros_like(assigned.quality)
    quality[positive] = weight
    counts = positive | judged(boxes, truth.ignored)
    total = class_loss(logits[..., 0], quality, counts) + (weight * (5 * distance + 2 * (1 - giou))).sum()
    return total / weight.sum().clamp(min=1)


def make_noise(truth: Truth, rng: torch.Generator) -> Noise:
    """Groups of noisy boxes: first a near copy of every labelled box, then a decoy of each (DINO, section 3.3)."""
    b, m, _ = truth.boxes.shape
    groups = max(1, NOISE_QUERIES // (2 * m)) if m else 0
    boxes = truth.boxes[:, None, None].expand(b, groups, 2, m, 4)
    size = boxes[..., 2:].repeat(1, 1, 1, 1, 2)
    sign = torch.randint(0, 2, boxes.shape, generator=rng).float() * 2 - 1
    amount = torch.rand(boxes.shape, generator=rng) * torch.tensor([0.5, 0.5, 1.0, 1.0]) * BOX_NOISE
    decoy = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1, 1)
    amount = amount + decoy * torch.tensor([0.5, 0.5, 1.0, 1.0]) * BOX_NOISE
    noisy = (boxes + sign * amount * size).clamp(0.002, 0.998)
    label = torch.arange(m).expand(b, groups, 2, m).clone()
    label[:, :, 1] = -1
    present = truth.present[:, None, None].expand(b, groups, 2, m)
    label = torch.where(present, label, -1)
    return Noise(noisy.flatten(1, 3), label.flatten(1), present.flatten(1), groups)


def with_noise(model: TransTrack, heads: TrainingHeads, queries: Queries, noise: Noise) -> tuple[Queries, Tensor]:
    """Queries with denoising queries behind them, and who may look at whom: nobody at another's noise."""
    own, extra = queries.content.shape[1], noise.boxes.shape[1]
    content = model.placed(heads.noise_content.expand(*noise.boxes.shape[:2], -1), noise.boxes)
    joined = Queries(torch.cat([queries.content, content], dim=1), torch.cat([queries.references, noise.boxes], dim=1))
    group = torch.zeros(own + extra, dtype=torch.long, device=content.device)
    group[own:] = 1 + torch.arange(extra, device=content.device) * noise.groups // max(extra, 1)
    return joined, group[:, None] == group[None]
