"""Training clips of drawn people on drawn streets, whose boxes and identities are known exactly."""

import numpy as np

from vidpc.synthetic.street import Known, Street
from vidpc.training.pictures import Clip, Marks, Picture
from vidpc.types import U8

FRAMES = 3
STEP_S = (0.04, 0.08, 0.12)  # between frames, one drawn a clip
VISIBLE_SHARE = 0.35  # less of a person: ignored
FIRST_SEED = 10_000  # of the streets: `vidpc demo` draws from small seeds


def street_clips(count: int, *, seed: int) -> list[Clip]:
    """``count`` short clips of as many streets, in the set ``street``."""
    return [_street_clip(FIRST_SEED + 1000 * seed + number) for number in range(count)]


def _street_clip(seed: int) -> Clip:
    rng = np.random.default_rng(seed)
    street, start_s, step_s = Street(seed=seed), rng.uniform(0, 9), rng.choice(STEP_S)
    return Clip("street", tuple(_picture(*street.frame(float(start_s + k * step_s))) for k in range(FRAMES)))


def _picture(pixels: U8, known: Known) -> Picture:
    return Picture(pixels, Marks(known.boxes_xyxy.astype(np.float32), known.ids, known.visible < VISIBLE_SHARE))
