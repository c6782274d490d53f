"""Track files: what each format holds, worked by hand; complete or absent, whatever happens."""

import json
import os
import tracemalloc
from fractions import Fraction
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from vidpc.errors import OutputError, PresetError
from vidpc.evaluation.track_files import read_predictions
from vidpc.outputs.tracks import FORMATS, choose_format, open_tracks
from vidpc.types import FrameTracks


def written(path, header, frames, warnings=(), **options):
    with open_tracks(path, header=header, **options) as writer:
        for tracks in frames:
            writer.write(tracks)
        writer.finish(warnings)
    return path.read_text(encoding="utf-8")


def schema(name):
    return json.loads(files("vidpc.outputs").joinpath(f"{name}.schema.json").read_text())


def validate(value, name):
    jsonschema.validate(value, schema(name), cls=jsonschema.Draft202012Validator)


def test_json_is_one_document(tmp_path, header, frames):
    document = json.loads(written(tmp_path / "a.json", header, frames, ["2 bad packets"]))
    validate(document, "tracks")
    assert (document["format"], document["version"], document["source"]) == ("vidpc-tracks", 1, "street.mp4")
    assert document["model"]["sha256"] == "ab" * 32
    assert document["settings"] == {"rule": "paper", "score": 0.4, "start_s": 0.333333}
    assert document["video"]["rate_fps"] == 29.97003
    assert document["frames"] == [
        {
            "index": 0,
            "time_s": 0.0,
            "tracks": [
                {"id": 1, "box_xyxy": [10.0, 20.0, 30.5, 80.13], "score": 0.9877, "label": "person"},
                {"id": 2, "box_xyxy": [0.0, 5.0, 12.0, 30.0], "score": 1.0, "label": "person"},
            ],
        },
        {"index": 1, "time_s": 0.033367, "tracks": []},
        {"index": 3, "time_s": 0.1001, "tracks": [{"id": 3, "box_xyxy": [100, 100, 200, 150], "score": 0.5, "label": "car"}]},
    ]
    assert (document["frame_count"], document["track_count"]) == (3, 3)
    assert document["warnings"] == ["no matrix is stated, bt709 is assumed", "2 bad packets"]


def test_json_lines_are_header_frames_and_end(tmp_path, header, frames):
    lines = [json.loads(line) for line in written(tmp_path / "a.jsonl", header, frames).splitlines()]
    for line in lines:
        validate(line, "tracks_line")
    assert [line["type"] for line in lines] == ["header", "frame", "frame", "frame", "end"]
    assert lines[-1]["complete"] is True
    document = json.loads(written(tmp_path / "a.json", header, frames))
    assert [{k: v for k, v in line.items() if k != "type"} for line in lines[1:-1]] == document["frames"]


def test_mot_counts_frames_and_pixels_from_one(tmp_path, header, frames):
    assert written(tmp_path / "a.txt", header, frames).splitlines() == [
        "1,1,11.00,21.00,20.50,60.13,0.9877,-1,-1,-1",
        "1,2,1.00,6.00,12.00,25.00,1.0000,-1,-1,-1",
        "4,3,101.00,101.00,100.00,50.00,0.5000,-1,-1,-1",
    ]


def test_csv_is_a_table(tmp_path, header, frames):
    assert written(tmp_path / "a.csv", header, frames).splitlines() == [
        "index,time_s,id,x1,y1,x2,y2,score,label",
        "0,0.0,1,10.0,20.0,30.5,80.13,0.9877,person",
        "0,0.0,2,0.0,5.0,12.0,30.0,1.0,person",
        "3,0.1001,3,100.0,100.0,200.0,150.0,0.5,car",
    ]


