"""TransTrack at its published size: frames a second in batches over time, over a plain frame-by-frame port.

The port is what a straight translation of the authors' loop does: one frame at a time in float32, sampling with one
``grid_sample`` a level, batch norms as layers of their own, default memory layout. Both run in this process, in turn, on the
same frames; the weights are random, since time does not depend on them.

    python benchmarks/transtrack.py --device cpu --height 360 --width 640 --frames 8 --batch 4
    python benchmarks/transtrack.py --device cuda --height 750 --width 1333 --frames 64 --batch 16 --precision bf16
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch

from vidpc.engine.device import Device, choose
from vidpc.engine.prepare import prepare
from vidpc.models import deformable
from vidpc.models.transtrack import TransTrack, TransTrackConfig
from vidpc.ops.deformable import sample_by_grid


def frame_by_frame(model: TransTrack, video: torch.Tensor) -> None:
    """The authors' loop: state is handed from frame to frame."""
    carry = None
    with mock.patch.object(deformable, "sample_levels", sample_by_grid):
        for frame in video:
            carry = model(frame[None], torch.tensor([0], device=video.device), carry).carry


def in_batches(model: TransTrack, video: torch.Tensor, size: int) -> None:
    """Our way: a batch is a run of frames, and only its last frame is carried on."""
    carry = None
    for start in range(0, len(video), size):
        run = video[start : start + size].contiguous(memory_format=torch.channels_last)
        first = 0 if carry is None else 1
        previous = torch.tensor([0, *range(first, first + len(run) - 1)], device=video.device)
        carry = model(run, previous, carry).carry.rows(torch.tensor([len(run) - 1], device=video.device))


def seconds(device: Device, work: Callable[[], None]) -> float:
    """How long ``work`` takes, everything on the device included."""
    start = time.perf_counter()
    work()
    if device.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Both, in turn, and one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--height", type=int, default=750)
    parser.add_argument("--width", type=int, default=1333)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    torch.manual_seed(0)
    ours, plain = choose(options.device, options.precision), choose(options.device)
    port = TransTrack(TransTrackConfig()).eval().requires_grad_(False).to(plain.torch)
    model = prepare(TransTrack(TransTrackConfig()), ours)
    video = torch.randn(options.frames, 3, options.height, options.width, device=ours.torch)
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    for round_number in range(options.rounds + 1):
        with plain.computing():
            plain_s = seconds(plain, lambda: frame_by_frame(port, video))
        with ours.computing():
            ours_s = seconds(ours, lambda: in_batches(model, video, options.batch))
        if round_number:  # the first is for warming up
            rates["plain"].append(options.frames / plain_s)
            rates["ours"].append(options.frames / ours_s)
    median = {name: statistics.median(values) for name, values in rates.items()}
    name = torch.cuda.get_device_name() if ours.is_cuda else f"{platform.machine()}, {torch.get_num_threads()} threads"
    print(  # noqa: T201
        json.dumps(
            vars(options)
            | {"frames_per_s": median, "ratio": median["ours"] / median["plain"]}
            | {"machine": name, "torch": torch.__version__},
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
