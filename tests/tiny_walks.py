"""Very small clips of a block that walks left or right, and the settings of a network that learns the difference in seconds."""

from fractions import Fraction

import numpy as np
from make_media import Clip, write_video

LABELS = ("left", "right")
RATE_FPS = 10
NETWORK = {"size": 32, "patch": 16, "frames": 9, "tube": 4, "width": 16, "depth": 1, "heads": 2}
SCHEDULE = {
    "warmup": 1,
    "decay_from": 1,
    "average": 0.5,
    "log_every": 1,
    "save_every": 2,
    "check_every": 2,
    "weight_decay": 0.0,
}
TINY = {**NETWORK, **SCHEDULE, "rate_fps": RATE_FPS, "batch": 4, "steps": 4, "flips": 0.0, "mixed": 0.0, "drop_path": 0.0}


def write_walk(path, label, seed, count=9):
    """A block that crosses a wall, 3 pixels a picture, at 10 pictures a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    wall = rng.integers(60, 140, (6, 6, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    top, pictures = int(rng.integers(8, 24)), []
    for k in range(count):
        picture = wall.copy()
        left = 3 * (k % 9) + 2 if label == "right" else 30 - 3 * (k % 9)
        picture[top : top + 16, left : left + 16] = rng.integers(170, 200)
        pictures.append(picture)
    return write_video(path, Clip(width=48, height=48, rate_fps=Fraction(RATE_FPS)), pictures)


def write_walks(folder, groups=("a", "b", "c", "d"), val=()):
    """A table of a walk to either side for each group; those of the groups ``val`` are of the split val."""
    rows = ["file,label,split,group"]
    for number, (group, label) in enumerate((group, label) for group in groups for label in LABELS):
        write_walk(folder / group / f"{label}.mp4", label, number)
        rows.append(f"{group}/{label}.mp4,{label},{'val' if group in val else 'train'},{group}")
    table = folder / "index.csv"
    table.write_text("\n".join(rows) + "\n")
    return table
