"""Batched inference with a small recurrent step: order, carry, memory back-off."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.errors import OutOfMemoryError
from vidpc.stream.batch import group
from vidpc.types import Closed, Opened, Sample

CPU = choose("cpu")
CUDA = "cuda" if torch.cuda.is_available() or os.environ.get("VIDPC_NEED_CUDA") == "1" else None
DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(CUDA, id="cuda", marks=pytest.mark.skipif(CUDA is None, reason="no CUDA device")),
]
Tensors = dict[str, torch.Tensor]


def sample(value: float, stream: int = 0, width: int = 3) -> Sample:
    return Sample({"x": np.full(width, value, np.float32)}, stream, context=value)


class RunningSum:
    """Each row's output is the sum of its own input's values so far: row by row state, as tracking has it."""

    def __init__(self, memory: int = 1000) -> None:
        self.memory = memory  # the largest batch that fits
        self.batches: list[int] = []

    def __call__(self, tensors: Tensors, streams: Sequence[int], carry: Any) -> tuple[Tensors, Any]:
        x = tensors["x"]
        self.batches.append(len(x))
        if len(x) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 TiB.")
        sums = dict(carry or {})
        rows = []
        for stream, row in zip(streams, x, strict=True):
            sums[stream] = sums.get(stream, 0) + row
            rows.append(sums[stream])
        return {"sum": torch.stack(rows)}, sums


def shown(outputs: Iterator[Any]) -> list[Any]:
    return [o.stream if isinstance(o, Closed) else (o[0].context, float(o[1]["sum"][0])) for o in outputs]


# Two inputs, the second begins within a batch; sums by hand.
ITEMS = [sample(1), sample(2), sample(3), Closed(0), sample(10, 1), sample(20, 1), Closed(1)]
EXPECTED = [(1, 1), (2, 3), (3, 6), 0, (10, 10), (20, 30), 1]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16])
def test_any_batch_size_gives_the_same_in_the_same_order(device: str, size: int):
    step = RunningSum()
    outputs = infer(group(ITEMS, size=size, max_bytes=1000), step, device=choose(device))
    assert shown(outputs) == EXPECTED
    assert max(step.batches) == min(size, 5)


@pytest.mark.parametrize("device", DEVICES)
def test_memory_that_ends_halves_the_batch_and_keeps_the_carry(device: str, caplog: pytest.LogCaptureFixture):
    step = RunningSum(memory=2)
    outputs = shown(infer([ITEMS, [sample(4)] * 5], step, device=choose(device)))
    assert outputs == [*EXPECTED, *[(4, 10 + 4 * n) for n in range(5)]]
    # 5 fails, 3 fails, 2 is then known to fit: for the rest of this batch and for the next one.
    assert step.batches == [5, 3, 2, 1, 2, 2, 2, 1]
    assert "with a batch of 5: going on with 3" in caplog.text


def test_each_shape_has_a_size_of_its_own():
    class Fits(RunningSum):
        def __call__(self, tensors: Tensors, streams: Sequence[int], carry: Any) -> tuple[Tensors, Any]:
            self.memory = 1 if tensors["x"].shape[1] == 9 else 4
            return super().__call__(tensors, [0] * len(streams), None)

    step = Fits()
    wide = [sample(1, width=9), sample(2, width=9)]
    list(infer([wide, [sample(1)] * 4, wide], step, device=CPU))
    assert step.batches == [2, 1, 1, 4, 1, 1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."
        ),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_memory_that_ends_for_one_sample_is_an_error_that_names_the_option(error: Exception):
    def step(*_: Any) -> Any:
        raise error

    with pytest.raises(OutOfMemoryError, match=r"memory ran out on cpu even with --batch 1 \(x 3\): use a smaller"):
        list(infer([[sample(1), sample(2)]], step, device=CPU))


def test_an_allocation_that_really_fails_is_understood():
    def step(tensors: Tensors, *_: Any) -> Any:
        return {"x": torch.empty(len(tensors["x"]), 1 << 50)}, None

    with pytest.raises(OutOfMemoryError, match="--batch 1"):
        list(infer([[sample(1)]], step, device=CPU))


def test_other_errors_are_not_taken_for_memory():
    def step(*_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(infer([[sample(1)]], step, device=CPU))


def test_half_precision_outputs_come_as_float32():
    def step(tensors: Tensors, *_: Any) -> Any:
        return {"y": tensors["x"].bfloat16(), "n": torch.ones(len(tensors["x"]), dtype=torch.int64)}, None

    [(_, arrays)] = infer([[sample(1)]], step, device=CPU)
    assert arrays["y"].dtype == np.float32
    assert arrays["n"].dtype == np.int64


def test_a_step_that_loses_rows_is_told_so():
    with pytest.raises(ValueError, match=r"output y has shape \(3,\), expected 2 rows"):
        list(infer([[sample(1), sample(2)]], lambda *_: ({"y": torch.ones(3)}, None), device=CPU))


def test_batches_without_samples_pass_through_without_the_model():
    step = RunningSum()
    assert shown(infer([[Closed(0)], [Closed(1)]], step, device=CPU)) == [0, 1]
    assert step.batches == []


def test_nothing_gives_nothing():
    assert list(infer([], RunningSum(), device=CPU)) == []


def test_results_do_not_wait_for_the_next_batch_on_a_cpu():
    def batches() -> Iterator[list[Sample | Opened | Closed]]:
        yield [sample(1), sample(2)]
        pytest.fail("the first batch was not given back yet")

    outputs = infer(batches(), RunningSum(), device=CPU)
    assert shown([next(outputs), next(outputs)]) == [(1, 1), (2, 3)]  # type: ignore[arg-type]


def test_the_step_computes_without_gradients():
    modes: list[bool] = []

    def step(tensors: Tensors, *_: Any) -> Any:
        modes.append(torch.is_inference_mode_enabled())
        return tensors, None

    for _ in infer([[sample(1)]], step, device=CPU):
        assert not torch.is_inference_mode_enabled()
    assert modes == [True]
