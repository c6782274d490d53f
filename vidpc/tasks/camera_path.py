"""The motion of the camera from any frame to any other nearby, put together from few measurements.

    1 frame on    measured for every frame, from nothing
    3, 10 on      measured from where the shorter ones lead, so that errors do not add up over many frames

A motion between frames apart is a chain of the longest of these. Nothing leads across a cut, or over frames that do not agree.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.ops import camera, cuts
from vidpc.ops.flow import normalized
from vidpc.types import Bool, Frame

LONG_SIDE = 256  # of the pictures that are compared, at most
REACHES = (10, 3, 1)  # frames from one to another that are measured directly
AGREED = 0.25  # least correlation of two aligned pictures, of what is left without local means
SEEN_SHARE = 0.02  # of the picture: with less to compare, the camera is taken to stand still
_MULTIPLE, _LEAST_SIDE = 8, 16  # the pyramid halves pictures, and their sides should stay whole
_LUMA = (0.299, 0.587, 0.114)


@dataclass(slots=True)
class Look:
    """A small picture of a frame: ``luma`` and what is ``visible`` of it, f32[1 1 h w], and what tells cuts."""

    luma: Tensor
    visible: Tensor
    glance: cuts.Glance
    links: dict[int, Tensor | None] = field(default_factory=dict)  # by reach: the motion to the frame so far on, once measured
    step: cuts.Step | None = None  # to the next frame


def look(frame: Frame, hole: Bool, device: torch.device) -> Look:
    """The small picture of a frame whose pixels in ``hole`` are not to be compared."""
    scale = min(1.0, LONG_SIDE / max(frame.width, frame.height))
    width, height = (max(_LEAST_SIDE, _MULTIPLE * round(side * scale / _MULTIPLE)) for side in (frame.width, frame.height))
    rgb = torch.from_numpy(frame.rgb(width, height)).to(device)
    luma = (rgb.float() @ rgb.new_tensor(_LUMA, dtype=torch.float32) / 255)[None, None]
    hidden = torch.from_numpy(hole).to(device)[None, None].float()
    visible = 1 - F.adaptive_max_pool2d(hidden, (height, width))
    return Look(luma, visible, cuts.glance(frame.rgb(cuts.WIDTH, cuts.HEIGHT)))


class CameraPath:
    """Motions between frames that are held, by their numbers. Nothing is measured before somebody asks."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._frames: dict[int, tuple[Frame, Bool]] = {}
        self._looks: dict[int, Look] = {}
        self._cuts: dict[int, bool] = {}

    def add(self, number: int, frame: Frame, hole: Bool) -> None:
        """A frame, and the pixels of it that are not to be compared."""
        self._frames[number] = (frame, hole)

    def forget(self, before: int) -> None:
        """Frames before that number are no longer asked for."""
        for number in [number for number in self._frames if number < before]:
            del self._frames[number]
            self._looks.pop(number, None)
            self._cuts.pop(number, None)

    def motion(self, first: int, second: int) -> Tensor | None:
        """The map f32[1 2 3] of `ops.camera` from places in one frame to places in another; None where none is known."""
        begin, end = min(first, second), max(first, second)
        if any(self._is_cut(number) for number in range(begin, end)):
            return None
        found = self._chain(begin, end, REACHES)
        return found if found is None or first <= second else camera.inverse(found)

    def _chain(self, begin: int, end: int, reaches: tuple[int, ...]) -> Tensor | None:
        """The motion from a frame to a later one, over the longest steps that are known; None where one is missing."""
        found, at = camera.identity(self._look(begin).luma), begin
        while at < end:
            steps = ((reach, self._link(at, reach)) for reach in reaches if at + reach <= end)
            reach, link = next(((reach, link) for reach, link in steps if link is not None), (0, None))
            if link is None:
                return None
            found, at = camera.chained(found, link), at + reach
        return found

    def _link(self, number: int, reach: int) -> Tensor | None:
        links = self._look(number).links
        if reach not in links:
            links[reach] = self._measured(number, reach)
        return links[reach]

    def _measured(self, number: int, reach: int) -> Tensor | None:
        first, second = self._look(number), self._look(number + reach)
        start = None
        if reach > 1:
            start = self._chain(number, number + reach, REACHES[REACHES.index(reach) + 1 :])
            if start is None:
                return None
        motion = camera.camera_motion(first.luma, second.luma, first.visible, second.visible, start)
        agreement, share = agreed(first, second, motion)
        if share < SEEN_SHARE:
            return camera.identity(first.luma) if reach == 1 else None
        return motion if agreement >= AGREED else None

    def _is_cut(self, number: int) -> bool:
        """Whether another shot begins after that frame."""
        if number not in self._cuts:
            around = [*range(number - cuts.BEFORE, number), *range(number + 1, number + 1 + cuts.AFTER)]
            steps = [self._step(other) for other in around if {other, other + 1} <= self._frames.keys()]
            self._cuts[number] = cuts.score(self._step(number), steps) >= cuts.THRESHOLD
        return self._cuts[number]

    def _step(self, number: int) -> cuts.Step:
        here = self._look(number)
        if here.step is None:
            here.step = cuts.step(here.glance, self._look(number + 1).glance)
        return here.step

    def _look(self, number: int) -> Look:
        if number not in self._looks:
            self._looks[number] = look(*self._frames[number], self._device)
        return self._looks[number]


def agreed(first: Look, second: Look, motion: Tensor) -> tuple[float, float]:
    """How alike two pictures are once aligned, as a correlation, and the share of the picture that was compared."""
    moved = camera.aligned(torch.cat([second.luma, second.visible], dim=1), motion)
    counts = (first.visible > 0.99) & (moved[:, 1:] > 0.99)
    share = float(counts.float().mean())
    one, other = (normalized(picture)[counts] for picture in (first.luma, moved[:, :1]))
    if share == 0 or bool((one * one).mean() < 1e-3):  # nothing to be seen, or nothing in what is seen
        return 1.0, share
    scale = ((one * one).sum() * (other * other).sum()).sqrt().clamp(min=1e-6)
    return float((one * other).sum() / scale), share
