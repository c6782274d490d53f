import json

import numpy as np
import pytest
from PIL import Image

from vidpc.errors import OpenError
from vidpc.training.pictures import UNLINKED, load_clips


def write(folder, images, annotations):
    for row in images:
        Image.fromarray(np.full((row.get("height", 20), row.get("width", 30), 3), row["id"] * 20, np.uint8)).save(
            folder / row["file_name"]
        )
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}))
    return path


def test_pictures_come_with_their_boxes_as_corners(tmp_path):
    image = {"id": 3, "file_name": "a.png"}
    notes = [
        {"image_id": 3, "bbox": [2, 4, 10, 6], "track_id": 12},
        {"image_id": 3, "bbox": [0, 0, 5, 5], "ignore": 1},
        {"image_id": 3, "bbox": [1, 1, 2, 2], "iscrowd": 1},
    ]
    (clip,) = load_clips(write(tmp_path, [image], notes))
    (picture,) = clip.pictures
    assert clip.name == "all"
    assert (picture.pixels == 60).all()
    assert picture.marks.boxes_xyxy.tolist() == [[2, 4, 12, 10], [0, 0, 5, 5], [1, 1, 3, 3]]
    assert picture.marks.ids.tolist() == [12, UNLINKED, UNLINKED]
    assert picture.marks.ignored.tolist() == [False, True, True]


def test_neighbours_in_time_make_a_clip_in_their_order(tmp_path):
    images = [
        {"id": 1, "file_name": "a.png", "set": "street", "clip_id": 7, "frame": 4},
        {"id": 2, "file_name": "b.png", "set": "street", "clip_id": 7, "frame": 2},
        {"id": 3, "file_name": "c.png", "set": "street", "pair_id": None},
    ]
    clips = load_clips(write(tmp_path, images, []))
    assert [[int(p.pixels[0, 0, 0]) for p in clip.pictures] for clip in clips] == [[40, 20], [60]]
    assert {clip.name for clip in clips} == {"street"}


def test_splits_do_not_mix(tmp_path):
    images = [{"id": 1, "file_name": "a.png", "split": "train"}, {"id": 2, "file_name": "b.png", "split": "val"}]
    path = write(tmp_path, images, [])
    assert [clip.pictures[0].pixels[0, 0, 0] for clip in load_clips(path, split="val")] == [40]
    assert len(load_clips(path)) == 2


def test_words_are_identities_too(tmp_path):
    notes = [{"image_id": 1, "bbox": [0, 0, 9, 9], "track_id": name} for name in ("anna", "berta", "anna")]
    marks = load_clips(write(tmp_path, [{"id": 1, "file_name": "a.png"}], notes))[0].pictures[0].marks
    assert marks.ids[0] == marks.ids[2] != marks.ids[1]


def test_labels_that_are_none(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text("[]")
    with pytest.raises(OpenError, match="expected a COCO document"):
        load_clips(path)
    with pytest.raises(OpenError, match=r"missing\.json"):
        load_clips(tmp_path / "missing.json")


def test_a_missing_picture_is_named(tmp_path):
    path = write(tmp_path, [{"id": 1, "file_name": "a.png"}], [])
    (tmp_path / "a.png").unlink()
    with pytest.raises(OpenError, match=r"a\.png"):
        load_clips(path)
