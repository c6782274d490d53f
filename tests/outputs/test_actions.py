"""Files of actions: what each format holds, worked by hand; complete or absent, whatever happens."""

import csv
import io
import json
import os
import re
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from vidpc.errors import OutputError, PresetError
from vidpc.evaluation.recognition_files import read_answers
from vidpc.outputs.actions import FORMATS, choose_format, open_actions
from vidpc.outputs.captions import captions
from vidpc.types import Actions, Segment, Window

EMPTY = Actions(0, (), ())


def written(path, header, windows, actions, warnings=(), **options):
    with open_actions(path, header=header, **options) as writer:
        for window in windows:
            writer.write(window)
        writer.finish(actions, warnings)
    return path.read_text(encoding="utf-8")


def schema(name):
    return json.loads(files("vidpc.outputs").joinpath(f"{name}.schema.json").read_text())


def validate(value, name):
    jsonschema.validate(value, schema(name), cls=jsonschema.Draft202012Validator)


def entry(label, score, model):
    return {"label": label, "score": score, "model": model}


def test_json_is_one_document(tmp_path, action_header, windows, actions):
    document = json.loads(written(tmp_path / "a.json", action_header, windows, actions, ["2 bad packets"]))
    validate(document, "actions")
    assert (document["format"], document["version"], document["source"]) == ("vidpc-actions", 1, "street.mp4")
    assert [model["name"] for model in document["models"]] == ["camera", "fight"]
    assert document["models"][0]["labels"] == ["still", "pan left", "zoom in"]
    assert (document["window_s"], document["hop_s"]) == (2.0, 1.0)
    assert document["settings"] == {"on_score": 0.5, "start_s": 0.333333}
    assert document["windows"][0] == {
        "start_s": 0.0,
        "end_s": 2.0,
        "first_index": 0,
        "last_index": 59,
        "top": [
            entry("no fight", 0.9, "fight"),
            entry("pan left", 0.75, "camera"),
            entry("zoom in", 0.1266, "camera"),
            entry("still", 0.1234, "camera"),
            entry("fight", 0.1, "fight"),
        ],
    }
    assert [span["label"] for span in document["segments"]] == ["pan left", "no fight", "fight"]
    assert document["segments"][1] == {"start_s": 0.0, "end_s": 1.5, **entry("no fight", 0.9, "fight")}
    assert document["video"]["rate_fps"] == 29.97003
    assert [(row["label"], row["score"]) for row in document["video"]["top"]] == [
        ("no fight", 0.65),
        ("pan left", 0.63),
        ("fight", 0.35),
        ("zoom in", 0.21),
        ("still", 0.16),
    ]
    assert document["window_count"] == 2
    assert document["warnings"] == ["no matrix is stated, bt709 is assumed", "2 bad packets"]


def test_json_lines_are_header_windows_segments_video_and_end(tmp_path, action_header, windows, actions):
    lines = [json.loads(line) for line in written(tmp_path / "a.jsonl", action_header, windows, actions).splitlines()]
    for line in lines:
        validate(line, "actions_line")
    kinds = ["header", "window", "window", "segment", "segment", "segment", "video", "end"]
    assert [line.pop("type") for line in lines] == kinds
    document = json.loads(written(tmp_path / "a.json", action_header, windows, actions))
    assert lines[1:3] == document["windows"]
    assert lines[3:6] == document["segments"]
    assert lines[6] == {"top": document["video"]["top"]}
    assert lines[7]["complete"] is True
    assert (lines[7]["window_count"], lines[7]["segment_count"]) == (2, 3)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
def test_evaluation_reads_back_what_was_written(tmp_path, action_header, windows, actions, name):
    written(tmp_path / name, action_header, windows, actions)
    (answer,) = read_answers([tmp_path / name], "camera")
    assert (answer.source, answer.labels) == ("street.mp4", ("still", "pan left", "zoom in"))
    assert answer.found == (("pan left", 0.63), ("zoom in", 0.21), ("still", 0.16))


def test_csv_has_a_row_a_window_and_label(tmp_path, action_header, windows, actions):
    text = written(tmp_path / "a.csv", action_header, windows, actions, top=2)
    assert text.splitlines() == [
        "source,start_s,end_s,rank,label,score,model",
        "street.mp4,0.0,2.0,1,pan left,0.75,camera",
        "street.mp4,0.0,2.0,2,zoom in,0.1266,camera",
        "street.mp4,0.0,2.0,1,no fight,0.9,fight",
        "street.mp4,0.0,2.0,2,fight,0.1,fight",
        "street.mp4,1.0,3.0,1,pan left,0.5,camera",
        "street.mp4,1.0,3.0,2,zoom in,0.3,camera",
        "street.mp4,1.0,3.0,1,fight,0.6,fight",
        "street.mp4,1.0,3.0,2,no fight,0.4,fight",
    ]


