"""Things that move in front of a scene: pieces of other pictures on ways of their own.

A camera that stands still sees fish, hands and cars; a network that knew none would take them for moves of the camera. And a
camera that pans mostly follows somebody, who then stands still in its picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.types import F64, U8

_EDGE = 0.15  # of an actor's radius, over which it fades
_FOLLOWED = 0.35  # share of actors that the camera goes with
_PIECE = 0.4  # of the halves of its source that an actor shows


@dataclass(frozen=True, slots=True)
class Actor:
    """An ellipse with a piece of ``source`` u8[h w 3] around ``middle`` (x, y), both of -1..1.

    ``way`` f64[t 2 3] takes places of the scene, -1..1, or of the picture, where the camera follows it, to places of the
    ellipse, whose radius is 1.
    """

    source: U8
    middle: F64
    way: F64
    followed: bool = False


def actor(source: U8, count: int, rate_fps: float, rng: np.random.Generator) -> Actor:
    """One that sways, walks, grows and turns for ``count`` pictures."""
    seconds = np.arange(count) / rate_fps
    radii = np.exp(rng.uniform(np.log(0.12), np.log(0.55), 2))  # in halves of the scene
    walk, sway, grow, turn = rng.normal(0, 0.35, 2), np.abs(rng.normal(0, 0.12, 2)), rng.normal(0, 0.15), rng.normal(0, 0.4)
    swing = np.sin(2 * np.pi * (rng.uniform(0.3, 3, 2) * seconds[:, None] + rng.random(2)))
    place = rng.uniform(-0.9, 0.9, 2) + walk * (seconds - seconds.mean())[:, None] + sway * swing
    scale, angle = np.exp(-grow * seconds), turn * seconds + rng.uniform(0, 2 * np.pi)
    rows = []
    for along, across, radius in ((np.cos(angle), np.sin(angle), radii[0]), (-np.sin(angle), np.cos(angle), radii[1])):
        a, b = scale * along / radius, scale * across / radius
        rows.append(np.stack([a, b, -(a * place[:, 0] + b * place[:, 1])], axis=1))
    middle = rng.uniform(-1 + _PIECE, 1 - _PIECE, 2)
    return Actor(source, middle, np.stack(rows, axis=1), bool(rng.random() < _FOLLOWED))


def acted(seen: Tensor, views: F64, actors: Sequence[Actor]) -> Tensor:
    """``seen`` f32[t 3 h w] with the actors in front. ``views`` f64[t 2 3] take places of pictures to places of the scene."""
    below = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(views), 1, 3))
    for one in actors:
        way = one.way if one.followed else one.way @ np.concatenate([views, below], axis=1)
        theta = torch.from_numpy(way).float()
        grid = F.affine_grid(theta, list(seen.shape), align_corners=False)
        source = torch.from_numpy(np.array(one.source)).permute(2, 0, 1)[None].float().expand(len(seen), -1, -1, -1)
        place = _PIECE * grid + torch.from_numpy(one.middle).float()
        piece = F.grid_sample(source, place, mode="bilinear", padding_mode="reflection", align_corners=False)
        cover = ((1 - grid.norm(dim=-1)) / _EDGE).clamp(0, 1)[:, None]
        seen = cover * piece + (1 - cover) * seen
    return seen
