"""``vidpc inpaint`` from the user's side, with a tiny untrained network on generated clips."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from make_media import Clip, write_picture, write_video
from tiny_holes import write_weights

from vidpc.cli.main import main


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def run(model, tmp_path, monkeypatch, capsys):
    """Runs ``vidpc inpaint`` in a folder with the clips a.mp4 (6 frames) and b.mp4 (3); returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # so that the command sets nothing that outlives the test
    write_video(Path("a.mp4"), Clip(count=6))
    write_video(Path("b.mp4"), Clip(count=3))

    def call(*arguments, settings=("--model", str(model), "--dilate", "1", "--device", "cpu")):
        capsys.readouterr()
        code = main(["inpaint", *arguments, *settings])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def masks(folder, count, suffix=""):
    place = Path(folder)
    place.mkdir(parents=True)
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[10:20, 10:20] = 255
    for k in range(count):
        write_picture(place / f"{k:03}.png", picture)
    return f"{folder}{suffix}"


def test_a_folder_of_masks(run):
    code, out, err = run("a.mp4", "--mask", masks("m", 6), "--out", "clean.mp4")
    assert (code, out) == (0, "")
    assert re.search(r"vidpc: 6 frames, 6 filled, [\d.]+ frames/s, 0 warnings", err)
    assert Path("clean.mp4").is_file()


def test_boxes_json_progress_and_a_benchmark_without_output(run):
    code, _, err = run("a.mp4", "--box", "4,4,8,8", "--box", "40,30,8,8", "--benchmark")
    assert code == 0
    assert "model" in err
    code, _, err = run("a.mp4", "--box", "4,4,8,8", "--out", "o.mkv", "--progress", "json", "--lossless")
    summary = json.loads(err.splitlines()[-1])["summary"]
    assert (summary["inputs"][0]["frames"], summary["inputs"][0]["filled"]) == (6, 6)
    assert summary["inputs"][0]["outputs"] == ["o.mkv"]


def test_tracks_are_removed_by_identity_and_by_class(run):
    video = {"width": 64, "height": 48, "frame_count": 6}
    found = [{"id": 3, "label": "person", "score": 1, "box_xyxy": [8, 8, 20, 30]}]
    frames = [{"index": k, "time_s": k / 25, "tracks": found} for k in range(6)]
    document = {"format": "vidpc-tracks", "version": 1, "video": video, "model": {"labels": ["person"]}, "frames": frames}
    Path("t.json").write_text(json.dumps(document))
    for choice in (("--ids", "3"), ("--classes", "person"), ()):
        code, _, err = run("a.mp4", "--mask", "t.json", *choice, "--out", "o.mp4", "--overwrite")
        assert code == 0
        assert "6 filled" in err
    code, _, err = run("a.mp4", "--mask", "t.json", "--ids", "4", "--out", "p.mp4")
    assert code == 3
    assert "unknown track '4'" in err


def test_several_inputs_each_with_masks_of_its_own(run):
    masks("m/a", 6), masks("m/b", 3)
    code, _, err = run("a.mp4", "b.mp4", "--mask", "m/{stem}", "--out-dir", "clean")
    assert code == 0
    assert sorted(path.name for path in Path("clean").iterdir()) == ["a.mp4", "b.mp4"]
    assert "2 inputs, 0 failed: 9 frames, 9 filled" in err
    code, _, err = run("a.mp4", "b.mp4", "--mask", "m/{stem}", "--out-dir", "clean", "--skip-existing")
    assert code == 0
    assert "2 inputs skipped" in err


def test_masks_that_do_not_fit_are_an_error_with_both_numbers_or_are_fitted(run):
    code, _, err = run("a.mp4", "--mask", masks("m", 4), "--out", "o.mp4")
    assert code == 3
    assert re.search(r"vidpc: error: m holds 4 masks, and the video a.mp4 has 6 frames: .*--mask-fit", err)
    assert not Path("o.mp4").exists()
    assert run("a.mp4", "--mask", "m", "--out", "o.mp4", "--mask-fit")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "o.mp4"), "either --mask PATH or --box"),
        (("--mask", "m.png", "--box", "1,1,2,2", "--out", "o.mp4"), "either --mask PATH or --box"),
        (("--box", "1,1,2,2"), "nothing to write"),
        (("--box", "1,1,0,2", "--out", "o.mp4"), "is no box"),
        (("--box", "1,1,2", "--out", "o.mp4"), "is no box"),
        (("--mask", "m.png", "--ids", "3", "--out", "o.mp4"), "choose among tracks"),
        (("--mask", "t.json", "--ids", "x", "--out", "o.mp4"), "write numbers"),
        (("--box", "1,1,2,2", "--out", "o.mp4", "--references", "all"), "is for the network 'sttn'"),
        (("--box", "1,1,2,2", "--out", "o.mp4", "--set", "feather_px=-1"), "feather_px is -1"),
        (("--box", "1,1,2,2", "--out", "o.mp4", "--set", "dilate_px=3"), "by an option of its own"),
    ],
)
def test_wrong_words_end_with_2_before_any_work(run, arguments, message):
    code, _, err = run("a.mp4", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_two_inputs_need_a_name_each(run):
    assert run("a.mp4", "b.mp4", "--mask", "m.png", "--out", "o.mp4")[0] == 2
    code, _, err = run("a.mp4", "b.mp4", "--mask", "m.png", "--out-dir", "clean")
    assert code == 2
    assert "put {stem} into its name" in err


def test_the_input_is_never_written_over_and_an_existing_output_only_when_told(run):
    assert run("a.mp4", "--box", "1,1,9,9", "--out", "a.mp4", "--overwrite")[0] == 1
    assert run("a.mp4", "--box", "1,1,9,9", "--out", "o.mp4")[0] == 0
    code, _, err = run("a.mp4", "--box", "1,1,9,9", "--out", "o.mp4")
    assert code == 1
    assert "--overwrite" in err
    assert run("a.mp4", "--box", "1,1,9,9", "--out", "o.mp4", "--overwrite")[0] == 0


def test_help_shows_what_can_be_run(run):
    code, out, _ = run("--help", settings=())
    assert code == 0
    for words in ("--mask tracks.json --ids 3,7", "--box 20,20,160,48", "--out frames/", "--mask-fit", "--lossless"):
        assert words in out
