"""How well holes are filled: a square of a quarter of the width goes over clips of 432 x 240, and is filled by the command.

telea    OpenCV's inpainting of every frame by itself
median   of the frames up to 10 before and after, without those whose hole is at the place

PSNR in dB and SSIM inside the hole, means over frames, then over clips. Needs opencv-python-headless. The square goes
along x = sin(2 pi t / 90), y = sin(2 pi t / 130 + 1), over all of the picture that leaves it inside, t in frames.

python benchmarks/filled_holes.py DATA/davis/index.csv DATA/clips/raw/index.csv --preset aligned
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from machine import tell
from picture_quality import means, quality

from vidpc.training.shots import Shot, shots
from vidpc.types import U8, Bool

WIDTH, HEIGHT, SIDE = 432, 240, 108
REACH = 10  # frames of the median


def holes(count: int) -> Bool:
    """bool[n h w], True in the square."""
    found = np.zeros((count, HEIGHT, WIDTH), np.bool_)
    for t in range(count):
        x = round((WIDTH - SIDE) / 2 * (1 + np.sin(2 * np.pi * t / 90)))
        y = round((HEIGHT - SIDE) / 2 * (1 + np.sin(2 * np.pi * t / 130 + 1)))
        found[t, y : y + SIDE, x : x + SIDE] = True
    return found


def by_telea(frames: U8, masks: Bool) -> list[U8]:
    return [cv2.inpaint(f, m.astype(np.uint8), 3, cv2.INPAINT_TELEA) for f, m in zip(frames, masks, strict=True)]


def by_median(frames: U8, masks: Bool) -> list[U8]:
    """Every frame with the median of those around in its hole; grey where all of them have holes."""
    filled = []
    for t in range(len(frames)):
        around = slice(max(0, t - REACH), t + REACH + 1)
        hidden = np.broadcast_to(masks[around][..., None], frames[around].shape)
        median = np.ma.median(np.ma.array(frames[around], mask=hidden), axis=0).filled(128)
        filled.append(np.where(masks[t][..., None], np.round(median), frames[t]).astype(np.uint8))
    return filled


def by_command(frames: U8, masks: Bool, options: Sequence[str], folder: Path) -> list[U8]:
    """What ``vidpc inpaint`` makes of PNG pictures."""
    for name, pictures in (("frames", frames[..., ::-1]), ("masks", masks.astype(np.uint8) * 255)):
        (folder / name).mkdir()
        for index, picture in enumerate(pictures):
            cv2.imwrite(str(folder / name / f"{index:05d}.png"), picture)
    out = folder / "out"
    source = [str(folder / "frames"), "--input-fps", "24", "--mask", str(folder / "masks")]
    exact = ["--dilate", "0", "--feather", "0", "--out", f"{out}/"]
    subprocess.run([sys.executable, "-m", "vidpc.cli", "inpaint", *source, *exact, *options], check=True)
    return [cv2.imread(str(file))[..., ::-1] for file in sorted(out.glob("*.png"))]


def measured(shot: Shot, options: Sequence[str]) -> dict[str, list[float]]:
    """PSNR and SSIM inside the holes of one clip, for every way."""
    frames = np.stack([cv2.resize(np.ascontiguousarray(x), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for x in shot.frames])
    masks = holes(len(frames))
    with tempfile.TemporaryDirectory() as folder:
        made = by_command(frames, masks, options, Path(folder))
    ways = {"telea": by_telea(frames, masks), "median": by_median(frames, masks), "vidpc": made}
    figures = {}
    for name, pictures in ways.items():
        rows = [quality(whole, filled, mask) for whole, filled, mask in zip(frames, pictures, masks, strict=True)]
        figures[name] = [round(float(x), 4) for x in np.mean(rows, axis=0)]
    return figures


def main() -> None:
    """Fills the holes of every clip in every way, and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="videos, folders of them, or tables with a column split")
    parser.add_argument("--preset", default="aligned")
    parser.add_argument("--kept", type=Path, help="folder for decoded footage")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    clips: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for shot in shots(arguments.data, "val", arguments.kept or Path(folder), short_side=480, least=12):
            clips[shot.clip.path.stem] = measured(shot, ["--preset", arguments.preset])
            sys.stderr.write(f"{shot.clip.path.stem} {clips[shot.clip.path.stem]}\n")
    tell({"psnr_ssim": clips, "mean": means(clips)}, arguments.out)


if __name__ == "__main__":
    main()
