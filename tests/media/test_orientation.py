from fractions import Fraction

import numpy as np
import pytest

from vidpc.media.orientation import Orientation, from_display_matrix, is_sane_aspect, square_pixels

ONE = 1 << 16

# The EXIF specification names for each value where row 0 and column 0 of the stored picture lie when it is displayed:
# value -> (a, b, c, d) of the map (x, y) -> (a x + c y, b x + d y) up to a shift, and [[1, 2], [3, 4], [5, 6]] displayed.
EXIF = {
    1: ((1, 0, 0, 1), [[1, 2], [3, 4], [5, 6]]),  # top, left
    2: ((-1, 0, 0, 1), [[2, 1], [4, 3], [6, 5]]),  # top, right
    3: ((-1, 0, 0, -1), [[6, 5], [4, 3], [2, 1]]),  # bottom, right
    4: ((1, 0, 0, -1), [[5, 6], [3, 4], [1, 2]]),  # bottom, left
    5: ((0, 1, 1, 0), [[1, 3, 5], [2, 4, 6]]),  # left, top
    6: ((0, 1, -1, 0), [[5, 3, 1], [6, 4, 2]]),  # right, top
    7: ((0, -1, -1, 0), [[6, 4, 2], [5, 3, 1]]),  # right, bottom
    8: ((0, -1, 1, 0), [[2, 4, 6], [1, 3, 5]]),  # left, bottom
}


def display_matrix(a, b, c, d):
    return (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("value", EXIF)
def test_the_eight_orientations_of_exif(value):
    numbers, displayed = EXIF[value]
    stored = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)[:, :, None]
    orientation = from_display_matrix(display_matrix(*numbers))
    assert orientation.apply(stored)[:, :, 0].tolist() == displayed
    assert orientation.size(2, 3) == (len(displayed[0]), len(displayed))


def test_the_picture_is_contiguous_after_turning():
    turned = Orientation(90, mirrored=True).apply(np.zeros((4, 6, 3), np.uint8))
    assert turned.shape == (6, 4, 3)
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("numbers", [(0, 0, 0, 0), (1, 1, 1, 1)])
def test_a_matrix_without_an_inverse_is_no_orientation(numbers):
    assert from_display_matrix(display_matrix(*numbers)) is None


def test_a_slanted_matrix_is_no_orientation():
    half = round(ONE * 0.7071)
    assert from_display_matrix((half, half, 0, -half, half, 0, 0, 0, 1 << 30)) is None


def test_a_scaled_matrix_still_turns():
    assert from_display_matrix(display_matrix(0, 3, -3, 0)) == Orientation(90)


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(1), (720, 576)), (Fraction(16, 11), (1047, 576)), (Fraction(8, 9), (720, 648))]
)
def test_pixels_become_square_by_stretching_never_by_shrinking(aspect, size):
    assert square_pixels(720, 576, aspect) == size


def test_a_ridiculous_aspect_is_not_believed():
    assert is_sane_aspect(Fraction(64, 45))
    assert not is_sane_aspect(Fraction(1, 1000))
    assert not is_sane_aspect(Fraction(1000))
