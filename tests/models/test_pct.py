"""PCT against plain readings of its paper, and clouds in a batch against clouds alone."""

import pytest
import torch
from tiny_objects import CONFIG

from vidpc.models.pct import PCT, Group, OffsetAttention, PCTParts, PCTPartsConfig
from vidpc.ops.grouping import farthest_rows, nearest_rows

REORDERED_SUMS = 1e-5  # float32, a few layers


@pytest.fixture
def model():
    torch.manual_seed(1)
    model = PCT(CONFIG)
    for _ in range(3):  # batch norms that know something
        model(torch.randn(4, 40, 3))
    return model.eval()


@torch.inference_mode()
def test_clouds_of_a_batch_do_not_see_each_other(model):
    clouds = torch.randn(3, 50, 3)
    alone = torch.cat([model(cloud[None]) for cloud in clouds])
    assert torch.allclose(model(clouds), alone, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_the_order_of_the_points_behind_the_first_does_not_matter(model):
    cloud = torch.randn(1, 50, 3)
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(49)])
    assert torch.allclose(model(cloud), model(cloud[:, order]), atol=REORDERED_SUMS)


@torch.inference_mode()
def test_clouds_smaller_than_every_level_pass(model):
    assert model(torch.randn(2, 3, 3)).isfinite().all()


@torch.inference_mode()
def test_offset_attention_is_that_of_the_paper():
    """Equations 2 to 6: softmax over the first points' row, then shares over the column, by loops over pairs."""
    torch.manual_seed(2)
    layer = OffsetAttention(8).eval()
    x = torch.randn(1, 5, 8)
    keys, values = layer.key(x)[0], layer.value(x)[0]
    scores = torch.tensor([[float(keys[i] @ keys[j]) for j in range(5)] for i in range(5)])
    rows = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    shares = rows / (1e-9 + rows.sum(dim=0, keepdim=True))
    attended = torch.stack([sum(shares[i, j] * values[i] for i in range(5)) for j in range(5)])
    expected = x[0] + torch.relu(layer.change(x[0] - attended))
    assert torch.allclose(layer(x)[0], expected, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_a_group_holds_offsets_and_centres_of_its_neighbours():
    """What the forward pass does in one product a point, here neighbour by neighbour."""
    torch.manual_seed(3)
    group = Group(4, 6, sampled=5, neighbours=3, core=0.0).eval()
    xyz, features = torch.randn(1, 12, 3), torch.randn(1, 12, 4)
    centres, ours = group(xyz, features)
    kept = farthest_rows(xyz, 5)[0]
    assert torch.equal(centres[0], xyz[0, kept])
    for row, centre in enumerate(kept):
        near = nearest_rows(xyz[:, centre][:, None], xyz, 3)[0, 0]
        joined = torch.stack([torch.cat([features[0, i] - features[0, centre], features[0, centre]]) for i in near])
        assert torch.allclose(ours[0, row], group.local(joined).amax(dim=0), atol=REORDERED_SUMS)


@torch.inference_mode()
def test_the_category_reaches_every_point_of_its_own_cloud_alone():
    torch.manual_seed(4)
    config = PCTPartsConfig(width=8, attention_layers=2, fused=8, categories=3, category_width=4, head=(8, 8), parts=5)
    model = PCTParts(config).eval()
    clouds, categories = torch.randn(2, 6, 3), torch.eye(3)[[0, 1]]
    before = model(clouds, categories)
    after = model(clouds, torch.eye(3)[[0, 2]])
    assert before.shape == (2, 6, 5)
    assert torch.equal(before[0], after[0])
    assert (before[1] != after[1]).any(dim=-1).all()
