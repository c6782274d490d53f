"""Batches of labelled points, drawn from scans and generated rooms."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidpc.errors import PresetError
from vidpc.models.point_transformer import Plan, PointTransformerConfig, plan
from vidpc.ops.point_features import point_features
from vidpc.training.scan_views import Random, view
from vidpc.training.scans import UNLABELLED, LabelledPoints, Scan, one_a_voxel
from vidpc.training.segment_recipe import SegmentRecipe
from vidpc.types import I64

_TRIES = 50  # blocks in a row that may come out empty
_LEAST_POINTS = 16


@dataclass(frozen=True, slots=True)
class PointBatch:
    """Blocks laid end to end: ``xyz`` f32[n 3], ``features`` f32[n c], ``offsets`` i64[b] running ends, ``label`` i64[n].

    ``levels`` is the network's plan of them.
    """

    xyz: Tensor
    features: Tensor
    offsets: Tensor
    label: Tensor
    levels: Plan


class Draw:
    """Draws batches for training. Everything random follows from the generator that is handed over."""

    def __init__(self, scans: Sequence[Scan], recipe: SegmentRecipe, config: PointTransformerConfig) -> None:
        self.recipe, self.config = recipe, config
        self.blocks = [scan.block for scan in scans if (scan.block.label != UNLABELLED).any()]
        weights = np.array([recipe.weight_of(scan.name) for scan in scans if (scan.block.label != UNLABELLED).any()])
        if not weights.sum() > 0:
            raise PresetError("training: no scan has a point of the recipe's classes")
        self.shares = weights / weights.sum()

    def __call__(self, rng: Random) -> PointBatch:
        """Blocks of together about ``step_points`` points."""
        parts: list[LabelledPoints] = []
        while (room := self.recipe.step_points - sum(map(len, parts))) > self.recipe.step_points // 8:
            parts.append(self._one(rng, min(room, self.recipe.block_points)))
        return to_batch(parts, self.recipe.features, self.config)

    def _one(self, rng: Random, most: int) -> LabelledPoints:
        for _ in range(_TRIES):
            cut = partial(self._cut, rng, rng.uniform(self.recipe.block_m[0], self.recipe.block_m[1]))
            block = view(cut(), cut, self.recipe.views, rng)
            if len(block) >= _LEAST_POINTS:
                block = block.take(one_a_voxel(block.xyz, self.recipe.voxel_m, rng))
                return block.take(_nearest(block, most))
        raise PresetError(f"training: {_TRIES} blocks running came out empty; block_m or least_density is too small")

    def _cut(self, rng: Random, side_m: float) -> LabelledPoints:
        """An upright box around a point of a scan, which lies anywhere in it: blocks at the edge of a scan are as good."""
        block = self.blocks[rng.choice(len(self.blocks), p=self.shares)]
        if rng.random() < self.recipe.rare:
            known = block.label[rng.choice(len(block), size=min(4096, len(block)), replace=False)]
            among = np.flatnonzero(block.label == rng.choice(np.unique(known)))
            centre = block.xyz[rng.choice(among)]
        else:
            centre = block.xyz[rng.integers(len(block))]
        shift = rng.uniform(-side_m / 3, side_m / 3, 2)
        return block.take(block.in_box((centre[:2] + shift).astype(np.float32), side_m, rng.uniform(0, np.pi)))


def _nearest(block: LabelledPoints, most: int) -> I64:
    """Indices of the ``most`` points that are nearest to the middle, in their order."""
    if len(block) <= most:
        return np.arange(len(block))
    distance = ((block.xyz[:, :2] - block.xyz[:, :2].mean(0)) ** 2).sum(1)
    return np.sort(np.argpartition(distance, most)[:most])


def to_batch(parts: Sequence[LabelledPoints], names: Sequence[str], config: PointTransformerConfig) -> PointBatch:
    """The blocks with their features and levels, as tensors."""
    xyz = torch.from_numpy(np.concatenate([part.xyz - part.xyz.mean(0) for part in parts]))
    features = np.concatenate([point_features(part.points, names) for part in parts])
    offsets = torch.from_numpy(np.cumsum([len(part) for part in parts]))
    label = torch.from_numpy(np.concatenate([part.label for part in parts]))
    return PointBatch(xyz, torch.from_numpy(features), offsets, label, plan(xyz, offsets, config))
