"""``vidpc models`` from the user's side."""

import hashlib
import json

import pytest
import torch
from tiny_checkpoint import CONFIG

from vidpc.cli.main import main
from vidpc.weights import read_header, registry, store, timesformer, transtrack, vidtr

NAME = "transtrack-crowdhuman"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VIDPC_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture
def published(tmp_path):
    torch.save(
        {"model": {name: torch.ones(shape) for name, shape in transtrack.entries(CONFIG).items()}}, tmp_path / "published.pth"
    )
    return tmp_path / "published.pth"


@pytest.fixture
def placed(published):
    """The download of one entry, placed by hand."""
    place = store.download_path(registry.find(NAME))
    place.parent.mkdir(parents=True)
    place.write_bytes(published.read_bytes())
    return place


def test_list_has_a_line_an_entry_with_its_licence(capsys):
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.entries())
    assert all(entry.licence in line for line, entry in zip(lines, registry.entries().values(), strict=True))
    assert "to pull" in next(line for line in lines if line.startswith(NAME))


def test_list_as_json_holds_every_field(capsys):
    assert main(["models", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["id"]: row["state"] for row in rows}[NAME] == "to pull"
    assert next(row for row in rows if row["id"] == NAME)["urls"][0].startswith("https://")


def test_show_tells_of_an_entry_and_of_a_file(published, tmp_path, capsys):
    assert main(["models", "show", NAME]) == 0
    assert "560mot17_crowdhuman.pth" in capsys.readouterr().out
    out = str(tmp_path / "w.safetensors")
    assert main(["models", "convert", str(published), "--layout", "transtrack", "--out", out]) == 0
    capsys.readouterr()
    assert main(["models", "show", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == "transtrack"


def test_unknown_weights_are_answered_with_near_ones(capsys):
    assert main(["models", "show", "transtrack-crowdhumen"]) == 4
    assert f"did you mean '{NAME}'" in capsys.readouterr().err


def test_pull_offline_names_the_file_to_place(cache, capsys):
    assert main(["models", "pull", NAME]) == 4
    err = capsys.readouterr().err
    assert f"as {cache}/models/{NAME}/560mot17_crowdhuman.pth" in err
    assert err.count("\n") == 1


def test_pull_says_that_no_hash_is_published(placed, capsys):
    assert main(["models", "pull", NAME]) == 0
    streams = capsys.readouterr()
    digest = hashlib.sha256(placed.read_bytes()).hexdigest()
    assert "nobody publishes a hash" in streams.err
    assert digest in streams.err
    assert streams.out == f"{NAME}: {registry.place(registry.find(NAME))}\n"


def test_verify_checks_what_is_here_and_what_is_named(placed, capsys):
    assert main(["models", "pull", NAME]) == 0
    capsys.readouterr()
    assert main(["models", "verify", NAME]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}: good, sha256 ")
    placed.write_bytes(b"x")
    assert main(["models", "verify", NAME]) == 4
    assert "expected" in capsys.readouterr().err


def test_pull_wants_names_or_all(capsys):
    assert main(["models", "pull"]) == 2
    assert main(["models", "pull", NAME, "--all"]) == 2


def test_convert_refuses_to_clobber(published, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    arguments = ["models", "convert", str(published), "--layout", "transtrack", "--out", str(out), "--licence", "MIT"]
    assert main(arguments) == 0
    assert read_header(out).licence == "MIT"
    assert main(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


def test_convert_names_what_it_expects(tmp_path, capsys):
    assert main(["models", "convert", "x.pth", "--layout", "transtrack", "--out", str(tmp_path / "w.pth")]) == 2
    assert ".safetensors" in capsys.readouterr().err
    assert main(["models", "convert", "nothing.pth", "--layout", "transtrack", "--out", str(tmp_path / "w.safetensors")]) == 4
    assert "nothing.pth: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "wrapper", "prefix"), [("timesformer", "model_state", "model."), ("vidtr", "model", "module.")]
)
def test_convert_takes_wrapped_checkpoints_of_video_networks(tmp_path, capsys, layout, wrapper, prefix):
    sizes = {"size": [32, 32], "patch": 16, "frames": 2, "width": 64, "depth": 1, "classes": 400}
    more = {
        "timesformer": {"channels": 3, "heads": 1, "mlp_ratio": 2.0, "attention": "divided_space_time", "qkv_bias": True},
        "vidtr": {"heads": 1, "feedforward": 8, "placed_layers": 1},
    }[layout]
    rows = {"timesformer": timesformer, "vidtr": vidtr}[layout].entries({**sizes, **more})
    torch.save({wrapper: {prefix + row.theirs: torch.ones(row.shape) for row in rows}, "epoch": 1}, tmp_path / "released.pth")
    out = tmp_path / "ours.safetensors"
    assert main(["models", "convert", str(tmp_path / "released.pth"), "--layout", layout, "--out", str(out)]) == 0
    assert main(["models", "show", str(out), "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["architecture"] == layout
    assert "abseiling" in shown
