"""True labels and results as files: read, matched, and refused by name where they are bad."""

import json
from pathlib import Path

import pytest

from vidpc.errors import DecodeError, OpenError, PresetError
from vidpc.evaluation.recognition import score_clips
from vidpc.evaluation.recognition_files import Prediction, Truth, judge, match, read_answers, read_truths

LABELS = ("no fight", "fight")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def document(source="a.mp4", top=(("fight", 0.75, "fight"), ("no fight", 0.25, "fight")), models=(("fight", LABELS),)):
    return {
        "format": "vidpc-actions",
        "version": 1,
        "source": source,
        "models": [{"name": name, "labels": list(labels)} for name, labels in models],
        "windows": [],
        "video": {"top": [{"label": label, "score": score, "model": model} for label, score, model in top]},
    }


def save(path, **values):
    return write(path, json.dumps(document(**values)))


def lines(**values):
    record = document(**values)
    head = {"type": "header", **{key: record[key] for key in ("format", "version", "source", "models")}}
    return [head, {"type": "video", **record["video"]}, {"type": "end", "complete": True}]


def test_a_table_gives_files_and_labels(tmp_path):
    table = write(tmp_path / "a.csv", '\ufefflabel,file,split\nfight, a.mp4 ,val\n"no fight",b/c.mp4,train\n')
    assert read_truths(table) == [Truth("a.mp4", "fight"), Truth("b/c.mp4", "no fight")]
    assert read_truths(table, "val") == [Truth("a.mp4", "fight")]


