from dataclasses import replace

import pytest

from vidpc.media.colour import ColourTags, assumed_matrix, choose

# FFmpeg's AVColorSpace: 1 BT.709, 2 unspecified, 5 BT.470BG, 6 SMPTE 170M, 8 YCgCo, 9 BT.2020; range 1 limited, 2 full.
TAGS = ColourTags(matrix=2, range=0, transfer=2, pixel_format="yuv420p", is_rgb=False, width=640, height=480)


@pytest.mark.parametrize(
    ("tag", "matrix"), [(1, "bt709"), (5, "bt601"), (6, "bt601"), (9, "bt2020"), (4, "bt601"), (7, "bt709")]
)
def test_a_stated_matrix_is_used_whatever_the_size(tag, matrix):
    for width, height in ((320, 240), (1920, 1080)):
        colour = choose(replace(TAGS, matrix=tag, width=width, height=height))
        assert (colour.matrix, colour.stated) == (matrix, True)


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((720, 576), "bt601"), ((1280, 720), "bt709"), ((1280, 544), "bt709"), ((720, 1280), "bt709"), ((640, 360), "bt601")],
)
def test_an_unstated_matrix_is_what_players_assume(size, matrix):
    assert assumed_matrix(*size) == matrix
    assert not choose(replace(TAGS, width=size[0], height=size[1])).stated


@pytest.mark.parametrize(
    ("tag", "pixel_format", "full"), [(2, "yuv420p", True), (1, "yuv420p", False), (0, "yuv420p", False), (0, "yuvj422p", True)]
)
def test_only_a_full_tag_or_a_yuvj_format_is_full_range(tag, pixel_format, full):
    assert choose(replace(TAGS, range=tag, pixel_format=pixel_format)).full_range is full


def test_an_unsupported_matrix_is_replaced_and_said():
    colour = choose(replace(TAGS, matrix=8))
    assert colour.matrix == "bt601"
    assert colour.warnings == ("colour matrix number 8 is not supported, bt601 is used: colours are not exact",)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_said(transfer, name):
    assert choose(replace(TAGS, transfer=transfer)).warnings[0].startswith(f"{name} high dynamic range")


def test_rgb_has_no_matrix():
    assert choose(replace(TAGS, is_rgb=True, pixel_format="gbrp")).matrix == "rgb"
