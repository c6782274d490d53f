"""Runs of ``vidpc recognize`` over real files: order, bad inputs, outputs that are there only when complete."""

import gc
import json
import threading
from fractions import Fraction

import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video
from tiny_actions import LABELS, write_weights

from vidpc.errors import OpenError, OutputError, PresetError
from vidpc.pipeline.recognize import Job, Options, run, table
from vidpc.presets import RecognizeConfig
from vidpc.tasks.recognize import RecognizeTask
from vidpc.types import ReadOptions

ROUNDING = 2e-4  # of a written score: it has four decimals


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return RecognizeConfig(str(write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")))


def document(path):
    return json.loads(path.read_text())


def spans(path):
    return [(w["start_s"], w["end_s"], w["first_index"], w["last_index"]) for w in document(path)["windows"]]


def recognized(config, folder, *paths, options=None, **settings):
    """The summary of a run that writes a document beside each input."""
    jobs = [Job(str(path), out=str(folder / f"{path.stem}.json")) for path in paths]
    changed = RecognizeConfig(**{"weights": config.weights, **settings})
    return run(jobs, [changed], options or Options(device="cpu"))


def alike(ours, theirs):
    """Two documents that differ by no more than rounding."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return ours == pytest.approx(theirs, abs=ROUNDING) if isinstance(ours, float) else ours == theirs


@pytest.mark.parametrize("settings", [{}, {"clips": 3}])
def test_many_inputs_are_what_each_is_alone(tmp_path, config, settings):
    clips = [Clip(count=60), Clip(count=7), Clip(count=45, rate_fps=Fraction(10), width=48)]
    paths = [write_video(tmp_path / f"{k}.mp4", clip) for k, clip in enumerate(clips)]
    (tmp_path / "alone").mkdir()
    summary = recognized(config, tmp_path, *paths, options=Options(device="cpu", batch=3), **settings)
    for path in paths:
        recognized(config, tmp_path / "alone", path, options=Options(device="cpu", batch=1), **settings)
        assert alike(document(tmp_path / f"{path.stem}.json"), document(tmp_path / "alone" / f"{path.stem}.json"))
    assert [row.counted.windows for row in summary.inputs] == ([3, 3, 3] if settings else [4, 1, 8])
    assert [row.outputs for row in summary.inputs] == [(str(tmp_path / f"{k}.json"),) for k in range(3)]


def test_a_bad_input_ends_alone(tmp_path, config):
    good = [write_video(tmp_path / f"{k}.mp4") for k in (0, 2)]
    (tmp_path / "1.mp4").write_bytes(b"no video at all")
    summary = recognized(config, tmp_path, good[0], tmp_path / "1.mp4", tmp_path / "3.mp4", good[1])
    assert [type(row.error) for row in summary.inputs] == [type(None), OpenError, OpenError, type(None)]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["0.json", "2.json"]
    assert summary.inputs[1].outputs == ()
    assert summary.inputs[3].counted.top[0][0] in LABELS


def test_a_cut_off_file_is_told_as_far_as_it_goes(tmp_path, config):
    path = write_video(tmp_path / "a.mkv", Clip(count=100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    summary = recognized(config, tmp_path, path)
    assert summary.inputs[0].error is None
    assert document(tmp_path / "a.json")["warnings"]
    assert 0 < summary.inputs[0].counted.windows < 7


def test_one_picture_is_one_window(tmp_path, config):
    recognized(config, tmp_path, write_picture(tmp_path / "a.png", scene(0, 40, 30)))
    assert spans(tmp_path / "a.json") == [(0, pytest.approx(0.04), 0, 0)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [(0, 1, 0, 4), (0.5, 1.5, 3, 6), (1, 2, 5, 9)]),  # pictures from 1/8 to 7/8 of each second
        # clips of five pictures from 1.25 and 3.75 on, in whose middles the ones from 1.875 to 5.625 and 4.375 to 8.125 lie
        ({"clips": 2}, [(0.2, 1.2, 1, 5), (0.8, 1.8, 4, 8)]),
    ],
)
def test_pictures_of_a_folder_are_a_video_of_the_rate_that_is_given(tmp_path, config, settings, expected):
    (tmp_path / "pictures").mkdir()
    for k in range(10):
        write_picture(tmp_path / "pictures" / f"{k}.png", scene(k, 40, 30))
    options = Options(device="cpu", reading=ReadOptions(input_fps=Fraction(5)))
    recognized(config, tmp_path, tmp_path / "pictures", options=options, **settings)
    assert spans(tmp_path / "pictures.json") == expected


def test_an_uneven_rate_keeps_its_times(tmp_path, config):
    # 0, 0.25, 0.5, 0.75, then ten times as fast
    times = tuple([Fraction(k, 4) for k in range(4)] + [1 + Fraction(k, 40) for k in range(40)])
    path = write_video(tmp_path / "a.mkv", Clip(count=44, times_s=times, tick=Fraction(1, 1000)))
    recognized(config, tmp_path, path)
    assert spans(tmp_path / "a.json") == [(0, 1, 0, 3), (0.5, 1.5, 2, 19), (1, 2, 9, 39)]


def test_what_is_left_out_of_a_gap_is_told(tmp_path, config):
    times = tuple([Fraction(k, 10) for k in range(10)] + [500 + Fraction(k, 10) for k in range(10)])
    path = write_video(tmp_path / "a.mkv", Clip(count=20, times_s=times, tick=Fraction(1, 1000)))
    summary = recognized(config, tmp_path, path)
    assert any("windows in gaps of more than a minute" in warning for warning in summary.inputs[0].warnings)
    assert summary.inputs[0].counted.windows < 130


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the model failed")])
def test_a_run_that_is_broken_off_leaves_nothing(tmp_path, config, monkeypatch, error):
    paths = [write_video(tmp_path / f"{k}.mp4", Clip(count=100)) for k in range(2)]
    step, calls = RecognizeTask.step, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return step(self, *arguments)

    monkeypatch.setattr(RecognizeTask, "step", failing)
    before = threading.active_count()
    jobs = [Job(str(p), f"{p}.json", render=f"{p}.mkv", plot=f"{p}.png") for p in paths]
    with pytest.raises(type(error)):
        run(jobs, [config], Options(device="cpu"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4"]
    assert threading.active_count() == before


def test_every_output_appears_and_the_document_knows_all_warnings(tmp_path, config):
    path = write_video(tmp_path / "a.mp4", Clip(count=60, width=320, height=240))
    names = {name: str(tmp_path / f"out.{name}") for name in ("srt", "mp4", "png")}
    job = Job(str(path), out=names["srt"], render=names["mp4"], plot=names["png"])
    summary = run([job], [config], Options(device="cpu"))
    assert summary.inputs[0].outputs == tuple(names.values())
    assert all((tmp_path / f"out.{name}").stat().st_size for name in names)
    assert str(path) in table(summary.inputs[0].counted, labels=2)


def test_outputs_that_would_harm_are_refused_before_any_work(tmp_path, config):
    path = write_video(tmp_path / "a.mp4")
    (tmp_path / "mine.json").write_text("mine")
    for bad, message in (
        ({"out": str(tmp_path / "mine.json")}, "exists already"),
        ({"render": str(path), "overwrite": True}, "a.mp4"),
        ({"out": str(tmp_path / "x.json"), "plot": str(tmp_path / "x.jpg")}, "png"),
    ):
        with pytest.raises(OutputError, match=message):
            run([Job(str(path), **bad)], [config], Options(device="cpu"))
    with pytest.raises(PresetError, match="suffix"):
        run([Job(str(path), out=str(tmp_path / "x.doc"))], [config], Options(device="cpu"))
    twice = [Job(str(path), out=str(tmp_path / "b.json"))] * 2
    with pytest.raises(OutputError, match="output of another input"):
        run(twice, [config], Options(device="cpu"))
    assert (tmp_path / "mine.json").read_text() == "mine"


def test_progress_is_told_in_seconds(tmp_path, config):
    told = []
    path = write_video(tmp_path / "a.mp4", Clip(count=60))
    run([Job(str(path))], [config], Options(device="cpu"), on_progress=lambda *facts: told.append(facts))
    assert told == [(0, 1.0, 2.4), (0, 1.5, 2.4), (0, 2.0, 2.4), (0, 2.2, 2.4)]  # the last one ends at 2.25 s


def test_what_is_held_does_not_grow_with_the_video(tmp_path, config, monkeypatch):
    """Pictures that are prepared and alive, however long the video is."""
    alive, most = [0], [0]

    class Prepared(np.ndarray):
        def __del__(self):
            alive[0] -= 1

    picture = RecognizeTask._picture

    def counted(self, frame):
        made = picture(self, frame).view(Prepared)
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        return made

    monkeypatch.setattr(RecognizeTask, "_picture", counted)
    peaks = []
    for count in (100, 800):
        most[0] = 0
        path = write_video(tmp_path / f"{count}.mp4", Clip(count=count, gop=50))
        recognized(config, tmp_path, path)
        gc.collect()
        peaks.append(most[0])
    assert peaks[1] <= peaks[0] + 1 <= 16


@pytest.mark.parametrize("settings", [{}, {"clips": 2}])
def test_names_are_told_in_the_documents_head(tmp_path, config, settings):
    path = write_video(tmp_path / "a.mp4", Clip(count=60))
    recognized(config, tmp_path, path, options=Options(device="cpu", names={"jump": "hop"}), **settings)
    head = document(tmp_path / "a.json")
    assert head["models"][0]["labels"] == ["hop"]
    assert head["settings"]["clips"] == settings.get("clips", 0)
    assert head["settings"]["names"] == {"jump": "hop"}
    assert (head["settings"]["frames"], head["settings"]["window_s"], head["settings"]["hop_s"]) == (4, 1.0, 0.5)
