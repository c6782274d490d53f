"""Scans into views and scores into classes: what may not matter does not, and what cannot be told is an error."""

import json

import numpy as np
import pytest
import torch
from tiny_objects import LABELS, shape, write_weights

from vidpc import weights
from vidpc.errors import PointCloudError, WeightsError
from vidpc.presets import ClassifyConfig
from vidpc.tasks.classify import ClassifyTask, Look, Pool, views
from vidpc.types import Closed, Opened, PointCloud, Sample, ScanInfo

LOOK = Look(points=256, centre="box", up="z")
ROUNDING = 1e-5


@pytest.fixture
def task(tmp_path):
    return ClassifyTask(ClassifyConfig("tiny", votes=3), weights.read(write_weights(tmp_path / "tiny.safetensors")))


def scan(xyz, stream=0, runs=1, warnings=()):
    info = ScanInfo(f"scan{stream}.ply", "ply", len(xyz), ())
    parts = np.array_split(xyz, runs)
    starts = np.cumsum([0, *map(len, parts)])
    clouds = [PointCloud(int(start), part) for start, part in zip(starts, parts, strict=False)]
    return [Opened(stream, info), *clouds, Closed(stream, warnings)]


def outcome(task, *scans):
    """What becomes of scans: results and ends, each in a batch of its own."""

    def outputs():
        for item in task.samples(item for one in scans for item in one):
            if isinstance(item, Sample):
                tensors = {name: torch.from_numpy(array[None]) for name, array in item.arrays.items()}
                with torch.inference_mode():
                    found, _ = task.step(tensors, [item.stream], None)
                yield item, {name: value[0].numpy() for name, value in found.items()}
            else:
                yield item

    return list(task.results(outputs()))


def scores(task, xyz, **how):
    (_, result, _) = outcome(task, scan(xyz, **how))
    return {candidate.label: candidate.score for candidate in result.candidates}


def test_every_class_is_told_best_first_and_scores_sum_to_one(task):
    opened, result, closed = outcome(task, scan(shape("pole"), stream=4))
    found = [candidate.score for candidate in result.candidates]
    assert (opened.stream, result.stream, closed) == (4, 4, Closed(4))
    assert sorted(candidate.label for candidate in result.candidates) == sorted(LABELS)
    assert found == sorted(found, reverse=True)
    assert sum(found) == pytest.approx(1)


@pytest.mark.parametrize("runs", [2, 7])
def test_how_a_scan_is_cut_into_runs_changes_nothing(task, runs):
    xyz = shape("ball", count=20_000)
    assert scores(task, xyz, runs=runs) == scores(task, xyz)


def test_size_and_place_change_nothing(task):
    xyz = shape("plate")
    moved = 1000 * xyz + [770_000, 6_277_000, 20]
    assert scores(task, moved) == pytest.approx(scores(task, xyz), abs=ROUNDING)


def test_votes_see_the_cloud_from_sides_that_go_round():
    """A quarter turn of the cloud only changes which of four votes sees which side."""
    xyz = shape("plate", count=300)
    xyz = np.concatenate([xyz - xyz.mean(axis=0), [[-9, -9, -9], [9, 9, 9], [-9, 9, 9], [9, -9, -9]]])  # the box stays a box
    quarter = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    ours, theirs = (views(cloud, LOOK, points=304, votes=4) for cloud in (xyz, xyz @ quarter))
    for vote in range(4):
        assert same_points(theirs[vote], ours[(vote + 1) % 4])
        assert not same_points(theirs[vote], ours[vote])


def same_points(a, b):
    gaps = np.abs(a[:, None] - b[None]).max(axis=-1)
    return bool((gaps.min(axis=1) < ROUNDING).all() and (gaps.min(axis=0) < ROUNDING).all())


