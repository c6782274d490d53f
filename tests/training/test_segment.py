import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidpc import weights
from vidpc.errors import PresetError
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig
from vidpc.ops.point_features import BlockPoints
from vidpc.training import segment
from vidpc.training.point_batches import Draw, PointBatch, to_batch
from vidpc.training.scans import LabelledPoints, Scan
from vidpc.training.segment import SegmentRun

RECIPE = """
classes = ["level=2", "upright=6"]
features = ["shape"]
voxel_m = 0.4
grid_m = 0.8
widths = [8, 16]
blocks = [1, 1]
neighbours = [6, 6]
block_m = [6.0, 10.0]
block_points = 200
step_points = 400
core_m = 6.0
halo_m = 1.0
thinned = 0.0
steps = 4
warmup = 1
log_every = 1
save_every = 2
check_every = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, and a scan of a level and two upright sheets beside it."""
    (tmp_path / "sheets.train.toml").write_text(RECIPE)
    u, v = np.random.default_rng(0).uniform(0, 10, (2, 900))
    sheets = [np.stack(axes, axis=1) for axes in ((u, v, 0 * u), (u, 0 * u, v / 2), (0 * u, u, v / 2))]
    np.savez(tmp_path / "sheets.npz", xyz=np.concatenate(sheets), label=np.repeat([2, 6, 6], 900))
    return tmp_path


def run_in(folder: Path, name: str = "run", **changes: Any) -> SegmentRun:
    scan = [folder / "sheets.npz"]
    return segment.prepare(str(folder / "sheets.train.toml"), changes, data=scan, val=scan, folder=folder / name)


def tensors(run: SegmentRun) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(run.folder / "checkpoint.pt", weights_only=True)["average"]
    return found


def test_a_small_network_learns_level_from_upright(folder: Path):
    lines = list(segment.trained(run_in(folder, steps=40, learning_rate=0.01, average=0.9)))
    assert lines[-1]["event"] == "end"
    assert lines[-1]["sheets"]["miou"] > 0.9


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(folder: Path):
    whole = run_in(folder, "whole")
    lines = list(segment.trained(whole))
    parts = run_in(folder, "parts")
    for line in segment.trained(parts):
        if line["event"] == "check":  # after step 2, whose checkpoint is written
            break
    resumed = list(segment.trained(run_in(folder, "parts"), resume=True))
    assert [line["step"] for line in resumed if line["event"] == "step"] == [3, 4]
    assert [line["total"] for line in resumed if line["event"] == "step"] == [
        line["total"] for line in lines if line["event"] == "step"
    ][2:]
    torch.testing.assert_close(tensors(parts), tensors(whole), rtol=0, atol=0)


def test_another_seed_is_another_run(folder: Path):
    first, second = run_in(folder, "first", steps=1), run_in(folder, "second", steps=1, seed=2)
    for run in (first, second):
        list(segment.trained(run))
    one, other = tensors(first), tensors(second)
    assert any(not torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_weights_file_says_how_points_are_prepared(folder: Path):
    run = run_in(folder, steps=1)
    list(segment.trained(run))
    segment.finish(folder / "out.safetensors", run, licence="none")
    file = weights.read(folder / "out.safetensors")
    assert file.header.architecture == "point-transformer"
    assert file.header.labels == ("level", "upright")
    assert file.header.input == {"features": ["shape"], "voxel_m": 0.4}
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in file.header.config.items()}
    names = {name for name, value in PointTransformer(PointTransformerConfig(**config)).state_dict().items() if value.ndim}
    assert set(file.tensors) == names


def test_overlap_counts_points_of_the_tile_alone():
    class Says(torch.nn.Module):
        def forward(self, *_: Any) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 1, 0]), 3).float()

    label = torch.tensor([0, 1, 1, -1, 1])
    nothing = torch.zeros(5, 3)
    batch = PointBatch(nothing, nothing, torch.tensor([5]), label, [])
    inside = torch.tensor([True, True, True, True, False])
    # counted: 0 as 0, 1 as 0, 1 as 1; class 2 is not there
    assert segment.overlap(Says(), [(batch, inside)], "abc") == {"miou": 0.5, "a": 0.5, "b": 0.5}


def test_blocks_are_packed_with_running_ends_and_at_most_so_many_points(folder: Path):
    run = run_in(folder)
    draw = Draw(run.train, run.recipe, segment.network(run.recipe))
    batch = draw(np.random.default_rng(0))
    again = draw(np.random.default_rng(0))
    sizes = batch.offsets.diff(prepend=torch.zeros(1, dtype=torch.long))
    assert len(sizes) >= 2
    assert int(sizes.max()) <= 200
    assert len(batch.xyz) == len(batch.features) == len(batch.label) == int(batch.offsets[-1]) <= 400
    torch.testing.assert_close(batch.xyz, again.xyz, rtol=0, atol=0)


def test_a_block_does_not_depend_on_what_it_is_packed_with(folder: Path):
    run = run_in(folder)
    config = segment.network(run.recipe)
    model = PointTransformer(config).eval()
    rng = np.random.default_rng(0)
    parts = [
        LabelledPoints(BlockPoints(rng.uniform(0, 5, (count, 3)).astype(np.float32)), np.zeros(count, np.int64))
        for count in (70, 110)
    ]

    def logits(*blocks: LabelledPoints) -> torch.Tensor:
        batch = to_batch(blocks, ["shape"], config)
        with torch.inference_mode():
            found: torch.Tensor = model(batch.xyz, batch.features, batch.offsets, batch.levels)
        return found

    torch.testing.assert_close(logits(*parts), torch.cat([logits(part) for part in parts]), rtol=1e-4, atol=1e-4)


def test_scans_without_the_recipes_classes_are_refused(folder: Path):
    run = run_in(folder)
    bare = Scan("bare", LabelledPoints(run.train[0].block.points, np.full(2700, -1)))
    with pytest.raises(PresetError, match="no scan has a point"):
        Draw([bare], run.recipe, segment.network(run.recipe))


def test_training_needs_scans(folder: Path):
    with pytest.raises(PresetError, match="--data"):
        segment.prepare(str(folder / "sheets.train.toml"), {}, data=[], val=[], folder=folder)


def test_the_log_is_json_lines(folder: Path):
    run = run_in(folder)
    lines = list(segment.trained(run))
    assert [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()] == lines
