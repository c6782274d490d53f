"""How much faster neighbours and farthest points are found than by plain loops, with the same results.

    python benchmarks/neighbours.py [--points 80000] [--rounds 3] [--out neighbours.json]

Two clouds: ``cube``, points spread evenly through a volume, and ``room``, points on walls, a floor and a ceiling. The naive
versions are what one writes first: all distances of a query at a time, sorted in part (k nearest); all distances to the last
sample, once a sample (farthest points). Both in numpy. Every naive version is run on a part of the work where --naive-share is
below 1, and its time taken as that of the whole. Ratios are of processor seconds: those of a shared machine wander less.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import tell

from vidpc.ops.neighbours import farthest, nearest

K, KEPT = 16, 4  # neighbours of a point, and one in how many is sampled


def cube(random: np.random.Generator, count: int) -> np.ndarray:
    """Points in a volume, f32[n 3]."""
    return random.random((count, 3)).astype(np.float32)


def room(random: np.random.Generator, count: int) -> np.ndarray:
    """Points on the six sides of a room, with a scanner's noise, f32[n 3]."""
    xyz = random.random((count, 3)) * [8, 6, 3]
    side = random.integers(3, size=count)
    xyz[np.arange(count), side] = np.array([8, 6, 3])[side] * random.integers(2, size=count)
    return (xyz + random.normal(scale=0.003, size=xyz.shape)).astype(np.float32)


def naive_nearest(xyz: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The k nearest points of every query, one query at a time; a cloud of fewer gives its first again."""
    index = np.zeros((len(queries), k), np.int64)
    for i, query in enumerate(queries):
        squared = np.square(xyz - query).sum(axis=1)
        near = np.argpartition(squared, k)[:k] if k < len(xyz) else np.arange(len(xyz))
        index[i, : len(near)] = near[squared[near].argsort(kind="stable")]
    return index


def naive_farthest(xyz: np.ndarray, samples: int) -> np.ndarray:
    """Farthest-point sampling, one sample at a time."""
    x, y, z = np.ascontiguousarray(xyz.T)
    squared, index = np.full(len(xyz), 1e10, np.float32), np.zeros(samples, np.int64)
    for i in range(1, samples):
        dx, dy, dz = x - x[index[i - 1]], y - y[index[i - 1]], z - z[index[i - 1]]
        np.minimum(squared, dx * dx + dy * dy + dz * dz, out=squared)
        index[i] = squared.argmax()
    return index


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """A call's result, its seconds, and those of the processors."""
    started, cpu_started = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - started, time.process_time() - cpu_started


def measure(xyz: np.ndarray, rounds: int, share: float) -> dict[str, dict[str, float | bool]]:
    """Seconds of ours and of the naive version, and what ours is faster, by operation."""
    points, ends = torch.from_numpy(xyz), torch.tensor([len(xyz)])
    ways = {
        f"nearest {K}": (
            lambda: nearest(points, ends, points, ends, K)[0].numpy(),
            lambda n: naive_nearest(xyz, xyz[:n], K),
            len(xyz),
        ),
        "farthest": (lambda: farthest(points, ends, ends // KEPT).numpy(), lambda n: naive_farthest(xyz, n), len(xyz) // KEPT),
    }
    result: dict[str, dict[str, float | bool]] = {}
    for name, (ours, naive, work) in ways.items():
        part = max(1, round(share * work))
        expected, naive_s, naive_cpu_s = timed(lambda naive=naive, part=part: naive(part))  # type: ignore[misc]
        runs = [timed(ours) for _ in range(rounds)]
        cpu_s = statistics.median(run[2] for run in runs)
        result[name] = {
            "seconds": round(statistics.median(run[1] for run in runs), 3),
            "cpu_seconds": round(cpu_s, 3),
            "naive_seconds": round(naive_s * work / part, 2),
            "naive_cpu_seconds": round(naive_cpu_s * work / part, 2),
            "times_faster": round(naive_cpu_s * work / part / cpu_s, 1),
            "equal": bool((runs[0][0][:part] == expected).all()),
        }
    return result


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=80_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--naive-share", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    clouds = {"cube": cube(random, arguments.points), "room": room(random, arguments.points)}
    result = {
        "points": arguments.points,
        "naive_share": arguments.naive_share,
        "clouds": {name: measure(xyz, arguments.rounds, arguments.naive_share) for name, xyz in clouds.items()},
    }
    tell(result, arguments.out)


if __name__ == "__main__":
    main()
