"""Drawn people: where they stand, how large they are, that they walk."""

from math import pi

import numpy as np
import pytest

from vidpc.synthetic.figures import Appearance, draw_appearance, draw_figure, ground_point


@pytest.fixture
def person() -> Appearance:
    return draw_appearance(np.random.default_rng(4))


def extent(rgba):
    """(left, top, right, bottom) of what is more solid than not."""
    solid = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("heading", [0, pi / 4, pi / 2, pi, -pi / 2])
@pytest.mark.parametrize("height_px", [30, 60, 110, 240])
def test_figure_is_as_tall_as_asked_and_stands_on_its_point(person, height_px, heading):
    rgba = draw_figure(person, height_px, 0.0, heading=heading, walking=0.0)
    left, top, right, bottom = extent(rgba)
    assert bottom - top == pytest.approx(height_px, rel=0.08, abs=2)
    x, y = ground_point(height_px)
    assert bottom == pytest.approx(y, abs=0.06 * height_px + 1)
    assert left < x < right


def test_figure_fits_on_its_canvas_at_any_moment(person):
    for phase in np.arange(0, 1, 0.125):
        for heading in np.arange(-pi, pi, pi / 4):
            alpha = draw_figure(person, 80, float(phase), heading=float(heading))[..., 3]
            assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) == 0


def test_equal_arguments_give_equal_pictures(person):
    assert (draw_figure(person, 90, 0.3, heading=0.2) == draw_figure(person, 90, 0.3, heading=0.2)).all()
    assert draw_appearance(np.random.default_rng(7)) == draw_appearance(np.random.default_rng(7))


def test_legs_open_and_close_twice_a_cycle(person):
    def reach(phase):
        legs = draw_figure(person, 100, phase)[75:]
        left, _, right, _ = extent(legs)
        return right - left

    assert reach(0.25) > 1.4 * reach(0.5)
    assert reach(0.75) > 1.4 * reach(0.5)


def test_walkers_to_the_left_mirror_walkers_to_the_right(person):
    right, left = extent(draw_figure(person, 100, 0.25)), extent(draw_figure(person, 100, 0.25, heading=pi))
    width = draw_figure(person, 100, 0.25).shape[1]
    assert width - left[2] == pytest.approx(right[0], abs=6)


def test_half_a_pixel_moves_half_a_pixel(person):
    def centre(shift):
        alpha = draw_figure(person, 100, 0.1, shift_px=(shift, 0.0))[..., 3].astype(float)
        return (alpha.sum(0) * np.arange(alpha.shape[1])).sum() / alpha.sum()

    assert centre(0.5) - centre(0.0) == pytest.approx(0.5, abs=0.02)


def test_people_differ():
    rng = np.random.default_rng(0)
    assert len({draw_appearance(rng).top for _ in range(20)}) == 20