@pytest.mark.parametrize(("count", "reason"), [(0, "0 points with finite"), (255, "255 points with finite")])
def test_too_few_points_end_their_own_scan_alone(task, count, reason):
    few, enough = shape("pole", count=400)[:count], shape("ball")
    _, ended, _, result, _ = outcome(task, scan(few, 0), scan(enough, 1))
    assert isinstance(ended.error, PointCloudError)
    assert f"classifying scan0.ply: {reason}" in str(ended.error)
    assert "expected at least 256" in str(ended.error)
    assert result.stream == 1


def test_points_at_one_place_are_told_so(task):
    _, ended = outcome(task, scan(np.ones((300, 3))))
    assert str(ended.error) == "classifying scan0.ply: 300 points at one place: no shape to recognise"


def test_points_that_are_not_finite_are_left_out_and_counted(task):
    xyz = shape("ball", count=300)
    spoilt = np.concatenate([xyz, [[np.nan, 0, 0], [0, np.inf, 0]]])
    _, result, closed = outcome(task, scan(spoilt, warnings=("odd header",)))
    assert result.points == 300
    assert closed.warnings == ("odd header", "2 of 302 points have no finite coordinates and were left out")


def test_a_scan_that_broke_off_is_not_told(task):
    broken = [*scan(shape("ball"))[:-1], Closed(0, error=PointCloudError("cut short"))]
    _, closed = outcome(task, broken)
    assert str(closed.error) == "cut short"


def test_a_batch_of_two_is_two_of_one(task):
    samples = [item for one in ("ball", "pole") for item in task.samples(scan(shape(one))) if isinstance(item, Sample)]
    with torch.inference_mode():
        both, _ = task.step({"xyz": torch.from_numpy(np.stack([s.arrays["xyz"] for s in samples]))}, [0, 1], None)
        each = [task.step({"xyz": torch.from_numpy(s.arrays["xyz"][None])}, [0], None)[0]["scores"] for s in samples]
    assert torch.allclose(both["scores"], torch.cat(each), atol=ROUNDING)


def test_a_pool_is_an_even_draw_of_a_large_scan():
    pool, xyz = Pool(), np.zeros((100_000, 3))
    xyz[:, 0] = np.arange(100_000)
    for part in np.array_split(xyz, 9):
        pool.add(PointCloud(0, part))
    assert (pool.seen, len(pool.xyz)) == (100_000, 16_384)
    assert len(np.unique(pool.xyz[:, 0])) == 16_384
    counts = np.histogram(pool.xyz[:, 0], bins=10, range=(0, 100_000))[0]
    assert np.all(np.abs(counts - 1638) < 200)  # five standard deviations


def test_views_differ_and_are_drawn_alike_every_time():
    xyz = shape("plate", count=1000)
    first, again = (views(xyz, LOOK, points=256, votes=4) for _ in range(2))
    assert first.shape == (4, 256, 3)
    assert np.array_equal(first, again)
    assert not np.allclose(first[0], first[1])
    assert np.allclose(np.linalg.norm(first, axis=-1).max(axis=1), 1, atol=1e-6)


def test_networks_that_want_the_second_axis_up_get_it():
    xyz = shape("pole", count=300)  # long along the third axis
    for up, axis in (("z", 2), ("y", 1)):
        extent = np.ptp(views(xyz, Look(256, "box", up), points=300, votes=1)[0], axis=0)
        assert extent.argmax() == axis


@pytest.mark.parametrize("rules", [{}, {"points": 1024, "centre": "box", "up": "x"}, {"points": 5, "centre": "box", "up": "z"}])
def test_weights_with_other_wishes_are_refused(rules):
    with pytest.raises(WeightsError, match="an input that vidpc classify does not make"):
        Look.of(rules)


def test_weights_of_another_network_are_refused(tmp_path):
    metadata = {
        "architecture": "transtrack",
        "config": "{}",
        "labels": json.dumps(["person"]),
        "input": "{}",
        "licence": "none",
    }
    weights.write(tmp_path / "other.safetensors", {"w": torch.ones(1)}, metadata)
    with pytest.raises(WeightsError, match="weights of 'transtrack', expected 'pct'"):
        ClassifyTask(ClassifyConfig("other"), weights.read(tmp_path / "other.safetensors"))
