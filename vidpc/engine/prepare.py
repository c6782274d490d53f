"""A trained module made ready to be called many times on one device."""

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vidpc.engine.device import Device

M = TypeVar("M", bound=nn.Module)


def prepare(model: M, device: Device) -> M:
    """``model`` itself, in evaluation mode on ``device``, channels last; on a CPU its batch norms are folded away."""
    model.eval().requires_grad_(False)
    if not device.is_cuda:
        fold_batch_norms(model)
    model.to(device=device.torch)
    for parameter in model.parameters():
        if parameter.ndim == 4:  # weights of pictures: those of clips have five axes, which torch refuses here
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def fold_batch_norms(model: nn.Module) -> int:
    """Moves each batch norm into the convolution that stands right before it among its parent's children; returns how many.

    That they also follow each other in ``forward`` is our models' rule: children in the order data meets them.
    """
    folded = 0
    for parent in list(model.modules()):
        for (first, convolution), (second, norm) in pairwise(list(parent.named_children())):
            if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
                continue
            if norm.running_mean is not None and norm.num_features == convolution.out_channels:
                setattr(parent, first, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, second, nn.Identity())
                folded += 1
    return folded
