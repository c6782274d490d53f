"""``vidpc track`` from the user's side, with a tiny untrained network on generated clips."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from make_media import Clip, write_video

from vidpc import weights
from vidpc.cli import track
from vidpc.cli.main import main
from vidpc.media.read import read_videos
from vidpc.models.transtrack import TransTrack, TransTrackConfig
from vidpc.outputs.tracks import FORMATS, choose_format
from vidpc.types import Frame

TINY = TransTrackConfig(
    block="basic",
    depths=(1, 1, 1, 1),
    stem=4,
    width=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=1,
    feedforward=16,
    levels=2,
    points=2,
    queries=6,
    classes=1,
    query_source="encoder",
)
RULES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
Run = Callable[..., tuple[int, str, str]]


def write_weights(path: Path, rules: dict[str, object] | None = None) -> Path:
    torch.manual_seed(0)
    metadata = {
        "architecture": "transtrack",
        "config": json.dumps(asdict(TINY)),
        "labels": '["person"]',
        "input": json.dumps(rules or RULES),
        "licence": "none",
    }
    weights.write(path, TransTrack(TINY).state_dict(), metadata)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``vidpc track`` in a folder with the clips a.mp4 (6 frames) and b.mp4 (3); returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # so that the command sets nothing that outlives the test
    write_video(Path("a.mp4"), Clip(count=6))
    write_video(Path("b.mp4"), Clip(count=3))
    small = ("--model", str(model), "--set", "short_side=48", "--set", "long_side=64", "--score", "0")

    def call(*arguments: str, settings: tuple[str, ...] = small) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["track", *arguments, *settings])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def left_in(folder: str = ".") -> list[str]:
    """What a run left behind."""
    return sorted(path.name for path in Path(folder).iterdir() if path.name not in ("a.mp4", "b.mp4"))


def test_a_track_file_is_written_and_summed_up(run: Run):
    code, out, err = run("a.mp4", "--out", "tracks.json")
    document = json.loads(Path("tracks.json").read_text())
    assert (code, out) == (0, "")
    assert [frame["index"] for frame in document["frames"]] == [0, 1, 2, 3, 4, 5]
    assert document["source"] == "a.mp4"
    assert (document["settings"]["short_side"], document["settings"]["score"]) == (48, 0.0)
    assert "vidpc: 6 frames, " in err
    assert err.endswith("0 warnings\n")
    assert left_in() == ["tracks.json"]


def test_stdout_holds_data_alone(run: Run):
    code, out, err = run("a.mp4", "--out", "-", "--progress", "plain")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["type"] for line in lines] == ["header", *["frame"] * 6, "end"]
    assert "6 frames" in err


@pytest.mark.parametrize("batch", ["1", "2", "5", "16"])
def test_the_batch_size_changes_no_identity(run: Run, batch: str):
    run("a.mp4", "b.mp4", "--out-dir", "one", "--batch", "1", "--format", "mot")
    code, _, _ = run("a.mp4", "b.mp4", "--out-dir", "many", "--batch", batch, "--format", "mot")
    assert code == 0
    for name in ("a.txt", "b.txt"):
        one, many = (
            [[float(value) for value in line.split(",")] for line in Path(folder, name).read_text().splitlines()]
            for folder in ("one", "many")
        )
        assert [row[:2] for row in one] == [row[:2] for row in many]
        torch.testing.assert_close(torch.tensor(one), torch.tensor(many), atol=0.02, rtol=0)  # files round to 0.01


def test_a_video_is_rendered(run: Run):
    code, _, err = run("a.mp4", "--render", "tracked.mp4")
    assert code == 0
    assert left_in() == ["tracked.mp4"]
    code, _, err = run("tracked.mp4", "--out", "again.json")
    assert (code, "6 frames" in err) == (0, True)


def test_only_the_asked_span_and_rate_are_read(run: Run):
    # 25 frames/s: frames 1 to 4 lie in 0.04 s to 0.2 s, and every second of them is kept.
    run("a.mp4", "--out", "tracks.jsonl", "--start", "0.04", "--end", "0.2", "--stride", "2")
    frames = [json.loads(line) for line in Path("tracks.jsonl").read_text().splitlines()[1:-1]]
    assert [frame["time_s"] for frame in frames] == [0.04, 0.12]


def test_several_inputs_go_to_a_folder(run: Run):
    Path("sub").mkdir()
    Path("b.mp4").rename("sub/a.mp4")
    code, _, err = run("a.mp4", "sub", "--out-dir", "out", "--render", "{stem}-seen.mp4")
    assert code == 0
    assert left_in("out") == ["a-2-seen.mp4", "a-2.json", "a-seen.mp4", "a.json"]
    assert json.loads(Path("out/a-2.json").read_text())["source"] == "sub/a.mp4"
    assert "vidpc: 2 inputs, 0 failed: 9 frames" in err


def test_a_bad_input_among_several_is_told_and_the_rest_completes(run: Run):
    Path("bad.mp4").write_bytes(b"no video")
    code, _, err = run("a.mp4", "bad.mp4", "missing.mp4", "b.mp4", "--out-dir", "out")
    assert code == 1
    assert left_in("out") == ["a.json", "b.json"]
    assert "4 inputs, 2 failed" in err
    assert sum(line.startswith("vidpc: error:") for line in err.splitlines()) == 2
    assert "missing.mp4" in err


def test_a_single_bad_input_has_a_code_of_its_own(run: Run):
    Path("bad.mp4").write_bytes(b"no video")
    code, out, err = run("bad.mp4", "--out", "tracks.json")
    assert (code, out, left_in()) == (3, "", ["bad.mp4"])
    assert err.splitlines()[-1].startswith("vidpc: error: ")


def test_damage_is_a_warning_and_under_strict_an_error(run: Run):
    fast = Clip(count=40, width=160, height=120, container_options={"movflags": "faststart"})
    whole = write_video(Path("whole.mp4"), fast).read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    code, _, err = run("cut.mp4", "--out", "tracks.json")
    assert code == 0
    assert "vidpc: warning: cut.mp4: " in err
    assert json.loads(Path("tracks.json").read_text())["warnings"]
    code, _, err = run("cut.mp4", "--out", "strict.json", "--strict")
    assert code == 6
    assert "strict.json" not in left_in()


def test_an_existing_output_is_kept_unless_told_otherwise(run: Run):
    Path("tracks.json").write_text("mine")
    code, _, err = run("a.mp4", "--out", "tracks.json")
    assert (code, Path("tracks.json").read_text()) == (1, "mine")
    assert "tracks.json exists already: use --overwrite" in err
    assert run("a.mp4", "--out", "tracks.json", "--overwrite")[0] == 0
    assert Path("tracks.json").read_text() != "mine"


def test_existing_outputs_are_skipped(run: Run):
    Path("out").mkdir()
    Path("out/a.json").write_text("mine")
    code, _, err = run("a.mp4", "b.mp4", "--out-dir", "out", "--skip-existing")
    assert (code, Path("out/a.json").read_text(), left_in("out")) == (0, "mine", ["a.json", "b.json"])
    assert "vidpc: 1 input skipped: its output exists" in err
    assert run("a.mp4", "b.mp4", "--out-dir", "out", "--skip-existing")[0] == 0


def test_an_output_never_replaces_an_input(run: Run):
    code, _, err = run("a.mp4", "--out", "./a.mp4", "--format", "json", "--overwrite")
    assert code == 1
    assert "a.mp4 is an input or the output of another input" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4"], "nothing to write: give --out FILE"),
        (
            ["a.mp4", "b.mp4", "--out", "t.json"],
            "would be written for each of 2 inputs: put {stem} into the name, or give --out-dir",
        ),
        (["a.mp4", "b.mp4", "--out", "-"], "--out - takes one input, and there are 2"),
        (["a.mp4", "--format", "csv"], "--format needs --out"),
        (["a.mp4", "--out", "t.json", "--classes", "dog"], "unknown class 'dog'"),
        (["a.mp4", "--out", "t.json", "--set", "scroe=1"], "unknown setting 'scroe'; did you mean 'score'"),
        (["a.mp4", "--out", "t.json", "--set", "score=0.5"], "'score' is set by --set and by an option of its own"),
        (["a.mp4", "--out", "t.json", "--association", "papre"], "did you mean 'paper'"),
        (["a.mp4", "--out", "t.json", "--preset", "pepole"], "did you mean 'people'"),
        (["a.mp4", "--out", "t.json", "--max-age", "soon"], "write frames (32) or seconds (1.5s)"),
        (
            ["a.mp4", "--out", "t.json", "--association", "motion", "--max-age", "9"],
            "under the rule motion is given in seconds",
        ),
        (["a.mp4", "--out", "t.json", "--association", "paper", "--max-age", "2s"], "under the rule paper is given in frames"),
        (["a.mp4", "--out", "t.json", "--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["a.mp4", "--out", "t.json", "--stride", "2", "--fps", "5"], "exclude each other"),
        (["a.mp4", "--out", "t.json", "--start", "2", "--end", "1"], "must lie after the start"),
    ],
)
def test_wrong_words_are_usage_errors(run: Run, arguments: list[str], message: str):
    code, out, err = run(*arguments)
    assert (code, out, left_in()) == (2, "", [])
    assert message in err


def test_a_suffix_without_a_format_is_told_before_any_work(run: Run):
    code, _, err = run("a.mp4", "--out", "tracks.xml")
    assert code == 2
    assert "no track format has this suffix" in err


def test_missing_weights_have_a_code_of_their_own(run: Run):
    code, _, err = run("a.mp4", "--out", "t.json", settings=("--model", "./none.safetensors"))
    assert code == 4
    assert "none.safetensors" in err


def test_lost_tracks_are_kept_as_long_as_asked(run: Run):
    run("a.mp4", "--out", "t.json", "--association", "paper", "--max-age", "7")
    settings = json.loads(Path("t.json").read_text())["settings"]
    assert (settings["rule"], settings["max_age"]) == ("paper", 7)
    run("a.mp4", "--out", "t.json", "--association", "motion", "--max-age", "2.5s", "--overwrite")
    assert json.loads(Path("t.json").read_text())["settings"]["max_gap_s"] == 2.5


def test_benchmark_tells_the_stages_and_needs_no_output(run: Run):
    code, out, err = run("a.mp4", "--benchmark")
    assert (code, out, left_in()) == (0, "", [])
    for stage in ("decode", "prepare", "copy", "model", "postprocess", "write"):
        assert f"  {stage} " in err


def test_json_progress_ends_with_a_summary(run: Run):
    Path("bad.mp4").write_bytes(b"no video")
    code, _, err = run("a.mp4", "bad.mp4", "--out-dir", "out", "--progress", "json")
    summary = next(json.loads(line)["summary"] for line in err.splitlines() if "summary" in line)
    assert code == 1
    assert [row["frames"] for row in summary["inputs"]] == [6, 0]
    assert summary["inputs"][0]["outputs"] == ["out/a.json"]
    assert "bad.mp4" in summary["inputs"][1]["error"]


def test_weights_choose_their_preset(tmp_path: Path):
    released = write_weights(tmp_path / "released.safetensors", {**RULES, "short_side": 800})
    own = write_weights(tmp_path / "own.safetensors")
    assert [track._preset_for(name) for name in (None, "people", str(own))] == ["people"] * 3
    for name in (str(released), "transtrack-mot17-crowdhuman", "transtrack-crowdhuman"):
        assert track._preset_for(name) == "transtrack"


def test_formats_are_those_of_the_library():
    assert set(track.FORMATS) == set(FORMATS)
    assert all(choose_format(f"x{suffix}") == name for name, suffix in track.FORMATS.items())


def test_help_loads_no_torch():
    code = "import sys; from vidpc.cli.main import main; main(['track', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "vidpc track street.mp4 --out tracks.json" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_and_leaves_nothing_under_its_final_name(model: Path, tmp_path: Path, number: int, code: int):
    write_video(tmp_path / "long.mp4", Clip(count=300))
    # A shell without job control starts programs with Ctrl-C ignored: undone, so that the test does not depend on it.
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import vidpc.pipeline.track as pipeline
from vidpc.cli.main import main
write, count = pipeline._Files.write, [0]
def counted(self, result):
    write(self, result)
    count[0] += 1
    if count[0] == 3:
        os.kill(os.getpid(), {int(number)})
pipeline._Files.write = counted
sys.exit(main(["track", "long.mp4", "--out", "t.json", "--render", "t.mp4", "--model", {str(model)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left in ({"long.mp4"}, {"long.mp4", "t.partial.mp4"})  # the beginning plays, and its name says that it is one


def track_process(folder: Path, model: Path, *, stop_after: int | None = None) -> subprocess.Popen[str]:
    """``vidpc track`` on long.mp4 in a process of its own, which kills itself after so many written frames."""
    program = f"""
