"""Sampling and grouping of equal clouds against plain loops."""

import numpy as np
import pytest
import torch

from vidpc.ops.grouping import farthest_rows, nearest_rows, rows_at


def slow_farthest(cloud, count, core=0.0):
    kept = [0]
    while len(kept) < count:
        best, row = -1.0, 0
        for i, point in enumerate(cloud):
            distance = min(((point - cloud[j]) ** 2).sum() for j in kept)
            if (point**2).sum() > core and distance > best:
                best, row = distance, i
        kept.append(row)
    return kept


@pytest.mark.parametrize("core", [0.0, 0.3])
def test_farthest_points_are_those_of_the_plain_loop(core):
    clouds = np.random.default_rng(3).normal(size=(3, 40, 3)).astype(np.float32)
    rows = farthest_rows(torch.from_numpy(clouds), 12, core=core)
    assert rows.tolist() == [slow_farthest(cloud, 12, core) for cloud in clouds]


def test_a_line_is_halved_and_halved_again():
    line = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0]]])
    assert farthest_rows(line, 3).tolist() == [[0, 4, 2]]
    assert farthest_rows(line, 5).tolist() == [[0, 4, 2, 1, 3]]  # 1 and 3 are as far: the lower row first


def test_fewer_points_than_asked_for_are_all_taken_once():
    cloud = torch.randn(2, 5, 3)
    assert farthest_rows(cloud, 9).sort(dim=1).values.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_the_first_point_is_kept_even_in_the_core():
    cloud = torch.tensor([[[0.0, 0, 0], [0.01, 0, 0], [1, 0, 0], [0, 1, 0]]])
    assert set(farthest_rows(cloud, 3, core=1e-3)[0].tolist()) == {0, 2, 3}


def test_nearest_points_are_those_of_a_full_search():
    rng = np.random.default_rng(4)
    queries, clouds = (rng.normal(size=(2, n, 3)).astype(np.float32) for n in (7, 50))
    found = nearest_rows(torch.from_numpy(queries), torch.from_numpy(clouds), 5).sort(dim=-1).values
    for b in range(2):
        for row, query in zip(found[b].tolist(), queries[b], strict=True):
            distances = ((clouds[b].astype(np.float64) - query) ** 2).sum(axis=1)
            assert row == sorted(np.argsort(distances)[:5].tolist())


def test_more_neighbours_than_points_are_all_points():
    assert nearest_rows(torch.randn(1, 2, 3), torch.randn(1, 3, 3), 8).sort().values.tolist() == [[[0, 1, 2]] * 2]


def test_near_neighbours_far_from_the_origin_are_told_apart():
    """Where distances come from products, float32 loses these."""
    cloud = torch.tensor([[[1000.0, 1000, 1000], [1000, 1000, 1000.25], [1000, 1000, 1000.5]]])
    assert nearest_rows(cloud[:, :1], cloud, 2).sort().values.tolist() == [[[0, 1]]]


def test_rows_are_gathered_whole():
    values = torch.arange(12.0).view(2, 3, 2)
    rows = torch.tensor([[[2, 0]], [[1, 1]]])
    assert rows_at(values, rows).tolist() == [[[[4, 5], [0, 1]]], [[[8, 9], [8, 9]]]]
