"""The command as a user meets it: help at once, one line an error, an exit code for each kind."""

import logging
import os
import signal
import subprocess
import sys
import time
import types

import click
import pytest

from vidpc import errors
from vidpc.cli import main as main_module
from vidpc.cli.main import COMMANDS, exit_code, main

HEAVY = ("torch", "torchvision", "open3d", "av", "decord", "numpy", "scipy", "PIL")


@pytest.fixture(autouse=True)
def as_before():
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def fail_with(monkeypatch):
    """Runs a command that raises what it is given; returns the exit code."""

    def run(error, *options):
        @click.command()
        def command():
            raise error

        monkeypatch.setitem(sys.modules, "vidpc.cli.failing", types.SimpleNamespace(command=command))
        monkeypatch.setitem(COMMANDS, "failing", ("failing", "Fails."))
        return main([*options, "failing"])

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["models", "show", "people"]], ids=" ".join)
def test_light_commands_import_nothing_heavy(arguments):
    code = f"import sys; from vidpc.cli.main import main; main({arguments}); print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in out] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"vidpc {name}" in capsys.readouterr().out


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 0
    assert "Exit codes:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trak"], ["unknown command 'trak'", "'track'", "vidpc --help"]),
        (["--verbos"], ["--verbos", "--verbose"]),
        (["models", "convert", "x", "--layout", "transtrak", "--out", "y"], ["'transtrak'", "'transtrack'"]),
        (["models"], ["Missing command", "vidpc models --help"]),
    ],
)
def test_wrong_usage_is_one_line_that_helps(arguments, words, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("vidpc: error: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.OpenError, 3),
        (errors.DecodeError, 3),
        (errors.TruncatedError, 6),
        (errors.PointCloudError, 3),
        (errors.PresetError, 2),
        (errors.WeightsError, 4),
        (errors.DeviceError, 2),
        (errors.OutOfMemoryError, 5),
        (errors.OutputError, 1),
        (errors.VidpcError, 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(kind, code, fail_with, capsys):
    assert exit_code(kind("x")) == code
    assert fail_with(kind("reading a.mp4: no frames")) == code
    assert capsys.readouterr().err == "vidpc: error: reading a.mp4: no frames\n"


def test_control_characters_never_reach_the_terminal(fail_with, capsys):
    fail_with(errors.OpenError("cannot open a\x1b[2Jb\nc\udcff.mp4"))
    assert capsys.readouterr().err == "vidpc: error: cannot open a\\x1b[2Jb\\nc\\udcff.mp4\n"


def test_bugs_are_one_line_and_a_traceback_with_v(fail_with, capsys):
    assert fail_with(ZeroDivisionError("oh")) == 1
    assert capsys.readouterr().err.startswith("vidpc: error: internal error: ZeroDivisionError: oh")
    assert fail_with(ZeroDivisionError("oh"), "-v") == 1
    assert "Traceback" in capsys.readouterr().err


def test_running_out_of_memory_is_5(fail_with, capsys):
    assert fail_with(MemoryError("of 12 GiB")) == 5
    assert capsys.readouterr().err == "vidpc: error: out of memory of 12 GiB\n"


@pytest.mark.parametrize(
    ("options", "levels"), [((), ["warning"]), (("-v",), ["warning", "info"]), (("-vv",), ["warning", "info", "debug"])]
)
def test_log_goes_to_stderr_as_lines_without_control_characters(options, levels, monkeypatch, capsys):
    def talk():
        for level in ("warning", "info", "debug"):
            getattr(logging.getLogger("vidpc.media"), level)("%s of a\x1b.mp4", level)

    monkeypatch.setitem(
        sys.modules, "vidpc.cli.failing", types.SimpleNamespace(command=click.Command("failing", callback=talk))
    )
    monkeypatch.setitem(COMMANDS, "failing", ("failing", "Talks."))
    assert main([*options, "failing"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"vidpc: {level}: {level} of a\\x1b.mp4" for level in levels]
    assert logging.getLogger("vidpc").handlers == []


def test_code_of_a_command_that_exits_is_kept(monkeypatch):
    command = click.Command("failing", callback=lambda: click.get_current_context().exit(1))
    monkeypatch.setitem(sys.modules, "vidpc.cli.failing", types.SimpleNamespace(command=command))
    monkeypatch.setitem(COMMANDS, "failing", ("failing", "Fails."))
    assert main(["failing"]) == 1


def test_ctrl_c_is_130_and_says_nothing(fail_with, capsys):
    assert fail_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize("signals", [1, 2])
def test_termination_unwinds_and_is_143(tmp_path, signals):
    code = (
        "import sys, time, types, click; import vidpc.cli.main as m\n"
        "@click.command()\n"
        "def command():\n"
        "    try: print('ready', flush=True); time.sleep(60)\n"
        f"    finally: time.sleep(0.5); open({str(tmp_path / 'closed')!r}, 'w').close()\n"
        "sys.modules['vidpc.cli.slow'] = types.SimpleNamespace(command=command)\n"
        "m.COMMANDS['slow'] = ('slow', '')\n"
        "sys.exit(m.main(['slow']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        for _ in range(signals):  # as `timeout` does, which tells the process and then its group
            process.terminate()
            time.sleep(0.1)
        assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == 143
    assert (tmp_path / "closed").exists()


def test_reader_that_goes_away_is_met_in_silence():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "vidpc.cli", "models", "list"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_broken_pipe_inside_an_output_error_is_silent(fail_with, capfd):
    error = errors.OutputError("cannot write -")
    error.__cause__ = BrokenPipeError()
    stdout = os.dup(1)
    try:
        assert fail_with(error) == 1
    finally:
        os.dup2(stdout, 1)
    assert capfd.readouterr().err == ""


def test_special_errors_stand_before_their_parents():
    kinds = [kind for kind, _ in main_module.EXIT_CODES]
    assert [(a, b) for i, a in enumerate(kinds) for b in kinds[i + 1 :] if issubclass(b, a)] == []
