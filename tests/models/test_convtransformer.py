"""ConvTransformer: attention beside loops written from the paper, times, sizes, batches."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.models import convtransformer
from vidpc.models.convtransformer import ConvTransformer, ConvTransformerConfig

TINY = ConvTransformerConfig(frames=3, width=8, heads=2, encoder_layers=1, decoder_layers=1, synthesis=(8, 8, 8), stride=2)


@pytest.fixture(scope="module")
def model() -> ConvTransformer:
    torch.manual_seed(0)
    return ConvTransformer(TINY).eval()


def shown(batch: int = 1, height: int = 24, width: int = 32) -> Tensor:
    return torch.rand(batch, 3, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_attention_is_that_of_the_paper() -> None:
    """Every pair of a query map and a key map is laid side by side and convolved; the softmax is over the keys."""
    torch.manual_seed(0)
    attention = convtransformer._Attention(8, 2)
    x, memory = torch.randn(1, 2, 8, 5, 6), torch.randn(1, 3, 8, 5, 6)
    queries, keys, values = (
        part(maps[0]).unflatten(1, (2, 4))
        for part, maps in ((attention.query, x), (attention.key, memory), (attention.value, memory))
    )
    kernel = torch.cat([attention.score_query.weight, attention.score_key.weight], dim=1)
    expected = torch.zeros(2, 2, 4, 5, 6)
    for i in range(2):
        for head in range(2):
            bias = attention.score_query.bias[head : head + 1]
            pairs = [torch.cat([queries[i, head], keys[j, head]])[None] for j in range(3)]
            scores = [F.leaky_relu(F.conv2d(pair, kernel[head : head + 1], bias, padding=1), 0.2)[0] for pair in pairs]
            weights = torch.stack(scores).softmax(dim=0)
            expected[i, head] = sum(weights[j] * values[j, head] for j in range(3))
    torch.testing.assert_close(attention(x, memory)[0], expected.flatten(1, 2), atol=1e-6, rtol=1e-5)


def test_the_encoding_of_a_frame_is_the_sine_of_its_place() -> None:
    encoding = convtransformer._encoding(torch.tensor([[1.5]]), 4)[0, 0, :, 0, 0]
    expected = [math.sin(1.5), math.sin(0.015), math.cos(1.5), math.cos(0.015)]
    torch.testing.assert_close(encoding, torch.tensor(expected))


@pytest.mark.parametrize(("time", "value"), [(0.0, 10.0), (0.25, 12.5), (1.0, 20.0), (1.5, 25.0), (2.0, 30.0), (2.7, 30.0)])
def test_a_query_begins_between_its_neighbours_and_after_the_end_with_the_last(time: float, value: float) -> None:
    sequence = torch.tensor([10.0, 20.0, 30.0])[None, :, None]
    assert float(convtransformer._between(sequence, torch.tensor([[time]]))) == pytest.approx(value)


@pytest.mark.parametrize("size", [(24, 32), (17, 23), (8, 8)])
def test_any_size_comes_back_in_the_range_of_pictures(model: ConvTransformer, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        new = model(shown(2, *size), torch.tensor([[0.5, 3.0]] * 2))
    assert new.shape == (2, 2, 3, *size)
    assert 0 <= float(new.min()) <= float(new.max()) <= 1


def test_a_sequence_is_the_same_alone_and_in_a_batch(model: ConvTransformer) -> None:
    frames, times = shown(3), torch.tensor([[0.5], [1.5], [2.5]])
    with torch.inference_mode():
        together = model(frames, times)
        alone = torch.cat([model(frames[i : i + 1], times[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"frames": 1}, {"width": 6}, {"synthesis": (8, 8)}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ConvTransformerConfig(**wrong)  # type: ignore[arg-type]
