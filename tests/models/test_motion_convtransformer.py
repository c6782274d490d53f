"""Frames by motion: cost volume beside loops, what no motion and a plain shift must give, sizes, batches."""

import pytest
import torch
from torch import Tensor

from vidpc.models import motion_convtransformer
from vidpc.models.motion_convtransformer import MotionConvTransformer, MotionConvTransformerConfig

TINY = MotionConvTransformerConfig(width=8, motion_width=8, reach=1, synthesis=(8, 8, 8), heads=2)


@pytest.fixture(scope="module")
def model() -> MotionConvTransformer:
    torch.manual_seed(0)
    return MotionConvTransformer(TINY).eval()


def shown(batch: int = 1, height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(batch, 2, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_the_cost_volume_compares_what_lies_as_far_before_as_after() -> None:
    before, after = torch.randn(1, 4, 5, 6), torch.randn(1, 4, 5, 6)
    volume = motion_convtransformer._cost_volume(before, after, 1)
    one, other = (torch.nn.functional.normalize(x, dim=1) for x in (before, after))
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for number, (dy, dx) in enumerate(steps):
        for y in range(5):
            for x in range(6):
                inside = all(0 <= a < 5 for a in (y - dy, y + dy)) and all(0 <= a < 6 for a in (x - dx, x + dx))
                expected = float(one[0, :, y - dy, x - dx] @ other[0, :, y + dy, x + dx]) if inside else 0.0
                assert float(volume[0, number, y, x]) == pytest.approx(expected, abs=1e-6)


def test_both_frames_are_read_where_the_motion_leads_at_the_time() -> None:
    """Something that moves 8 pixels from the first frame to the second is at a quarter of the way 2 pixels further."""
    frames = torch.zeros(1, 2, 3, 16, 32)
    frames[:, 0, :, 6:9, 10], frames[:, 1, :, 6:9, 18] = 1, 1
    motion = torch.tensor([8.0, 0.0])[None, :, None, None].expand(1, 2, 16, 32)
    blend = motion_convtransformer._blended(frames, motion, torch.full((1, 1, 1, 1), 0.25))
    assert float(blend[0, 0, 7, 12]) == pytest.approx(1.0, abs=1e-5)
    assert float(blend.sum()) == pytest.approx(9.0, abs=1e-3)


def test_after_the_second_frame_the_motion_goes_on() -> None:
    frames = torch.zeros(1, 2, 3, 16, 32)
    frames[:, 0, :, 6:9, 10], frames[:, 1, :, 6:9, 14] = 1, 1
    motion = torch.tensor([4.0, 0.0])[None, :, None, None].expand(1, 2, 16, 32)
    blend = motion_convtransformer._blended(frames, motion, torch.full((1, 1, 1, 1), 2.0))
    assert float(blend[0, 0, 7, 18]) == pytest.approx(1.0, abs=1e-5)


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


def test_training_learns_a_shift() -> None:
    """A few steps on one pair that moves bring the drawn frame closer to the one in the middle than their mean."""
    torch.manual_seed(0)
    model = MotionConvTransformer(TINY).train()
    wide = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 14), size=(64, 112), mode="bicubic").clamp(0, 1)
    frames, wanted = torch.stack([wide[..., 8:104], wide[..., :96]], dim=1), wide[..., 4:100]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(80):
        drawn, blends = model.drawn(frames, torch.tensor([[0.5]]))
        loss = (drawn[:, 0] - wanted).abs().mean() + (blends[0] - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean = frames.mean(dim=1)
    error, error_of_mean = (float((x.detach() - wanted).square().mean()) for x in (drawn[:, 0], mean))
    assert error < 0.5 * error_of_mean


@pytest.mark.parametrize("wrong", [{"width": 9, "heads": 2}, {"synthesis": (8,)}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MotionConvTransformerConfig(**wrong)  # type: ignore[arg-type]
