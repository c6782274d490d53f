"""Where text goes: under its name only when complete, and one line where that cannot be."""

import io
import os
import subprocess
import sys

import pytest

from vidpc.errors import OutputError
from vidpc.outputs.sink import open_sink


def complete(target, text="new", **options):
    sink = open_sink(target, **options)
    sink.write(text)
    sink.commit()


def test_an_existing_file_is_refused(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OutputError, match=r"a exists already: use --overwrite"):
        open_sink(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "old"


def test_overwrite_replaces_at_the_end(tmp_path):
    (tmp_path / "a").write_text("old")
    sink = open_sink(tmp_path / "a", overwrite=True)
    sink.write("new")
    assert (tmp_path / "a").read_text() == "old"
    sink.commit()
    assert (tmp_path / "a").read_text() == "new"


def test_a_discarded_sink_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    sink = open_sink(tmp_path / "a", overwrite=True)
    sink.write("new")
    sink.discard()
    sink.discard()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "old"}


def test_of_two_jobs_on_one_name_one_is_refused_and_nothing_is_mixed(tmp_path):
    first, second = open_sink(tmp_path / "a"), open_sink(tmp_path / "a")
    first.write("first")
    second.write("second")
    second.commit()
    with pytest.raises(OutputError, match="was written by another job meanwhile"):
        first.commit()
    first.discard()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "second"}


def test_of_two_jobs_that_overwrite_the_last_one_wins_whole(tmp_path):
    first, second = (open_sink(tmp_path / "a", overwrite=True) for _ in range(2))
    first.write("first" * 100_000)
    second.write("second")
    second.commit()
    first.commit()
    assert (tmp_path / "a").read_text() == "first" * 100_000


def test_file_systems_without_hard_links_are_no_obstacle(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    complete(tmp_path / "a")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "new"}


def test_a_link_keeps_pointing_where_it_points(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    complete(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "new"


def test_long_names_fit(tmp_path):
    name = "ü" * 120  # 240 bytes of the 255 that a name may have
    complete(tmp_path / name)
    assert (tmp_path / name).read_text() == "new"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a directory: name a file in it"),
        ("gone/a", "the folder .*gone does not exist"),
        ("file/a", "Not a directory|does not exist"),
        ("x" * 300, "File name too long"),
    ],
)
def test_targets_that_cannot_be_are_named(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message) as caught:
        open_sink(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        open_sink(tmp_path / "a")


def test_a_full_disk_is_named():
    sink = open_sink("/dev/full")
    with pytest.raises(OutputError, match="writing /dev/full: No space left on device"):
        sink.write("x" * 1_000_000)
    sink.discard()


def test_a_full_disk_at_the_end_is_named():
    sink = open_sink("/dev/full")
    sink.write("x")
    with pytest.raises(OutputError, match="No space left on device"):
        sink.commit()
    sink.discard()


def test_a_full_disk_leaves_no_part_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    sink = open_sink(tmp_path / "a")
    sink.write("x")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="a: No space left on device"):
        sink.commit()
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_flushed_write_by_write(monkeypatch):
    class Stdout:
        buffer = io.BufferedWriter(io.BytesIO())

    monkeypatch.setattr(sys, "stdout", Stdout())
    sink = open_sink("-")
    sink.write("ä")
    assert Stdout.buffer.raw.getvalue() == b"\xc3\xa4"


def test_a_closed_pipe_is_one_error_and_no_noise_at_the_end():
    code = (
        "import sys, time\nfrom vidpc.outputs.sink import open_sink\nfrom vidpc.errors import OutputError\n"
        "sink = open_sink('-')\nsys.stdin.readline()\n"
        "try:\n    sink.write('x' * 1000000)\nexcept OutputError as error:\n    print(error, file=sys.stderr)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        child.stdout.close()
        child.stdin.write("go\n")
        child.stdin.close()
        errors = child.stderr.read()
    assert child.returncode == 0
    assert errors == "writing to standard output: Broken pipe\n"
