"""RGB against a plain conversion in floating point: the matrices of BT.601, BT.709 and BT.2020 by their Kr and Kb."""

import numpy as np
import pytest
from av import VideoFrame

from vidpc.media.colour import Colour
from vidpc.media.orientation import Orientation
from vidpc.media.picture import ArrayPicture, Picture, Scaler
from vidpc.types import Image

KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
EXACT = 1.2  # rounding, and 10 bits are cut rather than divided
FAST = 3.2  # the converter for equal sizes goes through 8-bit tables
BLOCK = 16  # pixels of one colour, so that chroma interpolation does not matter inside


def reference(y, u, v, matrix, full_range, bits=8):
    """f64[h w 3] in 0..255 of planes at full resolution."""
    kr, kb = KR_KB[matrix]
    unit = 2 ** (bits - 8)
    low, luma, chroma = (0, 2**bits - 1, 2**bits - 1) if full_range else (16 * unit, 219 * unit, 224 * unit)
    luma_part, cb, cr = (y - low) / luma, (u - 128 * unit) / chroma, (v - 128 * unit) / chroma
    red, blue = luma_part + 2 * (1 - kr) * cr, luma_part + 2 * (1 - kb) * cb
    green = (luma_part - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 1) * 255


def blocks(low, high, seed):
    return np.kron(np.random.default_rng(seed).integers(low, high, (3, 4)), np.ones((BLOCK, BLOCK), np.int64))


def frame_of(y, u, v, pixel_format):
    """A frame from full-resolution planes."""
    frame = VideoFrame(y.shape[1], y.shape[0], pixel_format)
    wide = np.uint16 if "le" in pixel_format else np.uint8
    if pixel_format == "nv12":
        interleaved = np.stack([u[::2, ::2], v[::2, ::2]], axis=-1).reshape(y.shape[0] // 2, -1)
        planes = [y, interleaved]
    elif pixel_format.startswith("gray"):
        planes = [y]
    else:
        step_x, step_y = (y.shape[1] // frame.planes[1].width, y.shape[0] // frame.planes[1].height)
        planes = [y, u[::step_y, ::step_x], v[::step_y, ::step_x]]
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // np.dtype(wide).itemsize), wide)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def inner(picture, block):
    """The middles of the blocks."""
    h, w = picture.shape[:2]
    edge = block // 4
    return picture.reshape(h // block, block, w // block, block, 3)[:, edge:-edge, :, edge:-edge]


FORMATS = ["yuv420p", "nv12", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le"]


@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", KR_KB)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_rgb_equals_the_reference(pixel_format, matrix, full_range):
    bits = int(pixel_format[-4:-2]) if "le" in pixel_format else 8
    unit = 2 ** (bits - 8)
    y, u, v = blocks(40, 200, 1) * unit, blocks(95, 160, 2) * unit, blocks(95, 160, 3) * unit
    expected = reference(y, u, v, matrix, full_range, bits)
    picture = Picture(frame_of(y, u, v, pixel_format), Colour(matrix, full_range), Orientation(), Scaler())
    same, half, double = picture.rgb(64, 48), picture.rgb(32, 24), picture.rgb(128, 96)
    assert np.abs(inner(same - expected, BLOCK)).max() <= FAST
    assert np.abs(inner(half - expected[::2, ::2], BLOCK // 2)).max() <= EXACT
    assert np.abs(inner(double - np.kron(expected, np.ones((2, 2, 1))), BLOCK * 2)).max() <= EXACT


def test_gray_is_gray_and_follows_its_range():
    y = blocks(16, 236, 1)
    for full_range in (False, True):
        picture = Picture(frame_of(y, None, None, "gray"), Colour("bt601", full_range), Orientation(), Scaler())
        expected = reference(y, 128, 128 + 0 * y, "bt601", full_range)
        assert np.abs(inner(picture.rgb(64, 48) - expected, BLOCK)).max() <= EXACT


def test_rgb_sources_keep_their_values():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for pixel_format in ("rgb24", "bgr24", "rgba", "gbrp"):
        frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
        picture = Picture(frame, Colour("rgb", full_range=True), Orientation(), Scaler())
        assert np.array_equal(picture.rgb(64, 48), pixels)


def test_shrinking_averages_over_the_area():
    y = np.tile(np.array([[40, 200], [200, 40]]), (24, 32))
    frame = frame_of(y, 128 + 0 * y, 128 + 0 * y, "yuv420p")
    shrunk = Picture(frame, Colour("bt601", full_range=True), Orientation(), Scaler()).rgb(16, 12)
    assert np.abs(shrunk.astype(int) - 120).max() <= 1


@pytest.mark.parametrize(("rotation", "mirrored"), [(r, m) for r in (0, 90, 180, 270) for m in (False, True)])
def test_turning_comes_after_scaling_and_gives_the_displayed_size(rotation, mirrored):
    y, u, v = blocks(40, 200, 1), blocks(100, 150, 2), blocks(100, 150, 3)
    orientation = Orientation(rotation, mirrored)
    picture = Picture(frame_of(y, u, v, "yuv444p"), Colour("bt709", full_range=False), orientation, Scaler())
    size = (24, 32) if rotation in (90, 270) else (32, 24)
    upright = Picture(frame_of(y, u, v, "yuv444p"), Colour("bt709", full_range=False), Orientation(), Scaler()).rgb(32, 24)
    assert picture.rgb(*size).shape == (size[1], size[0], 3)
    assert np.array_equal(picture.rgb(*size), orientation.apply(upright))


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (63, 1), (1, 1)])
def test_planes_are_views_of_the_coded_picture(width, height):
    rng = np.random.default_rng(0)
    frame = VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    picture = Picture(frame, Colour("bt709", full_range=False), Orientation(90), Scaler())
    planes = picture.planes()
    assert planes.y.shape == (height, width)
    assert planes.u.shape == ((height + 1) // 2, (width + 1) // 2)
    assert (planes.matrix, planes.full_range, planes.rotation_deg, planes.mirrored) == ("bt709", False, 90, False)
    line = frame.planes[0].line_size
    assert planes.y[-1].tobytes() == bytes(frame.planes[0])[line * (height - 1) : line * (height - 1) + width]
    assert np.shares_memory(planes.y, picture.planes().y)


def test_planes_of_nv12_are_taken_apart():
    y, u, v = blocks(40, 200, 1), blocks(100, 150, 2), blocks(100, 150, 3)
    planes = Picture(frame_of(y, u, v, "nv12"), Colour("bt601", full_range=False), Orientation(), Scaler()).planes()
    assert np.array_equal(planes.u, u[::2, ::2])
    assert np.array_equal(planes.v, v[::2, ::2])


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "yuv422p", "rgb24", "gray"])
def test_other_formats_have_no_planes(pixel_format):
    frame = VideoFrame(64, 48, pixel_format)
    assert Picture(frame, Colour("bt601", full_range=False), Orientation(), Scaler()).planes() is None


def test_an_array_picture_is_an_image_too():
    pixels = np.full((48, 64, 3), 77, np.uint8)
    picture: Image = ArrayPicture(pixels, Scaler())
    assert picture.rgb(64, 48) is pixels
    assert np.abs(picture.rgb(10, 20).astype(int) - 77).max() <= 1
    assert picture.planes() is None
    assert picture.nbytes == pixels.nbytes


def test_bytes_are_those_of_the_planes():
    frame = VideoFrame(64, 48, "yuv420p")
    assert Picture(frame, Colour("bt601", full_range=False), Orientation(), Scaler()).nbytes >= 64 * 48 * 3 // 2
