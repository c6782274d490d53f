"""STTN against a plain reading of its paper, windows in a batch against windows alone, parts against the whole."""

import os

import pytest
import torch
import torch.nn.functional as F

from vidpc.models import sttn
from vidpc.models.sttn import STTN, PatchAttention, STTNConfig

REORDERED_SUMS = 1e-5  # float32, a few layers
SMALL = STTNConfig(channels=8, blocks=2, patches=((12, 10), (6, 5)))  # frames of 40 x 48
ROOMY = STTNConfig(channels=8, blocks=2, patches=((40, 36), (10, 9)))  # of 144 x 160: parts do not reach every side


def randomised(module):
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim < 4 else (2 / parameter[0].numel()) ** 0.5)
    return module.eval()


def plain_attention(layer, x, is_key=lambda head, t, i, j: True):
    """By the definition: every patch of x f32[t h w c] for itself; every head has channels of its own."""
    t, h, w, c = x.shape
    q, k, v = layer.qkv(x).unflatten(-1, (3, len(layer.patches), -1)).permute(3, 4, 0, 1, 2, 5)
    out = torch.zeros_like(x).unflatten(-1, (len(layer.patches), -1))
    for m, (width, height) in enumerate(layer.patches):
        places = [(f, i, j) for f in range(t) for i in range(h // height) for j in range(w // width)]

        def patch(of, f, i, j, width=width, height=height):
            return of[f, i * height : (i + 1) * height, j * width : (j + 1) * width]

        for place in places:
            keys = [key for key in places if is_key(m, *key)]
            scores = torch.stack([(patch(q[m], *place) * patch(k[m], *key)).sum() for key in keys])
            shares = (scores / (width * height * c / len(layer.patches)) ** 0.5).softmax(dim=0)
            patch(out[..., m, :], *place)[:] = sum(s * patch(v[m], *key) for s, key in zip(shares, keys, strict=True))
    return out.flatten(-2)


@torch.inference_mode()
def test_every_patch_attends_to_all_patches_of_its_size():
    layer = randomised(PatchAttention(SMALL))
    x = torch.randn(3, 10, 12, 8)
    expected = plain_attention(layer, x)
    assert torch.allclose(layer(x[None], None, 3)[0], expected, atol=REORDERED_SUMS)
    assert torch.allclose(layer(x[None], None, 2)[0], expected[:2], atol=REORDERED_SUMS)


@torch.inference_mode()
def test_patches_that_are_mostly_hole_are_no_keys_where_the_config_says_so():
    layer = randomised(PatchAttention(SMALL))
    x, holes = torch.randn(2, 10, 12, 8), torch.zeros(2, 1, 40, 48)
    holes[0, 0, :20, :24] = 1  # the first of the four small patches of the first frame, a quarter of its large one
    visible = [sttn._visible(holes[None], patch) for patch in SMALL.patches]
    expected = plain_attention(layer, x, lambda m, t, i, j: (m, t, i, j) != (1, 0, 0, 0))
    assert torch.allclose(layer(x[None], visible, 2)[0], expected, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_the_released_network_discards_its_mask_and_ours_need_not():
    frames, holes = torch.randn(1, 2, 8, 10, 12), torch.zeros(1, 2, 1, 40, 48)
    holes[0, 0, 0, :, :24] = 1
    released, masking = STTN(SMALL), STTN(STTNConfig(channels=8, blocks=2, patches=SMALL.patches, masks_attention=True))
    randomised(released), randomised(masking)
    assert released.infer(frames, holes).equal(released.infer(frames))
    assert masking.infer(frames, torch.zeros_like(holes)).equal(released.infer(frames))
    assert not torch.allclose(masking.infer(frames, holes), released.infer(frames), atol=1e-3)


@torch.inference_mode()
def test_where_everything_is_hole_everything_is_a_key():
    masking = randomised(STTN(STTNConfig(channels=8, blocks=2, patches=SMALL.patches, masks_attention=True)))
    frames, holes = torch.randn(1, 2, 8, 10, 12), torch.ones(1, 2, 1, 40, 48)
    assert masking.infer(frames, holes).equal(masking.infer(frames))


@torch.inference_mode()
def test_windows_of_a_batch_do_not_see_each_other():
    model = randomised(STTN(SMALL))
    features = torch.randn(3, 2, 8, 10, 12)
    alone = torch.cat([model.infer(window[None]) for window in features])
    assert torch.allclose(model.infer(features), alone, atol=REORDERED_SUMS)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((60, 72), (70, 90)), ((0, 1), (159, 160)), ((63, 66), (0, 160)), ((37, 144), (5, 11))],
    ids=["inside", "corner", "strip", "below"],
)
@torch.inference_mode()
def test_a_painted_part_is_that_part_of_the_whole(rows, columns):
    model = randomised(STTN(ROOMY))
    features, holes = torch.randn(2, 3, 8, 36, 40), torch.zeros(2, 3, 1, 144, 160)
    whole = model.decode(model.infer(features)[:, :2].flatten(0, 1)).unflatten(0, (2, 2))
    part = model.paint(features, holes, 2, slice(*rows), slice(*columns))
    assert torch.allclose(part, whole[..., slice(*rows), slice(*columns)], atol=REORDERED_SUMS, rtol=REORDERED_SUMS)


@torch.inference_mode()
def test_doubling_keeps_the_outermost_pixels():
    x = torch.randn(2, 3, 5, 7)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    assert torch.allclose(sttn._doubled(x.movedim(1, -1), (0, 0), (5, 7)).movedim(-1, 1), expected, atol=REORDERED_SUMS)


@torch.inference_mode()
def test_frames_are_encoded_and_decoded_at_a_quarter_of_their_sides():
    model = randomised(STTN(SMALL))
    features = model.encode(torch.randn(2, 3, 40, 48))
    assert features.shape == (2, 8, 10, 12)
    assert model.decode(features).shape == (2, 3, 40, 48)


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="6 channels"):
        STTNConfig(channels=6, patches=((2, 2),))


@pytest.mark.skipif(not torch.cuda.is_available() and os.environ.get("VIDPC_NEED_CUDA") != "1", reason="no GPU")
@torch.inference_mode()
def test_the_gpu_gives_the_numbers_of_the_processor():
    model, features = randomised(STTN(ROOMY)), torch.randn(2, 3, 8, 36, 40)
    expected = model.paint(features, torch.zeros(2, 3, 1, 144, 160), 2, slice(20, 60), slice(0, 160))
    holes = torch.zeros(2, 3, 1, 144, 160, device="cuda")
    made = model.cuda().paint(features.cuda(), holes, 2, slice(20, 60), slice(0, 160))
    assert torch.allclose(made.cpu(), expected, atol=1e-3, rtol=1e-3)
