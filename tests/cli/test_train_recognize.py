"""``vidpc train recognize`` and ``vidpc train check`` of what it writes, from a user's side."""

import json

import pytest
import torch
from tiny_walks import LABELS, TINY, write_walks

from vidpc import weights
from vidpc.cli.main import main


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_walks(tmp_path_factory.mktemp("walks"), val=("d",))


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in TINY.items()))
    return path


@pytest.fixture
def train(recipe, tmp_path, capfd):
    """(exit code, stdout, lines of stderr) of a run of the command in the folder ``run``."""

    def train(*arguments, out="mine.safetensors", **changed):
        named = {"recipe": recipe, "run": tmp_path / "run", "out": tmp_path / out, "steps": 3, **changed}
        options = [part for name, value in named.items() for part in (f"--{name}", str(value))]
        capfd.readouterr()
        code = main(["train", "recognize", *options, *map(str, arguments)])
        said = capfd.readouterr()
        return code, said.out, said.err.splitlines()

    return train


def test_a_run_writes_weights_that_recognize_and_check_understand(train, table, tmp_path, capfd):
    code, said, talk = train("--data", table, "--val", table, "--licence", "mine")
    assert code == 0, talk
    figures, written = said.splitlines()
    assert json.loads(figures)["clips"] == 2
    file = weights.read(tmp_path / "mine.safetensors")
    assert written == f"{tmp_path / 'mine.safetensors'}  sha256 {file.sha256}"
    assert (file.header.labels, file.header.licence) == (LABELS, "mine")
    assert [line.split()[:2] for line in talk] == [
        ["1", "loss"],
        ["2", "loss"],
        ["2", "accuracy"],
        ["3", "loss"],
        ["3", "accuracy"],
    ]
    assert main(["train", "check", str(tmp_path / "mine.safetensors"), "--val", str(table)]) == 0
    checked = json.loads(capfd.readouterr().out)
    assert checked == {key: value for key, value in json.loads(figures).items() if key in checked}
    assert checked.keys() == {"accuracy", "mean_class_accuracy", "clips", "classes", "confusion"}
    assert {path.name for path in tmp_path.iterdir()} == {"mine.safetensors", "run", "tiny.toml"}  # its clips are gone
    clip, out = table.parent / "d" / "left.mp4", tmp_path / "actions.json"
    assert main(["recognize", str(clip), "--model", str(tmp_path / "mine.safetensors"), "--out", str(out)]) == 0
    found = json.loads(out.read_text())["video"]["top"]
    assert {entry["label"] for entry in found} == set(LABELS)
    assert sum(entry["score"] for entry in found) == pytest.approx(1, abs=1e-3)


def test_a_folder_a_label_will_do_and_a_run_goes_on(train, table, tmp_path):
    for label in LABELS:
        (tmp_path / "data" / label).mkdir(parents=True)
        for group in "abc":
            (tmp_path / "data" / label / f"{group}.mp4").symlink_to(table.parent / group / f"{label}.mp4")
    assert train("--data", tmp_path / "data", steps=2)[0] == 0
    code, _, talk = train("--data", tmp_path / "data", "--resume", "--overwrite", steps=3)
    assert code == 0, talk
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in events if line["event"] == "step"] == [1, 2, 3]


def test_folds_write_figures_and_no_weights(train, table, tmp_path):
    code, said, talk = train("--data", table, "--split", "all", "--folds", 2, "--set", "steps=1", out="folds.json", steps=1)
    assert code == 0, talk
    figures = json.loads((tmp_path / "folds.json").read_text())
    assert (figures["clips"], figures["folds"], len(figures["fold_accuracies"])) == (8, 2, 2)
    assert sum(map(sum, figures["confusion"])) == 8
    assert json.loads(said) == {key: value for key, value in figures.items() if key != "event"}
    assert sum("accuracy" in line for line in talk) == 3  # of each fold, and of all
    code, _, talk = train("--data", table, "--folds", 2, out="other.json")
    assert (code, len(talk)) == (2, 1)
    assert "holds a run; go on with --resume, or replace it with --overwrite" in talk[0]


def test_a_new_head_on_weights_of_another(train, table, tmp_path):
    assert train("--data", table)[0] == 0
    first = tmp_path / "mine.safetensors"
    arguments = ("--data", table, "--init", first, "--set", "learns=head")
    code, _, talk = train(*arguments, out="second.safetensors", run=tmp_path / "second")
    assert code == 0, talk
    before, after = (weights.read(path).tensors for path in (first, tmp_path / "second.safetensors"))
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 2, "training needs labelled clips"),
        (("--data", "{gone}"), 2, "expected a folder with a folder of clips for each label, or a .csv"),
        (("--data", "{gone}.csv"), 2, "cannot read the table"),
        (("--data", "{unlabelled}"), 2, "line 2 has no file or no label"),
        (("--data", "{one}"), 2, "expected at least two"),
        (("--data", "{broken}"), 3, "noise.mp4"),
        (("--data", "{missing}"), 3, "cannot open the clip"),
        (("--data", "{table}", "--init", "people"), 4, "an input that vidpc recognize does not make"),
        (("--data", "{table}", "--init", "{gone}.safetensors"), 4, "no such file"),
        (("--data", "{table}", "--scenes", "{gone}.mp4", "--set", "simulated=9"), 3, "cannot open the clip"),
        (("--data", "{table}", "--scenes", "{table}"), 2, "nothing is learnt from --scenes"),
        (("--data", "{table}", "--set", "tube=3"), 2, "9 pictures in tubes of 3"),
        (("--data", "{table}", "--folds", "1"), 2, "1 folds: expected two or more"),
        (("--data", "{table}", "--out", "{gone}/w.safetensors"), 1, "there is no folder"),
        (("--data", "{table}", "--resume"), 4, "resuming from"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(train, table, tmp_path, arguments, code, reason):
    rows = {"unlabelled": "a/left.mp4,", "one": "a/left.mp4,left", "broken": "noise.mp4,left", "missing": "none.mp4,left"}
    places = {"gone": tmp_path / "gone", "table": table}
    for name, row in rows.items():
        places[name] = table.parent / f"{name}.csv"
        places[name].write_text(f"file,label\n{row}\na/left.mp4,left\n")
    (table.parent / "noise.mp4").write_bytes(b"nothing that could be decoded")
    found, said, talk = train(*(argument.format(**places) for argument in arguments))
    assert (found, said, len(talk)) == (code, "", 1), talk
    assert talk[0].startswith("vidpc: error: ")
    assert reason in talk[0]


def test_weights_of_a_network_that_is_measured_nowhere_are_told(train, table, tmp_path, capfd):
    assert main(["train", "check", "aerial.safetensors", "--val", str(table)]) == 4
    weights.write(tmp_path / "odd.safetensors", {"x": torch.zeros(1)}, {"architecture": "point-transformer"})
    capfd.readouterr()
    assert main(["train", "check", str(tmp_path / "odd.safetensors"), "--val", str(table)]) == 4
    assert "weights of 'point-transformer', expected a recogniser of actions" in capfd.readouterr().err
