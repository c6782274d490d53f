"""Tiles against the whole: places, shares that add up, seams that do not show."""

import pytest
import torch
from torch.nn import functional as F

from vidpc.ops.tiles import Tiling, tiled

ROUNDING = 1e-5  # of float32 sums of values in 0..1


def drawn(picture, function, tiling):
    """``function`` of a picture f32[c h w], tile by tile."""
    h, w = picture.shape[-2:]
    return tiled(lambda rows, columns: function(picture[..., rows, columns]), height=h, width=w, tiling=tiling)


def test_tiles_are_spread_evenly_and_share_at_least_the_overlap():
    assert Tiling(64, 8).starts(64) == [0]
    assert Tiling(64, 8).starts(65) == [0, 1]
    assert Tiling(64, 8).starts(120) == [0, 56]
    assert Tiling(64, 8).starts(121) == [0, 28, 57]


@pytest.mark.parametrize(("height", "width"), [(40, 200), (130, 64), (65, 121), (200, 199)])
def test_what_looks_at_single_pixels_gives_the_same_in_tiles(height, width):
    picture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    assert drawn(picture, lambda x: x * 2 - 1, Tiling(64, 8)) == pytest.approx(picture * 2 - 1, abs=ROUNDING)


def test_a_local_network_gives_the_same_away_from_the_rims_of_tiles():
    picture = torch.rand(1, 1, 150, 170, generator=torch.Generator().manual_seed(0))
    kernel = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(1)) / 25

    def blur(x):
        return F.conv2d(F.pad(x, (2,) * 4, mode="replicate"), kernel)

    # A quarter of the overlap, the reach of the kernel, lies between where a seam fades and the rim of a tile.
    assert drawn(picture, blur, Tiling(80, 8)) == pytest.approx(blur(picture), abs=ROUNDING)


def test_what_differs_from_tile_to_tile_fades_over_half_of_the_overlap():
    numbers = iter(range(10))
    row = tiled(lambda rows, columns: torch.full((rows.stop - rows.start, columns.stop - columns.start), float(next(numbers))),
                height=8, width=56, tiling=Tiling(32, 8))[0]  # fmt: skip
    assert row[:26].eq(0).all()
    assert row[26:30].tolist() == [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    assert row[30:].eq(1).all()


def test_a_picture_of_one_tile_is_drawn_whole():
    calls = []
    tiled(lambda rows, columns: calls.append((rows, columns)) or torch.zeros(30, 40), height=30, width=40, tiling=Tiling(64, 8))
    assert calls == [(slice(0, 30), slice(0, 40))]


@pytest.mark.parametrize(("side", "overlap"), [(64, 17), (64, 0), (0, 1)])
def test_an_overlap_of_more_than_a_quarter_is_refused(side, overlap):
    with pytest.raises(ValueError, match="expected an overlap of 1 to a quarter"):
        Tiling(side, overlap)
