"""Encoders leave the priority of the program as it was."""

import os
from pathlib import Path

import pytest
from make_media import scene, write_video

from vidpc.media.priority import usual_priority
from vidpc.media.probe import probe
from vidpc.media.video_writer import open_video
from vidpc.types import VideoFormat


def policies():
    return {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").glob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take real-time priority")
def test_av1_is_coded_at_the_usual_priority(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    info = probe(source)
    with open_video(tmp_path / "b.mp4", info, video_format=VideoFormat(codec="av1")) as sink:
        for k in range(3):
            sink.write(scene(k, info.width, info.height), info.start_s + k / info.rate_fps)
            assert policies() == {os.SCHED_OTHER}
    assert policies() == {os.SCHED_OTHER}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take real-time priority")
def test_what_the_block_raised_is_lowered_again():
    with usual_priority():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
