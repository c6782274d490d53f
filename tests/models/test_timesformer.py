"""TimeSformer against plain readings of its paper, and clips in a batch against clips alone."""

import os

import pytest
import torch

from vidpc.models.timesformer import ATTENTION_KINDS, Attention, DividedBlock, TimeSformer, TimeSformerConfig

REORDERED_SUMS = 1e-5  # float32, a few layers
SMALL = TimeSformerConfig(size=(32, 48), patch=16, frames=3, width=16, depth=2, heads=2, mlp_ratio=2.0, classes=5)


def randomised(module):
    """Nothing is left at zero, where time attention and embeddings start."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def network(**changes):
    fields = {name: getattr(SMALL, name) for name in SMALL.__slots__}
    return randomised(TimeSformer(TimeSformerConfig(**{**fields, **changes})))


def plain_attention(layer: Attention, x):
    """Of tokens f32[n d]: head by head and token by token (equations 5 to 7)."""
    n, d = x.shape
    q, k, v = layer.qkv(x).split(d, dim=1)
    width, gathered = d // layer.heads, torch.zeros(n, d)
    for head in range(layer.heads):
        columns = slice(head * width, (head + 1) * width)
        for i in range(n):
            scores = torch.stack([q[i, columns] @ k[j, columns] for j in range(n)]) / width**0.5
            shares = scores.exp() / scores.exp().sum()
            gathered[i, columns] = sum(shares[j] * v[j, columns] for j in range(n))
    return layer.out(gathered)


def plain_block(block: DividedBlock, x, frames):
    """A divided block on f32[1+n*t d], place by place and picture by picture."""
    first, patches = x[0], x[1:].clone()
    places = len(patches) // frames
    for n in range(places):
        own = patches[n * frames : (n + 1) * frames]
        patches[n * frames : (n + 1) * frames] = own + block.time_change(
            plain_attention(block.time_attention, block.time_norm(own))
        )
    change, gathered = torch.zeros_like(patches), []
    for t in range(frames):
        picture = torch.stack([first, *(patches[n * frames + t] for n in range(places))])
        attended = plain_attention(block.attention, block.norm(picture))
        gathered.append(attended[0])
        for n in range(places):
            change[n * frames + t] = attended[1 + n]
    x = torch.cat([(first + sum(gathered) / frames)[None], patches + change])
    return x + block.feed(block.feed_norm(x))


@torch.inference_mode()
def test_a_divided_block_is_that_of_the_paper():
    block = randomised(DividedBlock(SMALL, 0.0))
    x = torch.randn(2, 1 + 6 * 3, SMALL.width)
    expected = torch.stack([plain_block(block, row, frames=3) for row in x])
    assert torch.allclose(block(x, 3), expected, atol=REORDERED_SUMS, rtol=REORDERED_SUMS)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
@torch.inference_mode()
def test_clips_of_a_batch_do_not_see_each_other(kind):
    model = network(attention=kind)
    clips = torch.randn(3, 3, 3, 32, 48)
    alone = torch.cat([model(clip[None]) for clip in clips])
    assert torch.allclose(model(clips), alone, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_only_space_only_does_not_care_in_what_order_pictures_come():
    clip = torch.randn(1, 3, 3, 32, 48)
    for kind in ATTENTION_KINDS:
        model = network(attention=kind)
        same = torch.allclose(model(clip), model(clip.flip(2)), atol=REORDERED_SUMS)
        assert same == (kind == "space_only")


@torch.inference_mode()
def test_the_place_embedding_of_a_wide_grid_stays_in_place():
    """2 x 3 places; doubled in both directions, every place has four neighbours of its own kind."""
    model = network()
    grown = model._place_embedding(4, 6)[0, 1:].view(4, 6, -1)
    assert grown[::2, ::2].equal(model.pos_embed[0, 1:].view(2, 3, -1))
    assert grown[1::2, 1::2].equal(grown[::2, ::2])


def test_a_new_network_does_not_look_along_time_yet():
    model = TimeSformer(SMALL).eval()
    with torch.no_grad():
        model.time_embed.zero_()
        clip = torch.randn(1, 3, 3, 32, 48)
        assert torch.allclose(model(clip), model(clip.flip(2)), atol=REORDERED_SUMS)


def test_whole_rows_are_left_out_in_training_and_others_weigh_more():
    torch.manual_seed(1)
    drop = DividedBlock(SMALL, 0.25).drop.train()
    kept = drop(torch.ones(4000, 2, 2))
    assert kept.flatten(1).unique(dim=0).tolist() == [[0.0] * 4, [pytest.approx(1 / 0.75)] * 4]
    assert kept.mean().item() == pytest.approx(1, abs=0.05)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="attention 'divided', expected one of divided_space_time"):
        TimeSformerConfig(attention="divided")
    with pytest.raises(ValueError, match="size \\(30, 32\\) over patches of 16"):
        TimeSformerConfig(size=(30, 32))


@pytest.mark.skipif(not torch.cuda.is_available() and os.environ.get("VIDPC_NEED_CUDA") != "1", reason="no GPU")
@pytest.mark.parametrize("kind", ATTENTION_KINDS)
@torch.inference_mode()
def test_the_gpu_gives_the_numbers_of_the_processor(kind):
    model, clips = network(attention=kind), torch.randn(2, 3, 3, 32, 48)
    expected = model(clips)
    assert torch.allclose(model.cuda()(clips.cuda()).cpu(), expected, atol=1e-4, rtol=1e-4)
    with torch.autocast("cuda", torch.bfloat16):
        rough = model(clips.cuda()).float().cpu()
    assert torch.allclose(rough, expected, atol=0.05 * expected.abs().max().item())
