"""VidTr against plain readings of its paper, and clips in a batch against clips alone."""

import os

import pytest
import torch

from vidpc.models.vidtr import CompactVidTr, CompactVidTrConfig, DividedAttention, PoolingAttention, VidTr, VidTrConfig

REORDERED_SUMS = 1e-5  # float32, a few layers
WHOLE = VidTrConfig(size=(32, 32), patch=16, frames=4, width=16, depth=2, heads=2, feedforward=24, classes=5)
COMPACT = CompactVidTrConfig(
    size=(32, 32), patch=16, frames=4, width=16, depth=4, heads=2, feedforward=24, classes=5, dropped=(0, 1, 0)
)


def randomised(module):
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def heads_of(layer, x):
    """q, k, v of tokens f32[t n d], each f32[heads t n d/heads]."""
    return [part.unflatten(-1, (2, 8)).permute(2, 0, 1, 3) for part in layer.projections.qkv(x).split(16, dim=-1)]


def weights_along_time(q, k, n):
    """Softmax over the pictures at place ``n``, of one head, by its definition: f32[t t]."""
    scores = torch.tensor([[float(q[i, n] @ k[j, n]) for j in range(len(q))] for i in range(len(q))]) / 8**0.5
    return scores.exp() / scores.exp().sum(dim=1, keepdim=True)


def in_space(layer, heads):
    """Attention of every picture of [(q, k, v)], one entry a head, each f32[t n c]."""
    gathered = [
        torch.stack([(q[t] @ k[t].T / 8**0.5).softmax(dim=-1) @ v[t] for t in range(len(q))]) for q, k, v in heads
    ]  # each f32[t n c]
    return layer.projections.out(torch.cat(gathered, dim=-1))


@torch.inference_mode()
def test_the_result_along_time_is_the_value_in_space():
    layer = randomised(DividedAttention(WHOLE))
    x = torch.randn(1, 4, 3, 16)
    heads = []
    for q, k, v in zip(*heads_of(layer, x[0]), strict=True):
        attended = torch.stack([weights_along_time(q, k, n) @ v[:, n] for n in range(3)], dim=1)
        heads.append((q, k, attended))
    assert torch.allclose(layer(x)[0], in_space(layer, heads), atol=REORDERED_SUMS, rtol=REORDERED_SUMS)


@torch.inference_mode()
def test_pooling_keeps_the_pictures_whose_attention_is_most_uneven():
    """Every head of every place for itself, in the order of time, with a second softmax."""
    layer = randomised(PoolingAttention(COMPACT, dropped=1))
    x = torch.randn(1, 4, 3, 16)
    attended, kept = layer(x)
    heads = []
    for m, (q, k, v) in enumerate(zip(*heads_of(layer, x[0]), strict=True)):
        parts = []
        for n in range(3):
            weights = weights_along_time(q, k, n)
            chosen = sorted(sorted(range(4), key=lambda i: -float(weights[i].std()))[:3])
            assert kept[0, n, m].tolist() == chosen
            parts.append((q[chosen, n], k[chosen, n], weights[chosen].softmax(dim=-1) @ v[:, n]))
        heads.append([torch.stack(part, dim=1) for part in zip(*parts, strict=True)])
    assert torch.allclose(attended[0], in_space(layer, heads), atol=REORDERED_SUMS, rtol=REORDERED_SUMS)


@pytest.mark.parametrize("model", [VidTr(WHOLE), CompactVidTr(COMPACT)], ids=["whole", "compact"])
@torch.inference_mode()
def test_clips_of_a_batch_do_not_see_each_other(model):
    randomised(model)
    clips = torch.randn(3, 3, 4, 32, 32)
    alone = torch.cat([model(clip[None]) for clip in clips])
    assert torch.allclose(model(clips), alone, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_layers_behind_the_first_know_places_only_where_they_are_told():
    first = VidTr(WHOLE)
    every = VidTr(VidTrConfig(**{**{name: getattr(WHOLE, name) for name in WHOLE.__slots__}, "placed_layers": 2}))
    clip, added = torch.randn(1, 3, 4, 32, 32), []
    for model in (randomised(first), randomised(every)):
        places = []
        for layer in model.layers:
            layer.register_forward_pre_hook(lambda module, inputs, places=places: places.append(inputs[1] is not None))
        model(clip)
        added.append(places)
    assert added == [[True, False], [True, True]]


@pytest.mark.skipif(not torch.cuda.is_available() and os.environ.get("VIDPC_NEED_CUDA") != "1", reason="no GPU")
@pytest.mark.parametrize("model", [VidTr(WHOLE), CompactVidTr(COMPACT)], ids=["whole", "compact"])
@torch.inference_mode()
def test_the_gpu_gives_the_numbers_of_the_processor(model):
    clips = torch.randn(2, 3, 4, 32, 32)
    expected = randomised(model.cpu())(clips)
    assert torch.allclose(model.cuda()(clips.cuda()).cpu(), expected, atol=1e-4, rtol=1e-4)
    model.cpu()
