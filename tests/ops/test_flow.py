"""Optical flow against pictures that were moved by known amounts."""

import math

import numpy as np
import pytest
import torch

from vidpc.ops import flow as subject
from vidpc.ops.flow import STRIDE, flow_between, optical_flow
from vidpc.ops.warp import warp

SIDE = 64
INNER = slice(3, -3)  # cells that nothing enters or leaves
CLOSE_PX = 0.12  # of a mean over the inner cells: Gauss-Newton steps stop early, and every level is smoothed
WAVES = np.random.default_rng(5).uniform(-1, 1, (12, 4))  # x and y frequency, phase, strength


def picture(dx: float = 0.0, dy: float = 0.0, height: int = SIDE, width: int = SIDE) -> torch.Tensor:
    """Luma f32[h w] whose content was moved by (dx, dy): a sum of waves of 12 pixels and more, exact between pixels."""
    y, x = np.mgrid[:height, :width].astype(float)
    fx, fy, phase, strength = (WAVES[:, i, None, None] for i in range(4))
    waves = strength * np.sin(2 * math.pi * (fx * (x - dx) + fy * (y - dy)) / 17 + 6 * phase)
    return torch.from_numpy(0.5 + 0.06 * waves.sum(axis=0)).float()


def clip(*shifts: tuple[float, float], **sides: int) -> torch.Tensor:
    return torch.stack([picture(*shift, **sides) for shift in shifts])


def inner_mean(flow: torch.Tensor) -> torch.Tensor:
    return flow[..., INNER, INNER].mean(dim=(-2, -1))


@pytest.mark.parametrize("shift", [(0.4, 0.0), (-1.7, 0.0), (0.0, 0.6), (0.0, -2.3), (1.5, -0.8), (4.0, 2.0)])
def test_a_moved_picture_moves_by_what_it_was_moved(shift):
    flow = optical_flow(clip((0, 0), shift)[None])
    assert flow.shape == (1, 1, 2, SIDE // STRIDE, SIDE // STRIDE)
    np.testing.assert_allclose(inner_mean(flow)[0, 0], shift, atol=CLOSE_PX)


def test_every_step_of_a_clip_is_from_a_picture_to_its_next():
    flow = inner_mean(optical_flow(clip((0, 0), (1.0, 0), (1.0, 1.5), (-0.5, 1.5))[None]))[0]
    np.testing.assert_allclose(flow, [[1, 0], [0, 1.5], [-1.5, 0]], atol=CLOSE_PX)


def test_what_moves_alone_is_found_where_it_is():
    moved = picture(2.0, 0.0)
    moved[:, : SIDE // 2] = picture()[:, : SIDE // 2]
    flow = optical_flow(torch.stack([picture(), moved])[None])[0, 0, 0]  # along x
    np.testing.assert_allclose(flow[INNER, 1:5].mean(), 0, atol=CLOSE_PX)
    np.testing.assert_allclose(flow[INNER, -6:-2].mean(), 2, atol=CLOSE_PX)


def test_a_wide_picture_keeps_its_axes_apart():
    flow = optical_flow(clip((0, 0), (1.2, -0.7), height=32, width=80)[None])
    assert flow.shape == (1, 1, 2, 8, 20)
    np.testing.assert_allclose(inner_mean(flow)[0, 0], (1.2, -0.7), atol=CLOSE_PX)


def test_equal_pictures_and_flat_ones_do_not_move():
    assert optical_flow(clip((0, 0), (0, 0))[None]).abs().max() == 0
    flat = torch.full((1, 2, SIDE, SIDE), 0.3)
    flat[:, 1] = 0.8  # a lamp is switched on
    assert optical_flow(flat).abs().max() < 1e-3


def test_a_change_of_light_moves_nothing_and_hides_no_motion():
    first, second = picture(), picture(1.5, -0.8)
    dimmed = 0.6 * second + 0.15
    still = optical_flow(torch.stack([first, 0.6 * first + 0.15])[None])
    assert inner_mean(still).abs().max() < 0.03
    found = inner_mean(optical_flow(torch.stack([first, dimmed])[None]))[0, 0]
    np.testing.assert_allclose(found, (1.5, -0.8), atol=CLOSE_PX)


def test_a_batch_of_two_is_two_of_one():
    clips = torch.stack([clip((0, 0), (1.0, 0.5), (2.0, 0.5)), clip((3, 3), (3, 1.0), (3, 0))])
    together, alone = optical_flow(clips), torch.cat([optical_flow(one[None]) for one in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def slowly_warped(frames: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Bilinear, one pixel after the other; what lies outside is the border's."""
    n, c, h, w = frames.shape
    out = np.zeros((n, c, h, w))
    for i in range(n):
        for y in range(h):
            for x in range(w):
                at_x = min(max(x + flow[i, 0, y, x], 0), w - 1)
                at_y = min(max(y + flow[i, 1, y, x], 0), h - 1)
                left, top = min(int(at_x), w - 2), min(int(at_y), h - 2)
                fx, fy = at_x - left, at_y - top
                corners = frames[i, :, top : top + 2, left : left + 2]
                out[i, :, y, x] = np.array([1 - fy, fy]) @ corners @ np.array([1 - fx, fx])
    return out


def test_warping_is_reading_between_pixels():
    rng = np.random.default_rng(1)
    frames, flow = rng.random((2, 3, 6, 9)), rng.normal(0, 2.5, (2, 2, 6, 9))  # some of it leads outside
    warped = warp(torch.from_numpy(frames), torch.from_numpy(flow))
    np.testing.assert_allclose(warped, slowly_warped(frames, flow), atol=1e-12)


def test_the_median_of_five_is_the_middle_one():
    values = torch.randn(5, 200)
    assert torch.equal(subject._median_of_5(list(values)), values.sort(dim=0).values[2])


@pytest.mark.parametrize(("at", "window"), [(0.5, 5), (0.25, 9), (2.0, 19)])
def test_flow_between_is_found_at_the_time_it_is_asked_for(at, window):
    """Waves that move by (5, -3) pixels from the first picture to the second."""

    def waves(x, y):
        return 0.5 + 0.2 * torch.sin(x / 6) * torch.cos(y / 8) + 0.2 * torch.sin((x + 2 * y) / 11)

    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    first, second = waves(x, y)[None, None], waves(x - 5, y + 3)[None, None]
    found = flow_between(first, second, torch.full((1, 1, 1, 1), at), window)
    assert found.shape == (1, 2, 48, 64)
    inner = found[0, :, 14:-14, 14:-14]
    assert float((inner - torch.tensor([5.0, -3.0])[:, None, None]).abs().mean()) < 0.25
