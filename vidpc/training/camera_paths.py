"""How the camera moved through a shot, measured once and kept on disk."""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops.camera import camera_motion
from vidpc.training.clips import LUMA
from vidpc.training.shots import Shot
from vidpc.types import F32, U8

_SHORT_SIDE = 144  # of the pictures that are compared
_RUN = 16  # pairs at once


def camera_path(shot: Shot, folder: Path) -> F32:
    """f32[n-1 2 3]: the camera's motion (`ops.camera`) from each frame to the next, from ``folder`` where it is known."""
    stat = shot.clip.path.stat()
    words = (
        f"{shot.clip.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {shot.frames.shape} {_SHORT_SIDE} {_begin(shot)} camera"
    )
    place = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:24]}.npy"
    if not place.exists():
        part = place.with_suffix(".part.npy")
        np.save(part, _measured(shot.frames))
        part.replace(place)
    found: F32 = np.load(place)
    return found


def _begin(shot: Shot) -> str:
    """What tells shots of one clip apart: the small first picture."""
    return hashlib.sha256(shot.frames[0, ::16, ::16].tobytes()).hexdigest()[:16]


@torch.inference_mode()
def _measured(frames: U8) -> F32:
    motions = []
    for begin in range(0, len(frames) - 1, _RUN):
        luma = torch.cat([_small(picture) for picture in frames[begin : begin + _RUN + 1]])
        seen = torch.ones_like(luma[1:])
        motions.append(camera_motion(luma[:-1], luma[1:], seen, seen).numpy())
    return np.concatenate(motions)


def _small(picture: U8) -> Tensor:
    """Luma f32[1 1 h w] of about the size that is compared."""
    luma = torch.from_numpy(picture @ LUMA / 255)[None, None].float()
    share = min(1.0, _SHORT_SIDE / min(picture.shape[:2]))
    size = [max(16, round(side * share)) for side in picture.shape[:2]]
    return F.interpolate(luma, size=size, mode="bilinear", antialias=True)