def test_csv_quotes_what_a_table_must_quote(tmp_path, action_header, windows, actions):
    model = replace(action_header.models[1], labels=('no "fight", none', "fight"))
    header = replace(action_header, models=(action_header.models[0], model))
    text = written(tmp_path / "a.csv", header, windows[:1], actions, top=1)
    assert list(csv.reader(io.StringIO(text)))[2][4] == 'no "fight", none'


def test_srt_cuts_time_where_a_segment_begins_or_ends(tmp_path, action_header, windows, actions):
    assert written(tmp_path / "a.srt", action_header, windows, actions) == (
        "1\n00:00:00,000 --> 00:00:01,500\nno fight 90 %\npan left 62 %\n\n"
        "2\n00:00:01,500 --> 00:00:03,000\npan left 62 %\nfight 60 %\n\n"
    )


def test_vtt_has_a_head_and_points_in_its_times(tmp_path, action_header, windows, actions):
    assert written(tmp_path / "a.vtt", action_header, windows, actions).splitlines() == [
        "WEBVTT",
        "",
        "NOTE street.mp4, by camera, fight, vidpc 0.1.0",
        "",
        "00:00:00.000 --> 00:00:01.500",
        "no fight 90 %",
        "pan left 62 %",
        "",
        "00:00:01.500 --> 00:00:03.000",
        "pan left 62 %",
        "fight 60 %",
        "",
    ]


def only(label="wave", start=Fraction(0), end=Fraction(1), score=0.5):
    return Actions(1, (np.ones(3, np.float32), np.ones(2, np.float32)), (Segment("camera", label, start, end, score),))


@pytest.mark.parametrize(
    ("time", "srt"),
    [
        (Fraction(0), "00:00:00,000"),
        (Fraction(1001, 30000), "00:00:00,033"),
        (Fraction(59999, 1000) + Fraction(6, 10000), "00:01:00,000"),  # rounds up through the minute
        (Fraction(359999) + Fraction(999, 1000), "99:59:59,999"),
        (Fraction(360000), "100:00:00,000"),
        (Fraction(3600 * 1234), "1234:00:00,000"),
    ],
)
def test_times_of_captions_are_exact_to_a_millisecond(tmp_path, action_header, time, srt):
    text = written(tmp_path / "a.srt", action_header, [], only(start=time, end=time + 3600))
    assert text.splitlines()[1].split(" --> ")[0] == srt


def test_neighbouring_captions_touch_and_never_overlap(action_header):
    third = Fraction(1, 3)
    spans = [Segment("camera", str(k), k * third, (k + 1) * third, 0.5) for k in range(7)]
    found = list(captions(spans))
    assert [caption.start_ms for caption in found] == [0, 333, 667, 1000, 1333, 1667, 2000]
    assert [caption.end_ms for caption in found] == [333, 667, 1000, 1333, 1667, 2000, 2333]


def test_a_gap_between_segments_has_no_caption():
    spans = [Segment("m", "a", Fraction(0), Fraction(1), 0.5), Segment("m", "b", Fraction(5), Fraction(6), 0.5)]
    assert [(caption.start_ms, caption.end_ms) for caption in captions(spans)] == [(0, 1000), (5000, 6000)]


def test_a_segment_shorter_than_a_millisecond_is_shown_for_one():
    spans = [Segment("m", "a", Fraction(1), Fraction(1) + Fraction(1, 10000), 0.5)]
    assert [(caption.start_ms, caption.end_ms) for caption in captions(spans)] == [(1000, 1001)]


def test_captions_begin_at_zero():
    spans = [Segment("m", "a", Fraction(-2), Fraction(-1), 0.5), Segment("m", "b", Fraction(-1), Fraction(1), 0.5)]
    found = list(captions(spans))
    assert [(caption.start_ms, caption.end_ms, len(caption.segments)) for caption in found] == [(0, 1000, 1)]


