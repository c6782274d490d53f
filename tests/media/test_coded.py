from fractions import Fraction

import numpy as np
import pytest

from vidpc.media.coded import Coded, Coder, as_depth
from vidpc.media.colour import Colour
from vidpc.media.orientation import Orientation
from vidpc.media.patching import covering, rescaled
from vidpc.media.picture import ArrayPicture, Picture, Scaler
from vidpc.media.samples import frame_of, from_scaler, samples_of, to_scaler, turns_exactly
from vidpc.types import ColourCodes, Frame

EIGHT = tuple(Orientation(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True))
SHARED = {"yuv420p": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1)}  # rows and columns with one colour sample
UPRIGHT = Orientation()
RANDOM = np.random.default_rng(5)


def coded(width=64, height=48, name="yuv420p", orientation=UPRIGHT, *, matrix="bt709", full_range=False, pad=(0, 0)):
    size = (width, height, width + pad[0], height + pad[1])
    return Coded(*size, Fraction(1), name, matrix, full_range, ColourCodes(), orientation)


def noise(width, height, name="yuv420p", bits=8):
    """Planes of random samples between a quarter and three quarters of the range."""
    rows, columns = SHARED[name.removesuffix("10le")]
    small = (-(-height // rows), -(-width // columns))
    dtype = np.uint8 if bits == 8 else np.uint16
    return [RANDOM.integers(1 << (bits - 2), 3 << (bits - 2), size).astype(dtype) for size in ((height, width), small, small)]


def frame(planes, name="yuv420p", orientation=UPRIGHT, *, matrix="bt709", full_range=False):
    height, width = planes[0].shape[:2]
    picture = Picture(frame_of(planes, name, width, height), Colour(matrix, full_range), orientation, Scaler())
    return Frame(picture, 0, Fraction(0), *orientation.size(width, height))


def same(a, b):
    return all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


def test_a_frame_of_the_same_form_is_handed_on_itself():
    kept = frame(noise(64, 48))
    assert Coder(coded()).kept(kept) is kept.image.frame


@pytest.mark.parametrize("orientation", EIGHT, ids=str)
def test_a_turned_frame_is_handed_on_where_the_output_is_turned_as_well(orientation):
    kept = frame(noise(64, 48), orientation=orientation)
    assert Coder(coded(orientation=orientation)).kept(kept) is kept.image.frame


@pytest.mark.parametrize("orientation", EIGHT[1:], ids=str)
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p"])
def test_samples_are_turned_themselves_where_the_output_is_upright(orientation, name):
    planes = noise(64, 48, name)
    upright = coded(*orientation.size(64, 48), name)
    out = Coder(upright).kept(frame(planes, name, orientation))
    assert same(samples_of(out), [orientation.apply(plane) for plane in planes])


@pytest.mark.parametrize("source", EIGHT, ids=str)
@pytest.mark.parametrize("target", EIGHT, ids=str)
def test_from_any_orientation_to_any_other_the_picture_looks_the_same(source, target):
    planes = noise(64, 48, "yuv444p")
    shown = source.apply(planes[0])
    size = target.size(shown.shape[1], shown.shape[0])
    out = Coder(coded(*size, "yuv444p", target)).kept(frame(planes, "yuv444p", source))
    assert np.array_equal(target.apply(samples_of(out)[0]), shown)


@pytest.mark.parametrize("orientation", EIGHT, ids=str)
def test_undo_takes_back_what_apply_does(orientation):
    picture = RANDOM.integers(0, 255, (5, 7, 3)).astype(np.uint8)
    assert np.array_equal(orientation.undo(orientation.apply(picture)), picture)


def test_quarter_turns_of_4_2_2_go_through_rgb():
    assert not turns_exactly("yuv422p", 64, 48, Orientation(90))
    assert turns_exactly("yuv422p", 64, 48, Orientation(180))
    assert not turns_exactly("yuv420p", 65, 48, Orientation(180))  # the last colour sample is half a one


def test_odd_sizes_repeat_the_last_row_and_column():
    planes = noise(65, 49)
    out = samples_of(Coder(coded(65, 49, pad=(1, 1))).kept(frame(planes)))
    assert out[0].shape == (50, 66)
    assert np.array_equal(out[0][:49, :65], planes[0])
    assert np.array_equal(out[0][49, :65], planes[0][48])
    assert np.array_equal(out[0][:49, 65], planes[0][:, 64])
    assert same(out[1:], planes[1:])  # of which each sample stood for two pixels all along


def test_full_range_names_of_ffmpeg_are_the_same_samples():
    planes = noise(64, 48)
    out = Coder(coded(full_range=True)).kept(frame(planes, "yuvj420p", full_range=True))
    assert out.format.name == "yuv420p"
    assert same(samples_of(out), planes)


@pytest.mark.parametrize("full_range", [False, True])
def test_gray_is_kept_beside_colours_that_are_none(full_range):
    gray = noise(64, 48)[0]
    out = samples_of(Coder(coded(full_range=full_range)).kept(frame([gray], "gray", full_range=full_range)))
    assert np.array_equal(out[0], gray)
    assert all((plane == 128).all() for plane in out[1:])


def test_eight_bits_in_ten_are_four_times_the_number():
    planes = noise(64, 48, "yuv422p")
    out = samples_of(Coder(coded(name="yuv422p10le")).kept(frame(planes, "yuv422p")))
    assert same(out, [plane.astype(np.uint16) * 4 for plane in planes])


def flat(rgb, width=64, height=48, dtype=np.uint8):
    return np.broadcast_to(np.array(rgb, dtype), (height, width, 3)).copy()


# Worked by hand from Y = .2126 R + .7152 G + .0722 B (BT.709), .299 R + .587 G + .114 B (BT.601), limited range:
# 16 + 219 Y, 128 + 224 (B - Y) / 1.8556 (1.772), 128 + 224 (R - Y) / 1.5748 (1.402), for R, G, B = 200, 100, 50 of 255.
@pytest.mark.parametrize(("matrix", "expected"), [("bt709", (117.04, 95.98, 173.93)), ("bt601", (122.67, 91.22, 175.49))])
@pytest.mark.parametrize("deep", [False, True])
def test_new_pictures_take_the_matrix_of_the_output(matrix, expected, deep):
    rgb = flat((200, 100, 50)) if not deep else flat((200 * 257, 100 * 257, 50 * 257), dtype=np.uint16)
    eight = samples_of(Coder(coded(matrix=matrix)).new(rgb))
    assert [plane[10, 10] for plane in eight] == pytest.approx(expected, abs=0.6)
    ten = samples_of(Coder(coded(name="yuv420p10le", matrix=matrix)).new(rgb))
    assert [plane[10, 10] / 4 for plane in ten] == pytest.approx(expected, abs=0.2)


def test_a_colour_sample_is_the_mean_of_its_own_four_pixels():
    rgb = flat((128, 128, 128))
    rgb[10:12, 20:22] = (255, 0, 0)
    _, blue, red = samples_of(Coder(coded()).new(rgb))
    assert set(zip(*np.nonzero(red != 128), strict=True)) == {(5, 10)}
    assert set(zip(*np.nonzero(blue != 128), strict=True)) == {(5, 10)}


@pytest.mark.parametrize("orientation", EIGHT, ids=str)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_a_patch_changes_the_samples_that_cover_the_mask_and_no_others(orientation, name):
    planes = noise(64, 48, name, bits=10 if name.endswith("10le") else 8)
    source = frame(planes, name, orientation)
    mask = np.zeros((source.height, source.width), bool)
    mask[7:20, 9:22] = True
    rgb = flat((255, 0, 255), source.width, source.height)
    out = samples_of(Coder(coded(64, 48, name, orientation)).patched(source, rgb, mask))
    turned = orientation.undo(mask)
    for before, after in zip(planes, out, strict=True):
        rows, columns = 48 // before.shape[0], 64 // before.shape[1]
        covered = turned.reshape(before.shape[0], rows, before.shape[1], columns).any(axis=(1, 3))
        assert np.array_equal(after[~covered], before[~covered])
        assert (after[covered] != before[covered]).mean() > 0.9


def test_unmasked_pixels_of_a_patch_do_not_show_even_where_a_colour_sample_is_shared():
    planes = [np.full(size, 128, np.uint8) for size in ((48, 64), (24, 32), (24, 32))]
    mask = np.zeros((48, 64), bool)
    mask[10, 20] = True  # one of the four pixels of its colour sample
    gray = frame(planes).rgb()
    alike, unlike = gray.copy(), flat((255, 0, 0))
    alike[10, 20] = unlike[10, 20]
    first, second = (samples_of(Coder(coded()).patched(frame(planes), rgb, mask)) for rgb in (alike, unlike))
    assert same(first, second)
    assert first[2][5, 10] > 128


def test_a_patch_does_not_touch_the_source():
    planes = noise(64, 48)
    source = frame(planes)
    Coder(coded()).patched(source, flat((255, 0, 255)), np.ones((48, 64), bool))
    assert same(samples_of(source.image.frame), planes)


@pytest.mark.parametrize("name", ["rgb24", "yuv444p"])
def test_a_new_picture_may_change_afterwards(name):
    rgb = flat((200, 100, 50))
    out = Coder(coded(name=name, matrix="rgb" if name == "rgb24" else "bt709")).new(rgb)
    before = [plane.copy() for plane in samples_of(out)]
    rgb[:] = 0
    assert same(samples_of(out), before)


def test_an_empty_mask_keeps_the_frame():
    source = frame(noise(64, 48))
    assert Coder(coded()).patched(source, flat((255, 0, 255)), np.zeros((48, 64), bool)) is source.image.frame


def test_a_patch_of_everything_is_the_new_picture():
    rgb = RANDOM.integers(0, 255, (48, 64, 3)).astype(np.uint8)
    coder = Coder(coded())
    patched = coder.patched(frame(noise(64, 48)), rgb, np.ones((48, 64), bool))
    assert same(samples_of(patched), samples_of(coder.new(rgb)))


def test_a_patch_of_stretched_pixels_stays_inside_the_mask():
    planes = noise(64, 48)
    picture = Picture(frame_of(planes, "yuv420p", 64, 48), Colour("bt709", full_range=False), Orientation(), Scaler())
    wide = Frame(picture, 0, Fraction(0), 96, 48)  # samples half as wide again
    mask = np.zeros((48, 96), bool)
    mask[8:16, 30:60] = True  # columns 20 to 39 of the coded picture
    out = samples_of(Coder(coded()).patched(wide, flat((255, 0, 255), 96, 48), mask))
    changed = np.argwhere(out[0] != planes[0])
    assert changed.min(axis=0).tolist() == [8, 20]
    assert changed.max(axis=0).tolist() == [15, 39]


def test_a_frame_that_is_no_coded_picture_is_converted():
    rgb = RANDOM.integers(0, 255, (48, 64, 3)).astype(np.uint8)
    coder = Coder(coded())
    kept = coder.kept(Frame(ArrayPicture(rgb, Scaler()), 0, Fraction(0), 64, 48))
    assert same(samples_of(kept), samples_of(coder.new(rgb)))


def test_a_sample_is_covered_where_it_shares_one_masked_pixel():
    mask = np.zeros((5, 5), bool)
    mask[4, 4] = mask[0, 1] = True
    expected = np.zeros((3, 3), bool)
    expected[2, 2] = expected[0, 0] = True
    assert np.array_equal(covering(mask, 3, 3), expected)


def test_a_mask_in_another_size_loses_no_pixel():
    mask = np.zeros((6, 6), bool)
    mask[2, 3] = True
    assert rescaled(mask, 6, 3).nonzero()[1].tolist() == [1]
    assert rescaled(mask, 6, 12).nonzero()[1].tolist() == [6, 7]
    assert rescaled(mask, 6, 4).nonzero()[1].tolist() == [2]  # pixel 3 is the half of sample 2 from 3.0 to 4.5


def test_white_and_black_are_the_same_in_8_and_16_bits():
    eight = np.array([0, 1, 128, 255], np.uint8)
    assert as_depth(eight, 2).tolist() == [0, 257, 128 * 257, 65535]
    assert as_depth(as_depth(eight, 2), 1).tolist() == eight.tolist()


def test_the_white_of_the_scaler_is_full_scale():
    assert from_scaler(np.array([0, 32640, 65280, 65283], np.uint16)).tolist() == [0, 32767, 65535, 65535]
    assert to_scaler(np.array([0, 32767, 65535], np.uint16)).tolist() == [0, 32640, 65280]


# 10 bits, limited range: 64 is black, 940 white, and 502 the middle.
@pytest.mark.parametrize(("luma", "level"), [(64, 0), (502, 32768), (940, 65535), (1000, 65535)])
@pytest.mark.parametrize("name", ["yuv420p10le", "yuv444p10le", "gray10le"])
def test_pixels_of_deep_pictures_reach_from_0_to_65535(luma, level, name):
    rows, columns = SHARED.get(name.removesuffix("10le"), (1, 1))
    planes = [np.full((48, 64), luma, np.uint16), *[np.full((48 // rows, 64 // columns), 512, np.uint16)] * 2]
    pixels = frame(planes[: 1 if name == "gray10le" else 3], name).pixels()
    assert pixels.dtype == np.uint16
    assert np.abs(pixels.astype(int) - level).max() <= 8  # of 65535; a step of 10 bits is 64


def test_pixels_of_8_bits_are_rgb():
    source = frame(noise(64, 48))
    assert np.array_equal(source.pixels(), source.rgb())
