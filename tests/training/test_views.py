import numpy as np

from vidpc.training.pictures import Marks, Picture
from vidpc.training.views import Window, clipped, look, mirrored


def marks(*boxes, ignored=None):
    n = len(boxes)
    return Marks(np.array(boxes, np.float32).reshape(-1, 4), np.arange(n), np.array(ignored or [False] * n, bool))


def test_a_window_scales_and_shifts_boxes():
    picture = Picture(np.zeros((100, 200, 3), np.uint8), marks([60, 20, 80, 60]))
    seen = look(picture, Window(50, 10, 100, 60), 200, 120, flipped=False)
    assert seen.pixels.shape == (120, 200, 3)
    np.testing.assert_allclose(seen.marks.boxes_xyxy, [[20, 20, 60, 100]])


def test_a_window_shows_the_pixels_that_its_boxes_lie_on():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:30] = 255
    seen = look(Picture(pixels, marks([20, 10, 30, 30])), Window(10, 0, 40, 40), 80, 80, flipped=False)
    left, top, right, bottom = seen.marks.boxes_xyxy[0].astype(int)
    assert (left, top, right, bottom) == (20, 20, 40, 60)
    assert seen.pixels[top + 2 : bottom - 2, left + 2 : right - 2].min() == 255
    outside = seen.pixels.copy()
    outside[top - 2 : bottom + 2, left - 2 : right + 2] = 0
    assert outside.max() == 0


def test_beyond_the_source_there_is_fill():
    picture = Picture(np.full((20, 20, 3), 200, np.uint8), marks())
    seen = look(picture, Window(-10, 0, 20, 20), 20, 20, flipped=False, fill=7)
    assert (seen.pixels[:, :10] == 7).all()
    assert (seen.pixels[:, 10:] == 200).all()


def test_a_box_mostly_outside_is_ignored_and_one_that_hardly_shows_is_dropped():
    cut = clipped(marks([-5, 0, 5, 10], [-7, 0, 3, 20], [-19, 0, 1, 20]), 100, 100)
    assert cut.ids.tolist() == [0, 1]  # shares 0.5, 0.3 and 0.05
    assert cut.ignored.tolist() == [False, True]
    np.testing.assert_allclose(cut.boxes_xyxy, [[0, 0, 5, 10], [0, 0, 3, 20]])


def test_mirroring_exchanges_left_and_right():
    pixels = np.zeros((2, 10, 3), np.uint8)
    pixels[:, 0] = 9
    turned = mirrored(Picture(pixels, marks([1, 0, 4, 2])))
    np.testing.assert_allclose(turned.marks.boxes_xyxy, [[6, 0, 9, 2]])
    assert turned.pixels[0, -1, 0] == 9


def test_a_moved_window_zooms_about_its_centre():
    moved = Window(10, 20, 100, 40).moved(0.1, -0.5, 1.2)
    np.testing.assert_allclose([moved.left, moved.top, moved.width, moved.height], [10 + 10 - 10, 20 - 20 - 4, 120, 48])
