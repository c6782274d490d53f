"""The README's examples, run as they stand, and its tables, held against the program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vidpc.cli.main import COMMANDS, EPILOG
from vidpc.weights import registry

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def block_after(marker):
    """The first block of code after a marker."""
    return re.search(rf"<!-- {marker} -->\s*```bash\n(.*?)```", TEXT, re.DOTALL)[1]


def bash(command, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_examples_run_as_they_stand(tmp_path):
    if not registry.place(registry.find("people")).is_file():
        pytest.skip("the built-in weights are not in this tree")
    done = bash(block_after("run"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "street" in done.stdout


def test_main_job_installs_and_tracks():
    command = block_after("command: try")
    assert "pip install . " in command
    assert "vidpc track demo/street.mp4" in command


def test_continuous_integration_runs_the_test_command():
    command = block_after("command: test")
    assert [word for word in ("ruff check", "ruff format --check", "mypy", "pytest") if word not in command] == []
    assert "<!-- command: test -->" in (ROOT / ".ci" / "run").read_text()


def test_every_command_has_a_row():
    assert [name for name in COMMANDS if f"| `vidpc {name}" not in TEXT] == []


def test_every_exit_code_has_a_row():
    codes = re.findall(r"(?:^| {2,})(\d+) {2,}", EPILOG, re.MULTILINE)
    assert len(codes) == 9
    assert [code for code in codes if not re.search(rf"^\| [\d, ]*\b{code}\b", TEXT, re.MULTILINE)] == []


def test_every_set_of_weights_is_named():
    assert [name for name in registry.entries() if f"`{name}`" not in TEXT] == []
