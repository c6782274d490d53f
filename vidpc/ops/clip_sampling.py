"""Which frames of a video the papers' tests look at, by number.

Windows side by side go by time (``stream.windows``); these rules go by the number and the rate of a file's frames, and repeat
the authors' arithmetic to the last truncation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

RATED_FPS = 30  # of the videos in which the papers count the pictures between sampled ones


@dataclass(frozen=True, slots=True)
class Sampling:
    """How clips are taken: ``clips`` of ``frames`` pictures each, one in ``rate`` of a video of 30 a second."""

    frames: int
    rate: float
    clips: int = 1


def clip_indices(rule: str, sampling: Sampling, *, count: int, fps: float) -> list[list[int]]:
    """The frames of every clip, in the order of the clips, of a video of ``count`` frames, at least one.

    ``rule`` is one of ``presets.SAMPLING_RULES``. Indices never leave the video: its last frame repeats where it is too short.
    """
    return _RULES[rule](sampling, count, fps)


def _linspace(sampling: Sampling, count: int, fps: float) -> list[list[int]]:
    """TimeSformer on Kinetics: clips start at even steps from the first frame; one clip is the video's beginning."""
    span = sampling.rate * sampling.frames / RATED_FPS * fps
    room = max(count - span, 0)
    starts = [room * k / sampling.clips for k in range(sampling.clips)]
    positions = (torch.linspace(start, start + span - 1, sampling.frames) for start in starts)
    return [at.clamp(0, count - 1).long().tolist() for at in positions]


def _segments(sampling: Sampling, count: int, fps: float) -> list[list[int]]:
    """TimeSformer on Something-Something: the middles of equal parts of the whole video, so that all clips are one."""
    part = (count - 1) / sampling.frames
    edges = [round(part * i) for i in range(sampling.frames + 1)]
    return [[(begin + end) // 2 for begin, end in pairwise(edges)]]


def _steps(sampling: Sampling, count: int, fps: float) -> list[list[int]]:
    """VidTr: one frame in ``rate``, whatever the frames' own rate; a step that would leave the video is not taken."""
    step = max(round(sampling.rate), 1)
    room = max(count - step * sampling.frames + 1, 0)
    starts = [int(room / sampling.clips * k) for k in range(sampling.clips)]
    return [
        [min(start + step * i, start + (count - 1 - start) // step * step) for i in range(sampling.frames)] for start in starts
    ]


def _centres(sampling: Sampling, count: int, fps: float) -> list[list[int]]:
    """The built-in networks: clips in the middles of equal parts of the video, pictures in the middles of a clip's."""
    span = sampling.rate * sampling.frames / RATED_FPS * fps
    room = max(count - span, 0)
    starts = [room * (k + 0.5) / sampling.clips for k in range(sampling.clips)]
    part = span / sampling.frames
    return [[min(int(start + part * (i + 0.5)), count - 1) for i in range(sampling.frames)] for start in starts]


_RULES: dict[str, Callable[[Sampling, int, float], list[list[int]]]] = {
    "linspace": _linspace,
    "segments": _segments,
    "steps": _steps,
    "centres": _centres,
}
