"""500 random mutations of small files: never a traceback, a hang, a crash or a loss of frames in silence.

Silence is a reading without warning and error that gives fewer frames than the file held. A mutation that changes pixels, or
times within the rules of the format, is no loss that a reader could see. Transport streams declare neither a count nor a
length, so what falls out at their very end cannot be missed; that is the one exception, and it is bounded here.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from make_media import Clip, write_video

WORKER = Path(__file__).with_name("fuzz_worker.py")
FRAMES = 12
EACH = 125
SECONDS_A_FILE = 5
FILES = {
    "mp4": ("a.mp4", Clip(sound="aac")),
    "mkv": ("b.mkv", Clip(sound="aac")),
    "avi": ("c.avi", Clip(codec="mpeg4", sound="mp3")),
    "webm": ("d.webm", Clip(codec="libvpx-vp9", codec_options={"cpu-used": "8", "deadline": "realtime"})),
    "ts": ("e.ts", Clip(codec="mpeg2video", sound="mp2")),
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """What the worker said of every mutation, by container."""

    def run(name):
        folder = tmp_path_factory.mktemp(name)
        file, clip = FILES[name]
        source = write_video(folder / file, clip)
        command = [sys.executable, "-X", "faulthandler", str(WORKER), str(source), "0", str(EACH), str(folder)]
        return name, subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(run, FILES))


@pytest.mark.parametrize("name", FILES)
def test_no_mutation_crashes_the_reader(readings, name):
    done = readings[name]
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == EACH


@pytest.mark.parametrize("name", FILES)
def test_no_mutation_takes_long(readings, name):
    assert max(row["seconds"] for row in rows(readings, name)) < SECONDS_A_FILE


@pytest.mark.parametrize("name", FILES)
def test_every_message_is_one_line(readings, name):
    assert all(text.isprintable() and len(text) < 500 for row in rows(readings, name) for text in row["said"])


@pytest.mark.parametrize("name", ["mp4", "mkv", "avi", "webm"])
def test_no_mutation_loses_frames_in_silence(readings, name):
    assert [row for row in rows(readings, name) if not row["said"] and row["frames"] < FRAMES] == []


def test_a_transport_stream_loses_in_silence_only_frames_at_its_end(readings):
    silent = [row for row in rows(readings, "ts") if not row["said"] and row["frames"] < FRAMES]
    assert len(silent) <= EACH // 20
    assert all(row["last_s"] - row["first_s"] < 0.04 * row["frames"] for row in silent)  # no gap: 25 frames/s


def test_the_mutations_are_worth_their_name(readings):
    """A good part of the files is damaged enough to be said, and a good part is still read."""
    every = [row for name in FILES for row in rows(readings, name)]
    assert sum(bool(row["said"]) for row in every) > len(every) / 3
    assert sum(row["frames"] > 0 for row in every) > len(every) / 3


def rows(readings, name):
    return [json.loads(line) for line in readings[name].stdout.splitlines()]
