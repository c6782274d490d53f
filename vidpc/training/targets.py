"""Who answers for which labelled box: optimal one-to-one matching, and aligned one-to-many assignment."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from vidpc.models.transtrack import Memory, token_references
from vidpc.ops.boxes import area, cxcywh_to_xyxy

FAR = 1e6  # cost of a slot that holds no box


class Truth(NamedTuple):
    """The labelled boxes of a batch, padded to the largest count m."""

    boxes: Tensor  # f32[b m 4] cxcywh in 0..1
    present: Tensor  # bool[b m]
    ids: Tensor  # i64[b m], -1 where nobody followed the box
    ignored: Tensor  # f32[b k 4] xyxy in 0..1, regions that count neither way; empty boxes pad

    def rows(self, index: Tensor) -> "Truth":
        """The pictures at ``index`` i64[r]."""
        return Truth(self.boxes[index], self.present[index], self.ids[index], self.ignored[index])


def pairwise_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU f32[b n m] of xyxy boxes f32[b n 4] and f32[b m 4]."""
    a, b = a[:, :, None], b[:, None]
    common = overlap(a, b)
    union = (area(a) + area(b) - common).clamp(min=1e-9)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1).clamp(min=1e-9)
    iou = common / union
    return iou, iou - (hull - union) / hull


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Common area of xyxy boxes that broadcast against each other."""
    return (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, truth: Truth) -> Tensor:
    """The labelled box of every query, i64[b n], -1 for none: the cheapest one-to-one matching (DETR, equation 1).

    ``logits`` f32[b n 1], ``boxes`` f32[b n 4] cxcywh. Costs: 2 of focal class, 5 of L1, 2 of generalised IoU.
    """
    p = logits[..., 0].float().sigmoid()
    positive = 0.25 * (1 - p) ** 2 * -(p + 1e-8).log()
    negative = 0.75 * p**2 * -(1 - p + 1e-8).log()
    _, giou = pairwise_iou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(truth.boxes))
    cost = 5 * torch.cdist(boxes, truth.boxes, p=1) - 2 * giou + 2 * (positive - negative)[..., None]
    table = cost.cpu().numpy().astype(np.float64)
    counts = truth.present.sum(1).tolist()
    matched = np.full(table.shape[:2], -1, np.int64)
    for row, count in enumerate(counts):  # present boxes come first
        queries, labels = linear_sum_assignment(table[row, :, :count])
        matched[row, queries] = labels
    return torch.from_numpy(matched).to(boxes.device)


class Assigned(NamedTuple):
    """``label`` i64[b tokens] (-1: background) and ``quality`` f32[b tokens], the class target of the positive ones."""

    label: Tensor
    quality: Tensor


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, centres: Tensor, reach: Tensor, truth: Truth, *, count: int) -> Assigned:
    """Each labelled box to the ``count`` best aligned tokens in it (TOOD, section 3.2: score * IoU^6).

    ``centres`` f32[tokens 2] in 0..1, ``reach`` f32[tokens 2]: a token may also answer for a box whose centre is this near.
    """
    iou, _ = pairwise_iou(cxcywh_to_xyxy(truth.boxes), cxcywh_to_xyxy(boxes))  # f32[b m tokens]
    half = torch.maximum(truth.boxes[:, :, None, 2:] / 2, reach[None, None])
    inside = ((centres[None, None] - truth.boxes[:, :, None, :2]).abs() < half).all(-1)
    metric = logits[..., 0].float().sigmoid()[:, None].clamp(min=1e-4) * iou**6
    metric = metric * (inside & truth.present[..., None])
    best, places = metric.topk(min(count, metric.shape[2]), dim=2)
    chosen = torch.zeros_like(metric).scatter_(2, places, best)
    strongest, label = chosen.max(dim=1)
    label = torch.where(strongest > 0, label, -1)
    top_metric = chosen.amax(2).clamp(min=1e-9)
    top_iou = (iou * (chosen > 0)).amax(2)
    known = label.clamp(min=0)
    quality = strongest / top_metric.gather(1, known) * top_iou.gather(1, known)
    return Assigned(label, quality * (label >= 0))


def token_places(memory: Memory) -> tuple[Tensor, Tensor]:
    """Centres and reach (one token of the own level) of the tokens of an unpadded batch, both f32[tokens 2]."""
    level = torch.cat([torch.full((h * w,), number) for number, (h, w) in enumerate(memory.shapes)])
    centres = token_references(memory.shapes, memory.valid_ratios[:1])[0, torch.arange(len(level)), level]
    reach = torch.cat([torch.tensor([1 / w, 1 / h]).expand(h * w, 2) for h, w in memory.shapes])
    return centres, reach.to(centres.device)


@torch.no_grad()
def judged(boxes: Tensor, ignored: Tensor) -> Tensor:
    """bool[b n]: False for predictions cxcywh f32[b n 4] that are more than half inside an ignored region."""
    if not ignored.shape[1]:
        return torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    xyxy = cxcywh_to_xyxy(boxes)
    share = overlap(xyxy[:, :, None], ignored[:, None]) / area(xyxy).clamp(min=1e-9)[..., None]
    return share.amax(-1) <= 0.5


@torch.no_grad()
def follow(matched: Tensor, before: Truth, after: Truth, *, complete: Tensor) -> tuple[Tensor, Tensor]:
    """What became of the box that each query found in the picture before: its row in ``after`` i64[b n] (-1: none).

    The second value bool[b n] is False where nobody knows: the box was not followed, and ``complete`` bool[b] does not
    promise that every identity which stayed has a box.
    """
    found = matched >= 0
    ids = before.ids.gather(1, matched.clamp(min=0))
    same = (ids[:, :, None] == after.ids[:, None]) & (ids >= 0)[..., None] & found[..., None] & after.present[:, None]
    row = torch.where(same.any(-1), same.int().argmax(-1), -1)
    known = (row >= 0) | ~found | (complete[:, None] & (ids >= 0))
    return row, known
