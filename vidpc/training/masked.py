"""Masked tubes: what a network can learn from clips that nobody labelled.

Most places of a clip are hidden, in all tubes alike (Z. Tong et al., VideoMAE, 2022, section 3.3), and the motion there is
to be told from the rest. Hidden places keep their place and time; what they show is replaced by one learned token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidpc.models.motion_timesformer import MotionTimeSformer
from vidpc.ops.motion import channels


class Masked(nn.Module):
    """A network together with what only this task needs."""

    def __init__(self, network: MotionTimeSformer) -> None:
        super().__init__()
        config = network.config
        cells = network.motion_embed.kernel_size[0] * network.motion_embed.kernel_size[1]
        self.network = network
        self.hidden = nn.Parameter(torch.zeros(config.width))
        self.predict = nn.Linear(config.width, channels(config.tube) * cells)

    def forward(self, middles: Tensor, cells: Tensor, hidden: Tensor) -> Tensor:
        """The mean squared error of the motion in the ``hidden`` places bool[b rows columns] of all tubes, normalised."""
        network = self.network
        patches = network.embedded(middles, cells, None)  # f32[b t d rows columns]
        patches = torch.where(hidden[:, None, None], self.hidden[:, None, None], patches)
        told = self.predict(network.trunk.encode(patches)[:, 1:])  # f32[b rows*columns*t c*cells]
        wanted = F.unfold(
            network.motion_norm(cells.flatten(0, 1)), network.motion_embed.kernel_size, stride=network.motion_embed.stride
        )
        wanted = wanted.unflatten(0, cells.shape[:2]).permute(0, 3, 1, 2).flatten(1, 2)  # as the tokens are: time runs fastest
        chosen = hidden.flatten(1).repeat_interleave(cells.shape[1], dim=1)
        error: Tensor = F.mse_loss(told[chosen], wanted[chosen].detach())
        return error


def hidden_places(count: int, rows: int, columns: int, share: float, generator: torch.Generator) -> Tensor:
    """bool[count rows columns] of which ``share`` are true, one at least, drawn for each clip."""
    order = torch.rand(count, rows * columns, generator=generator).argsort(dim=1)
    hidden: Tensor = (order < max(1, round(share * rows * columns))).unflatten(1, (rows, columns))
    return hidden
