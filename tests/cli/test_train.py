import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from make_media import write_picture

from vidpc import weights
from vidpc.cli.train import command
from vidpc.errors import OutputError, PresetError

TINY = {
    "stem": 8,
    "width": 32,
    "heads": 2,
    "decoder_layers": 1,
    "feedforward": 32,
    "queries": 8,
    "warmup": 1,
    "decoders_from": 0,
    "pairs": 1,
    "log_every": 1,
    "check_every": 1,
    "streets": 0,
    "set_weights": [],
    "sizes": ["0: 96x64"],
}


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def labels(folder):
    images, notes = [], []
    for number in (1, 2):
        picture = np.full((64, 96, 3), 90, np.uint8)
        picture[10:50, 20 * number : 20 * number + 16] = 250
        write_picture(folder / f"{number}.png", picture)
        images.append({"id": number, "file_name": f"{number}.png"})
        notes.append({"image_id": number, "bbox": [20 * number, 10, 16, 40]})
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}))
    return path


def run(*arguments):
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    return CliRunner().invoke(command, ["track", *map(str, arguments), *settings])


def test_a_run_writes_weights_and_figures_and_can_be_resumed(tmp_path):
    path, folder, out = labels(tmp_path), tmp_path / "run", tmp_path / "mine.safetensors"
    first = run("--labels", path, "--val", path, "--run", folder, "--out", out, "--steps", 1, "--licence", "mine")
    assert first.exit_code == 0, first.exception
    figures, written = first.stdout.splitlines()
    assert json.loads(figures)["all"]["pictures"] == 2
    file = weights.read(out)
    assert written == f"{out}  sha256 {file.sha256}"
    assert file.header.licence == "mine"
    checked = CliRunner().invoke(command, ["check", str(out), "--val", str(path)])
    assert checked.exit_code == 0, checked.exception
    assert json.loads(checked.stdout)["all"]["pictures"] == 2
    again = run("--labels", path, "--run", folder, "--out", out, "--steps", 2, "--resume", "--overwrite")
    assert again.exit_code == 0, again.exception
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in events if line["event"] == "step"] == [1, 2]
    assert weights.read(out).header.metadata["source"].startswith("vidpc train track, 2 steps")


def test_nothing_that_exists_is_replaced_unasked(tmp_path):
    path, out = labels(tmp_path), tmp_path / "mine.safetensors"
    out.touch()
    assert isinstance(run("--labels", path, "--run", tmp_path / "run", "--out", out).exception, OutputError)
    (tmp_path / "checkpoint.pt").touch()
    refused = run("--labels", path, "--run", tmp_path, "--out", tmp_path / "other.safetensors").exception
    assert isinstance(refused, PresetError)
    assert "--resume" in str(refused)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "name a COCO document"),
        (("--labels", "a.json", "--images", "x", "--images", "y"), "2 folders of pictures for 1"),
        (("--set", "quries=3"), "queries"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, arguments, reason):
    refused = run(*arguments, "--run", tmp_path / "run", "--out", tmp_path / "w.safetensors").exception
    assert isinstance(refused, PresetError)
    assert reason in str(refused)
