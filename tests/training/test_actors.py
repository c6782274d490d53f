"""Things in front of simulated scenes move on ways of their own, and only there."""

from dataclasses import replace

import numpy as np
import torch

from vidpc.training.actors import Actor, acted, actor

SAME = np.tile(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (2, 1, 1))  # the view is the scene, twice


def white(middle=(0.0, 0.0)):
    """A white disc of half the scene's width, at the place that ``middle`` names, standing still."""
    way = np.array([[[2.0, 0, -2 * middle[0]], [0, 2.0, -2 * middle[1]]]] * 2)
    return Actor(np.full((8, 8, 3), 255, np.uint8), np.zeros(2), way)


def test_an_actor_covers_its_ellipse_and_nothing_else():
    seen = acted(torch.zeros(2, 3, 64, 64), SAME, [white()])
    row = seen[0, 0, 32]
    assert row[32] == 255
    assert row[:15].max() == 0  # 17 pixels from the middle; the radius is 16
    assert row[49:].max() == 0
    assert row[20:44].min() > 200


def test_an_actor_stands_where_its_way_puts_it():
    seen = acted(torch.zeros(2, 3, 64, 64), SAME, [white((0.5, 0.0))])
    columns = torch.nonzero(seen[0, 0, 32] > 127)
    assert abs(columns.float().mean() - 47.5) < 1  # x = 0.5 of -1..1


def test_an_actor_goes_with_the_scene_when_the_view_moves():
    shifted = SAME.copy()
    shifted[1, 0, 2] = 0.5  # the second view looks half a half to the right
    seen = acted(torch.zeros(2, 3, 64, 64), shifted, [white()])
    first, second = (torch.nonzero(frame[0, 32] > 127).float().mean() for frame in seen)
    assert abs((first - second) - 16) < 1


def test_an_actor_that_is_followed_stands_still_in_a_view_that_moves():
    shifted = SAME.copy()
    shifted[1, 0, 2] = 0.5
    followed = replace(white(), followed=True)
    first, second = acted(torch.zeros(2, 3, 64, 64), shifted, [followed])
    assert torch.equal(first, second)


def test_no_actor_changes_nothing():
    frames = torch.rand(2, 3, 16, 16)
    assert torch.equal(acted(frames, SAME, []), frames)


def test_ways_are_drawn_from_the_seed_and_move():
    source = np.zeros((4, 4, 3), np.uint8)
    first, again = (actor(source, 5, 15.0, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.way, again.way)
    assert first.way.shape == (5, 2, 3)
    assert not np.allclose(first.way[0], first.way[-1])
