"""Convolutions with kernels of 3 x 3 in a quarter of the multiplications, for processors.

Lavin and Gray 2015 (arXiv 1509.09308), F(4x4, 3x3): sixteen results at a time come from thirty-six products a channel, where
plain convolution has a hundred and forty-four. What goes in and what comes out is transformed; each step is a matrix product.
On a graphics card cuDNN chooses by itself; on a processor torch does not have it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_TILE, _SEEN = 4, 6  # sides of what a tile gives and of what it sees
_LEAST_CHANNELS = 128  # with fewer, the transforms cost more than they save
_TILES_AT_ONCE = 128

# Section 4.3 of the paper, for both axes at once: the rows of a tile stand one behind the other.
_OUT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
_IN = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
    ]
)  # fmt: skip
_KERNEL = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_INTO, _BACK, _KERNELS = torch.kron(_IN, _IN).float(), torch.kron(_OUT, _OUT).float(), torch.kron(_KERNEL, _KERNEL)


def pays(x: Tensor, channels: int) -> bool:
    """Whether ``convolution`` of ``x`` is possible and faster than torch's: no gradients, float32, on a processor."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return plain and not torch.is_grad_enabled() and min(x.shape[-1], channels) >= _LEAST_CHANNELS


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *, dilation: int = 1) -> Tensor:
    """f32[n h w o] of ``x`` f32[n h w c] and ``weight`` f32[o c 3 3], zeros around; equal to conv2d's within rounding."""
    n, h, w, _ = x.shape
    step = _TILE * dilation
    rows, columns = -(-h // step), -(-w // step)  # of tiles
    right, below = dilation + columns * step - w, dilation + rows * step - h
    padded = F.pad(x, (0, 0, dilation, right, dilation, below))
    out = x.new_empty(n, rows * step, columns * step, len(weight))
    places = out.view(n, rows, _TILE, dilation, columns, _TILE, dilation, -1).permute(0, 2, 5, 3, 6, 1, 4, 7)
    strip = max(1, _TILES_AT_ONCE // (dilation**2 * columns))  # in rows of tiles: what stays in the processor's cache
    transform = _Transform(weight, strip * dilation**2 * columns)
    for seen, made in zip(_tiles(padded, dilation), places, strict=True):
        for first in range(0, rows, strip):
            part = slice(first, first + strip)
            transform.apply(seen[..., part, :, :], made[..., part, :, :])
    whole = out[:, :h, :w]
    return whole if bias is None else whole.add_(bias)


class _Transform:
    """The kernels of a convolution, transformed, and room for ``tiles`` tiles, used again and again."""

    def __init__(self, weight: Tensor, tiles: int) -> None:
        o, c = weight.shape[:2]
        self.channels, self.made = c, o
        self.kernels = (_KERNELS @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(_SEEN**2, c, o)
        self.seen, self.turned = weight.new_empty(2, _SEEN**2 * tiles * c)
        self.products, self.results = weight.new_empty(_SEEN**2 * tiles * o), weight.new_empty(_TILE**2 * tiles * o)

    def apply(self, seen: Tensor, made: Tensor) -> None:
        """Fills ``made`` f32[4 4 p q rows columns o] from ``seen`` f32[6 6 p q rows columns c]."""
        tiles = seen.shape[2:6].numel()
        before, after = (room[: _SEEN**2 * tiles * self.channels].view(_SEEN**2, -1) for room in (self.seen, self.turned))
        products = self.products[: _SEEN**2 * tiles * self.made].view(_SEEN**2, tiles, -1)
        results = self.results[: _TILE**2 * tiles * self.made].view(_TILE**2, -1)
        before.view(seen.shape).copy_(seen)
        torch.mm(_INTO, before, out=after)
        torch.bmm(after.view(_SEEN**2, tiles, -1), self.kernels, out=products)
        torch.mm(_BACK, products.flatten(1), out=results)
        made.copy_(results.view(made.shape))


def _tiles(padded: Tensor, dilation: int) -> Tensor:
    """What each tile sees, as a view f32[n 6 6 p q rows columns c]; p and q tell the grids of a dilated kernel apart."""
    n, h, w, c = padded.shape
    grids = padded.view(n, h // dilation, dilation, w // dilation, dilation, c)
    return grids.unfold(1, _SEEN, _TILE).unfold(3, _SEEN, _TILE).permute(0, 6, 7, 2, 4, 1, 3, 5)
