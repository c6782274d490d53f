"""Deformable sampling against loops over single samples."""

import math

import pytest
import torch

from vidpc.ops.deformable import sample_by_bags, sample_by_grid, sample_levels

SHAPES = [(5, 7), (3, 4), (1, 2)]
FLOAT32_SUMS = 2e-5  # some fifty products of numbers near 1, in another order


def slow_sample(value, shapes, locations, weights):
    """Every sample on its own, from the definition of bilinear interpolation with zeros outside."""
    b, _, heads, d = value.shape
    q, points = locations.shape[1], locations.shape[4]
    out = torch.zeros(b, q, heads, d, dtype=torch.float64)
    for i, j, head in ((i, j, head) for i in range(b) for j in range(q) for head in range(heads)):
        start = 0
        for level, (h, w) in enumerate(shapes):
            for point in range(points):
                x = locations[i, j, head, level, point, 0].item() * w - 0.5
                y = locations[i, j, head, level, point, 1].item() * h - 0.5
                for column in (math.floor(x), math.floor(x) + 1):
                    for line in (math.floor(y), math.floor(y) + 1):
                        if 0 <= column < w and 0 <= line < h:
                            share = (1 - abs(x - column)) * (1 - abs(y - line))
                            token = start + line * w + column
                            out[i, j, head] += weights[i, j, head, level, point].item() * share * value[i, token, head].double()
            start += h * w
    return out.flatten(2).float()


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(3)
    tokens = sum(h * w for h, w in SHAPES)
    value = torch.randn(2, tokens, 2, 4, generator=generator)
    locations = torch.rand(2, 6, 2, 3, 4, 2, generator=generator) * 1.6 - 0.3  # some outside
    weights = torch.rand(2, 6, 2, 3, 4, generator=generator)
    return value, SHAPES, locations, weights


@pytest.mark.parametrize("fast", [sample_by_bags, sample_by_grid, sample_levels])
def test_equals_single_samples(case, fast):
    torch.testing.assert_close(fast(*case), slow_sample(*case), atol=FLOAT32_SUMS, rtol=0)


@pytest.mark.parametrize("fast", [sample_by_bags, sample_by_grid])
def test_a_location_far_outside_gives_nothing(case, fast):
    value, shapes, locations, weights = case
    assert fast(value, shapes, locations + 40, weights).abs().max() == 0


def test_both_ways_have_the_same_gradients(case):
    value, shapes, locations, weights = (x.requires_grad_() if isinstance(x, torch.Tensor) else x for x in case)
    inputs = (value, locations, weights)
    by_bags = torch.autograd.grad(sample_by_bags(value, shapes, locations, weights).square().sum(), inputs)
    by_grid = torch.autograd.grad(sample_by_grid(value, shapes, locations, weights).square().sum(), inputs)
    for ours, reference in zip(by_bags, by_grid, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-3, rtol=1e-3)


def test_inference_without_gradients_takes_either_way_to_the_same_result(case):
    with torch.inference_mode():
        torch.testing.assert_close(sample_levels(*case), sample_by_grid(*case), atol=FLOAT32_SUMS, rtol=0)