def test_folders_are_labels(tmp_path):
    for name in ("fight/a.mp4", "fight/b.AVI", "fight/notes.txt", "no fight/.hidden.mp4", "no fight/frames/1.png", "x.mp4"):
        write(tmp_path / name, "")
    expected = [Truth("fight/a.mp4", "fight"), Truth("fight/b.AVI", "fight"), Truth("no fight/frames", "no fight")]
    assert read_truths(tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "split", "error", "message"),
    [
        ("", None, DecodeError, "no column 'file' in its first line, found none"),
        ("file,class\na,b\n", None, DecodeError, "no column 'label' in its first line, found file, class"),
        ("file,label\n", None, DecodeError, "no rows below its header"),
        ("file,label\na.mp4\n", None, DecodeError, "line 2: file or label is empty"),
        ("file,label\na,x\nb,y\na,y\n", None, DecodeError, "line 4: a stands there twice"),
        ("file,label\na,x\n", "val", DecodeError, "no column 'split'"),
        ("file,label,split\na,x,vali\n", "val", PresetError, "unknown split 'val'; did you mean 'vali'"),
        ('file,label\n"a,x\n', None, DecodeError, "not a table"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, split, error, message):
    with pytest.raises(error, match=message) as raised:
        read_truths(write(tmp_path / "a.csv", text), split)
    assert "a.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_bad_truths_are_named(tmp_path):
    with pytest.raises(OpenError, match="No such file"):
        read_truths(tmp_path / "none.csv")
    with pytest.raises(OpenError, match=r"no clips in .*: expected a folder for every label"):
        read_truths(tmp_path)
    with pytest.raises(PresetError, match=r"--split val: .* is a folder"):
        read_truths(tmp_path, "val")
    (tmp_path / "b.csv").write_bytes(b"file,label\n\xff\xfe,x\n")
    with pytest.raises(DecodeError, match=r"b\.csv: not a text file"):
        read_truths(tmp_path / "b.csv")


def test_results_are_read_from_files_and_folders(tmp_path):
    save(tmp_path / "out" / "a.json")
    write(tmp_path / "out" / "deep" / "b.jsonl", "\n".join(map(json.dumps, lines(source="b.mp4"))))
    write(tmp_path / "out" / "._a.json", "of a file manager")
    single = save(tmp_path / "c.json", source="c.mp4")
    found = read_answers([tmp_path / "out", single])
    assert [prediction.source for prediction in found] == ["a.mp4", "b.mp4", "c.mp4"]
    assert found[1].found == (("fight", 0.75), ("no fight", 0.25))
    assert found[1].labels == LABELS


def test_of_several_models_one_is_chosen(tmp_path):
    models = (("fight", LABELS), ("camera", ("still", "pan")))
    path = save(tmp_path / "a.json", models=models, top=(("still", 0.9, "camera"), ("fight", 0.6, "fight")))
    assert read_answers([path], "camera")[0].found == (("still", 0.9),)
    with pytest.raises(PresetError, match=r"holds answers of 2 models: choose one with --model: fight, camera"):
        read_answers([path])
    with pytest.raises(PresetError, match="unknown model 'camra'; did you mean 'camera'"):
        read_answers([path], "camra")


def test_results_of_different_models_are_not_mixed(tmp_path):
    save(tmp_path / "a.json")
    save(tmp_path / "b.json", models=(("camera", ("still",)),), top=(("still", 1.0, "camera"),))
    with pytest.raises(PresetError, match="the results are of several models: choose one with --model: fight, camera"):
        read_answers([tmp_path])


WHOLE = json.dumps(document())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "", "the file is empty"),
        ("a.json", " \n", "the file is empty"),
        ("a.json", "{}", "its format is None, expected 'vidpc-actions'"),
        ("a.json", "[1, 2]", "its format is 'list'"),
        ("a.json", WHOLE.replace("vidpc-actions", "vidpc-tracks"), "its format is 'vidpc-tracks'"),
        ("a.json", WHOLE.replace('"version": 1', '"version": 2'), "its version is 2, expected 1"),
        ("a.json", WHOLE[:-20], "not JSON, or cut off"),
        ("a.json", WHOLE.replace("0.75", "NaN"), "not JSON, or cut off .NaN is no number"),
        ("a.json", WHOLE.replace("0.75", "7.5"), "a score of 7.5, expected 0 to 1"),
        ("a.json", WHOLE.replace("0.75", "1e999"), "a score of inf"),
        ("a.json", WHOLE.replace("0.75", "null"), "expected source, models and video.top"),
        ("a.json", WHOLE.replace('"models"', '"model"'), "expected source, models and video.top"),
        ("a.json", WHOLE.replace('"top"', '"bottom"'), "no list 'top' of the video"),
        ("a.json", WHOLE.replace('{"top"', '[{"top"').replace("]}}", "]}]}"), "no list 'top' of the video"),
        ("a.jsonl", "\n".join(map(json.dumps, lines()[:-1])), "no line of type 'end' at its end, so it is not complete"),
        ("a.jsonl", "\n".join(map(json.dumps, lines()))[:-9], "line 3: not JSON, or cut off"),
        ("a.jsonl", "\n".join(map(json.dumps, [lines()[0], lines()[2]])), "no list 'top' of the video"),
        ("a.jsonl", "[]\n[]", "its format is 'list'"),
        ("a.json", "[" * 100_000, "not JSON, or cut off"),
    ],
)
def test_bad_results_are_named(tmp_path, name, text, message):
    with pytest.raises(DecodeError, match=message) as raised:
        read_answers([write(tmp_path / name, text)])
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_results_that_are_not_there_are_named(tmp_path):
    with pytest.raises(OpenError, match="No such file"):
        read_answers([tmp_path / "a.json"])
    with pytest.raises(OpenError, match=r"no results in .*: expected files named \*\.json, \*\.jsonl"):
        read_answers([tmp_path])


def found(source, *labels):
    scores = [(label, 1 / (2 + place)) for place, label in enumerate(labels)]
    return Prediction(Path(f"{source}.json"), source, "fight", LABELS, tuple(scores))


def pairs(matched):
    return [(truth.file, prediction and prediction.source) for truth, prediction in matched.pairs]


def test_clips_are_found_by_the_end_of_their_path():
    truths = [Truth("fight/1.mp4", "fight"), Truth("calm/1.mp4", "no fight"), Truth("/data/set/2.mp4", "fight")]
    matched = match(truths, [found("/x/calm/1.mp4"), found("../y/fight/1.mp4"), found("2.mp4"), found("3.mp4")])
    assert pairs(matched) == [
        ("fight/1.mp4", "../y/fight/1.mp4"),
        ("calm/1.mp4", "/x/calm/1.mp4"),
        ("/data/set/2.mp4", "2.mp4"),
    ]
    assert [prediction.source for prediction in matched.unasked] == ["3.mp4"]
    assert matched.by_name_alone == ()


