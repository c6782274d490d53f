"""A TimeSformer that is shown motion: its parts, and what it does not look at."""

import pytest
import torch

from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.ops.flow import optical_flow

CONFIG = MotionTimeSformerConfig(size=32, patch=16, frames=9, tube=4, width=16, depth=1, heads=2, classes=3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = MotionTimeSformer(CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def clips(count, seed=1):
    return torch.rand(count, 3, 9, 32, 32, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_logits_are_those_of_what_was_looked_at(network):
    shown = clips(2)
    assert network(shown).shape == (2, 3)
    middles, cells = network.look(shown)
    assert middles.shape == (2, 2, 3, 32, 32)
    assert cells.shape == (2, 2, 33 + 2 * 4, 4, 4)
    assert network.features(middles, cells).shape == (2, 32)
    assert network.tokens(middles, cells).shape == (2, 1 + 2 * 2 * 2, 16)  # the class token, two tubes of 2 x 2 places
    torch.testing.assert_close(network.classify(middles, cells), network(shown))


@torch.no_grad()
def test_a_batch_of_two_is_two_of_one(network):
    shown = clips(2)
    torch.testing.assert_close(network(shown), torch.cat([network(one[None]) for one in shown]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_tubes_are_seen_by_their_middle_picture_and_the_motion_around_it(network):
    shown = clips(1)
    middles, cells = network.look(shown)
    assert torch.equal(middles[0], shown[0, :, [2, 6]].transpose(0, 1))
    luma = (shown * torch.tensor([0.299, 0.587, 0.114])[:, None, None, None]).sum(dim=1)
    again = network.cells(middles, optical_flow(luma))[1]
    torch.testing.assert_close(cells, again)
    later = shown.clone()
    later[:, :, 8] = later[:, :, 7]  # the last step alone: of the second tube
    changed = network.look(later)[1]
    assert torch.equal(changed[:, 0], cells[:, 0])
    assert not torch.equal(changed[:, 1], cells[:, 1])


@torch.no_grad()
def test_clips_without_colours_are_told_by_their_motion_alone(network):
    middles, cells = network.look(clips(2))
    both, hidden = torch.ones(2), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(network.classify(middles, cells, both), network.classify(middles, cells))
    first, second = network.classify(middles, cells, hidden), network.classify(1 - middles, cells, hidden)
    assert not torch.allclose(first[0], second[0])
    assert torch.equal(first[1], second[1])


@torch.no_grad()
def test_cells_of_a_patch_are_seen_by_its_token_alone():
    torch.manual_seed(0)
    network = MotionTimeSformer(CONFIG).eval()
    middles, cells = network.look(clips(1))
    changed = cells.clone()
    changed[0, 1, :, 2:, :2] += 1  # the second tube's place in the second row and the first column
    differs = (network.embedded(middles, changed, None) != network.embedded(middles, cells, None)).any(dim=2)[0]
    assert differs.nonzero().tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"frames": 10}, "10 pictures in tubes of 4"),
        ({"frames": 1}, "1 pictures in tubes of 4"),
        ({"tube": 0}, "tubes of 0"),
        ({"patch": 12, "size": 48}, "size 48 in patches of 12, expected multiples of 8"),
        ({"size": 40}, "size 40 in patches of 16"),
        ({"width": 18, "heads": 4}, "width 18 over 4 heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(fields, reason):
    sizes = {"size": 32, "patch": 16, "frames": 9, "tube": 4, "width": 16, "depth": 1, "heads": 2, **fields}
    with pytest.raises(ValueError, match=reason):
        MotionTimeSformerConfig(**sizes)
