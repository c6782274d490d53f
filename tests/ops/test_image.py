import numpy as np
import pytest
import torch

from vidpc.ops import image


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [True, False])
def test_planes_of_flat_colours_become_those_colours(matrix, full_range):
    red_share, blue_share = image.LUMA[matrix]
    for rgb in ((255, 0, 0), (0, 255, 0), (30, 90, 200), (128, 128, 128)):
        r, g, b = (c / 255 for c in rgb)
        luma = red_share * r + (1 - red_share - blue_share) * g + blue_share * b
        cb, cr = (b - luma) / (2 * (1 - blue_share)), (r - luma) / (2 * (1 - red_share))
        scale = (255, 255, 0) if full_range else (219, 224, 16)
        codes = [luma * scale[0] + scale[2], cb * scale[1] + 128, cr * scale[1] + 128]
        y, u, v = (min(round(code), 255) for code in codes)
        planes = [torch.full((1, 3, 5), y), torch.full((1, 2, 3), u), torch.full((1, 2, 3), v)]
        out = image.planes_to_rgb(*(p.to(torch.uint8) for p in planes), matrix=matrix, full_range=full_range)
        assert out.shape == (1, 3, 3, 5)
        # Codes are whole numbers: an error of half a level in each grows to at most about two.
        assert (out.float() - torch.tensor(rgb).view(1, 3, 1, 1)).abs().max() <= 2


def test_display_turns_clockwise_then_flips():
    coded = torch.tensor([[[[1, 2, 3], [4, 5, 6]]]])
    assert image.display(coded, rotation_deg=90, mirrored=False)[0, 0].tolist() == [[4, 1], [5, 2], [6, 3]]
    assert image.display(coded, rotation_deg=90, mirrored=True)[0, 0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert image.display(coded, rotation_deg=0, mirrored=False) is coded


def test_normalize_is_the_formula():
    x = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    out = image.normalize(x, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    np.testing.assert_allclose(out.flatten(), [-0.2, 0.0, 3.5], atol=1e-6)


@pytest.mark.parametrize(("size", "expected"), [((1, 4000), (1, 640)), ((4000, 1), (640, 1)), ((1, 1), (384, 384))])
def test_fit_of_extreme_shapes_has_no_empty_side(size, expected):
    fit = image.fit(*size, short_side=384, long_side=640)
    assert (fit.width, fit.height) == expected
