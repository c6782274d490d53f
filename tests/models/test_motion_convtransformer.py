"""Frames by motion: cost volume beside loops, what no motion and a plain shift must give, sizes, batches."""

import pytest
import torch
from torch import Tensor

from vidpc.models import motion_convtransformer
from vidpc.models.motion_convtransformer import MotionConvTransformer, MotionConvTransformerConfig

TINY = MotionConvTransformerConfig(windows=(5, 9), width=8, synthesis=(8, 8, 8))


@pytest.fixture(scope="module")
def model() -> MotionConvTransformer:
    torch.manual_seed(0)
    return MotionConvTransformer(TINY).eval()


def shown(batch: int = 1, height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(batch, 2, 3, height, width, generator=torch.Generator().manual_seed(1))


def striped(shift: float) -> Tensor:
    """A smooth picture f32[3 48 96] that has moved to the right by so many pixels."""
    x = torch.arange(96) - shift
    y = torch.arange(48)[:, None]
    return torch.stack([0.5 + 0.3 * torch.sin(x / 7 + k) * torch.cos(y / 9 + x / 23) for k in range(3)])


@pytest.mark.parametrize("time", [0.25, 0.5, 2.0])
def test_candidates_lie_where_the_motion_leads_at_the_time(model: MotionConvTransformer, time: float) -> None:
    """What moves 3 pixels from the first frame to the second has moved 3 times as many by the time, inside and after."""
    frames = torch.stack([striped(0), striped(3)])[None]
    candidates = model.candidates(frames, torch.full((1, 1, 1, 1), time))
    assert candidates.shape == (1, 2, 2, 3, 48, 96)
    errors = (candidates[0] - striped(3 * time))[..., 14:-14, 20:-20].abs()
    assert float(errors.mean(dim=(2, 3, 4)).max()) < 0.006  # a picture that is off by a pixel differs by 0.03


def test_every_pixel_of_the_blend_is_a_mean_of_its_candidates(model: MotionConvTransformer) -> None:
    candidates = torch.rand(2, 2, 2, 3, 16, 24)
    with torch.inference_mode():
        weights, seen = model.attention(candidates, torch.full((2, 1, 1, 1), 0.5))
    assert weights.shape == (2, 4, 1, 16, 24)
    assert seen.shape == (2, 8, 8, 12)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 1, 16, 24))


def test_the_nearer_frame_counts_more_before_anything_is_seen() -> None:
    shares = motion_convtransformer._nearness(torch.tensor([0.25, 2.0]).reshape(2, 1, 1, 1), 3).exp()[:, :, 0, 0, 0]
    torch.testing.assert_close(shares[0], torch.tensor([0.75, 0.25] * 3))
    torch.testing.assert_close(shares[1], torch.tensor([1 / 3, 2 / 3] * 3))


@pytest.mark.parametrize("size", [(64, 96), (61, 35), (9, 300), (1, 1)])
def test_any_size_comes_back_in_the_range_of_pictures(model: MotionConvTransformer, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        new = model(shown(2, *size), torch.tensor([[0.25, 2.0]] * 2))
    assert new.shape == (2, 2, 3, *size)
    assert 0 <= float(new.min()) <= float(new.max()) <= 1


def test_a_pair_and_a_time_are_the_same_alone_and_together(model: MotionConvTransformer) -> None:
    frames, times = shown(2), torch.tensor([[0.25, 0.5], [0.5, 2.0]])
    with torch.inference_mode():
        together = model(frames, times)
        alone = [[model(frames[i : i + 1], times[i : i + 1, j : j + 1])[0, 0] for j in range(2)] for i in range(2)]
    for i in range(2):
        for j in range(2):
            torch.testing.assert_close(together[i, j], alone[i][j], atol=1e-5, rtol=1e-4)


def test_training_draws_what_no_candidate_shows() -> None:
    """A light that is there only between the frames is learnt in a few steps."""
    torch.manual_seed(0)
    model = MotionConvTransformer(TINY).train()
    frames = torch.rand(1, 2, 3, 32, 48)
    wanted = (frames.mean(dim=1) + 0.2).clamp(0, 1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    errors = []
    for _ in range(40):
        loss = (model(frames, torch.tensor([[0.5]]))[:, 0] - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.75 * errors[0]


@pytest.mark.parametrize("wrong", [{"windows": (4,)}, {"windows": ()}, {"synthesis": (8,)}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MotionConvTransformerConfig(**wrong)  # type: ignore[arg-type]
