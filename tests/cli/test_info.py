import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from make_media import Clip, scene, write_picture, write_video
from make_scans import write_las, write_ply
from scan_bytes import ply

from vidpc.cli.info import command, crs_name
from vidpc.errors import OpenError, PointCloudError
from vidpc.media import probe


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


def five_points(path):
    """Two points in one square metre, one in another, one in a third, and one that is nowhere."""
    path.write_text(
        "x,y,z,red,green,blue,class\n0.1,0.1,5,1,2,3,2\n0.9,0.9,6,1,2,3,2\n3.5,0.5,7,1,2,3,6\n0.5,-0.5,9,0,0,9,6\nnan,0,0,1,2,3,2\n"
    )
    return path


def test_text_says_what_a_scan_holds(tmp_path):
    result = run(five_points(tmp_path / "a.csv"))
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        str(tmp_path / "a.csv"),
        "  scan      text, 5 points",
        "  bounds    x 0.1 to 3.5, y -0.5 to 0.9, z 5 to 9",
        "  density   1.33 points/m2 over the occupied cells of 1 m (3 m2)",
        "  fields    x y z red green blue class",
        "  colour    yes",
        "  classes   2 60.0 %, 6 40.0 %",
        "  note      1 points have coordinates that are no finite numbers",
    ]


def test_json_holds_every_fact_of_a_scan(tmp_path):
    (entry,) = json.loads(run(five_points(tmp_path / "a.csv"), "--json").output)["files"]
    assert (entry["kind"], entry["format"], entry["count"], entry["not_finite"]) == ("scan", "text", 5, 1)
    assert (entry["low_xyz"], entry["high_xyz"]) == ([0.1, -0.5, 5.0], [3.5, 0.9, 9.0])
    assert entry["classes"] == {"2": 3, "6": 2}
    assert (entry["density_per_m2"], entry["area_m2"], entry["has_colour"]) == (pytest.approx(4 / 3), 3.0, True)
    assert entry["fields"][0] == {"name": "x", "dtype": "<f8"}


@pytest.mark.filterwarnings("error")
def test_points_beyond_all_measure_are_told_like_others(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z\n1e308,-1e308,1e38\n-1e308,1e308,5e-324\nnan,inf,0\n1e400,0,0\n0.5,0.5,0\n")
    (entry,) = json.loads(run(tmp_path / "a.csv", "--json").output)["files"]
    assert (entry["count"], entry["not_finite"], entry["low_xyz"]) == (5, 2, [-1e308, -1e308, 0.0])


@pytest.mark.parametrize(
    "raw",
    [
        ply("ascii", [("vertex", ("float x", "float y", "float z", "float \x1b[31mred"), [(0, 0, 0, 1)])]),
        ply("ascii", [("vertex", ("float x", "float y", "float z", "float a\0b"), [(0, 0, 0, 1)])]),
        b"ply\nformat ascii 1.0\n\x1b[31melement\n",
    ],
)
def test_names_inside_a_scan_never_reach_the_terminal_raw(tmp_path, raw):
    (tmp_path / "a.ply").write_bytes(raw)
    done = run(tmp_path / "a.ply")
    assert all(char.isprintable() or char == "\n" for char in done.output + str(done.exception or ""))


def test_a_large_scan_is_not_read_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "QUICK_POINTS", 999)
    monkeypatch.setattr("vidpc.cli.info.QUICK_POINTS", 999)
    path = write_las(tmp_path / "a.laz", count=1000)
    assert "not read: --scan reads them all" in run(path).output
    (entry,) = json.loads(run(path, "--json").output)["files"]
    assert (entry["points_read"], entry["classes"], entry["area"]) == (False, None, "bounds")
    (entry,) = json.loads(run(path, "--json", "--scan").output)["files"]
    assert (entry["points_read"], sum(entry["classes"].values())) == (True, 1000)


def test_videos_and_scans_may_stand_side_by_side(tmp_path):
    write_video(tmp_path / "a.mp4")
    write_ply(tmp_path / "b.ply")
    write_las(tmp_path / "c.las", count=10)
    by_name = json.loads(run(tmp_path / "a.mp4", tmp_path / "b.ply", "--json").output)["files"]
    assert [entry["kind"] for entry in by_name] == ["video", "scan"]
    in_folder = json.loads(run(tmp_path, "--json").output)["files"]
    assert [(entry["kind"], entry.get("format")) for entry in in_folder] == [("video", None), ("scan", "ply"), ("scan", "las")]


def test_a_scan_is_known_by_its_content_whatever_its_name(tmp_path):
    path = write_ply(tmp_path / "a.ply").rename(tmp_path / "a.mp4")
    assert "scan      ply, 1,000 points" in run(path).output


def test_a_damaged_scan_is_the_command_s_error(tmp_path):
    path = write_las(tmp_path / "a.las")
    path.write_bytes(path.read_bytes()[:5000])
    assert isinstance(run(path).exception, PointCloudError)
    (entry,) = json.loads(run(path, "--json").output)["files"]
    assert "is cut" in entry["error"]


@pytest.mark.parametrize("suffix", [".las", ".ply"])
def test_a_scan_may_come_through_a_pipe(tmp_path, suffix):
    data = {".las": write_las, ".ply": write_ply}[suffix](tmp_path / f"a{suffix}").read_bytes()
    done = subprocess.run([sys.executable, "-m", "vidpc.cli", "info", "-"], input=data, capture_output=True, check=True)
    assert f"scan      {suffix[1:]}, 1,000 points".encode() in done.stdout


@pytest.mark.parametrize(
    ("crs", "name"),
    [
        (
            'PROJCS["RGF93 / Lambert-93",GEOGCS["RGF93",AUTHORITY["EPSG","4171"]],AUTHORITY["EPSG","2154"]]',
            "RGF93 / Lambert-93 (EPSG:2154)",
        ),
        ('PROJCRS["RGF93 / Lambert-93",BASEGEOGCRS["RGF93"],ID["EPSG",2154]]', "RGF93 / Lambert-93 (EPSG:2154)"),
        ('LOCAL_CS["site"]', "site"),
        ("EPSG:2154+5720", "EPSG:2154+5720"),
    ],
)
def test_a_coordinate_system_has_a_short_name(crs, name):
    assert crs_name(crs) == name


@pytest.mark.parametrize(("step_m", "cell"), [(0.25, "1 m"), (2.0, "4 m")])
def test_density_of_a_sparse_scan_is_not_that_of_its_points_own_cells(tmp_path, step_m, cell):
    places = [f"{x * step_m - 31:.2f},{y * step_m + 7:.2f},0" for x in range(64) for y in range(64)]
    (tmp_path / "a.csv").write_text("\n".join(["x,y,z", *places]) + "\n")
    (entry,) = json.loads(run(tmp_path / "a.csv", "--json").output)["files"]
    assert entry["area"] == f"occupied cells of {cell}"
    assert entry["density_per_m2"] == pytest.approx(step_m**-2, rel=0.1)