def test_the_longer_end_outranks_the_shorter():
    matched = match([Truth("a/b/1.mp4", "fight")], [found("1.mp4"), found("b/1.mp4")])
    assert pairs(matched) == [("a/b/1.mp4", "b/1.mp4")]


def test_a_name_alone_is_enough_where_it_is_the_only_one():
    matched = match([Truth("clips/1.mp4", "fight"), Truth("clips/2.mp4", "fight")], [found("/tmp/1.mp4"), found("clips/2.mp4")])
    assert pairs(matched) == [("clips/1.mp4", "/tmp/1.mp4"), ("clips/2.mp4", "clips/2.mp4")]
    assert matched.by_name_alone == (Truth("clips/1.mp4", "fight"),)


def test_a_name_alone_is_not_enough_where_two_have_it():
    truths = [Truth("a/1.mp4", "fight"), Truth("b/1.mp4", "fight"), Truth("2.mp4", "fight")]
    matched = match(truths, [found("/tmp/1.mp4"), found("2.mp4")])
    assert pairs(matched)[:2] == [("a/1.mp4", None), ("b/1.mp4", None)]
    assert [prediction.source for prediction in matched.unasked] == ["/tmp/1.mp4"]


def test_two_results_of_one_clip_are_refused():
    with pytest.raises(PresetError, match=r"1\.mp4 is answered by 2 results: x/1\.mp4\.json, y/1\.mp4\.json; name one"):
        match([Truth("1.mp4", "fight")], [found("x/1.mp4"), found("y/1.mp4")])


def test_one_result_of_two_clips_is_refused():
    with pytest.raises(PresetError, match=r"is of '1\.mp4', which fits several clips: a/1\.mp4, b/1\.mp4; recognize them"):
        match([Truth("a/1.mp4", "fight"), Truth("b/1.mp4", "fight")], [found("1.mp4")])


def test_results_of_other_clips_alone_are_an_error():
    with pytest.raises(
        OpenError, match=r"no result is of any of the 1 clips: they are called 1\.mp4, the results are of 2\.mp4"
    ):
        match([Truth("1.mp4", "fight")], [found("2.mp4")])


def test_a_missing_prediction_is_said_and_wrong():
    judged, notes = judge(match([Truth("1.mp4", "fight"), Truth("2.mp4", "fight")], [found("1.mp4", *LABELS[::-1])]), LABELS)
    assert notes == ["no prediction for 1 clip, counted as wrong: 2.mp4"]
    assert score_clips(judged, LABELS).figures()["top1"] == 0.5


def test_unknown_labels_ties_and_strangers_are_said():
    truths = [Truth("1.mp4", "noFight"), Truth("2.mp4", "dance"), Truth("3.mp4", "fight")]
    tied = Prediction(Path("3.json"), "3.mp4", "fight", LABELS, (("no fight", 0.5), ("fight", 0.5)))
    answers = [found("1.mp4", "no fight", "fight"), found("2.mp4"), tied, found("4.mp4", "fight", "no fight")]
    judged, notes = judge(match(truths, answers), LABELS)
    assert [clip.truth for clip in judged] == ["no fight", "dance", "fight"]
    assert notes == [
        "nothing was found in 1 clip, counted as wrong: 2.mp4",
        "not evaluated, no clip has its name: 4.mp4.json",
        "the label 'noFight' is taken for 'no fight' of the model",
        "the model does not know the label 'dance', so 1 clip of it cannot be right",
        "the best two scores are equal in 1 clip, the first in the file counts: 3.mp4",
    ]


def test_results_with_few_labels_are_said():
    labels = tuple("abcdefgh")
    answer = Prediction(Path("1.json"), "1.mp4", "m", labels, (("a", 0.5), ("b", 0.3), ("c", 0.1)))
    notes = judge(match([Truth("1.mp4", "d")], [answer]), labels)[1]
    assert notes == ["some results hold 3 labels, so top-5 counts no more than those (recognize with a larger --top)"]


def test_a_label_that_two_of_the_model_resemble_stays_unknown():
    judged, notes = judge(match([Truth("1.mp4", "a_b")], [found("1.mp4", "a b")]), ("a b", "a-b"))
    assert judged[0].truth == "a_b"
    assert "does not know the label 'a_b'" in notes[0]
