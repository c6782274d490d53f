"""Motion cells against plain loops, and by hand where one thing moves alone."""

import math

import numpy as np
import pytest
import torch

from vidpc.ops.motion import channels, motion_cells

HALF = math.sqrt(0.5)
ROUND = ((1, 0), (HALF, HALF), (0, 1), (-HALF, HALF), (-1, 0), (-HALF, -HALF), (0, -1), (HALF, -HALF))  # y points down
OWN, ALONG_X, ALONG_Y, STILL, EDGES, RAW = slice(0, 8), slice(8, 16), slice(16, 24), 24, slice(25, 33), slice(33, None)
NOTHING = math.sqrt(1e-4)  # the least value of a rooted channel


def rectified(x: float, y: float) -> list[float]:
    return [max(0.0, x * ax + y * ay) for ax, ay in ROUND]


def slope(plane: np.ndarray, row: int, column: int) -> tuple[float, float]:
    h, w = plane.shape
    across = plane[row, min(column + 1, w - 1)] - plane[row, max(column - 1, 0)]
    down = plane[min(row + 1, h - 1), column] - plane[max(row - 1, 0), column]
    return across / 2, down / 2


def slowly(flow: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """The cells of one clip: ``flow`` [t*tube 2 h w], ``luma`` [t h w], place by place."""
    t, h, w = luma.shape
    tube = len(flow) // t
    cells = np.zeros((t, 33 + 2 * tube, h // 2, w // 2))
    for i, k, j in np.ndindex(t, h // 2, w // 2):
        places = [(2 * k + a, 2 * j + b) for a in (0, 1) for b in (0, 1)]
        moving = []
        for step in flow[i * tube : (i + 1) * tube]:
            usual = [sorted(plane.ravel())[(h * w - 1) // 2] for plane in step]  # the lower of two in the middle
            x, y = step[0] - usual[0], step[1] - usual[1]
            for p in places:
                rest = 0.3 if math.hypot(x[p], y[p]) < 0.15 else 0.0
                moving.append([*rectified(x[p], y[p]), *rectified(*slope(x, *p)), *rectified(*slope(y, *p)), rest])
        edges = np.mean([rectified(*slope(luma[i], *p)) for p in places], axis=0)
        cells[i, :33, k, j] = np.sqrt(np.concatenate([np.mean(moving, axis=0), edges]) + 1e-4)
        raw = [np.mean([step[axis][p] for p in places]) for step in flow[i * tube : (i + 1) * tube] for axis in (0, 1)]
        cells[i, 33:, k, j] = [math.copysign(math.log(1 + 2 * abs(value)), value) for value in raw]
    return cells


@pytest.mark.parametrize(("t", "tube", "h", "w"), [(2, 2, 4, 6), (1, 4, 6, 4), (3, 1, 2, 2)])
def test_cells_are_those_of_plain_loops(t, tube, h, w):
    rng = np.random.default_rng(t)
    flow, luma = rng.normal(0, 0.5, (2, t * tube, 2, h, w)), rng.random((2, t, h, w))
    found = motion_cells(torch.from_numpy(flow), torch.from_numpy(luma))
    assert found.shape == (2, t, channels(tube), h // 2, w // 2)
    np.testing.assert_allclose(found, [slowly(*clip) for clip in zip(flow, luma, strict=True)], atol=1e-7)


def test_a_block_that_moves_right_speaks_in_its_own_directions():
    flow = torch.zeros(1, 1, 2, 8, 8)
    flow[0, 0, 0, 2:4, 2:4] = 2.0
    cell = motion_cells(flow, torch.zeros(1, 1, 8, 8))[0, 0, :, 1, 1]
    expected = [2, 2 * HALF, 0, 0, 0, 0, 0, 2 * HALF]  # right, right-down, …, right-up
    torch.testing.assert_close(cell[OWN], (torch.tensor(expected) + 1e-4).sqrt())
    assert cell[STILL] == pytest.approx(NOTHING)
    torch.testing.assert_close(cell[RAW], torch.tensor([math.log(5.0), 0.0]))


def test_a_still_clip_is_at_rest_everywhere():
    cells = motion_cells(torch.zeros(1, 4, 2, 8, 8), torch.full((1, 2, 8, 8), 0.5))
    assert cells[:, :, RAW].abs().max() == 0
    torch.testing.assert_close(cells[:, :, STILL], torch.full((1, 2, 4, 4), math.sqrt(0.3001)))
    others = torch.cat([cells[:, :, :STILL], cells[:, :, EDGES]], dim=2)
    torch.testing.assert_close(others, torch.full_like(others, NOTHING))


def test_a_moving_camera_shows_in_the_raw_channels_alone():
    flow = torch.tensor([1.5, -0.5]).view(1, 1, 2, 1, 1).repeat(1, 2, 1, 8, 8)
    moved, still = (
        motion_cells(f, torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))) for f in (flow, 0 * flow)
    )
    assert torch.equal(moved[:, :, :33], still[:, :, :33])
    expected = torch.tensor([math.log(4.0), -math.log(2.0)] * 2)  # x and y of each of the two pictures
    torch.testing.assert_close(moved[0, 0, RAW], expected[:, None, None].expand(4, 4, 4))


def test_edges_point_from_dark_to_bright():
    luma = torch.linspace(0, 0.7, 8)[:, None].expand(1, 1, 8, 8)  # brighter further down, by 0.1 a place
    edges = motion_cells(torch.zeros(1, 1, 2, 8, 8), luma)[0, 0, EDGES, 1, 1]
    expected = [0, 0.1 * HALF, 0.1, 0.1 * HALF, 0, 0, 0, 0]
    torch.testing.assert_close(edges, (torch.tensor(expected) + 1e-4).sqrt(), rtol=0, atol=1e-5)


def test_gradients_reach_the_flow_where_nothing_moves():
    flow = torch.zeros(1, 2, 2, 4, 4, requires_grad=True)
    motion_cells(flow, torch.zeros(1, 1, 4, 4)).sum().backward()
    assert flow.grad.isfinite().all()
