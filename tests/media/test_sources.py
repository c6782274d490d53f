import os
from fractions import Fraction
from pathlib import Path

import pytest

from vidpc.errors import OpenError
from vidpc.media.sources import Source, expand, shown
from vidpc.types import ReadOptions

WITH_RATE = ReadOptions(input_fps=Fraction(10))


@pytest.fixture
def folder(tmp_path):
    for name in ("clip_10.mp4", "clip_9.MP4", "notes.txt", "poster.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "frames").mkdir()
    for k in (1, 2, 3, 10):
        (tmp_path / "frames" / f"f_{k:04d}.png").touch()
    return tmp_path


def names(sources):
    return [Path(source.name).name for source in sources]


def test_a_folder_gives_its_videos_in_natural_order(folder):
    assert names(expand([folder])) == ["clip_9.MP4", "clip_10.mp4"]


def test_a_glob_gives_its_matches_in_natural_order(folder):
    assert names(expand([f"{folder}/clip_*"])) == ["clip_9.MP4", "clip_10.mp4"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    (tmp_path / "a[1].mp4").touch()
    (tmp_path / "a1.mp4").touch()
    assert names(expand([f"{tmp_path}/a[1].mp4"])) == ["a[1].mp4"]


def test_arguments_keep_their_order_and_repetitions(folder):
    given = [str(folder / "clip_10.mp4"), str(folder / "clip_9.MP4"), str(folder / "clip_10.mp4")]
    assert [source.name for source in expand(given)] == given


def test_a_list_names_one_input_a_line(folder):
    listing = folder / "list.txt"
    listing.write_text(f"# a comment\n\n{folder}/clip_10.mp4\r\n{folder}/clip_9*\n@{folder}/list.txt\n")
    assert names(expand([f"@{listing}"])) == ["clip_10.mp4", "clip_9.MP4", "list.txt"]
    assert expand([f"@{listing}"])[2].name.startswith("@")  # no list inside a list: it is a file of that name


@pytest.mark.parametrize("text", ["", "# nothing\n", "a\0b"])
def test_a_list_that_names_nothing_is_refused(tmp_path, text):
    (tmp_path / "list").write_text(text)
    with pytest.raises(OpenError, match=r"names no input|expected a text file"):
        expand([f"@{tmp_path}/list"])


def test_pictures_of_a_folder_are_one_sequence_with_a_rate(folder):
    (source,) = expand([folder / "frames"], WITH_RATE)
    assert source.kind == "images"
    assert [path.name for path in source.paths] == ["f_0001.png", "f_0002.png", "f_0003.png", "f_0010.png"]


def test_pictures_of_a_folder_need_a_rate(folder):
    with pytest.raises(OpenError, match="holds 4 pictures and no video: give --input-fps"):
        expand([folder / "frames"])


def test_a_pattern_takes_the_numbers_that_exist(folder):
    (source,) = expand([f"{folder}/frames/f_%04d.png"], WITH_RATE)
    assert source.numbers == (1, 2, 3, 10)


def test_a_glob_of_pictures_is_a_sequence_only_with_a_rate(folder):
    assert len(expand([f"{folder}/frames/*.png"])) == 4
    assert len(expand([f"{folder}/frames/*.png"], WITH_RATE)) == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("empty", "holds no video and no picture"),
        ("*.avi", "no file matches"),
        ("x_%d_%d.png", "exactly one number"),
        ("x_%d.png", "no picture matches"),
    ],
)
def test_what_names_nothing_is_refused_before_any_work(tmp_path, argument, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(OpenError, match=message):
        expand([f"{tmp_path}/{argument}"])


def test_a_missing_file_stays_a_source_so_that_others_are_still_read(tmp_path):
    assert [source.kind for source in expand([f"{tmp_path}/missing.mp4"])] == ["file"]


@pytest.mark.parametrize(
    ("argument", "kind"), [("-", "pipe"), ("http://host/a.mp4", "url"), ("rtsp://host/1", "url"), ("concat:a|b", "file")]
)
def test_kinds(argument, kind):
    assert expand([argument])[0].kind == kind


@pytest.mark.parametrize(
    ("name", "stem"),
    [("/a/b.c.mp4", "b.c"), ("-", "stdin"), ("https://host/dir/clip.mp4?token=1", "clip"), ("frames/f_%04d.png", "f_%04d")],
)
def test_the_stem_names_outputs(name, stem):
    assert Source(name, "pipe" if name == "-" else "file").stem == stem


def test_names_that_no_file_system_takes_do_not_crash(tmp_path):
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    for argument in ("x" * 5000, "a\0b.mp4", str(loop)):
        assert expand([argument])[0].kind == "file"


def test_a_message_never_moves_the_cursor_and_stays_short():
    assert shown("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    assert len(shown("x" * 5000)) < 250
    assert shown(os.fsdecode(b"\xff.mp4")) == "\\udcff.mp4"
