"""``vidpc demo`` writes what every other command can read."""

import re
from fractions import Fraction

import pytest

from vidpc.cli.main import main
from vidpc.evaluation.track_files import read_ground_truth
from vidpc.media.read import read_videos
from vidpc.types import Closed, Frame, Opened, ReadOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    assert main(["demo", str(folder), "--seconds", "1", "--progress", "none"]) == 0
    return folder


def test_clip_has_pictures_and_sound(folder):
    items = list(read_videos([str(folder / "street.mp4")], ReadOptions()))
    frames = [item for item in items if isinstance(item, Frame)]
    assert isinstance(items[0], Opened)
    assert (items[0].info.width, items[0].info.height, items[0].info.rate_fps) == (640, 360, 25)
    assert [audio.codec for audio in items[0].info.audio] == ["aac"]
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(25)]
    assert isinstance(items[-1], Closed)
    assert (items[-1].warnings, items[-1].error) == ((), None)


def test_known_tracks_have_a_row_a_person_and_frame(folder):
    known = read_ground_truth(folder / "street.tracks.txt")
    assert set(known.scored.frames.tolist()) == set(range(1, 26))
    assert len(set(known.scored.ids.tolist())) >= 6


def test_notes_name_the_commands(folder):
    text = (folder / "README.txt").read_text()
    assert re.search(r"vidpc track street\.mp4", text)


def test_files_that_exist_are_kept(folder, capsys):
    before = (folder / "street.mp4").read_bytes()
    assert main(["demo", str(folder), "--seconds", "1"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "street.mp4").read_bytes() == before


def test_same_seed_gives_the_same_clip(folder, tmp_path):
    assert main(["demo", str(tmp_path), "--seconds", "1"]) == 0
    for name in ("street.mp4", "street.tracks.txt"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", str(tmp_path / "file" / "x"), "--seconds", "1"]) == 1
    assert "cannot write to the folder" in capsys.readouterr().err
