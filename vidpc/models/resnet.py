"""Residual networks (He et al. 2016) that return the maps of their last three stages.

Keys are torchvision's (``layer2.0.conv1.weight``), any depth and width. Batch norm is ordinary: in evaluation mode it
is the frozen batch norm (eps 1e-5) of published detectors.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride, as in torchvision) and 1x1 convolution."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


BLOCKS: dict[str, type[BasicBlock | Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


def shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """The identity, or a strided 1x1 convolution where the shape changes."""
    if stride == 1 and channels_in == channels_out:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(nn.Module):
    """f32[b 3 h w] -> the maps at strides 8, 16 and 32."""

    def __init__(self, *, block: str, depths: Sequence[int], width: int) -> None:
        super().__init__()
        kind = BLOCKS[block]
        widths = [width * 2**stage for stage in range(4)]
        self.channels = [w * kind.expansion for w in widths[1:]]
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(kind, width, widths[0], depths[0], stride=1)
        self.layer2 = _stage(kind, widths[0] * kind.expansion, widths[1], depths[1], stride=2)
        self.layer3 = _stage(kind, widths[1] * kind.expansion, widths[2], depths[2], stride=2)
        self.layer4 = _stage(kind, widths[2] * kind.expansion, widths[3], depths[3], stride=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer1(F.max_pool2d(x, 3, 2, padding=1))
        c3 = self.layer2(x)
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]


def _stage(kind: type[BasicBlock | Bottleneck], channels_in: int, width: int, depth: int, *, stride: int) -> nn.Sequential:
    first = kind(channels_in, width, stride)
    return nn.Sequential(first, *(kind(width * kind.expansion, width, 1) for _ in range(depth - 1)))
