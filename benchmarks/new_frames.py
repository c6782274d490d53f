"""How good drawn frames are: every second frame is left out and drawn again, beside two baselines.

averaging   the mean of the two frames around
flow        DIS flow (OpenCV, its preset "medium"), both frames read backwards along half of it, blended: needs
            opencv-python-headless, and is left out where that is missing

PSNR in dB and SSIM as `vidpc eval video` has them, means over frames, then over clips. Repeated frames and cuts are left out.

python benchmarks/new_frames.py DATA/davis/index.csv DATA/clips/raw/index.csv --weights motion --weights direct --every 4
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from machine import tell
from picture_quality import means, quality

from vidpc.tasks.synthesize import build_model
from vidpc.training.shots import Shot, shots
from vidpc.types import U8
from vidpc.weights import registry

Draw = Callable[[Shot, int], U8 | None]  # of a shot and the index of the frame that is left out


def averaged(shot: Shot, index: int) -> U8:
    pair = shot.frames[index - 1].astype(np.float32) + shot.frames[index + 1]
    found: U8 = np.round(pair / 2).astype(np.uint8)
    return found


def by_flow() -> Draw | None:
    """The baseline of optical flow, where OpenCV is there."""
    try:
        import cv2
    except ImportError:
        return None
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def read(picture: U8, way: np.ndarray) -> np.ndarray:
        h, w = way.shape[:2]
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        return cv2.remap(picture, x + way[..., 0], y + way[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def drawn(shot: Shot, index: int) -> U8:
        first, second = (np.ascontiguousarray(shot.frames[i]) for i in (index - 1, index + 1))
        gray, next_gray = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (first, second))
        there, back = flow.calc(gray, next_gray, None), flow.calc(next_gray, gray, None)
        blend = read(first, -there / 2).astype(np.float32) + read(second, -back / 2)
        found: U8 = np.round(blend / 2).astype(np.uint8)
        return found

    return drawn


def by_network(name: str) -> Draw:
    """A network's frame; None where it is shown more frames than the shot has around the place."""
    model = build_model(registry.load(name))
    shown = model.config.frames
    before = shown // 2

    @torch.inference_mode()
    def drawn(shot: Shot, index: int) -> U8 | None:
        places = [index - 1 + 2 * (k - before + 1) for k in range(shown)]
        if places[0] < 0 or places[-1] >= len(shot):
            return None
        frames = torch.from_numpy(np.stack([shot.frames[i] for i in places])).permute(0, 3, 1, 2)[None].float() / 255
        new = model(frames, torch.tensor([[before - 0.5]]))[0, 0]
        found: U8 = new.permute(1, 2, 0).mul(255).round().byte().numpy()
        return found

    return drawn


def measured(found: Sequence[Shot], ways: Mapping[str, Draw], every: int) -> dict[str, object]:
    """PSNR and SSIM of every way, by clip and over clips."""
    clips: dict[str, dict[str, list[float]]] = {}
    for shot in found:
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for index in range(1, len(shot) - 1, every):
            made = {name: draw(shot, index) for name, draw in ways.items()}
            if all(picture is not None for picture in made.values()):
                for name, picture in made.items():
                    rows[name].append(quality(shot.frames[index], picture))
        clips[shot.clip.path.stem] = {
            name: [round(float(x), 4) for x in np.mean(row, axis=0)] + [len(row)] for name, row in rows.items()
        }
        sys.stderr.write(f"{shot.clip.path.stem} {clips[shot.clip.path.stem]}\n")
    return {"psnr_ssim_frames": clips, "mean": means(clips)}


def main() -> None:
    """Measures every way on the clips, and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="videos, folders of them, or tables with a column split")
    parser.add_argument("--weights", action="append", default=[], help="a name or a file")
    parser.add_argument("--every", type=int, default=1, help="frames from one that is measured to the next")
    parser.add_argument("--kept", type=Path, help="folder for decoded footage")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    ways: dict[str, Draw] = {"averaging": averaged}
    if flow := by_flow():
        ways["flow"] = flow
    ways |= {name: by_network(name) for name in arguments.weights}
    with tempfile.TemporaryDirectory() as folder:
        found = shots(arguments.data, "val", arguments.kept or Path(folder), short_side=480, least=9)
        tell(measured(found, ways, arguments.every), arguments.out)


if __name__ == "__main__":
    main()
