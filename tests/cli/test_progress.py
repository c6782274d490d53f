"""Progress on stderr in every mode, against a clock that the test turns."""

import io
import json

import pytest

from vidpc.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def feed(progress, clock, label, *, count, total, step_s):
    for done in range(1, count + 1):
        clock.now_s += step_s
        progress.update(label, done, total)


def test_auto_is_silent_without_a_terminal(clock):
    stream = io.StringIO()
    with Progress("auto", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=100, total=100, step_s=1)
    assert stream.getvalue() == ""


def test_plain_lines_come_every_five_seconds_and_at_the_end(clock):
    stream = io.StringIO()
    with Progress("plain", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=120, total=240, step_s=0.125)
    lines = stream.getvalue().splitlines()
    # the first frame starts the clock: 40 more in 5 s, and 199 that are left take 24.9 s
    assert lines[0] == "a.mp4   17 %  41/240 frames  8.0/s  0:25 left"
    assert len(lines) == 3
    assert lines[-1] == "a.mp4  120 frames  8.0/s  in 0:15"


def test_unknown_total_shows_no_share(clock):
    stream = io.StringIO()
    with Progress("plain", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "-", count=60, total=None, step_s=0.1)
    assert "%" not in stream.getvalue()


def test_claim_that_was_passed_is_forgotten(clock):
    stream = io.StringIO()
    with Progress("json", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=30, total=20, step_s=0.5)
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["total"] for record in records if record["done"] > 20] == [None] * sum(r["done"] > 20 for r in records)
    assert all(record["total"] is None or record["done"] <= record["total"] for record in records)


def test_json_lines_say_when_it_is_done(clock):
    stream = io.StringIO()
    with Progress("json", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=10, total=10, step_s=0.5)
        feed(progress, clock, "b.mp4", count=10, total=10, step_s=0.5)
    finished = [record["input"] for record in map(json.loads, stream.getvalue().splitlines()) if record["finished"]]
    assert finished == ["a.mp4", "b.mp4"]


def test_bar_is_redrawn_in_one_line_at_a_bounded_rate(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with Progress("auto", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=1000, total=1000, step_s=0.01)
    drawn = stream.getvalue().split("\r\x1b[K")[1:]
    assert 90 <= len(drawn) <= 102  # ten seconds, ten a second
    assert max(map(len, drawn)) <= 80
    assert stream.getvalue().count("\n") == 1
    assert "[############------------]   50 %" in stream.getvalue()


def test_long_names_give_way_and_cannot_move_the_cursor(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with Progress("auto", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "x" * 300 + "\x1b[2J.mp4", count=50, total=None, step_s=0.1)
    assert "\x1b[2J" not in stream.getvalue()
    assert "….mp4" in stream.getvalue() or "[2J.mp4" in stream.getvalue()


def fail_midway(stream, clock):
    with Progress("json", unit="frames", stream=stream, clock=clock) as progress:
        feed(progress, clock, "a.mp4", count=10, total=10, step_s=0.5)
        raise RuntimeError("stop")


def test_failure_leaves_no_word_of_completion(clock):
    stream = io.StringIO()
    with pytest.raises(RuntimeError, match="stop"):
        fail_midway(stream, clock)
    assert [json.loads(line)["finished"] for line in stream.getvalue().splitlines()] == [False] * 4