def test_coco_links_boxes_to_images_and_instances(tmp_path, header, frames):
    document = json.loads(written(tmp_path / "a.coco.json", header, frames))
    validate(document, "coco")
    assert document["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    assert [(image["id"], image["frame_id"]) for image in document["images"]] == [(1, 0), (2, 1), (3, 3)]
    rows = [(a["id"], a["image_id"], a["instance_id"], a["category_id"], a["bbox"]) for a in document["annotations"]]
    assert rows == [
        (1, 1, 1, 1, [10.0, 20.0, 20.5, 60.13]),
        (2, 1, 2, 1, [0.0, 5.0, 12.0, 25.0]),
        (3, 3, 3, 2, [100.0, 100.0, 100.0, 50.0]),
    ]
    assert document["annotations"][2]["area"] == 5000


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_video_without_frames_gives_a_valid_file(tmp_path, header, name):
    text = written(tmp_path / "out", header, [], format=name)
    if name in ("json", "coco"):
        validate(json.loads(text), {"json": "tracks", "coco": "coco"}[name])
    if name == "jsonl":
        assert [json.loads(line)["type"] for line in text.splitlines()] == ["header", "end"]


def test_the_two_schemas_of_tracks_agree():
    document, line = schema("tracks")["$defs"], schema("tracks_line")["$defs"]
    for name in ("video", "model", "track", "tracks"):
        assert document[name] == line[name]


@pytest.mark.parametrize("name", ["json", "jsonl", "txt"])
def test_evaluation_reads_back_what_was_written(tmp_path, header, frames, name):
    path = tmp_path / f"a.{name}"
    written(path, header, frames)
    rows = read_predictions(path)
    assert (rows.frames.tolist(), rows.ids.tolist()) == ([1, 1, 4], [1, 2, 3])
    boxes = np.concatenate([tracks.boxes_xyxy for tracks in frames])
    # A rounding step: in text the far edges are sums of two rounded numbers. Evaluation counts pixels from 1.
    assert np.abs(rows.boxes_xyxy - 1 - boxes).max() <= 0.01 + 1e-9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.JSON", "json"),
        ("a.b.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.txt", "mot"),
        ("x.coco.json", "coco"),
        ("-", "jsonl"),
    ],
)
def test_the_suffix_chooses_the_format(name, expected):
    assert choose_format(name) == expected


def test_a_named_format_outranks_the_suffix():
    assert choose_format("a.json", "mot") == "mot"


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("a.xml", None, r"a\.xml: no track format has this suffix: use one of .*\.txt, \.csv, or --format"),
        ("a", None, "no track format has this suffix"),
        ("a.json", "jsnol", "'jsnol'.*json"),
    ],
)
def test_unknown_formats_are_refused(target, name, message):
    with pytest.raises(PresetError, match=message):
        choose_format(target, name)


def test_nothing_is_there_before_it_is_complete(tmp_path, header, frames):
    path = tmp_path / "a.json"
    with open_tracks(path, header=header) as writer:
        writer.write(frames[0])
        assert not path.exists()
        writer.finish()
        assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_writer_that_is_left_early_leaves_nothing(tmp_path, header, frames, name):
    def fail():
        with open_tracks(tmp_path / "out", header=header, format=name) as writer:
            writer.write(frames[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with open_tracks(tmp_path / "out", header=header, format=name) as writer:
        writer.write(frames[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_numbers_that_are_none_are_refused(tmp_path, header, name, bad):
    one, box = np.ones(1), np.array([[0.0, 0.0, 1.0, 1.0]])
    label = np.zeros(1, dtype=np.int64)
    for tracks in (
        FrameTracks(7, Fraction(0), label + 1, box + bad, one, label),
        FrameTracks(7, Fraction(0), label + 1, box, one * bad, label),
    ):
        with pytest.raises(OutputError, match="frame 7 has a box or a score that is not a finite number"):
            written(tmp_path / "out", header, [tracks], format=name)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_no_numbers_are_refused(tmp_path, header):
    header.settings["score"] = float("nan")
    with pytest.raises(OutputError, match="writing JSON: a setting or a fact is not a finite number"):
        open_tracks(tmp_path / "a.json", header=header)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "jsonl", "coco", "csv"])
def test_names_that_are_no_text_do_not_stop_the_file(tmp_path, header, frames, name):
    source = os.fsdecode(b'stra\xdfe \n".mp4')
    named = type(header)(source, header.video, header.model, {}, "")
    text = written(tmp_path / "out", named, frames, format=name)
    if name in ("json", "coco"):
        document = json.loads(text)
        assert source in (document.get("source"), document.get("info", {}).get("source"))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_memory_does_not_grow_with_the_video(tmp_path, header, frames, name, monkeypatch):
    monkeypatch.setattr("vidpc.outputs.coco._SPOOL_BYTES", 4096)  # a megabyte would hide the image list of a short video

    def peak(count):
        tracemalloc.start()
        with open_tracks(tmp_path / f"{count}", header=header, format=name) as writer:
            for _ in range(count):
                writer.write(frames[0])
            writer.finish()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)  # imports and caches
    assert peak(3000) - peak(1000) < 20_000
    assert (tmp_path / "3000").stat().st_size > 150_000
