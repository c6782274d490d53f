"""The whole of ``vidpc inpaint``: its rate and the share of each stage, and its memory on a clip and on one many times longer.

What is filled is a square of a quarter of the picture's width that moves over it and back again.

rate     frames a second from file to file for each size, and the seconds of each stage over those of the whole
memory   peak resident memory of a process for each length

python benchmarks/inpaint.py rate street.mp4 --frames 40 --sizes 640x360 1280x720
python benchmarks/inpaint.py memory street.mp4 --frames 100 --times 20 --sizes 320x180
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from machine import machine, tell
from pipeline import _MEASURED, in_turn, repeated
from synthesize import scaled

from vidpc.media.masks import MaskSource
from vidpc.pipeline.inpaint import Job, Options, run
from vidpc.presets import InpaintConfig, build, load

SQUARE = 0.25  # of the width
PERIOD = 120  # frames of the way there and back


def write_tracks(path: Path, *, width: int, height: int, frames: int, rate_fps: float) -> Path:
    """The moving square as what ``vidpc track`` would have written of it."""
    side = round(SQUARE * width)
    rows = []
    for k in range(frames):
        way = abs((k % PERIOD) / (PERIOD / 2) - 1)
        x, y = round(way * (width - side)), round(0.5 * (height - side))
        found = [{"id": 1, "label": "square", "score": 1, "box_xyxy": [x, y, x + side, y + side]}]
        rows.append({"index": k, "time_s": k / rate_fps, "tracks": found})
    video = {"width": width, "height": height, "frame_count": frames}
    document = {"format": "vidpc-tracks", "version": 1, "video": video, "model": {"labels": ["square"]}, "frames": rows}
    path.write_text(json.dumps(document))
    return path


def rates(clip: Path, tracks: Path, config: InpaintConfig, options: Options, rounds: int) -> dict[str, object]:
    """Frames a second of the whole, and the share of each stage of the last round."""
    stages: dict[str, float] = {}

    def whole() -> float:
        with tempfile.TemporaryDirectory() as folder:
            summary = run([Job(str(clip), MaskSource(str(tracks), fit=True), f"{folder}/out.mp4")], config, options)
        [row] = summary.inputs
        if row.error is not None:
            raise row.error
        stages.update({stage: round(seconds / row.seconds, 3) for stage, seconds in summary.stages.items()})
        return row.counted.frames / row.seconds

    measured = in_turn({"whole": whole}, rounds)["whole"]
    return {"frames_per_s": [round(value, 2) for value in measured], "stage_over_whole": dict(stages)}


def peak(clip: Path, tracks: Path, arguments: list[str]) -> dict[str, float]:
    """Peak resident memory of ``vidpc inpaint`` on the clip, and the frames that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["inpaint", str(clip), "--mask", str(tracks), "--mask-fit", "--out", f"{folder}/out.mp4", "--progress", "json"]
        command = [sys.executable, "-P", "-c", _MEASURED, *words, *arguments]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    [row] = json.loads(done.stderr.splitlines()[-1])["summary"]["inputs"]
    return {"frames": row["frames"], "peak_mb": round(int(done.stdout) / 1024, 1), "seconds": round(seconds, 1)}


def _of(clip: Path, folder: Path, size: tuple[int, int], given: argparse.Namespace) -> dict[str, object]:
    """The figures of one size."""
    facts = {"width": size[0], "height": size[1], "rate_fps": 25.0}
    if given.what == "rate":
        config = build(InpaintConfig, {"weights": given.model}, owner=given.model) if given.model else None
        options = Options(device=given.device, precision=given.precision, batch=given.batch)
        tracks = write_tracks(folder / "t.json", frames=given.frames, **facts)
        return rates(clip, tracks, config or load(given.preset, InpaintConfig), options, given.rounds)
    words = ["--device", given.device, "--precision", given.precision, "--batch", str(given.batch or "auto")]
    words += ["--model", given.model] if given.model else ["--preset", given.preset]
    peaks = {}
    for name, times in (("clip", 1), ("longer", given.times)):
        path = folder / f"{name}.mp4"
        repeated(clip, path, frames=given.frames, times=times)
        tracks = write_tracks(folder / f"{name}.json", frames=given.frames * times, **facts)
        peaks[name] = peak(path, tracks, words)
    return {**peaks, "longer_over_clip": round(peaks["longer"]["peak_mb"] / peaks["clip"]["peak_mb"], 3)}


def main() -> None:
    """One benchmark for every size, as the command line says, and one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "memory"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--preset", default="aligned")
    parser.add_argument("--model", help="a weights file in place of the preset's")
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1280x720"], metavar="WxH")
    parser.add_argument("--frames", type=int, default=40, help="of the clip, from its beginning")
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
        with tempfile.TemporaryDirectory() as name:
            part = Path(name) / "part.mp4"
            scaled(given.clip, part, width=width, height=height, frames=given.frames)
            figures[size] = _of(part, Path(name), (width, height), given)
    tell({"benchmark": f"inpaint {given.what}", "clip": given.clip.name, **figures}, given.out)


if __name__ == "__main__":
    main()
