"""Headers, frames of tracks and windows of actions, as every format gets them."""

from fractions import Fraction

import numpy as np
import pytest

from vidpc.types import (
    ActionHeader,
    Actions,
    AudioInfo,
    FrameTracks,
    ModelInfo,
    Segment,
    TrackHeader,
    VideoInfo,
    Window,
)


@pytest.fixture
def info():
    return VideoInfo(
        path="/videos/street.mp4", container="mp4", codec="h264", width=640, height=360, coded_width=640, coded_height=360,
        rotation_deg=0, mirrored=False, sample_aspect=Fraction(1), pixel_format="yuv420p", bit_depth=8, matrix="bt709",
        full_range=False, start_s=Fraction(0), rate_fps=Fraction(30000, 1001), duration_s=None, frame_count=2,
        audio=(AudioInfo("aac", 48000, 2),), warnings=("no matrix is stated, bt709 is assumed",),
    )  # fmt: skip


@pytest.fixture
def header(info):
    model = ModelInfo("street", "transtrack", "ab" * 32, "Apache-2.0", ("person", "car"))
    return TrackHeader("street.mp4", info, model, {"rule": "paper", "score": 0.4, "start_s": Fraction(1, 3)}, "0.1.0")


@pytest.fixture
def frames():
    """Two people in frame 0, nobody in frame 1, a car in frame 3 of a thinned input."""

    def tracks(index, *rows):
        table = np.array(rows, dtype=float).reshape(-1, 7)
        ids, labels = table[:, 0].astype(np.int64), table[:, 6].astype(np.int64)
        return FrameTracks(index, Fraction(1001 * index, 30000), ids, table[:, 1:5], table[:, 5], labels)

    return [
        tracks(0, (1, 10.004, 20, 30.5, 80.126, 0.98768, 0), (2, -0.001, 5, 12, 30, 1.0, 0)),
        tracks(1),
        tracks(3, (3, 100, 100, 200, 150, 0.5, 1)),
    ]


def scores(*values):
    return np.array(values, dtype=np.float32)


@pytest.fixture
def action_header(info):
    """Two models: three moves of the camera, and a fight or none."""
    camera = ModelInfo("camera", "timesformer", "ab" * 32, "Apache-2.0", ("still", "pan left", "zoom in"))
    fight = ModelInfo("fight", "timesformer", "cd" * 32, "Apache-2.0", ("no fight", "fight"))
    return ActionHeader(
        "street.mp4", info, (camera, fight), Fraction(2), Fraction(1), {"on_score": 0.5, "start_s": Fraction(1, 3)}, "0.1.0"
    )


@pytest.fixture
def windows():
    """Two windows of a video of three seconds."""
    return [
        Window(0, Fraction(0), Fraction(2), 0, 59, (scores(0.12344, 0.75, 0.12656), scores(0.9, 0.1))),
        Window(1, Fraction(1), Fraction(3), 30, 89, (scores(0.2, 0.5, 0.3), scores(0.4, 0.6))),
    ]


@pytest.fixture
def actions():
    segments = (
        Segment("camera", "pan left", Fraction(0), Fraction(3), 0.625),
        Segment("fight", "no fight", Fraction(0), Fraction(3, 2), 0.9),
        Segment("fight", "fight", Fraction(3, 2), Fraction(3), 0.6),
    )
    return Actions(2, (scores(0.16, 0.63, 0.21), scores(0.65, 0.35)), segments)
