"""PCT at its published sizes against the numbers of the reference code, from checkpoints in the published layouts."""

import json
from pathlib import Path

import fill
import numpy as np
import pytest
import torch
import vectors

from vidpc import weights
from vidpc.models.pct import attend
from vidpc.ops.grouping import farthest_rows, rows_at
from vidpc.tasks.classify import build_model, build_parts_model
from vidpc.weights.convert import convert

HERE = Path(__file__).parent


def converted(name, folder, build, prefix):
    """The network, from a checkpoint whose entries carry ``prefix``."""
    meta = json.loads((HERE / f"{name}.json").read_text())
    official = fill.state_dict(HERE / f"{name}.keys.txt", seed=meta["seed"])
    assert fill.digest(official) == meta["weights_sha256"]
    torch.save({prefix + key: torch.as_tensor(value) for key, value in official.items()}, folder / "model.t7")
    convert(folder / "model.t7", folder / "ours.safetensors", layout="pct")
    clouds = torch.stack([torch.from_numpy(fill.make(spec)) for spec in meta["cases"]["clouds"]])
    return meta, build(weights.read(folder / "ours.safetensors")), clouds


def assert_equal(name, ours):
    """Every stored tensor, within its stated tolerance."""
    rows = vectors.compare(HERE / f"{name}.npz", ours)
    assert {key for key, *_ in rows} == set(vectors.load(HERE / f"{name}.npz"))
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]


@torch.inference_mode()
def test_the_classifier_gives_the_published_numbers(tmp_path):
    _, model, clouds = converted("pct_cls", tmp_path, build_model, prefix="module.")
    xyz, features, ours = clouds, model.stem(clouds), {}
    for i, group in enumerate(model.groups):
        ours[f"fps{i}.idx"] = farthest_rows(xyz, group.sampled, core=group.core)
        xyz, features = group(xyz, features)
        ours[f"gather_local_{i}"] = features.transpose(1, 2)
    ours["pt_last"] = torch.cat(attend(model.attention, model.embedding(features)), dim=-1).transpose(1, 2)
    ours["conv_fuse"] = model.fused(clouds).transpose(1, 2)
    ours["logits"] = model(clouds)
    assert_equal("pct_cls", ours)


@pytest.mark.parametrize("prefix", ["", "module."])
@torch.inference_mode()
def test_the_part_network_gives_the_published_numbers(tmp_path, prefix):
    meta, model, clouds = converted("pct_partseg", tmp_path, build_parts_model, prefix)
    category = torch.nn.functional.one_hot(torch.tensor(meta["cases"]["label_index"]), 16).float()
    attended = attend(model.attention, model.stem(clouds))
    ours = {"sa1": attended[0], "sa4": attended[3], "conv_fuse": model.fused(clouds), "logits": model(clouds, category)}
    assert_equal("pct_partseg", {name: value.transpose(1, 2) for name, value in ours.items()})


def test_sampling_avoids_the_core_but_for_the_first_point():
    """Every cloud of the vectors has six points at the origin; the first network would pick none of them."""
    meta = json.loads((HERE / "pct_cls.json").read_text())
    clouds = torch.stack([torch.from_numpy(fill.make(spec)) for spec in meta["cases"]["clouds"]])
    near = clouds.square().sum(dim=-1) <= 1e-3
    assert near.sum(dim=1).tolist() == [6, 6]
    kept = rows_at(near[..., None].float(), farthest_rows(clouds, 512, core=1e-3))
    assert np.all(kept.numpy() == 0)
