"""Which device computes, in which precision, with how many threads."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch

from vidpc.errors import DeviceError

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CUDA_BATCH = 16
# The built-in network at 640x360 on two cores: 50 ms a frame alone, 46 in twos, 46 in fours, 44 in eights. More than two cost
# memory and buy nothing.
_CPU_BATCH = 2
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of glibc's mallopt


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is there, and a precision that it has."""

    name: str  # cpu, cuda:0, cuda:1 …
    precision: str = "fp32"

    @property
    def torch(self) -> torch.device:
        """The device by the name that torch knows."""
        return torch.device(self.name)

    @property
    def is_cuda(self) -> bool:
        """Whether copies to it take time of their own."""
        return self.name.startswith("cuda")

    @property
    def auto_batch(self) -> int:
        """The samples that ``--batch auto`` starts with; running out of memory halves them."""
        return _CUDA_BATCH if self.is_cuda else _CPU_BATCH

    @contextmanager
    def computing(self) -> Iterator[None]:
        """A block that computes on the device in the precision, without gradients."""
        half = _HALVES.get(self.precision)
        with (
            _float32_products("tf32" if self.precision == "tf32" else "ieee"),
            torch.inference_mode(),
            torch.autocast(self.torch.type, dtype=half, enabled=half is not None),
        ):
            yield


def choose(device: str = "auto", precision: str = "fp32") -> Device:
    """The device that a user's words name: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises ``DeviceError``, which says what is there, for a device or a precision that is not.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = _device_name(device, found)
    if precision not in PRECISIONS:
        raise DeviceError(f"precision {precision!r} does not exist: expected one of {', '.join(PRECISIONS)}")
    if name == "cpu" and precision not in ("fp32", "bf16"):
        raise DeviceError(f"precision {precision} needs a CUDA device: on the CPU use fp32 or bf16")
    if name != "cpu" and precision in ("tf32", "bf16") and torch.cuda.get_device_capability(name) < (8, 0):
        major, minor = torch.cuda.get_device_capability(name)
        raise DeviceError(f"precision {precision} needs compute capability 8.0, {name} has {major}.{minor}: use fp32 or fp16")
    return Device(name, precision)


def _device_name(device: str, found: int) -> str:
    if device == "cpu" or (device == "auto" and not found):
        return "cpu"
    match = re.fullmatch(r"(?:auto|cuda(?::(\d+))?)", device)
    if match is None:
        raise DeviceError(f"device {device!r} does not exist: expected auto, cpu, cuda or cuda:N; {_available(found)}")
    number = int(match[1] or 0)
    if number >= found:
        raise DeviceError(f"device {device} is not available: {_available(found)}; use --device auto or one of those")
    return f"cuda:{number}"


def _available(found: int) -> str:
    return "available here: " + ", ".join(["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(found))])


@contextmanager
def _float32_products(precision: str) -> Iterator[None]:
    """How CUDA multiplies float32. Set and put back around each use, for torch keeps it per process."""
    homes: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [home.fp32_precision for home in homes]
    try:
        for home in homes:
            home.fp32_precision = precision
        yield
    finally:
        for home, old in zip(homes, before, strict=True):
            home.fp32_precision = old


def use_cpu_threads() -> int:
    """Lets torch compute with as many threads as this process has CPUs, unless ``OMP_NUM_THREADS`` has a say; returns them.

    It holds for calls from the calling thread alone, so it is called on the thread that runs the model.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cpus())
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Tells glibc to keep large freed blocks for the next batch instead of giving them back page by page.

    Faulting them in again took a fifth of a small network's CPU time (0.189 s a frame against 0.150 in batches of four).
    For the whole process, and only for threads that start later: the memory of threads of their own is always given back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # None: another C library
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_ARENA_MAX, 1)


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs that this process may use: its affinity, and the share that a container grants it (``cpu.max``)."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *_granted(cgroup)]))


def _granted(cgroup: Path) -> list[int]:
    """The whole CPUs that a control group's quota fills, version 2 or 1; empty without a quota."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return []
    try:
        return [ceil(int(quota) / int(period))] if int(quota) > 0 else []
    except (ValueError, ZeroDivisionError):  # "max"
        return []