import os, signal, sys
import vidpc.pipeline.track as pipeline
from vidpc.cli.main import main
write, count = pipeline._Files.write, [0]
def counted(self, result):
    write(self, result)
    count[0] += 1
    if count[0] == {stop_after}:
        os.kill(os.getpid(), signal.SIGKILL)
pipeline._Files.write = counted
small = ["--set", "short_side=48", "--set", "long_side=64", "--model", {str(model)!r}, "--overwrite"]
sys.exit(main(["track", "long.mp4", "--out", "t.json", "--render", "t.mp4", *small]))
"""
    return subprocess.Popen([sys.executable, "-c", program], cwd=folder, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_leaves_nothing_under_the_final_names_and_can_be_repeated(model: Path, tmp_path: Path):
    write_video(tmp_path / "long.mp4", Clip(count=40))
    killed = track_process(tmp_path, model, stop_after=10)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "t.json").exists()
    assert not (tmp_path / "t.mp4").exists()
    again = track_process(tmp_path, model)
    assert again.communicate(timeout=120)[1].count("Traceback") == 0
    assert again.returncode == 0
    assert len(json.loads((tmp_path / "t.json").read_text())["frames"]) == 40


def test_two_runs_with_one_output_leave_a_complete_one(model: Path, tmp_path: Path):
    write_video(tmp_path / "long.mp4", Clip(count=40))
    runs = [track_process(tmp_path, model) for _ in range(2)]
    for one in runs:
        said = one.communicate(timeout=240)[1]
        assert one.returncode == 0, said
    assert len(json.loads((tmp_path / "t.json").read_text())["frames"]) == 40
    items = list(read_videos([tmp_path / "t.mp4"]))
    assert sum(isinstance(item, Frame) for item in items) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mp4", "t.json", "t.mp4"]
