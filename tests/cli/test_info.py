import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from make_media import Clip, scene, write_picture, write_video

from vidpc.cli.info import command
from vidpc.errors import OpenError


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_text_says_what_is_held_and_what_is_done(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(rotation_deg=90, sound="aac", matrix="bt709"))
    result = run(path)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        str(path),
        "  video     h264 in mov, 64x48 yuv420p",
        "  time      25 frames/s, 12 frames, 0.480 s",
        "  sound     aac 44100 Hz, 1 channels",
        "  reads as  48x64 RGB, turned 270 degrees clockwise, BT.709 limited range",
    ]


def test_json_holds_every_fact(tmp_path):
    path = write_video(tmp_path / "a.mkv", Clip(pixel_format="yuv420p10le"))
    document = json.loads(run(path, "--json").output)
    assert (document["format"], document["version"]) == ("vidpc-info", 1)
    (entry,) = document["files"]
    assert entry["path"] == str(path)
    assert (entry["width"], entry["height"], entry["bit_depth"], entry["matrix"]) == (64, 48, 10, "bt601")
    assert (entry["rate"], entry["rate_fps"], entry["frame_count"], entry["duration_s"]) == ("25", 25.0, None, 0.48)


def test_one_file_that_cannot_be_read_is_the_command_s_error(tmp_path):
    result = run(tmp_path / "missing.mp4")
    assert isinstance(result.exception, OpenError)


def test_a_bad_file_among_good_ones_is_said_and_counts(tmp_path):
    good = write_video(tmp_path / "a.mp4")
    result = run(tmp_path / "missing.mp4", good)
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert str(good) in result.stdout


@pytest.mark.parametrize(("count", "code"), [(1, 3), (2, 1)])
def test_json_holds_errors_too(tmp_path, count, code):
    result = run("--json", *[tmp_path / "missing.mp4"] * count)
    assert result.exit_code == code
    assert "No such file" in json.loads(result.stdout)["files"][0]["error"]


def test_a_folder_of_pictures_is_one_entry(tmp_path):
    for k in range(3):
        write_picture(tmp_path / f"{k}.png", scene(k, 32, 32))
    result = run("--input-fps", "10", tmp_path)
    assert "10 frames/s, 3 frames, 0.300 s" in result.output


def test_standard_input_is_read(tmp_path):
    data = write_video(tmp_path / "a.mp4").read_bytes()
    done = subprocess.run([sys.executable, "-m", "vidpc.cli", "info", "-"], input=data, capture_output=True, check=True)
    assert b"12 frames" in done.stdout
