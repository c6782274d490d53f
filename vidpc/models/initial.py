"""Values that a network begins with."""

import torch
from torch import nn


def keep_variance(network: nn.Module, slope: float) -> None:
    """Draws the kernels of all convolutions so that what passes them and a LeakyReLU keeps its variance; biases are 0.

    K. He and others, Delving Deep into Rectifiers (2015). PyTorch's own draw lets every layer shrink what passes by half: a
    network that is deep, narrow and without normalisation then says nothing, and hears nothing.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def quieten(layer: nn.Conv2d, share: float) -> None:
    """Scales the kernel of a last layer, so that a network begins by changing little."""
    with torch.no_grad():
        layer.weight.mul_(share)
