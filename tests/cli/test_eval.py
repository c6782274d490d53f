"""``vidpc eval`` from the user's side."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vidpc.cli.eval import command
from vidpc.errors import OpenError, OutputError, PresetError

MOT = Path(__file__).parents[1] / "golden" / "mot"
CAMPUS = ["--gt", str(MOT / "TUD-Campus" / "gt.txt"), "--pred", str(MOT / "TUD-Campus" / "test.txt")]
STADTMITTE = ["--gt", str(MOT / "TUD-Stadtmitte" / "gt.txt"), "--pred", str(MOT / "TUD-Stadtmitte" / "test.txt")]


def run(*arguments):
    return CliRunner().invoke(command, ["track", *arguments], catch_exceptions=False)


def test_the_table_has_a_row_a_sequence_and_one_for_all():
    lines = run(*CAMPUS, *STADTMITTE).stdout.splitlines()
    assert lines[0].split()[:4] == ["sequence", "MOTA", "IDF1", "HOTA"]
    assert [line.split()[0] for line in lines[1:]] == ["TUD-Campus", "TUD-Stadtmitte", "OVERALL"]
    assert lines[1].split()[1:4] == ["52.6", "55.8", "39.1"]


def test_json_holds_every_figure(tmp_path):
    result = run(*CAMPUS, "--json", "--out", str(tmp_path / "figures.json"))
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "figures.json").read_text())
    assert document["sequences"]["TUD-Campus"] == document["overall"]
    assert document["overall"]["MOTA"] == 0.526462
    assert document["ignore_regions"] is False


def test_ignored_regions_change_the_figures_only_when_asked(tmp_path):
    (tmp_path / "gt.txt").write_text("1,1,0,0,10,10,1,1,1\n1,2,50,50,10,10,0,8,1\n")
    (tmp_path / "result.txt").write_text("1,1,0,0,10,10,1,-1,-1,-1\n1,2,51,51,5,5,1,-1,-1,-1\n")
    pair = ["--gt", str(tmp_path / "gt.txt"), "--pred", str(tmp_path / "result.txt"), "--json"]
    assert json.loads(run(*pair).stdout)["overall"]["FP"] == 1
    assert json.loads(run(*pair, "--ignore-regions").stdout)["overall"]["FP"] == 0


def test_results_that_were_not_measured_are_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("1,1,0,0,10,10\n")
    (tmp_path / "gt" / "a").mkdir(parents=True)
    (tmp_path / "gt" / "a" / "gt.txt").write_text("1,1,0,0,10,10,1\n")
    result = run("--gt", str(tmp_path / "gt"), "--pred", str(tmp_path))
    assert "not evaluated, no ground truth has its name" in result.stderr
    assert "b.txt" in result.stderr


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"writing figures to .*: Is a directory"):
        run(*CAMPUS, "--out", str(tmp_path))


@pytest.fixture
def labelled(tmp_path):
    """The options for two files with labels of the same four points, one of them wrong."""
    xyz, names = np.arange(12.0).reshape(4, 3), np.array(["floor", "chair"])
    np.savez(tmp_path / "truth.npz", xyz=xyz, label=np.array([0, 0, 1, 1]), names=names)
    np.savez(tmp_path / "found.npz", xyz=xyz, label=np.array([0, 0, 0, 1]))
    return ["--gt", str(tmp_path / "truth.npz"), "--pred", str(tmp_path / "found.npz")]


def segment(*arguments):
    return CliRunner().invoke(command, ["segment", *arguments], catch_exceptions=False)


def test_segment_prints_a_row_a_class_and_the_means(labelled):
    lines = segment(*labelled).stdout.splitlines()
    assert lines[0].split() == ["class", "points", "accuracy", "IoU", "floor", "chair", "none"]
    assert lines[1].split() == ["floor", "2", "100.0", "66.7", "100.0", "0.0", "0.0"]
    assert lines[2].split() == ["chair", "2", "50.0", "50.0", "50.0", "50.0", "0.0"]
    assert "OA 75.0" in lines[3]
    assert "mIoU 58.3" in lines[3]


def test_segment_as_json_holds_every_figure(labelled, tmp_path):
    document = json.loads(segment(*labelled, *labelled, "--json", "--out", str(tmp_path / "a.json")).stdout)
    assert document == json.loads((tmp_path / "a.json").read_text())
    assert (document["points"], document["OA"], document["mIoU"]) == (8, 0.75, 0.583333)
    assert document["classes"][1] == {"name": "chair", "points": 4, "accuracy": 0.5, "IoU": 0.5}
    assert document["confusion"] == [[4, 0, 0], [2, 2, 0]]


def test_segment_asks_for_names_that_no_file_has(labelled):
    with pytest.raises(PresetError, match="name them with --classes"):
        segment("--gt", labelled[3], "--pred", labelled[3])
    assert "seat" in segment("--gt", labelled[3], "--pred", labelled[3], "--classes", "ground,seat").stdout


@pytest.fixture
def recognized(tmp_path):
    """The options for four clips: two fights found, one missed, and one clip without a result."""
    (tmp_path / "labels.csv").write_text(
        "file,label,split\n1.mp4,fight,val\n2.mp4,fight,val\n3.mp4,calm,val\n4.mp4,calm,train\n"
    )
    (tmp_path / "results").mkdir()
    for number, best in ((1, "fight"), (2, "calm"), (3, "calm")):
        top = [
            {"label": best, "score": 0.75, "model": "m"},
            {"label": {"fight": "calm"}.get(best, "fight"), "score": 0.25, "model": "m"},
        ]
        document = {
            "format": "vidpc-actions",
            "version": 1,
            "source": f"videos/{number}.mp4",
            "models": [{"name": "m", "labels": ["calm", "fight"]}],
            "video": {"top": top},
        }
        (tmp_path / "results" / f"{number}.json").write_text(json.dumps(document))
    return ["--gt", str(tmp_path / "labels.csv"), "--pred", str(tmp_path / "results")]


def recognize(*arguments):
    return CliRunner().invoke(command, ["recognize", *arguments], catch_exceptions=False)


def test_recognize_prints_a_row_a_class_mistakes_and_figures(recognized):
    result = recognize(*recognized)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["class", "clips", "hits", "found", "accuracy", "precision"]
    assert lines[1].split() == ["calm", "2", "1", "2", "50.0", "50.0"]
    assert lines[2].split() == ["fight", "2", "1", "1", "50.0", "100.0"]
    assert lines[3] == "1 fight taken for calm"
    assert lines[4] == "4 clips, 2 classes, 1 without prediction  top-1 50.0  mean class accuracy 50.0  (always calm: 50.0)"
    assert result.stderr == "vidpc: warning: no prediction for 1 clip, counted as wrong: 4.mp4\n"


def test_recognize_as_json_holds_every_figure(recognized, tmp_path):
    result = recognize(*recognized, "--split", "val", "--json", "--out", str(tmp_path / "figures.json"))
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "figures.json").read_text())
    assert (document["model"], document["split"], document["clips"], document["top1"]) == ("m", "val", 3, 0.666667)
    assert (document["top5"], document["mean_class_accuracy"]) == (1.0, 0.75)
    assert document["confusion"] == {"columns": ["calm", "fight", None], "clips": [[1, 0, 0], [1, 1, 0]]}
    assert document["classes"][1] == {
        "label": "fight",
        "known": True,
        "clips": 2,
        "hits": 1,
        "hits_in_5": 2,
        "found": 1,
        "accuracy": 0.5,
        "precision": 1.0,
    }
    assert document["warnings"] == []


def test_recognize_takes_folders_as_labels(recognized, tmp_path):
    for name in ("fight/1.mp4", "fight/2.mp4", "calm/3.mp4"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    result = recognize("--gt", str(tmp_path / "clips"), *recognized[2:])
    assert "3 clips, 2 classes, 0 without prediction  top-1 66.7" in result.stdout


def test_recognize_names_results_of_other_clips(recognized, tmp_path):
    (tmp_path / "other.csv").write_text("file,label\n9.mp4,fight\n")
    with pytest.raises(OpenError, match="no result is of any of the 1 clips"):
        recognize("--gt", str(tmp_path / "other.csv"), *recognized[2:])
