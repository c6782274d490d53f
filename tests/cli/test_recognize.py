"""``vidpc recognize`` from the user's side, with a tiny untrained network on generated videos."""

import json

import pytest
from make_media import Clip, write_video
from tiny_actions import LABELS, write_weights

from vidpc.cli.main import main


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors"))


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", ("up", "down"), seed=1))


@pytest.fixture
def run(capfd, model):
    def run(*arguments, model=model):
        code = main(["recognize", *map(str, arguments), *(["--model", model] if model else [])])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", Clip(count=60))


def test_a_look_needs_no_output_and_ends_with_where_there_is_more(run, video, model):
    code, out, err = run(video)
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0].startswith(f"{video}: 4 windows of 1 s")
    assert all(label in lines[1] for label in LABELS)
    assert "tiny.safetensors" in lines[-2]
    assert "vidpc models pull swin3d-t-kinetics400, then --model swin3d-t-kinetics400" in lines[-2]
    assert lines[-1].startswith("vidpc: 4 windows")


def test_top_bounds_what_is_told(run, video, tmp_path):
    assert run(video, "--top", 1)[2].count(" %,") == 0
    run(video, "--top", 2, "--out", tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert [len(window["top"]) for window in document["windows"]] == [2] * 4
    assert len(document["video"]["top"]) == 2


def test_a_pipe_gets_lines_and_nothing_else(run, video):
    code, out, err = run(video, "--out", "-")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [record["type"] for record in records].count("window") == 4
    assert len(err.splitlines()) == 1


def test_window_and_hop_are_seconds(run, video, tmp_path):
    run(video, "--window", 2, "--hop", 0.2, "--out", tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert [(w["start_s"], w["end_s"]) for w in document["windows"]] == [(0, 2), (0.2, 2.2), (0.4, 2.4)]


def test_clips_and_crops_come_from_the_papers(run, video, tmp_path, model):
    arguments = ("--set", "resize=float", "--clips", 2, "--crops", 3, "--out", tmp_path / "a.json", "--decoder", "pyav")
    assert run(video, *arguments)[0] == 0
    settings = json.loads((tmp_path / "a.json").read_text())["settings"]
    assert (settings["clips"], settings["crops"], settings["resize"]) == (2, 3, "float")
    assert "nothing was sure enough" not in run(video, "--clips", 2)[2]  # clips make no segments, however sure they are


def test_several_models_look_at_the_same_windows(run, video, tmp_path, model, other):
    assert run(video, "--out", tmp_path / "a.json", model=f"{model},{other}")[0] == 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert [entry["name"] for entry in document["models"]] == [model, other]
    assert {entry["model"] for entry in document["video"]["top"]} == {model, other}


def test_a_preset_of_ones_own_with_other_weights(run, video, tmp_path, model):
    preset = tmp_path / "mine.toml"
    preset.write_text('task = "recognize"\nweights = "nowhere.safetensors"\nhop_s = 1.0\n')
    run(video, "--preset", preset, "--out", tmp_path / "a.json")
    assert [w["start_s"] for w in json.loads((tmp_path / "a.json").read_text())["windows"]] == [0, 1, 1.25]


def test_labels_are_kept_and_renamed(run, video, tmp_path):
    assert run(video, "--labels", "jump=hop, stand", "--out", tmp_path / "a.json")[0] == 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["models"][0]["labels"] == ["hop", "stand"]
    assert {entry["label"] for entry in document["video"]["top"]} == {"hop", "stand"}


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "srt", "vtt"])
def test_a_folder_gets_a_file_for_each_input(run, tmp_path, suffix):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_video(tmp_path / "in" / f"{name}.mp4")
    folder = tmp_path / "out"
    assert run(tmp_path / "in", "--out-dir", folder, "--format", suffix, "--plot", "{stem}.png")[0] == 0
    assert {path.name for path in folder.iterdir()} == {f"{stem}.{kind}" for stem in "ab" for kind in (suffix, "png")}


def test_outputs_are_replaced_or_left_only_when_told(run, video, tmp_path):
    out = tmp_path / "a.json"
    out.write_text("mine")
    assert (run(video, "--out", out)[0], out.read_text()) == (1, "mine")
    code, _, err = run(video, "--out", out, "--skip-existing")
    assert (code, out.read_text()) == (0, "mine")
    assert "1 input skipped" in err
    assert run(video, "--out", out, "--overwrite")[0] == 0
    assert json.loads(out.read_text())["format"] == "vidpc-actions"


def test_a_bad_input_does_not_stop_the_others(run, video, tmp_path):
    code, _, err = run(video, tmp_path / "missing.mp4", "--out-dir", tmp_path / "out")
    assert code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.json"]
    assert "missing.mp4: No such file" in err
    assert "2 inputs, 1 failed" in err


def test_a_single_bad_input_decides_the_exit_code(run, tmp_path):
    assert run(tmp_path / "missing.mp4")[0] == 3
    (tmp_path / "empty.mp4").touch()
    code, out, err = run(tmp_path / "empty.mp4", "--out", "-")
    assert (code, out) == (3, "")
    assert "the file is empty" in err


def test_missing_weights_have_their_own_exit_code(run, video):
    assert run(video, model="nowhere.safetensors")[0] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "0"], "expected more than 0"),
        (["--window", "nan"], "expected more than 0"),
        (["--hop", "-1"], "expected more than 0"),
        (["--clips", "0"], "0 is not in the range"),
        (["--crops", "2"], "crops is 2, expected 1 or 3"),
        (["--labels", "jump,,stand"], "write names with commas"),
        (["--labels", "jump="], "write each label once"),
        (["--labels", "jump=a,jump=b"], "write each label once"),
        (["--labels", "walk"], "unknown label 'walk'"),
        (["--labels", "jump=stand,stand"], "two labels would be told as 'stand'"),
        (["--format", "csv"], "--format needs --out"),
        (["--window", "1", "--set", "window_s=2"], "'window_s' is set by --set and by an option of its own"),
        (["--set", "windw=2"], "did you mean 'window_s'"),
        (["--preset", "people"], "is one of `vidpc track`"),
        (["--preset", "a,a"], "write different names"),
    ],
)
def test_wrong_usage_is_one_line_that_helps(run, video, arguments, words):
    code, out, err = run(video, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_benchmark_says_where_the_time_went(run, video):
    err = run(video, "--benchmark")[2]
    assert "ms a window" in err
    assert "decode" in err


def test_progress_as_json_ends_with_a_summary(run, video):
    last = json.loads(run(video, "--progress", "json")[2].splitlines()[-1])["summary"]
    [row] = last["inputs"]
    assert row["windows"] == 4
    assert row["top"][0]["label"] in LABELS
    assert row["error"] is None


def test_an_interrupted_run_leaves_nothing(run, video, tmp_path, monkeypatch):
    from vidpc.tasks.recognize import RecognizeTask

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(RecognizeTask, "step", interrupted)
    code = run(video, "--out", tmp_path / "a.json", "--render", tmp_path / "a.mkv", "--plot", tmp_path / "a.png")[0]
    assert code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
