"""500 random mutations of small scans: never a traceback, a hang, a crash or a loss of points in silence.

Silence is a reading without warning and error that gives other points than the file held. Only an NPZ has checksums, so that
no value of it may change in silence; in the others a value changed within the rules is no damage that a reader could see, the
loss of a point is. A file that was cut is always an error.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from make_scans import WRITERS

WORKER = Path(__file__).with_name("fuzz_worker.py")
POINTS = 300
EACH = 100
SECONDS_A_FILE = 20  # the first one loads libraries, on a machine that may be busy
CUT = 1  # the kind of mutation


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """What the worker said of every mutation, by suffix."""

    def run(suffix):
        folder = tmp_path_factory.mktemp(suffix[1:])
        source = WRITERS[suffix](folder / f"scan{suffix}", count=POINTS)
        command = [sys.executable, "-X", "faulthandler", "-W", "error", str(WORKER), str(source), "0", str(EACH), str(folder)]
        return suffix, subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(run, WRITERS))


def rows(readings, suffix):
    return [json.loads(line) for line in readings[suffix].stdout.splitlines()]


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_mutation_crashes_the_reader(readings, suffix):
    done = readings[suffix]
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == EACH


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_mutation_takes_long(readings, suffix):
    assert max(row["seconds"] for row in rows(readings, suffix)) < SECONDS_A_FILE


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_message_is_one_line(readings, suffix):
    assert all(text.isprintable() and len(text) < 500 for row in rows(readings, suffix) for text in row["said"])


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_mutation_loses_points_in_silence(readings, suffix):
    assert [row for row in rows(readings, suffix) if not row["said"] and row["points"] != POINTS] == []


def test_no_mutation_changes_values_in_silence_where_there_are_checksums(readings):
    assert [row for row in rows(readings, ".npz") if not row["said"] and not row["same"]] == []


def test_the_mutations_are_worth_their_name(readings):
    """A good part of the files is damaged enough to be refused, and a good part is still read whole."""
    every = [row for suffix in WRITERS for row in rows(readings, suffix)]
    assert len(every) >= 500
    assert sum(row["error"] for row in every) > len(every) / 3
    assert sum(row["points"] == POINTS and not row["error"] for row in every) > len(every) / 10


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_that_was_cut_is_an_error(readings, suffix):
    cut = [row for row in rows(readings, suffix) if row["kind"] == CUT]
    assert len(cut) == EACH // 4
    assert [row for row in cut if not row["error"]] == []
