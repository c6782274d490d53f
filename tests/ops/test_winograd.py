"""Convolution by Winograd's transforms against torch's."""

import pytest
import torch
import torch.nn.functional as F

from vidpc.ops import winograd

ROUNDING = 1e-4  # float32, sums of 9 c products whose factors the transforms made larger


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (1, 1), (3, 70)], ids=str)
@torch.inference_mode()
def test_it_is_the_convolution_with_zeros_around(size, dilation):
    torch.manual_seed(1)
    x, weight, bias = torch.randn(2, *size, 5), torch.randn(3, 5, 3, 3), torch.randn(3)
    expected = F.conv2d(x.movedim(-1, 1).double(), weight.double(), bias.double(), padding=dilation, dilation=dilation)
    made = winograd.convolution(x, weight, bias, dilation=dilation)
    assert torch.allclose(made.double(), expected.movedim(1, -1), atol=ROUNDING)
    without = winograd.convolution(x, weight, None, dilation=dilation)
    assert torch.allclose(without + bias, made, atol=ROUNDING)


@torch.inference_mode()
def test_many_strips_of_tiles_are_as_one(monkeypatch):
    torch.manual_seed(1)
    x, weight = torch.randn(1, 40, 24, 4), torch.randn(4, 4, 3, 3)
    whole = winograd.convolution(x, weight, None)  # sixty tiles: one strip
    monkeypatch.setattr(winograd, "_TILES_AT_ONCE", 13)
    assert torch.allclose(winograd.convolution(x, weight, None), whole, atol=ROUNDING)


def test_it_is_left_alone_where_it_cannot_be_or_does_not_pay():
    wide, narrow = torch.zeros(1, 4, 4, 256), torch.zeros(1, 4, 4, 64)
    assert not winograd.pays(wide, 256)  # gradients are asked for
    with torch.no_grad():
        assert winograd.pays(wide, 256)
        assert not winograd.pays(narrow, 256)
        assert not winograd.pays(wide, 64)
        assert not winograd.pays(wide.half(), 256)
        with torch.autocast("cpu", torch.bfloat16):
            assert not winograd.pays(wide, 256)
