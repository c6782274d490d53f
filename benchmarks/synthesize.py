"""The whole of ``vidpc synthesize`` against its parts, and its memory on a clip and on the same clip many times longer.

rate     frames of the output a second from file to file, for each size, the share of each stage, and the parts alone, in turn
memory   peak resident memory of a process for each length

python benchmarks/synthesize.py rate street.mp4 --frames 20 --sizes 640x360 1280x720
python benchmarks/synthesize.py memory street.mp4 --frames 20 --times 20 --sizes 320x180
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from machine import machine, tell
from pipeline import _MEASURED, in_turn, over_slower, per_second, repeated

from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.media.read import read_videos
from vidpc.media.video_writer import open_video
from vidpc.pipeline.synthesize import Asked, Job, Options, make_task, run
from vidpc.presets import SynthesizeConfig, build, load
from vidpc.stream.batch import Item, group
from vidpc.types import Frame, Opened, Sample, VideoFormat

ASKED = Asked(factor=2)


def scaled(clip: Path, target: Path, *, width: int, height: int, frames: int) -> None:
    """The beginning of a clip in another size, of square pixels, coded well."""
    items = read_videos([clip])
    opened = next(items)
    if not isinstance(opened, Opened):
        raise SystemExit(f"cannot open {clip}")
    sizes = {"width": width, "height": height, "coded_width": width, "coded_height": height}
    info = replace(opened.info, **sizes, rotation_deg=0, mirrored=False, sample_aspect=Fraction(1))
    with open_video(target, info, video_format=VideoFormat(crf=16)) as video:
        for frame in islice((item for item in items if isinstance(item, Frame)), frames):
            video.write(frame.rgb(width, height), frame.time_s)


def rates(clip: Path, config: SynthesizeConfig, options: Options, rounds: int) -> dict[str, object]:
    """Each part alone and all together, in turn, so that a busy moment of the machine hits all of them."""
    device = choose(options.device, options.precision)
    task = make_task(config, ASKED, device)
    samples = [item for item in task.samples(read_videos([clip])) if isinstance(item, Sample)]
    frames = sum(isinstance(item, Frame) for item in read_videos([clip]))
    size = options.batch or device.auto_batch
    stages: dict[str, float] = {}
    counts: dict[str, int] = {}

    def drain(items: Iterable[object]) -> None:
        for _ in items:
            pass

    def batches() -> Iterable[list[Item]]:
        return group(samples, size=size, max_bytes=1 << 30)

    def whole() -> float:
        with tempfile.TemporaryDirectory() as folder:
            summary = run([Job(str(clip), f"{folder}/out.mp4")], config, options)
        [row] = summary.inputs
        if row.error is not None:
            raise row.error
        stages.update({stage: round(seconds / row.seconds, 3) for stage, seconds in summary.stages.items()})
        counts.update({"frames": row.counted.frames, "new": row.counted.new})
        return row.counted.frames / row.seconds

    # every part in frames of the output a second
    made = ASKED.factor * frames
    parts = {
        "decode": lambda: per_second(made, lambda: drain(read_videos([clip]))),
        "prepare": lambda: per_second(made, lambda: drain(task.samples(read_videos([clip])))),
        "model": lambda: per_second(made, lambda: drain(infer(batches(), task.step, device=device))),
        "whole": whole,
    }
    measured = in_turn(parts, rounds)
    return {
        "batch": size,
        "frames_per_s": {name: [round(value, 2) for value in values] for name, values in measured.items()},
        "whole_over_slower_part": over_slower(measured),
        **counts,
        "stage_over_whole": dict(stages),
    }


def peak(clip: Path, arguments: list[str]) -> dict[str, float]:
    """Peak resident memory of ``vidpc synthesize`` on the clip, and the frames that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["synthesize", str(clip), "--factor", str(ASKED.factor), "--out", f"{folder}/out.mp4", "--progress", "json"]
        command = [sys.executable, "-P", "-c", _MEASURED, *words, *arguments]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    [row] = json.loads(done.stderr.splitlines()[-1])["summary"]["inputs"]
    return {"frames": row["frames"], "peak_mb": round(int(done.stdout) / 1024, 1), "seconds": round(seconds, 1)}


def memory(clip: Path, arguments: list[str], *, frames: int, times: int) -> dict[str, object]:
    """Peak memory on the clip's beginning, and on that beginning ``times`` times over."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for name, count in (("clip", 1), ("longer", times)):
            path = Path(folder) / f"{name}.mp4"
            repeated(clip, path, frames=frames, times=count)
            peaks[name] = peak(path, arguments)
    return {**peaks, "longer_over_clip": round(peaks["longer"]["peak_mb"] / peaks["clip"]["peak_mb"], 3)}


def main() -> None:
    """One benchmark for every size, as the command line says, and one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "memory"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", default="motion")
    parser.add_argument("--model", help="a weights file in place of the preset's")
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1280x720"], metavar="WxH")
    parser.add_argument("--frames", type=int, default=20, help="of the clip, from its beginning")
    parser.add_argument("--times", type=int, default=20, help="memory: how much longer the long clip is")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine()  # a version that is missing is met before the work
    figures = {}
    for size in given.sizes:
        width, height = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.mp4"
            scaled(given.clip, part, width=width, height=height, frames=given.frames)
            figures[size] = _of(part, given)
    tell({"benchmark": f"synthesize {given.what}", "clip": given.clip.name, **figures}, given.out)


def _of(clip: Path, given: argparse.Namespace) -> dict[str, object]:
    if given.what == "memory":
        words = ["--device", given.device, "--precision", given.precision, "--batch", str(given.batch or "auto")]
        words += ["--model", given.model] if given.model else ["--preset", given.preset]
        return memory(clip, words, frames=given.frames, times=given.times)
    if given.model:
        config = build(SynthesizeConfig, {"weights": given.model}, owner=given.model)
    else:
        config = load(given.preset, SynthesizeConfig)
    options = Options(ASKED, device=given.device, precision=given.precision, batch=given.batch)
    return rates(clip, config, options, given.rounds)


if __name__ == "__main__":
    main()