def test_captions_of_many_overlapping_segments_are_those_of_a_plain_search():
    generator = np.random.default_rng(4)
    starts, lengths = generator.integers(0, 50, 40), generator.integers(1, 20, 40)
    spans = [
        Segment("m", str(k), Fraction(int(start)), Fraction(int(start + length)), 0.5)
        for k, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
    shown = {caption.start_ms: caption for caption in captions(spans)}
    for second in range(70):
        expected = {s.label for s in spans if s.start_s <= second < s.end_s}
        covering = [c for c in shown.values() if c.start_ms <= 1000 * second < c.end_ms]
        assert len(covering) <= 1
        assert {s.label for c in covering for s in c.segments} == expected


def test_labels_cannot_be_taken_for_markup(tmp_path, action_header):
    actions = only("<i>R&B</i> {\\an8} --> \n\nx")
    srt = written(tmp_path / "a.srt", action_header, [], actions).split("\n")
    assert srt[2] == "‹i›R&B‹/i› (\\an8) --› \\n\\nx 50 %"
    vtt = written(tmp_path / "a.vtt", action_header, [], actions).split("\n")
    assert vtt[5] == "&lt;i&gt;R&amp;B&lt;/i&gt; {\\an8} --&gt; \\n\\nx 50 %"


def test_equal_scores_keep_the_order_of_the_labels(tmp_path, action_header, actions):
    window = Window(0, Fraction(0), Fraction(1), 0, 0, (np.full(3, 1 / 3, np.float32), np.full(2, 0.5, np.float32)))
    document = json.loads(written(tmp_path / "a.json", action_header, [window], actions))
    labels = [row["label"] for row in document["windows"][0]["top"]]
    assert labels == ["no fight", "fight", "still", "pan left", "zoom in"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_video_without_windows_gives_a_valid_file(tmp_path, action_header, name):
    text = written(tmp_path / "out", action_header, [], EMPTY, format=name)
    if name == "json":
        validate(json.loads(text), "actions")
        assert json.loads(text)["video"]["top"] == []
    if name == "jsonl":
        assert [json.loads(line)["type"] for line in text.splitlines()] == ["header", "video", "end"]
    if name == "srt":
        assert text == ""
    if name == "vtt":
        assert re.fullmatch(r"WEBVTT\n\nNOTE [^\n]+\n\n", text)


def test_the_two_schemas_of_actions_and_those_of_tracks_agree():
    document, line, tracks = (schema(name)["$defs"] for name in ("actions", "actions_line", "tracks"))
    for name in ("model", "entry", "top"):
        assert document[name] == line[name]
    assert document["model"] == tracks["model"]
    assert line["video"] == tracks["video"]
    for name in ("window", "segment"):
        assert {"type", *document[name]["required"]} == set(line[name]["required"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JSON", "json"), ("a.b.jsonl", "jsonl"), ("a.ndjson", "jsonl"), ("a.srt", "srt"), ("x.VTT", "vtt"), ("-", "jsonl")],
)
def test_the_suffix_chooses_the_format(name, expected):
    assert choose_format(name) == expected


def test_a_named_format_outranks_the_suffix():
    assert choose_format("a.json", "csv") == "csv"


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("a.xml", None, r"a\.xml: no format of actions has this suffix: use one of .*\.srt, \.vtt, or --format"),
        ("a", None, "no format of actions has this suffix"),
        ("a.json", "jsnol", "'jsnol'.*json"),
    ],
)
def test_unknown_formats_are_refused(target, name, message):
    with pytest.raises(PresetError, match=message):
        choose_format(target, name)


def test_less_than_one_label_is_refused(tmp_path, action_header):
    with pytest.raises(PresetError, match="top is 0, expected 1 or more"):
        open_actions(tmp_path / "a.json", header=action_header, top=0)


def test_nothing_is_there_before_it_is_complete(tmp_path, action_header, windows, actions):
    path = tmp_path / "a.json"
    with open_actions(path, header=action_header) as writer:
        writer.write(windows[0])
        assert not path.exists()
        writer.finish(actions)
        assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_writer_that_is_left_early_leaves_nothing(tmp_path, action_header, windows, name):
    def fail():
        with open_actions(tmp_path / "out", header=action_header, format=name) as writer:
            writer.write(windows[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with open_actions(tmp_path / "out", header=action_header, format=name) as writer:
        writer.write(windows[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_numbers_that_are_none_are_refused(tmp_path, action_header, windows, actions, name, bad):
    wild = (windows[0].scores[0] * np.float32(bad), windows[0].scores[1])
    with pytest.raises(OutputError, match="window 0 has a score that is not a finite number"):
        written(tmp_path / "out", action_header, [replace(windows[0], scores=wild)], actions, format=name)
    with pytest.raises(OutputError, match="the whole video has a score that is not a finite number"):
        written(tmp_path / "out", action_header, windows, replace(actions, scores=wild), format=name)
    with pytest.raises(OutputError, match="the segment at 0 s has a score"):
        written(tmp_path / "out", action_header, windows, only(score=float(bad)), format=name)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_no_numbers_are_refused(tmp_path, action_header):
    action_header.settings["score"] = float("nan")
    with pytest.raises(OutputError, match="writing JSON: a setting or a fact is not a finite number"):
        open_actions(tmp_path / "a.json", header=action_header)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_names_that_are_no_text_do_not_stop_the_file(tmp_path, action_header, windows, actions, name):
    source = os.fsdecode(b'stra\xdfe \n".mp4')
    text = written(tmp_path / "out", replace(action_header, source=source), windows, actions, format=name)
    if name == "json":
        assert json.loads(text)["source"] == source


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_memory_does_not_grow_with_the_video(tmp_path, action_header, windows, actions, name):
    def peak(count):
        tracemalloc.start()
        with open_actions(tmp_path / f"{count}", header=action_header, format=name) as writer:
            for _ in range(count):
                writer.write(windows[0])
            writer.finish(actions)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)  # imports and caches
    assert peak(600) - peak(200) < 20_000
    if name not in ("srt", "vtt"):
        assert (tmp_path / "600").stat().st_size > 100_000
