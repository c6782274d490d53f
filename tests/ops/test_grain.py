"""The strength of grain where it is known, and grain that is the same every time."""

import pytest
import torch

from vidpc.ops.grain import MOST, grain, strength

WITHIN = 0.15  # of the deviation: a quarter of a few thousand pixels is a small sample


@pytest.mark.parametrize("deviation", [0.004, 0.01, 0.03])
def test_grain_is_measured(deviation):
    picture = 0.5 + grain(120, 160, deviation=deviation, seed=1).expand(3, -1, -1)
    assert strength(picture, torch.ones(120, 160, dtype=torch.bool)) == pytest.approx(deviation, rel=WITHIN)


def test_slopes_and_edges_are_no_grain():
    ramp = torch.linspace(0, 1, 160).expand(3, 120, 160).clone()
    ramp[:, :, 80:] = 1
    assert strength(ramp, torch.ones(120, 160, dtype=torch.bool)) < 1e-3


def test_only_the_place_counts():
    picture = 0.5 + grain(120, 160, deviation=0.02, seed=3).expand(3, -1, -1).clone()
    picture[:, :, 80:] = 0.5
    place = torch.zeros(120, 160, dtype=torch.bool)
    place[:, 80:] = True
    assert strength(picture, place) < 1e-3
    assert strength(picture, ~place) == pytest.approx(0.02, rel=WITHIN)


def test_a_place_too_small_to_measure_has_none_and_noise_has_a_limit():
    picture = grain(40, 40, deviation=0.4, seed=0).expand(3, -1, -1)
    assert strength(picture, torch.zeros(40, 40, dtype=torch.bool)) == 0
    assert strength(picture[:, :5, :5], torch.ones(5, 5, dtype=torch.bool)) == 0
    assert strength(picture, torch.ones(40, 40, dtype=torch.bool)) <= MOST / 0.855


def test_the_same_seed_gives_the_same_grain():
    assert torch.equal(grain(8, 9, deviation=1, seed=5), grain(8, 9, deviation=1, seed=5))
    assert not torch.equal(grain(8, 9, deviation=1, seed=5), grain(8, 9, deviation=1, seed=6))
