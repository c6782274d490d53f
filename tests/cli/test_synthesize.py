"""``vidpc synthesize`` from the user's side, with small networks on generated clips."""

import json
import re
import shlex
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from make_media import Clip, write_video
from tiny_synthesis import write_blend, write_small

from vidpc.cli import synthesize
from vidpc.cli.main import main
from vidpc.media.read import read_videos
from vidpc.types import Frame

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``vidpc synthesize`` in a folder with the clips a.mp4 (6 frames, 25 a second) and b.mp4 (3)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # so that the command sets nothing that outlives the test
    write_video(Path("a.mp4"), Clip(count=6))
    write_video(Path("b.mp4"), Clip(count=3))
    write_blend(Path("blend.safetensors"), monkeypatch)

    def call(*arguments: str, model: str = "blend.safetensors") -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["synthesize", *arguments, "--model", model])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def left_in(folder: str = ".") -> list[str]:
    """What a run left behind."""
    return sorted(path.name for path in Path(folder).iterdir() if path.name not in ("a.mp4", "b.mp4", "blend.safetensors"))


def times(path: str) -> list[Fraction]:
    return [item.time_s for item in read_videos([path]) if isinstance(item, Frame)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["--fps", "50"], [Fraction(k, 50) for k in range(12)]),
        (["--fps", "12.5"], [Fraction(k * 2, 25) for k in range(3)]),
        (["--factor", "2"], [Fraction(k, 50) for k in range(12)]),
        (["--slow", "2"], [Fraction(k, 25) for k in range(12)]),
        (["--slow", "2", "--fps", "50"], [Fraction(k, 50) for k in range(24)]),
        (["--slow", "2", "--factor", "4"], [Fraction(k, 50) for k in range(24)]),
        (["--extrapolate", "2"], [Fraction(k, 25) for k in range(8)]),
        (["--factor", "2", "--extrapolate", "3"], [Fraction(k, 50) for k in range(14)]),
    ],
)
def test_the_frames_that_are_asked_for(run: Run, asked: list[str], expected: list[Fraction]):
    code, out, err = run("a.mp4", *asked, "--out", "b2.mp4")
    assert (code, out) == (0, ""), err
    assert times("b2.mp4") == expected
    assert f"vidpc: {len(expected)} frames, " in err
    assert left_in() == ["b2.mp4"]


def test_a_ratio_is_an_exact_rate(run: Run):
    write_video(Path("ntsc.mp4"), Clip(count=4, rate_fps=Fraction(30000, 1001)))
    assert run("ntsc.mp4", "--fps", "60000/1001", "--out", "n.mkv", "--lossless", "--progress", "json")[0] == 0
    assert len(times("n.mkv")) == 8


@pytest.mark.parametrize("architecture", ["motion-convtransformer", "convtransformer"])
def test_both_networks_draw(run: Run, architecture: str):
    write_small(Path("small.safetensors"), architecture)
    code, _, err = run("b.mp4", "--factor", "2", "--extrapolate", "1", "--out", "c.mp4", model="small.safetensors")
    assert (code, len(times("c.mp4"))) == (0, 6), err


def test_the_summary_says_what_was_new(run: Run):
    code, _, err = run("a.mp4", "--fps", "50", "--out", "c.mp4", "--progress", "json")
    [row] = json.loads(err.splitlines()[-1])["summary"]["inputs"]
    assert code == 0
    assert {key: row[key] for key in ("frames", "new", "kept", "held", "shots", "outputs")} == {
        "frames": 12, "new": 5, "kept": 6, "held": 1, "shots": 1, "outputs": ["c.mp4"],
    }  # fmt: skip


def test_a_folder_takes_pictures(run: Run):
    assert run("b.mp4", "--factor", "2", "--out", "frames/")[0] == 0
    assert left_in("frames") == [*(f"{k:06d}.png" for k in range(6)), "times.csv"]


def test_several_inputs_go_to_a_folder_and_existing_outputs_are_skipped(run: Run):
    Path("out").mkdir()
    Path("out/a.mp4").write_text("mine")
    code, _, err = run("a.mp4", "b.mp4", "--factor", "2", "--out-dir", "out", "--skip-existing")
    assert (code, Path("out/a.mp4").read_text()) == (0, "mine")
    assert "vidpc: 1 input skipped: its output exists" in err
    assert len(times("out/b.mp4")) == 6


def test_a_bad_input_among_several_is_told_and_the_rest_completes(run: Run):
    Path("bad.mp4").write_bytes(b"no video")
    code, _, err = run("a.mp4", "bad.mp4", "--factor", "2", "--out-dir", "out")
    assert (code, left_in("out"), Path("out/a.mp4").exists()) == (1, [], True)
    assert "2 inputs, 1 failed" in err


def test_codes_of_what_cannot_be_done(run: Run):
    assert run("missing.mp4", "--factor", "2", "--out", "c.mp4")[0] == 3
    assert run("a.mp4", "--factor", "2", "--out", "c.mp4", model="missing.safetensors")[0] == 4
    assert run("a.mp4", "--factor", "2", "--out", "a.mp4", "--overwrite")[0] == 1
    assert run("a.mp4", "--factor", "2", "--start", "5", "--out", "c.mp4")[0] == 3
    assert left_in() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4", "--out", "c.mp4"], "nothing to do: give --fps RATE, --factor N, --slow N or --extrapolate N"),
        (["a.mp4", "--fps", "50"], "nothing to write: give --out FILE"),
        (["a.mp4", "--fps", "50", "--factor", "2", "--out", "c.mp4"], "--fps and --factor exclude each other"),
        (["a.mp4", "--fps", "0", "--out", "c.mp4"], "is no rate"),
        (["a.mp4", "--factor", "1", "--out", "c.mp4"], "1 is not in the range"),
        (["a.mp4", "b.mp4", "--factor", "2", "--out", "c.mp4"], "would be written for each of 2 inputs"),
        (["a.mp4", "--factor", "2", "--out", "c.mp4", "--repeats", "drpo"], "did you mean 'drop'"),
        (["a.mp4", "--factor", "2", "--out", "c.mp4", "--tile", "9"], "tile is 9, expected 0, or 64"),
        (["a.mp4", "--factor", "2", "--out", "c.mp4", "--set", "tile=512", "--tile", "512"], "'tile' is set by --set"),
        (["a.mp4", "--factor", "2", "--out", "c.mp4", "--lossless", "--crf", "3"], "crf and lossless exclude each other"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(run: Run, arguments: list[str], message: str):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert left_in() == []


def test_times_alone_need_no_output(run: Run):
    code, _, err = run("b.mp4", "--factor", "2", "--benchmark")
    assert (code, left_in()) == (0, [])
    assert re.search(r"model +\d", err)


def test_the_examples_of_the_help_have_options_that_exist(run: Run):
    lines = [line.strip() for line in synthesize.EXAMPLES.splitlines() if line.strip().startswith("vidpc")]
    assert len(lines) > 4
    for line in lines:
        words = shlex.split(line)[2:]
        context = synthesize.command.make_context("synthesize", words)
        assert context.params["inputs"]
