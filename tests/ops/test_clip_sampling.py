"""The frames that tests look at, against the authors' programs (the parity tables) and numbers worked by hand."""

import json
from pathlib import Path

import pytest

from vidpc.ops.clip_sampling import Sampling, clip_indices

PARITY = Path(__file__).parents[1] / "parity"
TIMESFORMER = json.loads((PARITY / "timesformer.json").read_text())["tables"]
VIDTR = json.loads((PARITY / "vidtr_s.json").read_text())["tables"]


def test_kinetics_clips_of_timesformer_are_the_authors():
    for count, fps, frames, rate, views, view, _, _, expected in TIMESFORMER["k400"]:
        clips = clip_indices("linspace", Sampling(frames, rate, views), count=count, fps=fps)
        assert len(clips) == views
        assert clips[view] == expected, (count, fps, frames, rate, views, view)


def test_something_something_clips_of_timesformer_are_the_authors():
    for count, frames, expected in TIMESFORMER["ssv2"]:
        assert clip_indices("segments", Sampling(frames, rate=0, clips=3), count=count, fps=12) == [expected]


def test_test_clips_of_vidtr_are_the_authors():
    for count, frames, rate, expected in VIDTR["test"]:
        clips = clip_indices("steps", Sampling(frames, rate, clips=10), count=count, fps=25)
        assert [at for clip in clips for at in clip] == expected, (count, frames, rate)


def test_clips_of_the_built_in_networks_lie_in_the_middles_of_equal_parts():
    # 100 frames at 25 a second; a clip spans 4 * 12 / 30 s = 40 frames, which leaves room for starts from 0 to 60
    clips = clip_indices("centres", Sampling(frames=4, rate=12, clips=3), count=100, fps=25)
    assert clips == [[15, 25, 35, 45], [35, 45, 55, 65], [55, 65, 75, 85]]


@pytest.mark.parametrize("rule", ["linspace", "segments", "steps", "centres"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_video_shorter_than_a_clip_repeats_its_frames_in_order(rule, count):
    for clip in clip_indices(rule, Sampling(frames=8, rate=32, clips=2), count=count, fps=30):
        assert len(clip) == 8
        assert clip == sorted(clip)
        assert clip[0] >= 0
        assert clip[-1] <= count - 1
