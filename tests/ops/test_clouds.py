import numpy as np
import pytest

from vidpc.errors import PointCloudError
from vidpc.ops.clouds import fitted, turned, upright


def test_a_fitted_cloud_reaches_distance_one_around_the_middle_of_its_extent():
    xyz = np.array([[0.0, 0, 0], [4, 0, 0], [2, 0, 3], [0, 0, 0]])
    # the middle is (2, 0, 1.5), the farthest point 2.5 away
    assert np.allclose(fitted(xyz), [[-0.8, 0, -0.6], [0.8, 0, -0.6], [0, 0, 0.6], [-0.8, 0, -0.6]])


def test_the_mean_as_centre_follows_the_density():
    xyz = np.array([[0.0, 0, 0], [0, 0, 0], [0, 0, 0], [4, 0, 0]])
    assert np.allclose(fitted(xyz, "mean"), [[-1 / 3, 0, 0]] * 3 + [[1, 0, 0]])


def test_map_coordinates_keep_their_millimetres():
    small = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    place = np.array([770_000, 6_277_000, 20])
    assert np.allclose(fitted(small + place), fitted(small), atol=1e-6)


def test_points_at_one_place_have_no_shape():
    with pytest.raises(PointCloudError, match="3 points at one place: no shape to recognise"):
        fitted(np.ones((3, 3)))


def test_a_quarter_turn_takes_x_to_y_and_leaves_the_vertical():
    axes = np.eye(3, dtype=np.float32)
    assert np.allclose(turned(axes, np.pi / 2), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-6)


def test_upright_clouds_have_their_vertical_second_and_are_no_mirror_image():
    axes = np.eye(3, dtype=np.float32)
    laid = upright(axes)
    assert laid[2].tolist() == [0, 1, 0]
    assert np.linalg.det(laid) == pytest.approx(1)
