"""``vidpc classify`` from the user's side, with a tiny untrained network on small shapes."""

import csv
import json

import numpy as np
import pytest
from tiny_objects import LABELS, shape, write_weights, write_xyz

from vidpc.cli.main import main


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return str(write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors"))


@pytest.fixture
def run(capfd, model):
    def run(*arguments):
        code = main(["classify", *map(str, arguments), "--model", model])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def scans(tmp_path):
    return [write_xyz(tmp_path / f"{label}.xyz", shape(label)) for label in LABELS]


def test_the_document_names_classes_best_first(run, scans, tmp_path):
    assert run(scans[0], "--out", tmp_path / "a.json", "--top", 2)[0] == 0
    document = json.loads((tmp_path / "a.json").read_text())
    found = document["top"]
    assert [set(row) for row in found] == [{"label", "score"}] * 2
    assert {row["label"] for row in found} < set(LABELS)
    assert found[0]["score"] >= found[1]["score"]
    assert (document["model"]["architecture"], document["source"]) == ("pct", str(scans[0]))


def test_a_look_needs_no_output_and_shows_a_table_on_stderr(run, scans):
    code, out, err = run(*scans)
    assert (code, out) == (0, "")
    for scan, line in zip(scans, err.splitlines(), strict=False):
        assert scan.name in line
        assert line.count(" %") == 3
    assert "vidpc: 3 inputs, 0 failed: 3 scans" in err.splitlines()[-1]


def test_a_pipe_gets_the_document_and_nothing_else(run, scans):
    code, out, _ = run(scans[1], "--out", "-")
    assert code == 0
    assert len(json.loads(out)["top"]) == 3
    code, out, _ = run(scans[1], "--out", "-", "--format", "csv", "--top", 1)
    assert [row["rank"] for row in csv.DictReader(out.splitlines())] == ["1"]


def test_a_bad_scan_does_not_stop_the_others(run, scans, tmp_path):
    few = write_xyz(tmp_path / "few.xyz", shape("ball")[:100])
    code, _, err = run(scans[0], few, tmp_path / "missing.ply", scans[2], "--out-dir", tmp_path / "out")
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ball.json", "pole.json"]
    assert "few.xyz: 100 points with finite coordinates of 100, expected at least 256" in err
    assert "missing.ply" in err


@pytest.mark.parametrize(("bad", "code"), [("few", 3), ("missing", 3)])
def test_a_single_bad_scan_decides_the_exit_code(run, tmp_path, bad, code):
    write_xyz(tmp_path / "few.xyz", shape("ball")[:100])
    assert run(tmp_path / f"{bad}.xyz", "--out", tmp_path / "a.json")[0] == code
    assert not (tmp_path / "a.json").exists()


def test_outputs_are_replaced_or_left_only_when_told(run, scans, tmp_path):
    out = tmp_path / "a.json"
    out.write_text("mine")
    code, _, err = run(scans[0], "--out", out)
    assert (code, out.read_text()) == (1, "mine")
    assert "--overwrite" in err
    code, _, err = run(scans[0], "--out", out, "--skip-existing")
    assert (code, out.read_text()) == (0, "mine")
    assert "1 input skipped" in err
    assert run(scans[0], "--out", out, "--overwrite")[0] == 0
    assert json.loads(out.read_text())["format"] == "vidpc-objects"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "all.json"], "put {stem} into the name"),
        (["--out", "-"], "--out - takes one input, and there are 3"),
        (["--format", "csv"], "--format needs --out or --out-dir"),
        (["--set", "votes=0"], "votes is 0, expected 1 to 64"),
        (["--set", "weights=x"], "set by --set and by an option of its own"),
        (["--preset", "people"], "preset people is one of `vidpc track`"),
        (["--out", "{stem}.txt"], "no format has this suffix"),
    ],
)
def test_wrong_options_are_told_before_any_work(run, scans, arguments, message):
    code, _, err = run(*scans, *arguments)
    assert code == 2
    assert message in err


def test_an_output_never_replaces_its_input(run, scans, tmp_path):
    table = tmp_path / "scan.csv"
    np.savetxt(table, shape("ball"), delimiter=",", header="x,y,z", comments="")
    code, _, err = run(table, "--out", table, "--overwrite")
    assert code == 1
    assert "is an input" in err
    assert table.read_text().startswith("x,y,z")


def test_batches_change_nothing(run, scans, tmp_path):
    for batch in ("1", "3"):
        assert run(*scans, "--batch", batch, "--out-dir", tmp_path / batch)[0] == 0
    for scan in scans:
        one, three = (json.loads((tmp_path / batch / f"{scan.stem}.json").read_text())["top"] for batch in ("1", "3"))
        assert [row["label"] for row in one] == [row["label"] for row in three]
        assert [row["score"] for row in one] == pytest.approx([row["score"] for row in three], abs=1e-4)


def test_progress_as_json_holds_the_best_class(run, scans):
    _, _, err = run(scans[0], "--progress", "json")
    summary = json.loads(err.splitlines()[-1])["summary"]
    assert summary["inputs"][0]["points"] == 400
    assert summary["inputs"][0]["top"][0]["label"] in LABELS
