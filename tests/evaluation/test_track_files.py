"""Reading tracks: what is accepted, and the line that is named where it is not."""

import json

import pytest

from vidpc.errors import DecodeError, OpenError
from vidpc.evaluation.track_files import read_ground_truth, read_predictions


@pytest.fixture
def file(tmp_path):
    def make(content, name="tracks.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def test_rows_are_read_as_written(file):
    rows = read_predictions(file("\n2,7,1.5,2,10,20,0.9,-1,-1,-1\r\n 1.0, 7, 0, 0, 1, 1,\n"))
    assert rows.frames.tolist() == [2, 1]
    assert rows.ids.tolist() == [7, 7]
    assert rows.boxes_xyxy.tolist() == [[1.5, 2, 11.5, 22], [0, 0, 1, 1]]


def test_an_empty_file_holds_no_tracks(file):
    assert len(read_predictions(file(""))) == 0


def test_ground_truth_splits_into_scored_and_ignored(file):
    truth = read_ground_truth(file("1,1,0,0,5,5,1,1,1\n1,2,0,0,5,5,0,8,1\n1,3,0,0,5,5,1,3,1\n"))
    assert truth.scored.ids.tolist() == [1]
    assert truth.ignored.ids.tolist() == [2]


def test_ground_truth_may_count_pixels_from_zero(file):
    truth = read_ground_truth(file("1,1,0,0,5,5,1,1,1\n1,2,7,8,5,5,0,8,1\n"), first_pixel=0)
    assert truth.scored.boxes_xyxy.tolist() == [[1, 1, 6, 6]]
    assert truth.ignored.boxes_xyxy.tolist() == [[8, 9, 13, 14]]


def test_world_positions_are_no_classes(file):
    assert read_ground_truth(file("1,1,0,0,5,5,1,4.4,5.5,0\n")).scored.ids.tolist() == [1]


def test_ignored_regions_may_share_an_id(file):
    assert len(read_ground_truth(file("1,9,0,0,5,5,0,8,1\n1,9,9,9,5,5,0,8,1\n")).ignored) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,1,0,0,5,5\n1,2,0,0,5\n", r"tracks\.txt, line 2: 5 columns, expected at least 6"),
        ("1,1,0,0,5,x,1\n", r"line 1: column 6 is 'x', expected a number"),
        ("1,1,0,nan,5,5\n", r"line 1: column 4 is nan, expected a finite number"),
        ("1,1,0,0,-5,5\n", r"line 1: a box of -5 by 5"),
        ("0,1,0,0,5,5\n", r"line 1: frame 0, expected 1 or more"),
        ("1.5,1,0,0,5,5\n", r"line 1: frame 1\.5, expected a whole number"),
        ("1,1e30,0,0,5,5\n", r"line 1: id 1e\+30, expected a whole number"),
        ("1,4,0,0,5,5\n\n1,4,9,9,5,5\n", r"line 3: id 4 stands twice in frame 1, first at line 1"),
        (b"\x00\xff\xfe\x80", r"not a text file"),
    ],
)
def test_bad_lines_are_named(file, content, message):
    with pytest.raises(DecodeError, match=message):
        read_predictions(file(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OpenError, match=r"gone\.txt: No such file"):
        read_predictions(tmp_path / "gone.txt")


def frame(index, *tracks):
    return {"index": index, "time_s": 0.0, "tracks": [{"id": i, "box_xyxy": box} for i, box in tracks]}


def test_json_frames_and_pixels_count_from_zero(file):
    content = json.dumps({"frames": [frame(0, (3, [0, 0, 5, 6])), frame(4)]})
    rows = read_predictions(file(content, "tracks.json"))
    assert (rows.frames.tolist(), rows.ids.tolist(), rows.boxes_xyxy.tolist()) == ([1], [3], [[1, 1, 6, 7]])


def test_json_lines_skip_header_and_trailer(file):
    lines = [{"format": "vidpc-tracks"}, frame(1, (3, [0, 0, 5, 6])), {"complete": True}]
    rows = read_predictions(file("\n".join(map(json.dumps, lines)), "tracks.jsonl"))
    assert rows.frames.tolist() == [2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", r"a\.json: not JSON"),
        ("a.json", "[]", r"no list 'frames'"),
        ("a.json", '{"frames": [{"index": 0, "tracks": [{"id": 1}]}]}', r"frames\[0\]: expected index and tracks"),
        ("a.json", '{"frames": [{"index": 0, "tracks": [{"id": 1, "box_xyxy": [0, 0, NaN, 1]}]}]}', r"expected finite numbers"),
        ("a.jsonl", '{"complete": true}\n{"index":', r"a\.jsonl, line 2: not JSON"),
    ],
)
def test_bad_documents_are_named(file, name, content, message):
    with pytest.raises(DecodeError, match=message):
        read_predictions(file(content, name))
