"""Labelled clips: which are listed, their pictures at an even rate by hand, and what is kept on disk."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from make_media import Clip as Video
from make_media import write_video

from vidpc.errors import OpenError, PresetError, SourceError
from vidpc.ops.flow import optical_flow
from vidpc.training import clips
from vidpc.training.clips import Clip, Kept, decoded, even_pictures, flow_of, listed, scenes

KEPT = Kept(Fraction(10), 16, stretch=True, with_flow=True)
STEP = 24  # of grey from frame to frame; a codec is off by a few


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def stepping(path, *times_s, width=32, height=32):
    """A video whose frame number k, at time k of ``times_s``, is grey k * STEP."""
    pictures = [np.full((height, width, 3), k * STEP, np.uint8) for k in range(len(times_s))]
    video = Video(width=width, height=height, times_s=tuple(map(Fraction, times_s)), tick=Fraction(1, 1000))
    return write_video(path, video, pictures)


def numbers(pictures):
    """Which frame each picture of ``stepping`` is."""
    return [round(float(picture.mean()) / STEP) for picture in pictures]


# what is listed


def test_a_table_lists_the_clips_of_a_split_with_their_groups(tmp_path):
    path = table(
        tmp_path / "index.csv",
        "file,label,split,source_group\na/1.mp4,hug,train,one\na/2.mp4,kick,val,two\n3.mp4,hug,,\n4.mp4,kick,train,one\n",
    )
    first, second, third, fourth = (
        Clip(tmp_path / "a/1.mp4", "hug", "one"),
        Clip(tmp_path / "a/2.mp4", "kick", "two"),
        Clip(tmp_path / "3.mp4", "hug", "3.mp4"),  # of no split, so of all; of no group, so of its own
        Clip(tmp_path / "4.mp4", "kick", "one"),
    )
    assert listed(path, "all") == [first, second, third, fourth]
    assert listed(path, "train") == [first, third, fourth]
    assert listed(path, "val") == [second, third]


def test_a_table_from_a_spreadsheet_may_begin_with_a_mark(tmp_path):
    path = table(tmp_path / "index.csv", "\ufefffile,label,group\n1.mp4,hug,g\n")
    assert listed(path, "train") == [Clip(tmp_path / "1.mp4", "hug", "g")]


def test_a_folder_of_folders_is_listed_by_labels_and_every_clip_is_its_own_group(tmp_path):
    for name in ("kick/1.mp4", "kick/2.avi", "hug/1.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    expected = [("hug/1.mp4", "hug"), ("kick/1.mp4", "kick"), ("kick/2.avi", "kick")]
    assert listed(tmp_path, "val") == [Clip(tmp_path / name, label, name) for name, label in expected]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,label\n1.mp4,hug\n2.mp4,\n", "line 3 has no file or no label"),
        ("name,what\n1.mp4,hug\n", "line 2 has no file or no label"),
        ("file,label,split\n1.mp4,hug,val\n", "no clips whose split is train"),
        ("file,label\n", "no clips"),
    ],
)
def test_a_table_that_lists_nothing_useful_is_told(tmp_path, text, reason):
    with pytest.raises(PresetError, match=reason):
        listed(table(tmp_path / "index.csv", text), "train")


def test_what_lists_no_clips_at_all_is_told(tmp_path):
    with pytest.raises(PresetError, match=r"cannot read the table .*gone\.csv: No such file"):
        listed(tmp_path / "gone.csv", "all")
    (tmp_path / "latin.csv").write_bytes(b"file,label\nd\xe9.mp4,hug\n")
    with pytest.raises(PresetError, match=r"cannot read the table .*latin\.csv"):
        listed(tmp_path / "latin.csv", "all")
    with pytest.raises(PresetError, match=r"expected a folder with a folder of clips for each label, or a \.csv"):
        listed(tmp_path / "clips.txt", "all")
    with pytest.raises(PresetError, match=r"no clips$"):
        listed(tmp_path, "all")


def test_scenes_are_the_videos_of_a_folder_or_of_a_split_of_a_table(tmp_path):
    (tmp_path / "b.mp4").touch()
    (tmp_path / "a.mov").touch()
    assert [clip.path.name for clip in scenes(tmp_path, "train")] == ["a.mov", "b.mp4"]
    assert [clip.path for clip in scenes(tmp_path / "b.mp4", "val")] == [tmp_path / "b.mp4"]
    path = table(tmp_path / "index.csv", "video,split\nx/1.mp4,train\n2.mp4,val\n3.mp4,\n")
    names = {split: [str(clip.path.relative_to(tmp_path)) for clip in scenes(path, split)] for split in ("train", "val", "all")}
    assert names == {"train": ["x/1.mp4", "3.mp4"], "val": ["2.mp4", "3.mp4"], "all": ["x/1.mp4", "2.mp4", "3.mp4"]}


def test_scenes_that_are_not_there_are_told(tmp_path):
    with pytest.raises(PresetError, match=r"no videos in a column file or video whose split is train"):
        scenes(table(tmp_path / "other.csv", "name,split\n1.mp4,train\n"), "train")
    with pytest.raises(PresetError, match="cannot read the table"):
        scenes(tmp_path / "gone.csv", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OpenError, match="holds no video"):
        scenes(tmp_path / "empty", "train")


# pictures at an even rate


@pytest.mark.parametrize(
    ("times_s", "shown"),
    [
        (("0", "0.05", "0.1", "0.35", "0.5"), [0, 2, 2, 2, 3, 4]),  # uneven: ticks at 0, 0.1, 0.2, 0.3, 0.4, 0.5 s
        (("0", "0.2", "0.4"), [0, 0, 1, 1, 2]),  # slower than the rate: pictures repeat
        (("0", "0.05", "0.1", "0.15", "0.2"), [0, 2, 4]),  # faster: some are left out
        (("2", "2.1", "2.2"), [0, 1, 2]),  # ticks begin with the first frame
        (("0", "0.12"), [0, 0, 1]),  # the last frame lies between ticks: the next one shows it
        (("0", "0.9"), [0] * 9 + [1]),  # a gap
        (("0",), [0]),
    ],
)
def test_pictures_are_those_that_are_shown_at_each_tick(tmp_path, times_s, shown):
    pictures = even_pictures(stepping(tmp_path / "clip.mp4", *times_s), KEPT)
    assert pictures.shape == (len(shown), 16, 16, 3)
    assert numbers(pictures) == shown


def test_pictures_are_stretched_to_a_square_or_keep_their_shape(tmp_path):
    path = stepping(tmp_path / "clip.mp4", "0", "0.1", width=64, height=32)
    assert even_pictures(path, KEPT).shape == (2, 16, 16, 3)
    assert even_pictures(path, Kept(Fraction(10), 16, stretch=False, with_flow=False)).shape == (2, 16, 32, 3)


def test_a_clip_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    for name in ("broken.mp4", "gone.mp4"):
        with pytest.raises(SourceError, match=name):
            list(decoded([Clip(tmp_path / name, "hug", "")], KEPT, tmp_path / "kept"))


@pytest.mark.parametrize("count", [1, 2, 33, 34, 66])
def test_flow_has_a_step_from_every_picture_to_its_next(count):
    shown = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    found = flow_of(shown)
    assert found.shape == (count - 1, 2, 4, 4)
    assert found.dtype == np.float16
    if count == 34:  # more than are worked on at once: the steps are those of all pictures together
        luma = torch.from_numpy(shown / 255 @ np.array([0.299, 0.587, 0.114])).float()
        np.testing.assert_allclose(found, optical_flow(luma[None])[0], rtol=1e-3, atol=1e-3)  # half precision


# what is kept


def test_a_clip_is_decoded_once(tmp_path, monkeypatch):
    clip = Clip(stepping(tmp_path / "clip.mp4", "0", "0.1", "0.2"), "hug", "g")
    reads = []
    monkeypatch.setattr(clips, "even_pictures", lambda path, kept: reads.append(path) or even_pictures(path, kept))
    first, second = (list(decoded([clip, clip], KEPT, tmp_path / "kept")) for _ in range(2))
    assert reads == [clip.path]
    for footage in (*first, *second):
        assert footage.clip == clip
        assert numbers(footage.pictures) == [0, 1, 2]
        assert footage.flow.shape == (2, 2, 4, 4)


def test_other_pictures_of_a_clip_and_another_clip_at_its_place_are_decoded(tmp_path):
    clip = Clip(stepping(tmp_path / "clip.mp4", "0", "0.1", "0.2"), "hug", "g")
    (first,) = decoded([clip], KEPT, tmp_path / "kept")
    (slower,) = decoded([clip], Kept(Fraction(5), 16, stretch=True, with_flow=False), tmp_path / "kept")
    assert (len(first.pictures), len(slower.pictures), slower.flow) == (3, 2, None)
    stepping(clip.path, "0", "0.1", "0.2", "0.3", "0.4")
    (again,) = decoded([clip], KEPT, tmp_path / "kept")
    assert len(again.pictures) == 5


def test_what_was_begun_and_not_ended_is_decoded_again(tmp_path, monkeypatch):
    clip = Clip(stepping(tmp_path / "clip.mp4", "0", "0.1", "0.2"), "hug", "g")

    def stop(shown):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(clips, "flow_of", stop)
        with pytest.raises(KeyboardInterrupt):
            list(decoded([clip], KEPT, tmp_path / "kept"))
    (torn,) = (tmp_path / "kept").glob("*.npy")
    torn.write_bytes(torn.read_bytes()[:100])
    (footage,) = decoded([clip], KEPT, tmp_path / "kept")
    assert numbers(footage.pictures) == [0, 1, 2]
    assert len(footage.flow) == 2
