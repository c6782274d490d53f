"""``vidpc eval video`` from the user's side. Folders of PNG pictures are videos whose pixels are known."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner
from make_media import Clip, write_picture, write_video

from vidpc.cli.eval import command
from vidpc.errors import OpenError, OutputError, PresetError, SourceError


def run(*arguments):
    return CliRunner().invoke(command, ["video", *map(str, arguments)], catch_exceptions=False)


def folder(path, levels, width=24, height=16):
    """A folder of flat pictures."""
    path.mkdir()
    for index, level in enumerate(levels):
        write_picture(path / f"{index:03}.png", np.full((height, width, 3), level, dtype=np.uint8))
    return path


@pytest.fixture
def pair(tmp_path):
    return ["--gt", folder(tmp_path / "gt", [100, 100, 100]), "--pred", folder(tmp_path / "pred", [101, 110, 100])]


def test_json_holds_every_figure_of_every_frame(pair, tmp_path):
    result = run(*pair, "--json", "--out", tmp_path / "figures.json")
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "figures.json").read_text())
    assert (document["frames"], document["psnr_db"]) == (3, 38.130804)  # errors of 1 and 10: 48.13 and 28.13
    assert document["psnr_pooled_db"] == pytest.approx(10 * math.log10(255**2 / ((1 + 100 + 0) / 3)))
    assert [frame["psnr_db"] for frame in document["per_frame"]] == [48.130804, 28.130804, None]
    assert [frame["equal"] for frame in document["per_frame"]] == [False, False, True]
    assert [frame["temporal"] for frame in document["per_frame"]] == [None, 9, 10]
    assert "1 of 3 frames are equal: their PSNR is infinite" in result.stderr


def test_the_table_says_the_same(pair):
    lines = run(*pair).stdout.splitlines()
    assert lines[0] == "3 frames"
    assert lines[1].split() == ["PSNR", "38.13", "dB"]
    assert lines[-1].split() == ["worst", "frames", "1", "(28.13", "dB),", "0", "(48.13", "dB)"]


def test_a_video_is_equal_to_itself(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=4))
    result = run("--gt", path, "--pred", path)
    assert result.stdout.splitlines()[1].split() == ["PSNR", "equal"]
    document = json.loads(run("--gt", path, "--pred", path, "--json").stdout)
    assert (document["psnr_db"], document["ssim"], document["temporal"], document["equal_frames"]) == (None, 1, 0, 4)


@pytest.mark.parametrize("choice", [["--mask", "mask.png"], ["--box", "4,4,8,8"]], ids=["mask", "box"])
def test_only_what_is_masked_is_judged(tmp_path, monkeypatch, choice):
    monkeypatch.chdir(tmp_path)
    truth = folder(tmp_path / "gt", [100])
    other = np.full((16, 24, 3), 50, dtype=np.uint8)
    other[4:12, 4:12] = 101
    (tmp_path / "pred").mkdir()
    write_picture(tmp_path / "pred" / "000.png", other)
    mask = np.zeros((16, 24, 3), dtype=np.uint8)
    mask[4:12, 4:12] = 255
    write_picture(tmp_path / "mask.png", mask)
    document = json.loads(run("--gt", truth, "--pred", tmp_path / "pred", *choice, "--json").stdout)
    assert document["psnr_db"] == 48.130804


def test_a_mask_and_boxes_together_are_refused(pair):
    result = run(*pair, "--mask", "m.png", "--box", "0,0,4,4")
    assert result.exit_code == 2
    assert "either --mask PATH or --box" in result.stderr


def test_videos_of_another_length_are_refused_with_both_lengths(tmp_path):
    truth, short = folder(tmp_path / "gt", [1, 2, 3, 4]), folder(tmp_path / "pred", [1, 2])
    with pytest.raises(PresetError, match=r"2 frames, expected 4 as in the ground truth; --match time"):
        run("--gt", truth, "--pred", short)
    with pytest.raises(PresetError, match=r"4 frames, expected 2"):
        run("--gt", short, "--pred", truth)


def test_videos_of_another_size_are_refused_with_both_sizes(tmp_path):
    truth, small = folder(tmp_path / "gt", [1]), folder(tmp_path / "pred", [1], width=20)
    with pytest.raises(PresetError, match="pictures of 20x16, expected 24x16"):
        run("--gt", truth, "--pred", small)


def test_pictures_that_hold_no_window_are_refused(tmp_path):
    tiny = folder(tmp_path / "gt", [1], height=8)
    with pytest.raises(PresetError, match="24x8, expected at least 11"):
        run("--gt", tiny, "--pred", tiny)


def test_frames_of_the_same_time_can_be_compared(tmp_path):
    """A video of twice the rate, every other frame of which is one of the true video."""
    pictures = [np.full((32, 48, 3), 16 * k, dtype=np.uint8) for k in range(8)]
    fast = write_video(tmp_path / "fast.mp4", Clip(rate_fps=Fraction(50), width=48, height=32), pictures)
    slow = write_video(tmp_path / "slow.mkv", Clip(rate_fps=Fraction(25), width=48, height=32), pictures[::2])
    result = run("--gt", slow, "--pred", fast, "--match", "time", "--json")
    assert json.loads(result.stdout)["frames"] == 4
    assert json.loads(result.stdout)["psnr_pooled_db"] is None or json.loads(result.stdout)["psnr_pooled_db"] > 40
    assert "4 frames of --pred have no frame of the same time" in result.stderr


def test_a_video_of_more_bits_is_judged_in_the_same_grey_levels(tmp_path):
    fine = {"crf": "1"}
    eight = write_video(tmp_path / "8.mp4", Clip(count=3, pixel_format="yuv444p", codec_options=fine))
    ten = write_video(tmp_path / "10.mp4", Clip(count=3, pixel_format="yuv444p10le", codec_options=fine))
    assert json.loads(run("--gt", ten, "--pred", eight, "--json").stdout)["psnr_db"] > 45


def test_a_video_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OpenError, match=r"none\.mp4"):
        run("--gt", tmp_path / "none.mp4", "--pred", tmp_path / "none.mp4")


def test_a_mask_of_another_length_is_refused(pair, tmp_path):
    with pytest.raises(SourceError, match="mask"):
        run(*pair, "--mask", folder(tmp_path / "masks", [255, 255]))


def test_figures_that_cannot_be_written_are_named(pair, tmp_path):
    with pytest.raises(OutputError, match=r"writing figures to .*: Is a directory"):
        run(*pair, "--out", tmp_path)
