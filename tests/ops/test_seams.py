"""A fill in the light of its surroundings, where what it has to become is known."""

import torch

from vidpc.ops.seams import without_seams

ROUNDING = 2e-3  # of a smooth slope, told apart in cells of four pixels


def hole(size=96, first=30, last=66):
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[first:last, first:last] = True
    return mask


def picture(seed=0, size=96):
    return 0.3 + 0.4 * torch.rand(3, size, size, generator=torch.Generator().manual_seed(seed))


def test_a_fill_that_is_darker_everywhere_becomes_as_bright_as_the_film():
    film = picture()
    fill = film - 0.05
    film[:, hole()] = 0.9  # what is in the hole says nothing
    assert torch.allclose(without_seams(fill, film, hole())[:, hole()], (fill + 0.05)[:, hole()], atol=ROUNDING)


def test_light_that_changes_over_the_picture_is_followed_over_the_hole():
    slope = torch.linspace(-0.05, 0.05, 96).expand(3, 96, 96)
    film = picture()
    lit = without_seams(film - slope, film, hole())
    assert (lit - film)[:, hole()].abs().max() < 0.02  # 0.024 without
    assert (lit - film)[:, hole()].abs().mean() < 0.006  # 0.0095 without


def test_what_moved_is_no_light():
    film, fill = picture(), picture()
    film[:, :25] += 0.3
    assert torch.allclose(without_seams(fill, film, hole()), fill)


def test_without_a_ring_the_fill_stays():
    film, fill = picture(1), picture(2)
    assert torch.equal(without_seams(fill, film, torch.ones(96, 96, dtype=torch.bool)), fill)


def test_each_colour_and_odd_sizes():
    fill = torch.full((3, 23, 41), 0.5)
    film = fill + torch.tensor([0.02, 0.0, -0.03])[:, None, None]
    mask = torch.zeros(23, 41, dtype=torch.bool)
    mask[8:15, 0:20] = True
    assert torch.allclose(without_seams(fill, film, mask), film, atol=1e-6)
