"""Masked tubes: what counts, what is hidden, and in which order places are told."""

import numpy as np
import pytest
import torch

from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.training.masked import Masked, hidden_places

CONFIG = MotionTimeSformerConfig(size=48, patch=16, frames=9, tube=4, width=16, depth=1, heads=2, drop_path=0, drop_input=0)


@pytest.fixture
def masked():
    torch.manual_seed(0)
    model = Masked(MotionTimeSformer(CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        model.network.motion_norm.running_mean.normal_()
        model.network.motion_norm.running_var.uniform_(0.5, 2)
    return model


@pytest.fixture
def shown():
    generator = torch.Generator().manual_seed(1)
    middles, cells = torch.rand(2, 2, 3, 48, 48, generator=generator), torch.randn(2, 2, 41, 6, 6, generator=generator)
    hidden = torch.zeros(2, 3, 3, dtype=torch.bool)
    hidden[0, 0, 1] = hidden[0, 2, 0] = hidden[1, 1, 2] = True
    return middles, cells, hidden


def told(model, middles, cells, hidden):
    """(the error, what is told of every token f32[b 1+n*t …])."""
    kept = []
    hook = model.predict.register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        error = float(model(middles, cells, hidden))
    hook.remove()
    return error, kept[0]


def test_the_error_is_that_of_the_hidden_places_in_plain_loops(masked, shown):
    middles, cells, hidden = shown
    error, predicted = told(masked, middles, cells, hidden)
    norm = masked.network.motion_norm
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    normal = cells * scale[:, None, None] + (norm.bias - norm.running_mean * scale).detach()[:, None, None]
    squares = []
    for b, row, column in hidden.nonzero().tolist():
        for t in range(2):
            wanted = normal[b, t, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()  # channel, then y, then x
            token = predicted[b, (3 * row + column) * 2 + t]  # places row by row, time fastest
            squares.append(float(((token - wanted) ** 2).mean()))
    assert len(squares) == 6
    assert error == pytest.approx(np.mean(squares), rel=1e-5)


def test_what_a_hidden_place_shows_has_no_influence_on_what_is_told(masked, shown):
    middles, cells, hidden = shown
    before = told(masked, middles, cells, hidden)[1]
    other_middles, other_cells = middles.clone(), cells.clone()
    for b, row, column in hidden.nonzero().tolist():
        other_middles[b, :, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 1
        other_cells[b, :, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] -= 2
    assert torch.equal(told(masked, other_middles, other_cells, hidden)[1], before)
    other_cells[1, 0, :, 0, 0] += 1  # a place that is not hidden, of the second clip
    after = told(masked, other_middles, other_cells, hidden)[1]
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_the_body_of_the_network_learns_and_its_head_does_not(masked, shown):
    masked.train()
    masked(*shown).backward()
    assert masked.hidden.grad.abs().sum() > 0
    assert masked.network.trunk.blocks[0].feed.enter.weight.grad.abs().sum() > 0
    assert masked.network.head.weight.grad is None


def test_the_share_of_places_that_is_hidden_is_drawn_for_each_clip():
    hidden = hidden_places(50, 3, 4, 0.6, torch.Generator().manual_seed(3))
    assert hidden.shape == (50, 3, 4)
    assert hidden.flatten(1).sum(dim=1).tolist() == [7] * 50  # of 7.2
    assert len({tuple(clip.flatten().tolist()) for clip in hidden}) > 40
    shares = hidden.float().mean(dim=0)
    assert shares.min() > 0.35  # every place has its turn: 0.58 of 50 clips, give or take 0.07
    assert shares.max() < 0.8
    assert torch.equal(hidden, hidden_places(50, 3, 4, 0.6, torch.Generator().manual_seed(3)))
