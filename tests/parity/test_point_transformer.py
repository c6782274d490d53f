"""Point Transformer at its published size against the numbers of the authors' code, from checkpoints in both layouts."""

import json
from itertools import pairwise
from pathlib import Path

import fill
import pytest
import torch
import vectors

from vidpc import weights
from vidpc.models.point_transformer import Level, PointTransformer, PointTransformerConfig, plan
from vidpc.ops.neighbours import farthest, nearest
from vidpc.tasks.network import build
from vidpc.weights.convert import convert

HERE = Path(__file__).parent
META = json.loads((HERE / "pointtransformer_seg.json").read_text())
STORED = HERE / "pointtransformer_seg.npz"
ABSENT = 1e4  # neighbours that do not exist are farther away


def published(layout):
    """The entries of a checkpoint as that code base names them."""
    official = fill.state_dict(HERE / "pointtransformer_seg.keys.txt", seed=META["seed"])
    assert fill.digest(official) == META["weights_sha256"]
    attention = {"point-transformer": "transformer2", "pointcept-ptv1": "transformer"}[layout]
    return {f"module.{name.replace('transformer2', attention)}": torch.as_tensor(value) for name, value in official.items()}


@pytest.fixture(scope="module", params=["point-transformer", "pointcept-ptv1"])
def converted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    torch.save({"epoch": 100, "state_dict": published(request.param), "best_iou": 0.7}, folder / "published.pth")
    convert(folder / "published.pth", folder / "ours.safetensors", layout=request.param)
    return weights.read(folder / "ours.safetensors")


@pytest.fixture(scope="module")
def model(converted):
    return build(converted, "point-transformer", PointTransformer, PointTransformerConfig)


def packed(case):
    """Coordinates, colours and running ends of the clouds of a case."""
    clouds = META["cases"][case]["clouds"]
    xyz = torch.cat([torch.from_numpy(fill.make(xyz)) for xyz, _ in clouds])
    rgb = torch.cat([torch.from_numpy(fill.make(rgb)) for _, rgb in clouds])
    return xyz.float(), rgb.float(), torch.tensor(META["cases"][case]["points"]).cumsum(0)


@pytest.mark.parametrize("case", ["packed", "small_last"])
def test_every_tensor_is_within_its_stated_tolerance(model, case):
    xyz, rgb, offsets = packed(case)
    ours, hooks = {}, []
    for i in range(5):
        for name, module in {f"enc{i + 1}": model.encoder[i], f"dec{i + 1}.up": model.decoder[i].up}.items():
            hooks.append(module.register_forward_hook(lambda *call, at=f"{case}.{name}": ours.update({at: call[-1]})))
    with torch.inference_mode():
        levels = plan(xyz, offsets, model.config)
        ours[f"{case}.logits"] = model(xyz, torch.cat([xyz, rgb], dim=1), offsets, levels)
    for hook in hooks:
        hook.remove()
    for i, (finer, level) in enumerate(pairwise(levels), 2):
        ours[f"{case}.fps{i}.idx"] = places(level.xyz, finer.xyz)
    index, distance = nearest(xyz, offsets, xyz[:400], torch.tensor([400, 400]), 16)
    ours |= {f"{case}.knn16_sorted.idx": index.sort(dim=1).values, f"{case}.knn16_dist": distance}
    rows = vectors.compare(STORED, ours)
    assert {key for key, *_ in rows} == {key for key in vectors.load(STORED) if key.startswith(f"{case}.")}
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]


def places(points, among):
    """Where every point lies among others, no two of which are equal."""
    far = torch.cdist(points.double(), among.double())
    return far.argmin(dim=1)


@torch.inference_mode()
def test_clouds_with_fewer_points_than_neighbours(model):
    spec = META["cases"]["tiny"]
    xyz, x = (torch.from_numpy(fill.make(part)).float() for part in spec["clouds"])
    offsets = torch.tensor(spec["points"]).cumsum(0)
    near, distance = nearest(xyz, offsets, xyz, offsets, 16)
    kept_offsets = (torch.tensor(spec["points"]) // 4).cumsum(0)  # here as published: the cloud of three keeps none
    kept = farthest(xyz, offsets, kept_offsets)
    finer = Level(xyz, offsets, near, near, None)
    coarser = Level(xyz[kept], kept_offsets, near[kept], near[kept], None)
    ours = {
        "tiny.knn16.idx": near,
        "tiny.knn16_dist": distance.where(distance < ABSENT, -1),
        "tiny.block_enc2.1": model.encoder[1].blocks[0](x, finer),
        "tiny.transition_down_enc3": model.encoder[2].enter(x, finer, coarser),
        "tiny.transition_down_xyz": coarser.xyz,
    }
    rows = vectors.compare(STORED, ours)
    assert {key for key, *_ in rows} == {key for key in vectors.load(STORED) if key.startswith("tiny.")}
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]


def test_classes_are_named_in_the_order_of_their_code_base(converted):
    authors = converted.header.metadata["layout"] == "point-transformer"
    names = ["chair", "table", "bookcase", "sofa"] if authors else ["table", "chair", "sofa", "bookcase"]
    assert list(converted.header.labels[7:11]) == names
