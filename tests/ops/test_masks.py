"""Masks grown, faded and taken apart, against what is seen by eye or computed pixel by pixel."""

import math

import numpy as np
import pytest

from vidpc.ops.masks import bounds, fading, grown, regions, shrunk


def dots(*places, size=(9, 11)):
    mask = np.zeros(size, bool)
    for y, x in places:
        mask[y, x] = True
    return mask


def test_a_mask_grows_by_a_disc():
    expected = np.array([[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]], bool)
    assert np.array_equal(grown(dots((4, 5)), 2)[2:7, 3:8], expected)
    assert grown(dots((4, 5)), 2).sum() == expected.sum()


def test_growing_ends_at_the_border_and_leaves_nothing_empty():
    assert grown(dots((0, 0)), 1).sum() == 3
    assert not grown(dots(), 5).any()
    assert np.array_equal(grown(dots((4, 5)), 0), dots((4, 5)))


def test_a_mask_fades_inside_of_itself_and_not_towards_the_picture_s_edge():
    mask = np.zeros((7, 8), bool)
    mask[:, :5] = True
    assert np.allclose(fading(mask, 3), np.tile([1, 1, 0.75, 0.5, 0.25, 0, 0, 0], (7, 1)))
    assert np.array_equal(fading(mask, 0), mask)
    assert fading(np.ones((4, 4), bool), 3).min() == 1


def test_a_hole_smaller_than_its_feather_is_still_faded():
    assert fading(dots((4, 5)), 4)[4, 5] == pytest.approx(1 / 5)


def test_regions_are_what_does_not_touch():
    mask = dots((0, 0), (1, 1), (7, 8), (8, 10))
    assert regions(mask) == [(0, 0, 2, 2), (8, 7, 9, 8), (10, 8, 11, 9)]
    assert regions(dots()) == []
    assert bounds(dots()) is None


def test_large_pictures_are_taken_apart_as_exactly():
    mask = np.zeros((960, 1300), bool)
    mask[13:29, 1200:1300] = mask[700:701, 5:6] = True
    assert regions(mask) == [(5, 700, 6, 701), (1200, 13, 1300, 29)]


@pytest.mark.parametrize("size", [(5, 7), (17, 23), (30, 40), (1, 1), (4, 23)])
def test_a_small_mask_keeps_whatever_is_set(size):
    mask = np.random.default_rng(0).random((17, 23)) < 0.04

    def part(i, length, of):
        """The rows or columns under a pixel, those that it only touches included."""
        return slice(i * of // length, math.ceil((i + 1) * of / length))

    expected = [[mask[part(i, size[0], 17), part(j, size[1], 23)].any() for j in range(size[1])] for i in range(size[0])]
    assert np.array_equal(shrunk(mask, height=size[0], width=size[1]), expected)
