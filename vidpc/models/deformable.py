"""Layers of deformable detection transformers (Zhu et al. 2021, Deformable DETR): attention, encoder, decoder layers."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.deformable import LevelShapes, sample_levels


class DeformableAttention(nn.Module):
    """Attention of every query to ``points`` sampled places on every level, for each head (section 4.1, equation 2).

    With 2-d references an offset is divided by the level's (height, width), although offsets are (x, y). The TransTrack
    code does this and its released weights need it; the other order came to Deformable DETR only later.
    """

    def __init__(self, *, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        self._start_on_rays()

    def _start_on_rays(self) -> None:
        """Initial offsets: a head looks in a direction of its own, point k at distance k + 1 (appendix A.4)."""
        angles = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        rays = torch.stack([angles.cos(), angles.sin()], dim=-1)
        rays = rays / rays.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((rays[:, None, None] * steps).expand(-1, self.levels, -1, -1).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def project_values(self, memory: Tensor, hidden: Tensor | None) -> Tensor:
        """Values f32[b tokens heads d]; those of padding (``hidden`` bool[b tokens]) are zero."""
        value = self.value_proj(memory)
        if hidden is not None:
            value = value.masked_fill(hidden[..., None], 0.0)
        return value.unflatten(-1, (self.heads, -1)).float()

    def forward(self, queries: Tensor, references: Tensor, value: Tensor, shapes: LevelShapes) -> Tensor:
        """f32[b q width] from ``queries`` f32[b q width] and ``references`` f32[b q levels 2|4] in 0..1, centre first."""
        b, q, _ = queries.shape
        offsets = self.sampling_offsets(queries).view(b, q, self.heads, self.levels, self.points, 2).float()
        weights = self.attention_weights(queries).view(b, q, self.heads, self.levels * self.points)
        weights = weights.float().softmax(dim=-1).view(b, q, self.heads, self.levels, self.points)
        centres = references[:, :, None, :, None, :2]
        if references.shape[-1] == 2:
            locations = centres + offsets / offsets.new_tensor(shapes)[None, None, None, :, None, :]
        else:
            locations = centres + offsets / self.points * references[:, :, None, :, None, 2:] * 0.5
        return self.output_proj(sample_levels(value, shapes, locations, weights))


class EncoderLayer(nn.Module):
    """Deformable self-attention over all tokens, then a feed-forward network; normalisation after each."""

    def __init__(self, *, width: int, heads: int, levels: int, points: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(width=width, heads=heads, levels=levels, points=points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, positions: Tensor, references: Tensor, shapes: LevelShapes, hidden: Tensor | None
    ) -> Tensor:
        value = self.self_attn.project_values(tokens, hidden)
        attended = self.self_attn(tokens + positions, references, value, shapes)
        tokens = self.norm1(tokens + self.dropout(attended))
        fed = self.linear2(self.dropout(F.relu(self.linear1(tokens))))
        return self.norm2(tokens + self.dropout(fed))


class SelfAttention(nn.Module):
    """Multi-head attention among queries; keys are those of ``torch.nn.MultiheadAttention``."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, allowed: Tensor | None) -> Tensor:
        """f32[b q width]; ``allowed`` bool[q q] says which query (row) may look at which (column)."""
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Self-attention (``norm2``), deformable attention to the memory (``norm1``), feed-forward (``norm3``).

    The numbers of the norms are the published ones: they do not follow the order of use.
    """

    def __init__(self, *, width: int, heads: int, levels: int, points: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width=width, heads=heads)
        self.norm2 = nn.LayerNorm(width)
        self.cross_attn = DeformableAttention(width=width, heads=heads, levels=levels, points=points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        targets: Tensor,
        references: Tensor,
        memory: Tensor,
        shapes: LevelShapes,
        hidden: Tensor | None,
        allowed: Tensor | None,
    ) -> Tensor:
        targets = self.norm2(targets + self.dropout(self.self_attn(targets, allowed)))
        value = self.cross_attn.project_values(memory, hidden)
        attended = self.cross_attn(targets, references, value, shapes)
        targets = self.norm1(targets + self.dropout(attended))
        fed = self.linear2(self.dropout(F.relu(self.linear1(targets))))
        return self.norm3(targets + self.dropout(fed))


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, width_in: int, width: int, width_out: int, *, depth: int) -> None:
        super().__init__()
        widths = [width_in, *[width] * (depth - 1), width_out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
