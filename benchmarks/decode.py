"""How much reading costs beyond decoding, and that its memory does not grow with length.

    python benchmarks/decode.py [--frames 300] [--rounds 5] [--out decode.json]

Makes a 1920x1080 H.264 clip and reads it in rounds, each round in every way, so that a busy machine is busy for all of them:

    decode   PyAV alone: packets in, decoded frames out, the same number of threads
    planes   read_videos and the coded planes stacked into batches of 8 (what a GPU gets)
    model    read_videos and RGB of 640x360 stacked into batches of 8 (what the CPU path gets)
    full     read_videos and RGB of 1920x1080 stacked into batches of 8

A ratio is the median over the rounds of decode's seconds through the way's; the one of processor seconds is that of a machine
whose cores are all busy, and the one to trust on a shared one. Memory is the peak of a fresh process.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from vidpc.media.read import read_videos
from vidpc.types import Frame

WIDTH, HEIGHT, BATCH = 1920, 1080, 8
MODEL_SIZE = (640, 360)
TIMES_LONGER = 20


def make_clip(path: Path, count: int) -> None:
    """A textured background that pans, with walking blocks: about as many bits as a camera's picture."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(30, 220, (80, 140, 3), dtype=np.uint8), np.ones((18, 18, 1), np.uint8))
    texture = (texture * 0.7 + rng.integers(0, 40, texture.shape)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(count):
            x, y = 2 * k % (texture.shape[1] - WIDTH), k % (texture.shape[0] - HEIGHT)
            picture = texture[y : y + HEIGHT, x : x + WIDTH].copy()
            for block in range(6):
                left = (block * 311 + 5 * k) % (WIDTH - 90)
                picture[200 + 110 * block : 400 + 110 * block, left : left + 90] = (40 * block, 255 - 40 * block, 128)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def repeat(source: Path, target: Path, times: int) -> None:
    """The same packets several times after each other, with times that go on."""
    with av.open(str(target), "w") as output:
        copy = None
        for turn in range(times):
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                copy = copy or output.add_stream_from_template(stream)
                shift = turn * stream.duration
                for packet in container.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                        output.mux(packet)


def decode_only(path: Path) -> int:
    """PyAV alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = len(os.sched_getaffinity(0))
        return sum(1 for _ in container.decode(stream))


def stacked(path: Path, into: Callable[[Frame, int], None]) -> int:
    """Frames of a reading, each put into its place of a batch."""
    count = 0
    for item in read_videos([path]):
        if isinstance(item, Frame):
            into(item, count % BATCH)
            count += 1
    return count


def planes(path: Path) -> int:
    """The coded planes, stacked."""
    y = np.empty((BATCH, HEIGHT, WIDTH), np.uint8)
    uv = np.empty((BATCH, 2, HEIGHT // 2, WIDTH // 2), np.uint8)

    def into(frame: Frame, place: int) -> None:
        coded = frame.image.planes()
        if coded is None:
            raise SystemExit("the clip has no 4:2:0 planes")
        y[place], uv[place, 0], uv[place, 1] = coded.y, coded.u, coded.v

    return stacked(path, into)


def rgb(path: Path, width: int, height: int) -> int:
    """RGB of one size, stacked."""
    batch = np.empty((BATCH, height, width, 3), np.uint8)

    def into(frame: Frame, place: int) -> None:
        batch[place] = frame.rgb(width, height)

    return stacked(path, into)


WAYS: dict[str, Callable[[Path], int]] = {
    "decode": decode_only,
    "planes": planes,
    "model": lambda path: rgb(path, *MODEL_SIZE),
    "full": lambda path: rgb(path, WIDTH, HEIGHT),
}


def measure(path: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Frames a second and the ratio to decoding alone, of every way."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    count = decode_only(path)  # warms the file's pages
    for _ in range(rounds):
        for name, way in WAYS.items():
            started, cpu_started = time.perf_counter(), time.process_time()
            if way(path) != count:
                raise SystemExit(f"{name} gave another number of frames")
            seconds[name].append(time.perf_counter() - started)
            cpu_seconds[name].append(time.process_time() - cpu_started)
    return {
        name: {
            "frames_per_s": round(count / statistics.median(times), 1),
            "ratio": _ratio(seconds["decode"], times),
            "cpu_ratio": _ratio(cpu_seconds["decode"], cpu_seconds[name]),
        }
        for name, times in seconds.items()
    }


def _ratio(base: list[float], times: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(base, times, strict=True)), 3)


def peak_mb(way: str, path: Path) -> float:
    """The most memory of a fresh process that reads a file in one way."""
    command = [sys.executable, __file__, "--peak", way, str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _high_water_mb() -> float:
    # Not getrusage: its peak is inherited from the parent across fork and exec.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        WAYS[arguments.peak[0]](Path(arguments.peak[1]))
        sys.stdout.write(str(_high_water_mb()))
        return
    with tempfile.TemporaryDirectory() as folder:
        clip, long = Path(folder, "clip.mp4"), Path(folder, "long.mp4")
        make_clip(clip, arguments.frames)
        repeat(clip, long, TIMES_LONGER)
        short_mb, long_mb = peak_mb("model", clip), peak_mb("model", long)
        result = {
            "clip": {"size": f"{WIDTH}x{HEIGHT}", "frames": arguments.frames, "bytes": clip.stat().st_size},
            "rates": measure(clip, arguments.rounds),
            "memory": {
                "clip_mb": round(short_mb, 1),
                f"{TIMES_LONGER}_times_longer_mb": round(long_mb, 1),
                "ratio": round(long_mb / short_mb, 3),
            },
            "machine": {
                "cpu": platform.processor() or platform.machine(),
                "cores": len(os.sched_getaffinity(0)),
                "load": round(os.getloadavg()[0], 1),
                "python": platform.python_version(),
                "av": av.__version__,
                "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
            },
        }
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
