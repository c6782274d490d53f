"""Reads mutated copies of a video or a scan and prints a JSON line for each: run by test_mutations.py and
test_point_mutations.py in a process of its own.

python fuzz_worker.py FILE FIRST COUNT SCRATCH
"""

import hashlib
import json
import random
import sys
import time
from pathlib import Path

from vidpc.media.points import FORMATS, read_points
from vidpc.media.read import read_videos
from vidpc.types import Closed, Frame, PointCloud, ReadOptions

LIMITS = ReadOptions(max_pixels=1 << 22)
SCANS = {suffix for row in FORMATS.values() for suffix in row.suffixes}


def mutate(data: bytes, seed: int) -> bytes:
    """One of: bytes flipped, the end cut off, a span zeroed, a span doubled."""
    rng = random.Random(seed)
    kind, body = seed % 4, bytearray(data)
    start = rng.randrange(len(body))
    length = 1 + int(len(body) * rng.random() ** 3 / 2)
    if kind == 0:
        for _ in range(rng.choice((1, 3, 10, 40))):
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del body[max(1, start) :]
    elif kind == 2:
        body[start : start + length] = bytes(len(body[start : start + length]))
    else:
        body[start:start] = body[start : start + length]
    return bytes(body)


def read_scan(path: Path) -> dict[str, object]:
    """What became of one scan."""
    points, said, is_error, digest = 0, [], False, hashlib.sha256()
    started = time.monotonic()
    for item in read_points([path]):
        if isinstance(item, PointCloud):
            points += len(item)
            values = {"colour": item.colour, "intensity": item.intensity, "label": item.label, **item.fields}
            digest.update(item.xyz.tobytes())
            for name in sorted(values):
                digest.update(name.encode() + (b"" if values[name] is None else values[name].tobytes()))
        elif isinstance(item, Closed):
            said += [*item.warnings, *([str(item.error)] if item.error else [])]
            is_error = item.error is not None
        else:
            said += item.info.warnings
    seconds = time.monotonic() - started
    return {"points": points, "said": said, "error": is_error, "seconds": seconds, "digest": digest.hexdigest()}


def read_video(path: Path) -> dict[str, object]:
    """What became of one video."""
    times, closed = [], None
    started = time.monotonic()
    for item in read_videos([path], LIMITS):
        if isinstance(item, Frame):
            times.append(float(item.time_s))
            item.rgb(16, 16)
        closed = item if isinstance(item, Closed) else closed
    return {
        "frames": len(times),
        "first_s": times[0] if times else None,
        "last_s": times[-1] if times else None,
        "said": [*closed.warnings, *([str(closed.error)] if closed.error else [])],
        "seconds": time.monotonic() - started,
    }


def main() -> None:
    """Every mutation of the range."""
    source, first, count, scratch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    data = source.read_bytes()
    target = scratch / f"mutated{source.suffix}"
    read = read_scan if source.suffix in SCANS else read_video
    sound = read(source).get("digest")
    for seed in range(first, first + count):
        target.write_bytes(mutate(data, seed))
        row = {"seed": seed, "kind": seed % 4, **read(target)}
        row["same"] = row.get("digest") == sound
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
