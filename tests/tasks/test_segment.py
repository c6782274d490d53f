"""Scans through ``vidpc segment`` with a network whose answer is known, and with a tiny untrained one."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpc import weights
from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.errors import PresetError, WeightsError
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig
from vidpc.ops.point_features import features_width
from vidpc.presets import SegmentConfig
from vidpc.stream.batch import group
from vidpc.tasks.segment import Passed, ScanLabels, SegmentTask
from vidpc.types import Aside, Closed, Opened, PointCloud, Sample, ScanInfo

CPU = choose("cpu")
TINY = PointTransformerConfig(
    widths=(8, 16),
    blocks=(1, 1),
    neighbours=(4, 4),
    strides=(1, 4),
    share=4,
    channels=features_width(["position", "rgb"]),
    classes=3,
)
CONFIG = SegmentConfig("tiny", voxel_m=0.5, block_m=6.0, halo_m=2.0, block_points=300, tile_points=700)
ORIGIN = np.array([484_649.0, 6_632_630.0, 100.0])
BATCH_TOLERANCE = 1e-5  # the order of sums
BORDER_TOLERANCE = 0.02  # a block votes on its outermost metre as well, where it sees less; those votes weigh little


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> weights.WeightsFile:
    return weights.read(write_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors"))


def write_tiny(path: Path, **changes: str) -> Path:
    torch.manual_seed(0)
    model = PointTransformer(TINY)
    metadata = {
        "architecture": "point-transformer",
        "config": json.dumps(asdict(TINY)),
        "labels": '["ground", "vegetation", "building"]',
        "input": '{"features": ["position", "rgb"], "voxel_m": 0.5}',
        "licence": "none",
    }
    weights.write(path, model.state_dict(), {**metadata, **changes})
    return path


class Heights:
    """In place of the network: what a point is follows from its own height, its surroundings and its block do not matter."""

    def __call__(self, xyz: torch.Tensor, features: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        green = features[:, 4]  # of rgb: the tests paint heights on the points, for a block has an origin of its own
        return torch.stack([1 - 2 * green, 2 * green - 1, torch.full_like(green, -9.0)], dim=1)


def scan(count: int = 3000, side_m: float = 20.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(0, [side_m, side_m, 3], (count, 3))


def items(*scans: np.ndarray, chunk: int = 400, painted: bool = True) -> Iterator[Any]:
    for stream, xyz in enumerate(scans):
        yield Opened(stream, ScanInfo(f"{stream}.ply", "ply", len(xyz), ()))
        for first in range(0, len(xyz), chunk):
            part = xyz[first : first + chunk]
            z = np.nan_to_num(part[:, 2:], nan=0, posinf=0, neginf=0).clip(0, 3)
            colour = (z * 85).astype(np.uint8).repeat(3, axis=1) if painted else None
            yield PointCloud(first, part + ORIGIN, colour)
        yield Closed(stream)


def label(
    task: SegmentTask, *scans: np.ndarray, batch: int = 2, **how: Any
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[str, ...]]]:
    """Labels, confidences and warnings of every scan."""
    outputs = infer(group(task.samples(items(*scans, **how)), size=batch, max_bytes=1 << 30), task.step, device=CPU)
    labels, confidences, warnings = [], [], []
    for item in task.results(outputs):
        if isinstance(item, ScanLabels):
            runs = list(item.runs(points=77))
            assert [run.first for run in runs] == list(range(0, len(item), 77))
            labels.append(np.concatenate([run.label for run in runs]) if runs else np.empty(0, np.int64))
            confidences.append(np.concatenate([run.confidence for run in runs]) if runs else np.empty(0, np.float32))
        elif isinstance(item, Closed):
            warnings.append(item.warnings)
    return labels, confidences, warnings


def by_height(file: weights.WeightsFile, **changes: Any) -> SegmentTask:
    task = SegmentTask(replace(CONFIG, **changes.pop("config", {})), file, **changes)
    task.model = Heights()  # type: ignore[assignment]
    return task


@pytest.mark.parametrize("memory_points", [500, 1 << 20], ids=["disk", "memory"])
@pytest.mark.parametrize("votes", [1, 3])
def test_every_point_is_labelled_in_its_place(file: weights.WeightsFile, memory_points: int, votes: int):
    xyz = scan()
    xyz[:, 2] = np.where(np.arange(3000) % 7 < 3, 0.1, 2.9)  # no voxel holds both
    task = by_height(file, memory_points=memory_points, config={"votes": votes})
    [labels], [confidences], [warnings] = label(task, xyz)
    np.testing.assert_array_equal(labels, (xyz[:, 2] > 1).astype(int))
    np.testing.assert_allclose(confidences, 1 / (1 + np.exp(-1.8667)), atol=0.02)  # colours have steps of 1/255
    assert warnings == ()


def test_the_points_of_a_voxel_follow_its_first(file: weights.WeightsFile):
    xyz = np.array([[0.1, 0.1, 2.9], [0.2, 0.2, 2.6], [0.3, 0.1, 2.99], [9, 9, 0.1]])
    task = by_height(file, config={"voxel_m": 0.5})
    [labels], [confidences], _ = label(task, xyz)
    assert labels.tolist() == [1, 1, 1, 0]
    assert confidences[0] == confidences[1] == confidences[2]


def test_scans_share_batches_and_keep_their_labels(file: weights.WeightsFile):
    low, high = scan(900, seed=1) * [1, 1, 0.1], scan(1100, seed=2) * [1, 1, 0.1] + [0, 0, 2.6]
    labels, _, _ = label(by_height(file), low, high, batch=16)
    assert [len(one) for one in labels] == [900, 1100]
    assert set(labels[0]) == {0}
    assert set(labels[1]) == {1}


def test_points_without_a_place_stay_without_a_label(file: weights.WeightsFile):
    xyz = scan(50)
    xyz[3, 0], xyz[7, 2], xyz[9], xyz[11, 1] = np.nan, np.inf, -np.inf, 1e300
    [labels], [confidences], [warnings] = label(by_height(file), xyz)
    assert np.flatnonzero(labels == -1).tolist() == [3, 7, 9, 11]
    assert confidences[[3, 7, 9, 11]].tolist() == [0, 0, 0, 0]
    assert (confidences[labels >= 0] > 0.5).all()
    assert warnings == ("4 of 50 points have no usable coordinates and stay without a label",)


@pytest.mark.parametrize("scheme", ["tiles", "paper"])
def test_scans_with_hardly_any_points_are_labelled_all_the_same(file: weights.WeightsFile, scheme: str):
    task = SegmentTask(replace(CONFIG, scheme=scheme), file)  # the network has 4 neighbours
    one, few = scan(1), scan(3)
    same, nothing, lost = np.ones((60, 3)), np.empty((0, 3)), np.full((5, 3), np.nan)
    labels, confidences, warnings = label(task, one, few, same, nothing, lost)
    assert [len(found) for found in labels] == [1, 3, 60, 0, 5]
    for found, confidence in zip(labels[:3], confidences[:3], strict=True):
        assert (found >= 0).all()
        assert ((confidence > 1 / 3 - 1e-6) & (confidence <= 1)).all()
    assert len(set(labels[2].tolist())) == 1
    assert warnings[3] == ("the scan has no points",)
    assert labels[4].tolist() == [-1] * 5


def test_a_point_far_out_disturbs_no_other(file: weights.WeightsFile):
    task = by_height(file)
    alone = label(task, scan())[0][0]
    strayed = label(task, np.concatenate([scan(), [[9e8, -9e8, 1]]]))[0][0]
    np.testing.assert_array_equal(strayed[:-1], alone)


@pytest.mark.parametrize("scheme", ["tiles", "paper"])
@pytest.mark.parametrize("batch", [3, 16])
def test_the_batch_size_changes_nothing(file: weights.WeightsFile, scheme: str, batch: int):
    task = SegmentTask(replace(CONFIG, scheme=scheme), file)
    [one], [sure], _ = label(task, scan(900), batch=1)
    [many], [as_sure], _ = label(task, scan(900), batch=batch)
    np.testing.assert_allclose(as_sure, sure, atol=BATCH_TOLERANCE)
    assert (one == many).mean() > 0.999  # a tie may fall either way


def test_tile_and_block_borders_hardly_change_votes(file: weights.WeightsFile):
    """A network that looks 2 m around answers the same wherever a halo of 2 m shows it the same."""
    whole = replace(CONFIG, block_m=1e6, block_points=10**6, tile_points=10**6, voxel_m=0.25)
    cut = replace(whole, block_m=8.0, halo_m=4.0, tile_points=500, block_points=300)
    tasks = [SegmentTask(config, file) for config in (whole, cut)]
    for task in tasks:
        task.model = Around()  # type: ignore[assignment]
    (one, sure), (other, as_sure) = (label(task, scan(2000, side_m=14.0))[:2] for task in tasks)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(as_sure[0], sure[0], atol=BORDER_TOLERANCE)


class Around:
    """What a point is follows from the mean green of the points no further than 1 m."""

    def __call__(self, xyz: torch.Tensor, features: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        cloud = torch.searchsorted(offsets, torch.arange(len(xyz)), right=True)
        near = (torch.cdist(xyz, xyz) <= 1.0) & (cloud[:, None] == cloud)
        green = (near * features[:, 4]).sum(dim=1) / near.sum(dim=1)
        return torch.stack([1 - 2 * green, 2 * green - 1, torch.full_like(green, -9.0)], dim=1)


def test_the_authors_scheme_shows_every_point_and_adds_logits(file: weights.WeightsFile):
    xyz = scan(500, side_m=3)
    task = by_height(file, config={"scheme": "paper", "voxel_m": 1.0})
    samples = [sample for sample in task.samples(items(xyz)) if isinstance(sample, Sample)]
    fullest = max(np.unique(np.floor(xyz - xyz.min(0)), axis=0, return_counts=True)[1])
    assert len(samples) == fullest
    assert all(sample.arrays["xyz"].min(axis=0).tolist() == [0, 0, 0] for sample in samples)
    [labels], [confidences], _ = label(by_height(file, config={"scheme": "paper", "voxel_m": 1.0}), xyz)
    green = (xyz[:, 2] * 85).astype(np.uint8) / 255
    np.testing.assert_array_equal(labels, (green > 0.5).astype(int))  # each point has a say of its own, voxel or not
    np.testing.assert_allclose(
        confidences, 1 / (1 + np.exp(-np.abs(4 * green - 2)) + np.exp(-9 - np.abs(2 * green - 1))), rtol=1e-4
    )


def test_progress_passes_through_reading_and_labelling(file: weights.WeightsFile):
    task = by_height(file)
    passed = [
        (item.stage, item.points, item.total)
        for item in task.results(infer(group(task.samples(items(scan(1000))), size=1, max_bytes=1), task.step, device=CPU))
        if isinstance(item, Passed)
    ]
    assert [row for row in passed if row[0] == "reading"] == [("reading", n, 1000) for n in (400, 800, 1000)]
    labelling = [points for stage, points, total in passed if stage == "labelling"]
    assert labelling == sorted(labelling)
    assert labelling[-1] == 1000


@pytest.mark.parametrize("scheme", ["tiles", "paper"])
def test_progress_goes_on_inside_a_tile(file: weights.WeightsFile, scheme: str):
    """Each block is told: a run that is interrupted ends after a block, not after a tile of many."""
    task = by_height(file, config={"tile_points": 10**6, "votes": 2, "scheme": scheme})
    samples = list(task.samples(items(scan(1000))))
    blocks = [item.context for item in samples if isinstance(item, Sample)]
    told = [
        item.points
        for item in task.results(infer(group(samples, size=1, max_bytes=1), task.step, device=CPU))
        if isinstance(item, Passed) and item.stage == "labelling"
    ]
    assert len(blocks) > 2
    assert len(told) == len(blocks) + 1
    assert told == sorted(told)
    if scheme == "tiles":
        assert told[-2] == told[-1] == 1000


def test_missing_colour_is_told(file: weights.WeightsFile):
    _, _, [warnings] = label(by_height(file), scan(60), painted=False)
    assert warnings == ("the scan has no colour: labelled without it, which the model can use",)


def test_colours_that_are_all_black_are_told(file: weights.WeightsFile):
    _, _, [warnings] = label(by_height(file), scan(60) * [1, 1, 0])
    assert warnings == ("all colours of the scan are black: labelled as if it had none",)


def test_warnings_come_with_the_labels(file: weights.WeightsFile):
    task = by_height(file)
    outputs = infer(group(task.samples(items(scan(60), painted=False)), size=1, max_bytes=1), task.step, device=CPU)
    [found] = [item for item in task.results(outputs) if isinstance(item, ScanLabels)]
    assert found.warnings == ("the scan has no colour: labelled without it, which the model can use",)


def test_a_scan_in_millimetres_is_told_and_ends_soon(file: weights.WeightsFile):
    """Blocks of 6 m would hold a point each."""
    task = by_height(file)
    xyz = scan(2000) * 1000
    samples = [sample for sample in task.samples(items(xyz)) if isinstance(sample, Sample)]
    assert len(samples) < 100
    [labels], _, [warnings] = label(by_height(file), xyz)
    assert (labels >= 0).all()
    assert any("m apart, where the model knows 0.5 m: is the scan's unit the metre?" in warning for warning in warnings)


def test_counts_are_told_with_the_labels(file: weights.WeightsFile):
    task = by_height(file)
    xyz = np.concatenate([scan(30) * [1, 1, 0.1], [[5, 5, np.nan]]])
    outputs = infer(group(task.samples(items(xyz)), size=1, max_bytes=1), task.step, device=CPU)
    [found] = [item for item in task.results(outputs) if isinstance(item, ScanLabels)]
    assert found.counts.points.tolist() == [30, 0, 0]
    assert found.counts.unlabelled == 1
    [run] = found.runs()
    np.testing.assert_allclose(found.counts.confidence, [run.confidence[:30].mean(), 0, 0], rtol=1e-6)


def test_a_scan_that_breaks_ends_without_labels(file: weights.WeightsFile):
    broken = ValueError("cut short")
    stream = [
        *list(items(scan(600)))[:-1],
        Closed(0, (), broken),
        *(replace(i, stream=1) for i in items(scan(0)) if not isinstance(i, PointCloud)),
    ]
    task = by_height(file)
    found = list(task.results(infer(group(task.samples(iter(stream)), size=1, max_bytes=1), task.step, device=CPU)))
    assert [item.error for item in found if isinstance(item, Closed)] == [broken, None]
    assert [item.stream for item in found if isinstance(item, ScanLabels)] == [1]


def test_stores_are_closed_however_a_run_ends(file: weights.WeightsFile):
    task = by_height(file, memory_points=300)
    samples = task.samples(items(scan()))
    begun = next(item.content for item in samples if isinstance(item, Aside) and not isinstance(item.content, Passed))
    assert begun.points.is_on_disk
    samples.close()  # type: ignore[attr-defined]
    assert not begun.points.is_on_disk
    whole = list(task.samples(items(scan())))
    begun = next(item.content for item in whole if isinstance(item, Aside) and not isinstance(item.content, Passed))
    results = task.results(iter([item for item in whole if not isinstance(item, Sample)][:5]))
    assert len([item for item in results if isinstance(item, Passed)]) > 0
    results = task.results(infer(group(whole, size=1, max_bytes=1), task.step, device=CPU))
    assert begun.points.is_on_disk
    next(item for item in results if isinstance(item, Passed) and item.stage == "labelling")
    results.close()  # type: ignore[attr-defined]
    assert not begun.points.is_on_disk


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "pct"}, "weights of 'pct', expected 'point-transformer'"),
        ({"input": "{}"}, r"does not say how points are prepared \(input: features, voxel_m\)"),
        ({"input": '{"features": ["rgb"], "voxel_m": 0}'}, "voxels of 0.0 m"),
    ],
)
def test_weights_that_do_not_fit_are_told(tmp_path: Path, changes: dict[str, str], message: str):
    with pytest.raises(WeightsError, match=message):
        SegmentTask(CONFIG, weights.read(write_tiny(tmp_path / "odd.safetensors", **changes)))


def test_features_that_do_not_exist_are_told(tmp_path: Path):
    path = write_tiny(tmp_path / "odd.safetensors", input='{"features": ["rbg"], "voxel_m": 0.5}')
    with pytest.raises(PresetError, match="unknown group of point features 'rbg'; did you mean 'rgb'"):
        SegmentTask(CONFIG, weights.read(path))
