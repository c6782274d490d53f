"""A header and frames of tracks, as every format gets them."""

from fractions import Fraction

import numpy as np
import pytest

from vidpc.types import AudioInfo, FrameTracks, ModelInfo, TrackHeader, VideoInfo


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
