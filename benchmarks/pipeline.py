"""The whole of ``vidpc track`` against its parts, and its memory on a clip and on the same clip many times longer.

rate     frames a second from file to track file, over the slower of decoding alone and the model alone, in turn
memory   peak resident memory of a process for each length

python benchmarks/pipeline.py rate street.mp4 --frames 200
python benchmarks/pipeline.py memory street.mp4 --frames 60 --times 20
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import av
from machine import machine

from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.media.read import read_videos
from vidpc.pipeline.track import Job, Options, make_task, run
from vidpc.presets import TrackConfig, load
from vidpc.stream.batch import Item, group
from vidpc.types import Frame, Sample

HELD_FRAMES = 64  # prepared frames that the model alone is fed with, again and again


def per_second(frames: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return frames / (time.perf_counter() - began)


def in_turn(parts: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each part gives, in turn, so that a busy moment of the machine hits all of them."""
    measured: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            measured[name].append(part())
    return measured


def over_slower(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The rate of the whole over that of the slower of decoding alone and the model alone."""
    ratios = [w / min(d, m) for w, d, m in zip(measured["whole"], measured["decode"], measured["model"], strict=True)]
    return {"median": round(statistics.median(ratios), 3), "best": round(max(ratios), 3)}


def rates(clip: Path, config: TrackConfig, options: Options, rounds: int) -> dict[str, object]:
    """Each part alone and all together, in turn, so that a busy moment of the machine hits all of them."""
    frames = sum(isinstance(item, Frame) for item in read_videos([clip]))
    device = choose(options.device, options.precision)
    task = make_task(config, options, device, keep_frames=False)
    held = [item for item in islice(task.samples(read_videos([clip])), HELD_FRAMES) if isinstance(item, Sample)]
    samples = [held[n % len(held)] for n in range(frames)]
    size = options.batch or device.auto_batch

    def drain(items: Iterable[object]) -> None:
        for _ in items:
            pass

    def batches() -> Iterable[list[Item]]:
        return group(samples, size=size, max_bytes=1 << 30)

    def whole() -> float:
        with tempfile.TemporaryDirectory() as folder:
            summary = run([Job(str(clip), tracks=f"{folder}/tracks.json")], config, options)
        return summary.inputs[0].counted.frames / summary.inputs[0].seconds

    parts = {
        "decode": lambda: per_second(frames, lambda: drain(read_videos([clip]))),
        "prepare": lambda: per_second(frames, lambda: drain(task.samples(read_videos([clip])))),
        "model": lambda: per_second(frames, lambda: drain(infer(batches(), task.step, device=device))),
        "whole": whole,
    }
    measured = in_turn(parts, rounds)
    return {
        "frames": frames,
        "batch": size,
        "frames_per_s": {name: [round(value, 2) for value in values] for name, values in measured.items()},
        "whole_over_slower_part": over_slower(measured),
    }


def repeated(clip: Path, target: Path, *, frames: int, times: int) -> None:
    """The first ``frames`` packets of the clip's video, ``times`` times over, as they were coded."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        packets = [packet for packet in islice(source.demux(stream), frames) if packet.dts is not None]
        length = max(packet.pts for packet in packets) - packets[0].dts + (packets[-1].duration or 1)
        times_of = [(packet.pts, packet.dts) for packet in packets]
        for k in range(times):
            for packet, (pts, dts) in zip(packets, times_of, strict=True):
                packet.pts, packet.dts, packet.stream = pts + k * length, dts + k * length, copy
                sink.mux(packet)


# VmHWM, for a process's ru_maxrss also counts what its parent held when it was started.
_MEASURED = """
import sys
from vidpc.cli.main import main
code = main(sys.argv[1:])
sys.stdout.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""


def peak_mb(clip: Path, arguments: list[str], *, command: str, counted: str) -> dict[str, float]:
    """Peak resident memory of a command on the clip, and the frames or windows (``counted``) that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        words = [sys.executable, "-P", "-c", _MEASURED, command, str(clip), "--out", str(target), *arguments]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        count = len(json.loads(target.read_text())[counted])
    return {counted: count, "peak_mb": round(int(done.stdout) / 1024, 1)}


def memory(
    clip: Path, arguments: list[str], *, frames: int, times: int, command: str = "track", counted: str = "frames"
) -> dict[str, object]:
    """Peak memory of a command on the clip's beginning, and on that beginning ``times`` times over."""
    with tempfile.TemporaryDirectory() as folder:
        lengths = {}
        for name, count in (("clip", 1), ("longer", times)):
            path = Path(folder) / f"{name}.mp4"
            repeated(clip, path, frames=frames, times=count)
            lengths[name] = peak_mb(path, arguments, command=command, counted=counted)
    return {**lengths, "longer_over_clip": round(lengths["longer"]["peak_mb"] / lengths["clip"]["peak_mb"], 3)}


def main() -> None:
    """One benchmark, as the command line says, and one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "memory"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", default="people")
    parser.add_argument("--model", help="a weights file in place of the preset's")
    parser.add_argument("--frames", type=int, default=200, help="of the clip, from its beginning")
    parser.add_argument("--times", type=int, default=20, help="memory: how much longer the long clip is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch", type=int)
    given = parser.parse_args()
    facts = machine()
    if given.what == "memory":
        words = ["--preset", given.preset, "--device", given.device, "--precision", given.precision]
        words += ["--batch", str(given.batch or "auto"), *(["--model", given.model] if given.model else [])]
        figures = memory(given.clip, words, frames=given.frames, times=given.times)
    else:
        config = load(given.preset, TrackConfig, {"weights": given.model} if given.model else {})
        options = Options(device=given.device, precision=given.precision, batch=given.batch)
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.mp4"
            repeated(given.clip, part, frames=given.frames, times=1)
            figures = rates(part, config, options, given.rounds)
    document = {"benchmark": f"pipeline {given.what}", "clip": given.clip.name, **figures, "machine": facts}
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
