"""Which device a user's words name, and what is refused."""

from pathlib import Path

import pytest
import torch

from vidpc.engine import device as devices
from vidpc.engine.device import available_cpus, choose, use_cpu_threads
from vidpc.errors import DeviceError


@pytest.fixture
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"Card {i}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (7, 5) if name == "cuda:1" else (9, 0))


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("_two_gpus")
@pytest.mark.parametrize(("words", "name"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")])
def test_words_name_a_device(words: str, name: str):
    assert choose(words).name == name


@pytest.mark.usefixtures("_no_gpu")
def test_auto_is_the_cpu_where_there_is_no_gpu():
    assert choose("auto").name == "cpu"


@pytest.mark.usefixtures("_no_gpu")
def test_a_missing_gpu_is_an_error_that_says_what_is_there():
    with pytest.raises(DeviceError, match="device cuda is not available: available here: cpu;"):
        choose("cuda")


@pytest.mark.usefixtures("_two_gpus")
def test_a_gpu_beyond_the_last_is_an_error_that_lists_them():
    with pytest.raises(
        DeviceError, match=r"cuda:2 is not available: available here: cpu, cuda:0 \(Card 0\), cuda:1 \(Card 1\)"
    ):
        choose("cuda:2")


@pytest.mark.parametrize("words", ["gpu", "cuda:", "cuda:x", "", "CPU", "0"])
def test_other_words_are_errors(words: str):
    with pytest.raises(DeviceError, match="expected auto, cpu, cuda or cuda:N"):
        choose(words)


def test_an_unknown_precision_is_an_error():
    with pytest.raises(DeviceError, match="expected one of fp32, tf32, bf16, fp16"):
        choose("cpu", "int8")


@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_precisions_that_the_cpu_lacks_are_errors(precision: str):
    with pytest.raises(DeviceError, match=f"{precision} needs a CUDA device: on the CPU use fp32 or bf16"):
        choose("cpu", precision)


@pytest.mark.usefixtures("_two_gpus")
def test_an_older_card_has_no_bf16():
    assert choose("cuda:0", "bf16").precision == "bf16"
    with pytest.raises(DeviceError, match=r"compute capability 8\.0, cuda:1 has 7\.5"):
        choose("cuda:1", "bf16")


def test_computing_needs_no_gradients_and_puts_precision_back():
    product = torch.backends.cuda.matmul
    before = product.fp32_precision
    with choose("cpu").computing():
        assert torch.is_inference_mode_enabled()
        assert product.fp32_precision == "ieee"
        assert not torch.is_autocast_enabled("cpu")
    assert product.fp32_precision == before
    assert not torch.is_inference_mode_enabled()


def test_bf16_computes_in_bf16():
    a = torch.ones(2, 2)
    with choose("cpu", "bf16").computing():
        assert (a @ a).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("max 100000", 64), ("0 0", 64), ("", 64)],
)
def test_a_containers_share_bounds_the_cpus(quota: str, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    assert available_cpus(tmp_path) == cpus


def test_an_older_control_group_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("400000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == 4


def test_threads_follow_the_cpus_unless_the_user_said_otherwise(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(devices, "available_cpus", lambda: 1)
        assert use_cpu_threads() == 1
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert use_cpu_threads() == 2
    finally:
        torch.set_num_threads(before)
