"""``vidpc segment`` from the user's side, with a tiny untrained network on small scans."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import laspy
import numpy as np
import pytest
import torch
from make_scans import write_las

from vidpc import weights
from vidpc.cli import segment
from vidpc.cli.main import main
from vidpc.models.point_transformer import PointTransformer, PointTransformerConfig
from vidpc.outputs.points import FORMATS

TINY = PointTransformerConfig(widths=(8, 16), blocks=(1, 1), neighbours=(4, 4), strides=(1, 4), share=4, channels=6, classes=3)
Run = Callable[..., tuple[int, str, str]]
POINTS = 40


def write_weights(path: Path, features: str = '["position", "rgb"]') -> Path:
    torch.manual_seed(0)
    metadata = {
        "architecture": "point-transformer",
        "config": json.dumps(asdict(TINY)),
        "labels": '["ground", "vegetation", "building"]',
        "input": f'{{"features": {features}, "voxel_m": 0.25}}',
        "licence": "none",
    }
    weights.write(path, PointTransformer(TINY).state_dict(), metadata)
    return path


def write_ply(path: Path, count: int = POINTS, seed: int = 0) -> Path:
    """A scan with colours and a field that no model reads."""
    random = np.random.default_rng(seed)
    names = "".join(
        f"property {kind}\n" for kind in ("double x", "double y", "double z", "uchar red", "uchar green", "uchar blue")
    )
    head = f"ply\nformat ascii 1.0\ncomment mine\nelement vertex {count}\n{names}property ushort station\nend_header\n"
    xyz = random.uniform(0, 5, (count, 3)) + np.array([484_649, 6_632_630, 100])
    rows = [f"{x:.3f} {y:.3f} {z:.3f} {n % 256} 0 0 {n}" for n, (x, y, z) in enumerate(xyz)]
    path.write_text(head + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``vidpc segment`` in a folder with the scans a.ply and b.ply; returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # so that the command sets nothing that outlives the test
    write_ply(Path("a.ply"))
    write_ply(Path("b.ply"), seed=1)

    def call(*arguments: str, settings: tuple[str, ...] = ("--preset", "rooms", "--model", str(model))) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["segment", *arguments, *settings])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def left_in(folder: str = ".") -> list[str]:
    """What a run left behind."""
    return sorted(path.name for path in Path(folder).iterdir() if path.name not in ("a.ply", "b.ply"))


def test_a_scan_comes_out_beside_its_input_with_all_it_had(run: Run):
    code, out, err = run("a.ply")
    assert (code, out, left_in()) == (0, "", ["a.segmented.ply"])
    before, after = Path("a.ply").read_text().splitlines(), Path("a.segmented.ply").read_text().splitlines()
    assert "comment mine" in after
    assert any(line.startswith("comment vidpc ") and "segment, model " in line for line in after)
    assert "comment vidpc label 2 building" in after
    rows = [line.split() for line in after[after.index("end_header") + 1 :]]
    assert [row[:7] for row in rows] == [line.split() for line in before[before.index("end_header") + 1 :]]
    assert {"property int label", "property float scalar_label", "property float confidence"} <= set(after)
    assert f"a.ply: {POINTS} points" in err
    assert f"vidpc: {POINTS} points, " in err


def test_painted_points_have_the_colours_of_their_classes(run: Run):
    run("a.ply", "--out", "a.npz")
    run("a.ply", "--out", "painted.ply", "--color")
    labels = np.load("a.npz")["label"]
    lines = Path("painted.ply").read_text().splitlines()
    rows = [line.split() for line in lines[lines.index("end_header") + 1 :]]
    colours = {0: ["170", "120", "70"], 1: ["40", "150", "50"], 2: ["220", "60", "50"]}
    assert [row[3:6] for row in rows] == [colours[label] for label in labels]


def test_labels_alone_as_arrays(run: Run):
    assert run("a.ply", "--out", "a.npz")[0] == 0
    found = np.load("a.npz")
    assert found["label"].shape == found["confidence"].shape == (POINTS,)
    assert set(found["label"]) <= {0, 1, 2}
    assert ((found["confidence"] > 0.33) & (found["confidence"] <= 1)).all()


def test_summaries_say_how_many_points_each_class_has(run: Run):
    code, _, _ = run("a.ply", "--out", "a.json", "--summary", "a.csv")
    assert (code, left_in()) == (0, ["a.csv", "a.json"])
    found = json.loads(Path("a.json").read_text())
    assert [row["name"] for row in found["classes"]] == ["ground", "vegetation", "building"]
    assert sum(row["points"] for row in found["classes"]) == found["points"] == POINTS
    assert sum(row["share"] for row in found["classes"]) == pytest.approx(1, abs=3e-4)
    assert (found["source"], found["settings"]["voxel_m"], found["model"]["labels"][0]) == ("a.ply", 0.25, "ground")
    with Path("a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["points"]) for row in rows] == [row["points"] for row in found["classes"]]


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.html", b"<!")])
def test_a_scan_is_rendered(run: Run, name: str, begins: bytes):
    code, _, _ = run("a.ply", "--out", "a.npz", "--render", name)
    assert (code, left_in()) == (0, sorted(["a.npz", name]))
    assert Path(name).read_bytes().startswith(begins)


@pytest.mark.parametrize("suffix", ["las", "laz"])
def test_las_comes_out_as_las_with_asprs_codes(run: Run, suffix: str):
    write_las(Path(f"tile.{suffix}"), count=60)
    code, _, _ = run(f"tile.{suffix}", "--summary", "tile.json")
    assert (code, left_in()) == (0, ["tile.json", f"tile.{suffix}", f"tile.segmented.{suffix}"])
    before, after = laspy.read(f"tile.{suffix}"), laspy.read(f"tile.segmented.{suffix}")
    for name in ("X", "Y", "Z", "intensity", "return_number", "point_source_id", "gps_time"):
        np.testing.assert_array_equal(after[name], before[name])
    found = {row["name"]: row["points"] for row in json.loads(Path("tile.json").read_text())["classes"]}
    codes = {"ground": 2, "vegetation": 5, "building": 6}
    assert {name: int((after.classification == code).sum()) for name, code in codes.items()} == found
    assert 0 < np.asarray(after.confidence).min() <= 1


def test_arrays_and_text_have_outputs_of_their_own(run: Run):
    Path("sub").mkdir()
    xyz = np.random.default_rng(0).uniform(0, 5, (POINTS, 3))
    np.save("sub/one.npy", xyz)
    np.savetxt("sub/two.xyz", xyz, fmt="%.3f")
    assert run("sub")[0] == 0
    assert left_in("sub") == ["one.npy", "one.segmented.npz", "two.segmented.xyz", "two.xyz"]
    before, after = (Path(f"sub/two{end}").read_text().splitlines() for end in (".xyz", ".segmented.xyz"))
    assert [row.split()[:3] for row in after] == [row.split() for row in before]


def test_missing_colour_is_told_on_stderr_and_in_the_output(run: Run):
    Path("grey.ply").write_text(Path("a.ply").read_text().replace("uchar red", "uchar r1").replace("uchar green", "uchar g1"))
    code, _, err = run("grey.ply", "--summary", "grey.json")
    note = "the scan has no colour: labelled without it, which the model can use"
    assert code == 0
    assert f"vidpc: warning: grey.ply: {note}" in err.splitlines()
    assert f"comment vidpc {note}" in Path("grey.segmented.ply").read_text().splitlines()
    assert note in json.loads(Path("grey.json").read_text())["warnings"]


def test_the_preset_follows_the_input_and_is_told(run: Run):
    """With the weights that are built in."""
    write_las(Path("tile.laz"), count=60)
    code, _, err = run("a.ply", "tile.laz", "--out-dir", "out", "--summary", "{stem}.json", settings=())
    assert code == 0
    told = [line for line in err.splitlines() if ": preset " in line]
    assert told == [
        "vidpc: a.ply: preset rooms, the default for scans that are not LAS or LAZ (from the air: --preset aerial), "
        "with weights rooms",
        "vidpc: tile.laz: preset aerial, the default for LAS and LAZ (indoors: --preset rooms), with weights aerial",
    ]
    for stem, name in (("a", "rooms"), ("tile", "aerial")):
        found = json.loads(Path(f"out/{stem}.json").read_text())
        assert (found["model"]["name"], found["settings"]["weights"]) == (name, name)
    assert "model rooms" in Path("out/a.segmented.ply").read_text()
    assert ": preset " not in run("a.ply", "--out", "b.json", "--preset", "aerial", settings=())[2]


def test_names_with_spaces_and_letters_of_any_language_are_kept(run: Run):
    folder = Path("meine Räume")
    folder.mkdir()
    Path("a.ply").rename(folder / "erster Stock.ply")
    assert run("meine Räume/erster Stock.ply")[0] == 0
    assert left_in(str(folder)) == ["erster Stock.ply", "erster Stock.segmented.ply"]


def test_stdout_holds_data_alone(run: Run):
    code, out, _ = run("a.ply", "--out", "-", "--progress", "plain")
    assert code == 0
    assert json.loads(out)["points"] == POINTS
    assert left_in() == []
    code, out, _ = run("a.ply", "--out", "-", "--format", "csv")
    assert len(out.splitlines()) == POINTS + 1
    assert "label" in out.splitlines()[0]


def test_a_scan_comes_through_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with Path("a.ply").open() as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        code, _, err = run("-")
    assert (code, left_in()) == (0, ["stdin.segmented.ply"])
    assert "-: 40 points" in err


def test_several_inputs_go_to_a_folder(run: Run):
    Path("sub").mkdir()
    Path("b.ply").rename("sub/a.ply")
    code, _, err = run("a.ply", "sub", "--out-dir", "out", "--summary", "{stem}.json")
    assert code == 0
    assert left_in("out") == ["a-2.json", "a-2.segmented.ply", "a.json", "a.segmented.ply"]
    assert json.loads(Path("out/a-2.json").read_text())["source"] == "sub/a.ply"
    assert "vidpc: 2 inputs, 0 failed: 80 points" in err


def test_results_of_an_earlier_run_are_no_inputs(run: Run):
    run(".")
    assert left_in() == ["a.segmented.ply", "b.segmented.ply"]
    code, _, err = run(".", "--overwrite")
    assert (code, left_in()) == (0, ["a.segmented.ply", "b.segmented.ply"])
    assert "2 left out: results of an earlier run" in err
    assert run("a.segmented.ply", "--out", "twice.npz")[0] == 0


def test_votes_and_batches_hardly_change_confidences(run: Run):
    run("a.ply", "b.ply", "--out-dir", "one", "--format", "npz", "--batch", "1")
    run("a.ply", "b.ply", "--out-dir", "many", "--format", "npz", "--batch", "16")
    run("a.ply", "b.ply", "--out-dir", "votes", "--format", "npz", "--votes", "3")
    for name in ("a.segmented.npz", "b.segmented.npz"):
        one, many, votes = (np.load(Path(folder, name)) for folder in ("one", "many", "votes"))
        np.testing.assert_allclose(many["confidence"], one["confidence"], atol=1e-5)
        assert np.abs(votes["confidence"] - one["confidence"]).max() < 0.3


def test_the_authors_scheme_is_a_choice(run: Run):
    code, _, _ = run("a.ply", "--out", "a.json", "--scheme", "paper")
    assert code == 0
    assert json.loads(Path("a.json").read_text())["settings"]["scheme"] == "paper"


def test_a_bad_input_among_several_is_told_and_the_rest_completes(run: Run):
    Path("bad.ply").write_text("ply\nformat ascii 1.0\nelement vertex 9\nproperty float x\nend_header\n")
    code, _, err = run("a.ply", "bad.ply", "missing.ply", "b.ply", "--out-dir", "out")
    assert code == 1
    assert left_in("out") == ["a.segmented.ply", "b.segmented.ply"]
    assert "4 inputs, 2 failed" in err
    assert sum(line.startswith("vidpc: error:") for line in err.splitlines()) == 2


def test_a_single_bad_input_has_a_code_of_its_own(run: Run):
    lines = Path("a.ply").read_text().splitlines(keepends=True)
    Path("cut.ply").write_text("".join(lines[:-9]))
    code, out, err = run("cut.ply")
    assert (code, out, left_in()) == (3, "", ["cut.ply"])
    assert err.splitlines()[-1].startswith("vidpc: error: cannot read cut.ply")


def test_an_empty_scan_is_an_empty_result_and_a_warning(run: Run):
    write_ply(Path("none.ply"), 0)
    code, _, err = run("none.ply")
    assert (code, left_in()) == (0, ["none.ply", "none.segmented.ply"])
    assert "vidpc: warning: none.ply: the scan has no points" in err


def test_points_that_are_no_numbers_keep_their_place(run: Run):
    text = Path("a.ply").read_text().splitlines()
    at = text.index("end_header") + 3
    text[at] = "nan nan nan " + " ".join(text[at].split()[3:])
    Path("holes.ply").write_text("\n".join(text) + "\n")
    code, _, err = run("holes.ply", "--out", "holes.npz")
    found = np.load("holes.npz")
    assert (code, int(found["label"][2]), float(found["confidence"][2])) == (0, -1, 0)
    assert (np.delete(found["label"], 2) >= 0).all()
    assert "1 of 40 points have no usable coordinates" in err


def test_an_existing_output_is_kept_unless_told_otherwise(run: Run):
    Path("a.segmented.ply").write_text("mine")
    code, _, err = run("a.ply")
    assert (code, Path("a.segmented.ply").read_text()) == (1, "mine")
    assert "a.segmented.ply exists already: use --overwrite" in err
    assert run("a.ply", "--skip-existing")[0] == 0
    assert Path("a.segmented.ply").read_text() == "mine"
    assert run("a.ply", "--overwrite")[0] == 0
    assert Path("a.segmented.ply").read_text() != "mine"


def test_an_output_never_replaces_an_input(run: Run):
    before = Path("a.ply").read_text()
    code, _, err = run("a.ply", "--out", "./a.ply", "--overwrite")
    assert (code, Path("a.ply").read_text()) == (1, before)
    assert "a.ply is an input or the output of another input" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["a.ply", "b.ply", "--out", "t.ply"],
            "would be written for each of 2 inputs: put {stem} into the name, or give --out-dir",
        ),
        (["a.ply", "b.ply", "--out", "-"], "--out - takes one input, and there are 2"),
        (["a.ply", "--format", "plz"], "did you mean 'ply'"),
        (["a.ply", "--set", "voxle_m=1"], "unknown setting 'voxle_m'; did you mean 'voxel_m'"),
        (["a.ply", "--set", "votes=2", "--votes", "3"], "'votes' is set by --set and by an option of its own"),
        (["a.ply", "--scheme", "papre"], "did you mean 'paper'"),
        (["a.ply", "--votes", "0"], "0 is not in the range"),
        (["a.ply", "--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["a.ply", "--out", "t.xyzrgb"], "no format of points has this suffix"),
        (["a.ply", "--summary", "t.xml"], "use .json or .csv"),
        (["a.ply", "--render", "t.gif"], "t.gif"),
    ],
)
def test_wrong_words_are_usage_errors(run: Run, arguments: list[str], message: str):
    code, out, err = run(*arguments)
    assert (code, out, left_in()) == (2, "", [])
    assert message in err


def test_a_preset_of_another_task_is_told(run: Run):
    code, _, err = run("a.ply", settings=("--preset", "people"))
    assert code == 2
    assert "preset people is one of `vidpc track`" in err


def test_a_format_that_cannot_hold_the_scan_is_told_before_any_work(run: Run):
    code, _, err = run("a.ply", "--out", "t.laz")
    assert (code, left_in()) == (1, [])
    assert "a scan read from ply cannot be written as laz; possible: ply, npz, text" in err


def test_missing_weights_have_a_code_of_their_own(run: Run):
    code, _, err = run("a.ply", settings=("--preset", "rooms", "--model", "./none.safetensors"))
    assert code == 4
    assert "none.safetensors" in err


def test_benchmark_tells_the_stages(run: Run):
    code, _, err = run("a.ply", "--benchmark")
    assert code == 0
    for stage in ("decode", "prepare", "copy", "model", "postprocess", "write"):
        assert f"  {stage} " in err
    assert "µs a point" in err


def test_json_progress_ends_with_a_summary(run: Run):
    code, _, err = run("a.ply", "missing.ply", "--out-dir", "out", "--progress", "json")
    summary = next(json.loads(line)["summary"] for line in err.splitlines() if "summary" in line)
    assert code == 1
    assert [row["points"] for row in summary["inputs"]] == [POINTS, 0]
    assert sum(summary["inputs"][0]["classes"].values()) == POINTS
    assert summary["inputs"][0]["outputs"] == ["out/a.segmented.ply"]


def test_weights_choose_their_preset(tmp_path: Path, model: Path):
    own = write_weights(tmp_path / "own.safetensors", '["rgb", "colour"]')  # as many columns as the network has, or not
    assert segment._preset_for(None) is None
    assert segment._preset_for(str(own)) is None
    assert segment._preset_for(str(model)) == "point-transformer"
    assert segment._preset_for("aerial") == "aerial"


def test_formats_are_those_of_the_library():
    assert set(segment.FORMATS) == set(FORMATS)


def test_help_loads_no_torch():
    code = "import sys; from vidpc.cli.main import main; main(['segment', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "vidpc segment scan.ply" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_and_leaves_no_file(model: Path, tmp_path: Path, number: int, code: int):
    write_ply(tmp_path / "long.ply", 3000)
    # A shell without job control starts programs with Ctrl-C ignored: undone, so that the test does not depend on it.
    program = f"""
import os, signal, sys, tempfile
signal.signal(signal.SIGINT, signal.default_int_handler)
tempfile.tempdir = {str(tmp_path)!r}
import vidpc.pipeline.segment as pipeline
from vidpc.cli.main import main
told = pipeline._Files._told
def interrupted(self, labels):
    yield from told(self, labels)
    os.kill(os.getpid(), {int(number)})
pipeline._Files._told = interrupted
sys.exit(main(["segment", "long.ply", "--preset", "rooms", "--model", {str(model)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["long.ply"]


def test_the_authors_test_refuses_scans_that_memory_would_not_hold(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("vidpc.pipeline.segment.PAPER_POINTS", POINTS - 1)
    code, _, err = run("a.ply", "--scheme", "paper")
    assert (code, left_in()) == (3, [])
    assert f"at most {POINTS - 1} points" in err
    assert run("a.ply")[0] == 0
