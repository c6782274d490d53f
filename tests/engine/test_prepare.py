"""A prepared module computes what the trained one does."""

import copy

import torch
from torch import nn

from vidpc.engine.device import choose
from vidpc.engine.prepare import fold_batch_norms, prepare
from vidpc.models.resnet import ResNet

TOLERANCE = 1e-4  # float32 products in another order, through 8 layers


def settled(model: nn.Module) -> nn.Module:
    """``model`` with batch norms whose numbers are none of the trivial ones."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
            for tensor in (module.running_mean, module.bias):
                tensor.data = torch.randn(tensor.shape, generator=generator)
    return model.eval()


@torch.no_grad()
def test_folded_batch_norms_change_no_output():
    torch.manual_seed(0)
    model = settled(ResNet(block="bottleneck", depths=(1, 1, 1, 1), width=8))
    folded = copy.deepcopy(model)
    images = torch.rand(2, 3, 64, 48)
    # The stem, three convolutions in each of four blocks, a shortcut in each.
    assert fold_batch_norms(folded) == 1 + 4 * 3 + 4
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for expected, got in zip(model(images), folded(images), strict=True):
        torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_only_a_batch_norm_right_behind_its_convolution_is_folded():
    relu_between = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    before = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))
    without_numbers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))
    for model in (relu_between, before, without_numbers):
        assert fold_batch_norms(model.eval()) == 0


@torch.no_grad()
def test_a_prepared_model_is_ready_to_be_called():
    torch.manual_seed(0)
    model = settled(ResNet(block="basic", depths=(1, 1, 1, 1), width=8)).train()
    prepared = prepare(model, choose("cpu"))
    assert prepared is model
    assert not prepared.training
    assert not any(parameter.requires_grad for parameter in prepared.parameters())
    assert prepared.conv1.weight.is_contiguous(memory_format=torch.channels_last)
