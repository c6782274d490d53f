"""Small Point Transformers: what a result may depend on, and the shortcuts against the layers as they are written."""

import pytest
import torch
from torch import nn

from vidpc.models import point_transformer
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig, plan
from vidpc.ops.neighbours import lengths

SIZES = {
    "channels": 5,
    "classes": 3,
    "widths": (16, 24, 32),
    "blocks": (1, 2, 1),
    "neighbours": (6, 8, 8),
    "strides": (1, 4, 4),
}
FARTHEST = PointTransformerConfig(**SIZES)
GRID = PointTransformerConfig(**SIZES, sampling="grid", grid_m=0.1)
SUMS = 3e-5  # logits of about 1, float32 sums in another order


def network(config):
    """A network whose norms have seen something, so that folding them is not the identity."""
    torch.manual_seed(0)
    model = PointTransformer(config).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(-1.5, 1.5)
            module.bias.data.normal_()
    return model


def clouds(*counts, seed=1):
    """Packed points with features, and their running ends."""
    random = torch.Generator().manual_seed(seed)
    total = sum(counts)
    xyz = torch.rand(total, 3, generator=random) * torch.tensor([2.0, 1.5, 0.4])
    return xyz, torch.randn(total, 5, generator=random), torch.tensor(counts).cumsum(0)


@pytest.fixture(params=[FARTHEST, GRID], ids=["farthest", "grid"])
def model(request):
    return network(request.param)


@torch.inference_mode()
def test_two_clouds_give_what_each_gives_alone(model):
    xyz, features, offsets = clouds(700, 1, 430)
    together = model(xyz, features, offsets)
    assert together.shape == (1131, 3)
    for low, high in [(0, 700), (700, 701), (701, 1131)]:
        alone = model(xyz[low:high], features[low:high], torch.tensor([high - low]))
        assert torch.allclose(together[low:high], alone, atol=SUMS)


@torch.inference_mode()
def test_order_of_points_does_not_matter(model):
    xyz, features, offsets = clouds(600)
    order = torch.cat([torch.tensor([0]), torch.randperm(599, generator=torch.Generator().manual_seed(2)) + 1])  # first stays
    assert torch.allclose(model(xyz[order], features[order], offsets), model(xyz, features, offsets)[order], atol=SUMS)


@pytest.mark.parametrize("counts", [(1,), (2, 1), (5,), (3, 7, 9)], ids=str)
@torch.inference_mode()
def test_fewer_points_than_neighbours_are_enough(model, counts):
    logits = model(*clouds(*counts))
    assert logits.shape == (sum(counts), 3)
    assert logits.isfinite().all()


@torch.inference_mode()
def test_points_that_are_all_the_same_are_enough(model):
    xyz, features, offsets = clouds(40)
    assert model(torch.zeros_like(xyz), features, offsets).isfinite().all()


@torch.inference_mode()
def test_nothing_in_gives_nothing_out(model):
    assert model(torch.empty(0, 3), torch.empty(0, 5), torch.tensor([0])).shape == (0, 3)


@torch.inference_mode()
def test_cloud_in_which_nothing_is_leaves_the_others_alone(model):
    xyz, features, _ = clouds(300)
    assert torch.allclose(
        model(xyz, features, torch.tensor([0, 300, 300])), model(xyz, features, torch.tensor([300])), atol=SUMS
    )


@torch.inference_mode()
def test_every_cloud_hears_of_its_own_points_alone(model):
    xyz, features, offsets = clouds(300, 300)
    before = model(xyz, features, offsets)
    features[300:] += 5
    after = model(xyz, features, offsets)
    assert torch.allclose(before[:300], after[:300], atol=SUMS)
    assert not torch.allclose(before[300:], after[300:], atol=0.1)


@torch.inference_mode()
def test_size_of_the_blocks_does_not_matter(model, monkeypatch):
    xyz, features, offsets = clouds(500, 120)
    whole = model(xyz, features, offsets)
    monkeypatch.setitem(point_transformer._BLOCK_BYTES, "cpu", 5000)
    assert torch.allclose(model(xyz, features, offsets), whole, atol=SUMS)


def as_written(model):
    """The same network with the layers of training and the norms of evaluation: no shortcut is left."""
    for module in model.modules():
        module.training = not isinstance(module, nn.BatchNorm1d)
    return model


@torch.no_grad()
def test_shortcuts_give_what_the_layers_give(model):
    xyz, features, offsets = clouds(500, 120)
    assert torch.allclose(model(xyz, features, offsets), as_written(model)(xyz, features, offsets), atol=SUMS)


def test_every_weight_learns(model):
    xyz, features, offsets = clouds(400, 300)
    model.train()(xyz, features, offsets).square().sum().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    # A softmax over neighbours does not see what is added to all of them; a norm takes away what stands before it.
    hidden = [name for name in without if not name.endswith(("weigh_out.bias", "linear.bias", "query.bias", "key.bias"))]
    assert hidden == []


def test_grid_hangs_on_the_middle_of_a_cloud():
    xyz, _, offsets = clouds(3000, 500)
    moved = xyz + torch.tensor([64.0, -32.0, 16.0])  # by powers of two, so that little is rounded
    here, there = plan(xyz, offsets, GRID), plan(moved, offsets, GRID)
    assert all(len(a.xyz) == len(b.xyz) for a, b in zip(here, there, strict=True))
    torch.testing.assert_close(there[-1].xyz, here[-1].xyz, atol=1e-4, rtol=0)


def test_grid_keeps_a_point_a_cube_twice_as_wide_at_every_level():
    xyz, _, offsets = clouds(3000, 500)
    levels = plan(xyz, offsets, GRID)
    xyz = levels[0].xyz  # every cloud around its middle
    for size_m, level in zip([0.2, 0.4], levels[1:], strict=True):
        begin = 0
        for cloud, count in zip(offsets.tolist(), lengths(level.offsets).tolist(), strict=True):
            cubes = {tuple(cube) for cube in (xyz[begin:cloud] / size_m).floor().long().tolist()}
            assert count <= len(cubes)
            begin = cloud
        kept = (level.xyz / size_m).floor().long()
        first = int(level.offsets[0])
        assert len(kept[:first].unique(dim=0)) == first
    assert lengths(levels[1].offsets)[0] == len((xyz[:3000] / 0.2).floor().unique(dim=0))


def test_farthest_keeps_a_quarter_of_every_cloud_but_at_least_one():
    xyz, _, offsets = clouds(103, 2, 16)
    assert [lengths(level.offsets).tolist() for level in plan(xyz, offsets, FARTHEST)] == [[103, 2, 16], [25, 1, 4], [6, 1, 1]]


@torch.inference_mode()
def test_plan_made_ahead_is_the_plan_made_inside(model):
    xyz, features, offsets = clouds(500, 120)
    levels = plan(xyz, offsets, model.config)
    assert model(xyz, features, offsets, levels).equal(model(xyz, features, offsets))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": (1, 1)}, "an entry a level"),
        ({"widths": (16, 20, 32)}, "no multiples of 8"),
        ({"sampling": "grid"}, "grid needs one"),
        ({"grid_m": 0.1}, "farthest has no grid"),
        ({"sampling": "random"}, "random"),
        ({"strides": (2, 4, 4)}, "keeps all points"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PointTransformerConfig(**{**SIZES, **changes})
