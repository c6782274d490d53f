"""The whole of ``vidpc recognize`` against its parts, what overlapping windows cost, and its memory on long videos.

rate     windows and frames a second from file to file, over the slower of decoding alone and the models alone, in turn
overlap  seconds with windows that overlap by half, over those with windows side by side
memory   peak resident memory of a process for each length

python benchmarks/recognize.py rate street.mp4 --frames 600
python benchmarks/recognize.py overlap street.mp4 --frames 600
python benchmarks/recognize.py memory street.mp4 --frames 300 --times 20
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from machine import machine
from pipeline import in_turn, memory, over_slower, per_second, repeated

from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.media.read import read_videos
from vidpc.pipeline.recognize import Job, Options, make_task, run
from vidpc.presets import RecognizeConfig, build, load
from vidpc.stream.batch import Item, group
from vidpc.types import Frame, Sample

HELD_WINDOWS = 8  # prepared windows that the models alone are fed with, again and again


def whole(clip: Path, configs: Sequence[RecognizeConfig], options: Options) -> tuple[int, float]:
    """Windows, and the input's own seconds, without loading weights."""
    with tempfile.TemporaryDirectory() as folder:
        summary = run([Job(str(clip), out=f"{folder}/actions.json")], configs, options)
    return summary.inputs[0].counted.windows, summary.inputs[0].seconds


def rates(clip: Path, configs: Sequence[RecognizeConfig], options: Options, rounds: int) -> dict[str, object]:
    """Each part alone and all together, in turn, so that a busy moment of the machine hits all of them."""
    frames = sum(isinstance(item, Frame) for item in read_videos([clip]))
    device = choose(options.device, options.precision)
    task = make_task(configs, options, device)
    size = options.batch or device.auto_batch
    held = [item for item in islice(task.samples(read_videos([clip])), HELD_WINDOWS) if isinstance(item, Sample)]
    windows = whole(clip, configs, options)[0]

    def drain(items: Iterable[object]) -> None:
        for _ in items:
            pass

    def batches() -> Iterable[list[Item]]:
        return group([held[n % len(held)] for n in range(windows)], size=size, max_bytes=1 << 30)

    def all_of_it() -> float:
        count, seconds = whole(clip, configs, options)
        return count / seconds

    parts = {
        "decode": lambda: per_second(windows, lambda: drain(read_videos([clip]))),
        "prepare": lambda: per_second(windows, lambda: drain(task.samples(read_videos([clip])))),
        "model": lambda: per_second(windows, lambda: drain(infer(batches(), task.step, device=device))),
        "whole": all_of_it,
    }
    measured = in_turn(parts, rounds)
    return {
        "frames": frames,
        "windows": windows,
        "batch": size,
        "windows_per_s": {name: [round(value, 3) for value in values] for name, values in measured.items()},
        "frames_per_s": {name: [round(value * frames / windows, 2) for value in values] for name, values in measured.items()},
        "whole_over_slower_part": over_slower(measured),
    }


def overlap(clip: Path, configs: Sequence[RecognizeConfig], options: Options, rounds: int) -> dict[str, object]:
    """Windows that overlap by half against windows side by side, in turn; decoding alone beside them."""
    window_s = float(make_task(configs, options, choose(options.device, options.precision)).rule.window_s)
    hops = {"side by side": window_s, "half": 0.0}  # 0 stands for about half a window
    windows: dict[str, int] = {}
    seconds: dict[str, list[float]] = {"decode": [], **{name: [] for name in hops}}
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in read_videos([clip]):
            pass
        seconds["decode"].append(time.perf_counter() - began)
        for name, hop_s in hops.items():
            windows[name], taken = whole(clip, [replace(config, hop_s=hop_s) for config in configs], options)
            seconds[name].append(taken)
    costs = [half / single for half, single in zip(seconds["half"], seconds["side by side"], strict=True)]
    return {
        "windows": windows,
        "seconds": {name: [round(value, 3) for value in values] for name, values in seconds.items()},
        "half_over_side_by_side": {"median": round(statistics.median(costs), 3), "best": round(min(costs), 3)},
        "windows_ratio": round(windows["half"] / windows["side by side"], 3),
    }


def main() -> None:
    """One benchmark, as the command line says, and one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "overlap", "memory"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", default="fight,camera", help="presets, with commas between them")
    parser.add_argument("--model", help="weights files instead of presets, with commas between them")
    parser.add_argument("--frames", type=int, default=600, help="of the clip, from its beginning")
    parser.add_argument("--times", type=int, default=20, help="memory: how much longer the long clip is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch", type=int)
    given = parser.parse_args()
    facts = machine()
    if given.what == "memory":
        words = ["--model", given.model] if given.model else ["--preset", given.preset]
        words += ["--device", given.device, "--precision", given.precision, "--batch", str(given.batch or "auto")]
        figures = memory(given.clip, words, frames=given.frames, times=given.times, command="recognize", counted="windows")
    else:
        if given.model:
            configs = [build(RecognizeConfig, {"weights": name}, owner=name) for name in given.model.split(",")]
        else:
            configs = [load(name, RecognizeConfig) for name in given.preset.split(",")]
        options = Options(device=given.device, precision=given.precision, batch=given.batch)
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.mp4"
            repeated(given.clip, part, frames=given.frames, times=1)
            figures = (rates if given.what == "rate" else overlap)(part, configs, options, given.rounds)
    document = {"benchmark": f"recognize {given.what}", "clip": given.clip.name, **figures, "machine": facts}
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
