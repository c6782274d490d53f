"""Filling from aligned frames: patch attention beside loops, what hidden places may do, sizes, batches."""

import pytest
import torch
from torch import Tensor

from vidpc.models import aligned_sttn
from vidpc.models.aligned_sttn import AlignedSTTN, AlignedSTTNConfig

TINY = AlignedSTTNConfig(width=8, blocks=1, patches=((3, 2), (2, 4)), score_width=4)
HEIGHT, WIDTH = 32, 48  # of pictures: 8 x 12 cells


@pytest.fixture(scope="module")
def model() -> AlignedSTTN:
    torch.manual_seed(0)
    return AlignedSTTN(TINY).eval()


def cells(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, HEIGHT // 4, WIDTH // 4, generator=torch.Generator().manual_seed(seed))


def test_patches_ask_the_patches_of_all_frames_that_are_not_hidden() -> None:
    query, key, value = cells(1, 1, 2, seed=1), cells(1, 2, 2, seed=2), cells(1, 2, 2, seed=3)
    visible = torch.ones(1, 2, 1, 8, 12)
    visible[0, 0, :, :4, :6] = 0
    found = aligned_sttn._attended(query, key, value, visible, (6, 4))
    corners = [(frame, y, x) for frame in range(2) for y in (0, 4) for x in (0, 6)]
    patch = lambda maps, frame, y, x: maps[0, frame, :, y : y + 4, x : x + 6].flatten()  # noqa: E731
    for y in (0, 4):
        for x in (0, 6):
            asked = patch(query, 0, y, x)
            seen = [corner for corner in corners if corner != (0, 0, 0)]
            scores = torch.stack([asked @ patch(key, *corner) / len(asked) ** 0.5 for corner in seen])
            told = sum(w * patch(value, *corner) for w, corner in zip(scores.softmax(dim=0), seen, strict=True))
            torch.testing.assert_close(found[0, :, y : y + 4, x : x + 6].flatten(), told, atol=1e-5, rtol=1e-4)


def test_where_everything_is_hidden_the_attention_is_still_a_number() -> None:
    told = aligned_sttn._attended(cells(1, 1, 2), cells(1, 2, 2), cells(1, 2, 2), torch.zeros(1, 2, 1, 8, 12), (6, 4))
    assert torch.isfinite(told).all()


def test_weights_sum_to_one_and_leave_out_what_a_frame_does_not_show(model: AlignedSTTN) -> None:
    visible = torch.ones(2, 3, 1, 8, 12)
    visible[:, 1, :, :, 6:] = 0
    with torch.inference_mode():
        weights, painted = model.fill(cells(2, 3, 8), visible, torch.tensor([[0.0, -3, 4]] * 2))
    assert weights.shape == (2, 3, HEIGHT, WIDTH)
    assert painted.shape == (2, 3, HEIGHT, WIDTH)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, HEIGHT, WIDTH))
    assert float(weights[:, 1, :, 24:].max()) == 0  # hidden from cell 6 on; smoothing ends in the cell before
    assert float(weights[:, 1, :, :16].min()) > 0
    assert 0 <= float(painted.min()) <= float(painted.max()) <= 1


def test_without_other_frames_everything_is_painted(model: AlignedSTTN) -> None:
    with torch.inference_mode():
        weights, _ = model.fill(cells(1, 1, 8), torch.ones(1, 1, 1, 8, 12), torch.zeros(1, 1))
    torch.testing.assert_close(weights, torch.ones(1, 1, HEIGHT, WIDTH))


def test_what_is_in_a_hole_is_never_seen(model: AlignedSTTN) -> None:
    frame = torch.rand(1, 3, HEIGHT, WIDTH)
    hole = torch.zeros(1, 1, HEIGHT, WIDTH)
    hole[..., 8:20, 10:30] = 1
    other = torch.where(hole > 0, torch.rand(1, 3, HEIGHT, WIDTH), frame)
    with torch.inference_mode():
        assert torch.equal(model.encode(frame, hole), model.encode(other, hole))


def test_a_frame_is_filled_the_same_alone_and_in_a_batch(model: AlignedSTTN) -> None:
    features, visible, offsets = cells(3, 4, 8), torch.ones(3, 4, 1, 8, 12), torch.randn(3, 4)
    with torch.inference_mode():
        together = model.fill(features, visible, offsets)
        for i in range(3):
            alone = model.fill(features[i : i + 1], visible[i : i + 1], offsets[i : i + 1])
            for one, all_of_them in zip(alone, together, strict=True):
                torch.testing.assert_close(one[0], all_of_them[i], atol=1e-5, rtol=1e-4)


def test_pictures_are_multiples_of_all_patches() -> None:
    assert TINY.multiple == (24, 16)
    assert AlignedSTTNConfig().multiple == (216, 120)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="width 9"):
        AlignedSTTNConfig(width=9)
