import json

import numpy as np
import pytest
from make_media import Clip as MediaClip
from make_media import scene, write_video

from vidpc.errors import OpenError
from vidpc.training.footage import load
from vidpc.training.pictures import UNLINKED

LOSSES = 14  # grey levels, on average, of a tiny H.264 file


def shows(picture, index):
    return np.abs(picture.pixels.astype(int) - scene(index, 64, 48)).mean() < LOSSES / 2


def row(frame, run, **more):
    return {"file": "a.mp4", "run": run, "frame": frame, "boxes": [{"box": [frame, 0, frame + 9, 20], "id": run}], **more}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_runs_are_clips_of_the_frames_that_they_name(tmp_path):
    folder = tmp_path / "street"
    folder.mkdir()
    write_video(folder / "a.mp4", MediaClip(count=12))
    clips = load(write_rows(folder / "labels.jsonl", [row(2, 0), row(4, 0), row(9, 1)]))
    assert [(clip.name, len(clip.pictures)) for clip in clips] == [("street", 2), ("street", 1)]
    assert all(shows(p, i) for p, i in zip([*clips[0].pictures, *clips[1].pictures], (2, 4, 9), strict=True))
    assert clips[0].pictures[1].marks.boxes_xyxy.tolist() == [[4, 0, 13, 20]]
    assert clips[1].pictures[0].marks.ids.tolist() == [1]


def test_runs_of_another_split_are_left_out(tmp_path):
    write_video(tmp_path / "a.mp4")
    path = write_rows(tmp_path / "labels.jsonl", [row(0, 0, split="train"), row(1, 1, split="val"), row(2, 2)])
    assert len(load(path, split="train")) == 2


def test_a_sequence_is_cut_into_clips_and_counts_frames_from_one(tmp_path):
    folder = tmp_path / "crossing"
    folder.mkdir()
    write_video(folder / "video.mp4", MediaClip(count=14))
    (folder / "gt.txt").write_text("1,7,11,21,5,10,1,1,1\n1,8,1,1,4,4,0,1,1\n14,7,12,21,5,10,1,1,1\n")
    clips = load(folder)
    assert [(clip.name, len(clip.pictures)) for clip in clips] == [("crossing", 12), ("crossing", 2)]
    first, last = clips[0].pictures[0].marks, clips[1].pictures[1].marks
    assert first.boxes_xyxy.tolist() == [[10, 20, 15, 30], [0, 0, 4, 4]]  # the format counts pixels from 1
    assert first.ids.tolist() == [7, UNLINKED]
    assert first.ignored.tolist() == [False, True]
    assert last.boxes_xyxy.tolist() == [[11, 20, 16, 30]]


def test_a_line_that_is_no_frame_is_named(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"file": "a.mp4", "frame": 0, "boxes": []}\n{"file": "a.mp4"}\n')
    with pytest.raises(OpenError, match="line 2: expected an object"):
        load(path)


def test_a_missing_video_is_named(tmp_path):
    with pytest.raises(OpenError, match=r"a\.mp4"):
        load(write_rows(tmp_path / "labels.jsonl", [row(0, 0)]))
