"""Frames into windows, windows into scores, scores into what a video shows: against the network called by hand."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
import torch
from tiny_actions import INPUT, LABELS, SIZE, write_weights

from vidpc import weights
from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.engine.prepare import prepare
from vidpc.errors import DecodeError, OpenError, PresetError, WeightsError
from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.ops.clip_sampling import Sampling, clip_indices
from vidpc.presets import RecognizeConfig
from vidpc.stream.batch import group
from vidpc.stream.windows import Windows
from vidpc.tasks.look import Look
from vidpc.tasks.recognize import ActionResult, RecognizeTask
from vidpc.types import Actions, Aside, ClipPlan, Closed, Frame, Opened, Sample, VideoInfo, Window

ROUNDING = 1e-5  # of a score in 0..1, where batches are cut otherwise
GPU_ROUNDING = 1e-4


class Noise:
    """A picture that its seed decides; ``fails`` when somebody looks."""

    nbytes = 100

    def __init__(self, seed, fails=False):
        self.seed, self.fails = seed, fails

    def rgb(self, width, height):
        if self.fails:
            raise DecodeError("cannot convert a strange picture")
        return np.random.default_rng(self.seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def info(path="clip.mp4", rate_fps=10):
    unknown = {"coded_width": 48, "coded_height": 40, "rotation_deg": 0, "mirrored": False, "sample_aspect": Fraction(1)}
    colours = {"pixel_format": "rgb24", "bit_depth": 8, "matrix": "rgb", "full_range": True}
    times = {"start_s": Fraction(0), "rate_fps": Fraction(rate_fps), "duration_s": None, "frame_count": None}
    return VideoInfo(path, "fake", "fake", 48, 40, **unknown, **colours, **times)


def video(count, stream=0, rate_fps=10, bad=()):
    pictures = [Noise((stream, k), k in bad) for k in range(count)]
    frames = [Frame(picture, k, Fraction(k, rate_fps), 48, 40) for k, picture in enumerate(pictures)]
    return [Opened(stream, info(f"{stream}.mp4", rate_fps)), *frames, Closed(stream, ("odd",))]


@pytest.fixture
def make(tmp_path):
    """A task with so many tiny models; ``rules`` are said by the weights, ``settings`` by the user."""

    def make(count=1, names=None, settings=None, labels=LABELS, **rules):
        paths = [
            write_weights(tmp_path / f"{k}.safetensors", labels if k == 0 else ("up", "down"), seed=k, **rules)
            for k in range(count)
        ]
        configs = [RecognizeConfig(str(path), **(settings or {})) for path in paths]
        return RecognizeTask(configs, [weights.read(path) for path in paths], names=names)

    return make


def outcome(task, *inputs, batch=1, device="cpu"):
    """Everything that is said of the inputs, with so many windows in a batch."""
    items = iter([item for one in inputs for item in one])
    batches = group(task.samples(items), size=batch, max_bytes=1 << 30)
    return list(task.results(infer(batches, task.step, device=choose(device))))


def windows(results):
    return [item.found for item in results if isinstance(item, ActionResult) and isinstance(item.found, Window)]


def answer(results):
    [found] = [item.found for item in results if isinstance(item, ActionResult) and isinstance(item.found, Actions)]
    return found


def by_hand(task, pictures, number=0):
    """Logits f32[labels] of pictures u8[h w 3]."""
    clip = torch.from_numpy(np.stack(pictures)).float().permute(3, 0, 1, 2)[None] / 255
    look = task.recognisers[number].look
    mean, std = (torch.tensor(values)[:, None, None, None] for values in (look.mean, look.std))
    with torch.inference_mode():
        return task.recognisers[number].model((clip - mean) / std)[0].numpy()


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def test_a_window_has_the_scores_of_its_pictures(make):
    task = make()
    opened, first, second, third, whole, closed = outcome(task, video(20))
    assert isinstance(opened, Opened)
    assert closed == Closed(0, ("odd",))
    assert [(w.number, w.start_s, w.end_s) for w in windows([first, second, third])] == [
        (0, 0, 1),
        (1, Fraction(1, 2), Fraction(3, 2)),
        (2, 1, 2),
    ]
    pictures = [Noise((0, k)).rgb(SIZE, SIZE) for k in (6, 8, 11, 13)]  # shown at 5/8, 7/8, 9/8, 11/8 of a second
    assert (second.found.first_index, second.found.last_index) == (6, 13)
    assert second.found.scores[0] == pytest.approx(softmax(by_hand(task, pictures)), abs=ROUNDING)
    assert whole.found.windows == 3


def test_the_answer_is_the_mean_of_scores_or_of_logits(make):
    for combine in ("scores", "logits"):
        task = make(combine=combine)
        found = outcome(task, video(20))
        logits = [
            by_hand(task, [Noise((0, k)).rgb(SIZE, SIZE) for k in shown])
            for shown in ((1, 3, 6, 8), (6, 8, 11, 13), (11, 13, 16, 18))
        ]
        expected = (
            np.mean([softmax(row) for row in logits], axis=0) if combine == "scores" else softmax(np.mean(logits, axis=0))
        )
        assert answer(found).scores[0] == pytest.approx(expected, abs=ROUNDING)
        assert windows(found)[2].scores[0] == pytest.approx(softmax(logits[2]), abs=ROUNDING)  # scores in both


def test_views_from_side_to_side_are_averaged(make):
    task = make(settings={"crops": 3}, resize="float", short_side=SIZE, combine="logits")
    full = [Noise((0, k)).rgb(48, 40) for k in (1, 3, 6, 8)]
    scaled = torch.from_numpy(np.stack(full)).float().permute(0, 3, 1, 2)
    scaled = torch.nn.functional.interpolate(scaled, size=(32, 38), mode="bilinear", align_corners=False)
    views = [scaled[..., x : x + 32].permute(0, 2, 3, 1).numpy() for x in (0, 3, 6)]
    expected = softmax(np.mean([by_hand(task, view) for view in views], axis=0))
    assert windows(outcome(task, video(10)))[0].scores[0] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("rules", "dtype"), [({}, "uint8"), ({"resize": "opencv", "short_side": 36}, "uint8"), ({"resize": "float"}, "float32")]
)
def test_samples_are_bytes_where_the_rule_makes_bytes(make, rules, dtype):
    [sample] = [item for item in make(**rules).samples(iter(video(10))) if isinstance(item, Sample)]
    assert sample.arrays["clips"].dtype == dtype
    assert sample.arrays["clips"].shape == (1, 4, SIZE, SIZE, 3)


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_batches_across_inputs_change_nothing(make, batch):
    task, inputs = make(2, mean=[0.4, 0.5, 0.6]), [video(23, 0), video(3, 1), video(40, 2, rate_fps=7), video(0, 3)]
    together = outcome(task, *inputs, batch=batch)
    alone = [item for one in inputs for item in outcome(task, one)]
    assert len(together) == len(alone)
    for ours, theirs in zip(together, alone, strict=True):
        assert type(ours) is type(theirs)
        assert ours.stream == theirs.stream
        if isinstance(ours, ActionResult):
            for mine, other in zip(ours.found.scores, theirs.found.scores, strict=True):
                assert mine == pytest.approx(other, abs=ROUNDING)
    assert [(w.start_s, w.first_index, w.last_index) for w in windows(together)] == [
        (w.start_s, w.first_index, w.last_index) for w in windows(alone)
    ]


@pytest.mark.skipif(not torch.cuda.is_available() and os.environ.get("VIDPC_NEED_CUDA") != "1", reason="no GPU")
def test_a_gpu_says_the_same(make):
    task = make(2, mean=[0.4, 0.5, 0.6])
    expected = windows(outcome(task, video(40), batch=3))
    for recogniser in task.recognisers:
        recogniser.model = prepare(recogniser.model, choose("cuda"))
    for ours, theirs in zip(windows(outcome(task, video(40), batch=3, device="cuda")), expected, strict=True):
        for mine, other in zip(ours.scores, theirs.scores, strict=True):
            assert mine == pytest.approx(other, abs=GPU_ROUNDING)


def test_models_at_once_say_what_each_says_alone(make, tmp_path):
    both = outcome(make(2), video(20))
    one, two = (
        outcome(RecognizeTask([RecognizeConfig(str(path))], [weights.read(path)]), video(20))
        for path in (tmp_path / "0.safetensors", tmp_path / "1.safetensors")
    )
    for number, alone in enumerate((one, two)):
        for mine, other in zip(windows(both), windows(alone), strict=True):
            assert mine.scores[number] == pytest.approx(other.scores[0], abs=ROUNDING)
        assert answer(both).scores[number] == pytest.approx(answer(alone).scores[0], abs=ROUNDING)


def test_labels_are_kept_and_renamed_and_their_scores_stay(make):
    every, some = (outcome(make(2, names), video(10)) for names in (None, {"stand": "still", "up": "up"}))
    task = make(2, {"stand": "still", "up": "up"})
    assert [model.labels for model in task.infos] == [("still",), ("up",)]
    assert windows(some)[0].scores[0].tolist() == [windows(every)[0].scores[0][2]]
    assert windows(some)[0].scores[1].tolist() == [windows(every)[0].scores[1][0]]


def test_a_model_without_a_wanted_label_is_left_out(make):
    task = make(2, {"down": "down"})
    assert [model.labels for model in task.infos] == [("down",)]
    assert len(windows(outcome(task, video(10)))[0].scores) == 1
    with pytest.raises(PresetError, match="unknown label 'stnd'; did you mean 'stand'"):
        make(2, {"stnd": "stnd"})


def test_segments_come_with_the_answer(make):
    found = outcome(make(settings={"on_score": 0.0, "off_score": 0.0}), video(20))
    assert {(s.label, s.start_s, s.end_s) for s in answer(found).segments} == {(label, 0, 2) for label in LABELS}
    assert answer(outcome(make(settings={"on_score": 1.0, "off_score": 1.0}), video(20))).segments == ()


def test_a_video_without_a_frame_shows_nothing(make):
    _, whole, _ = outcome(make(2), video(0))
    assert (whole.found.windows, whole.found.segments) == (0, ())
    assert [scores.tolist() for scores in whole.found.scores] == [[0, 0, 0], [0, 0]]


def test_one_picture_is_one_window(make):
    task = make()
    found = outcome(task, video(1))
    [window] = windows(found)
    assert (window.start_s, window.end_s, window.first_index, window.last_index) == (0, Fraction(1, 10), 0, 0)
    assert window.scores[0] == pytest.approx(softmax(by_hand(task, [Noise((0, 0)).rgb(SIZE, SIZE)] * 4)), abs=ROUNDING)


def test_a_picture_that_cannot_be_converted_ends_its_own_input_alone(make):
    task = make()
    found = outcome(task, video(20, 0, bad=(11,)), video(20, 1), batch=2)
    ends = [item for item in found if isinstance(item, Closed)]
    assert [(end.stream, type(end.error)) for end in ends] == [(0, DecodeError), (1, type(None))]
    assert [item.stream for item in found if isinstance(item, ActionResult)] == [0, 1, 1, 1, 1]


def test_an_input_that_was_never_opened_or_broke_off_has_no_answer(make):
    broken = [*video(20, 1)[:-1], Closed(1, error=DecodeError("cut short"))]
    found = outcome(make(), video(10, 0), [Closed(0, error=OpenError("gone"))], broken)
    assert [str(item.error) for item in found if isinstance(item, Closed)] == ["None", "gone", "cut short"]
    assert answer(found).windows == 1


def test_a_long_strip_is_refused_where_it_would_have_to_be_resized(make):
    strip = [Opened(0, info()), Frame(Noise(0), 0, Fraction(0), 4000, 2), Closed(0)]
    found = outcome(make(resize="float"), strip)
    assert "cannot look at a picture of 4000x2" in str(found[-1].error)


def planned(clips, stream=0):
    opened, *frames, closed = video(20, stream)
    wanted = {index for clip in clips for index in clip}
    plan = Aside(stream, ClipPlan(tuple(map(tuple, clips)), Fraction(1, 10)))
    return [opened, plan, *(frame for frame in frames if frame.index in wanted), closed]


def test_clips_look_at_the_frames_of_their_plan(make):
    task = make(settings={"clips": 3})
    clips = [[0, 2, 4, 6], [1, 2, 9, 9], [15, 16, 17, 18]]
    found = outcome(task, planned(clips), planned([[3, 3, 3, 3]], 1), batch=2)
    spans = [(window.start_s, window.end_s) for window in windows(found)]
    tenth = Fraction(1, 10)
    assert spans == [(0, 7 * tenth), (tenth, 1), (15 * tenth, 19 * tenth), (3 * tenth, 4 * tenth)]
    for window, clip in zip(windows(found), clips, strict=False):
        pictures = [Noise((0, k)).rgb(SIZE, SIZE) for k in clip]
        assert window.scores[0] == pytest.approx(softmax(by_hand(task, pictures)), abs=ROUNDING)
    ends = [item.found for item in found if isinstance(item, ActionResult) and isinstance(item.found, Actions)]
    assert [(end.windows, end.segments) for end in ends] == [(3, ()), (1, ())]


def test_clips_are_planned_by_the_rule_of_the_weights(make):
    task = make(settings={"clips": 4}, sampling="linspace", rate=8)
    sampling = Sampling(frames=4, rate=8, clips=4)
    assert task.plan(200, 25.0) == clip_indices("linspace", sampling, count=200, fps=25.0)


@pytest.mark.parametrize(("sampling", "rate"), [("linspace", 32), ("steps", 4), ("centres", 7)])
def test_a_window_of_30_pictures_a_second_looks_where_the_papers_look(sampling, rate):
    look = Look.of({**INPUT, "frames": 8, "rate": rate, "sampling": sampling})
    windows = Windows(look.rule(look.window_s), lambda frame: None)
    for k in range(8 * rate):
        windows.add(Frame(Noise(k), k, Fraction(k, 30), 48, 40))
    [span] = windows.end()
    expected = clip_indices(sampling, Sampling(frames=8, rate=rate), count=8 * rate, fps=30)
    assert [[shown.index for shown in span.shown]] == expected


def test_settings_stand_above_what_the_weights_say():
    look = Look.of({**INPUT, "frames": 8, "rate": 32})
    assert look.window_s == Fraction(256, 30)
    assert Look.of(INPUT).window_s == 1
    changed = look.changed(RecognizeConfig("w", window_s=2.5, order="bgr", mean=(0.1, 0.2, 0.3), combine="logits"))
    assert (changed.window_s, changed.order, changed.mean, changed.combine) == (
        Fraction(5, 2),
        "bgr",
        (0.1, 0.2, 0.3),
        "logits",
    )
    assert look.changed(RecognizeConfig("w", rate=4)).window_s == Fraction(32, 30)
    assert look.changed(RecognizeConfig("w")) == look


@pytest.mark.parametrize(
    "rules",
    [
        {"sampling": "random"},
        {"resize": "crop"},
        {"order": "grey"},
        {"mean": [0.5]},
        {"std": [1, 0, 1]},
        {"frames": 0},
        {"frames": "8"},
        {"frames": 4.5},
        {"crop": 64},
        {"short_side": None},
        {"window_s": 0},
        {"rate": "fast"},
        {"combine": "max"},
    ],
)
def test_rules_that_cannot_be_followed_are_told(rules):
    with pytest.raises(WeightsError, match="ask for an input that vidpc recognize does not make"):
        Look.of({**INPUT, **rules})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crops": 3}, "see the whole picture at once"),
        ({"crop": 16}, "the rule stretch takes the whole picture"),
        ({"resize": "float", "crop": 24}, "crop is 24, expected a multiple of the network's patch of 16"),
        ({"window_s": 0.05}, "window_s is 0.05, expected at least 0.1"),
        ({"hop_s": 0.001}, "hop_s is 0.001, expected at least 0.01"),
    ],
)
def test_settings_that_do_not_fit_are_told(make, settings, message):
    with pytest.raises(PresetError, match=message):
        make(settings=settings)


def test_models_that_need_other_clips_need_a_run_each(make, tmp_path):
    paths = [write_weights(tmp_path / "a.safetensors"), write_weights(tmp_path / "b.safetensors", window_s=2.0)]
    files = [weights.read(path) for path in paths]
    with pytest.raises(PresetError, match="look at a video in different ways: give them a run each"):
        RecognizeTask([RecognizeConfig(str(path)) for path in paths], files)
    settings = [RecognizeConfig(str(path), window_s=1.0, on_score=0.4 + k / 10) for k, path in enumerate(paths)]
    assert len(RecognizeTask(settings, files).recognisers) == 2


def test_weights_of_another_network_are_refused(tmp_path):
    path = write_weights(tmp_path / "a.safetensors")
    file = weights.read(path)
    other = {**file.metadata, "architecture": "pct"}
    weights.write(tmp_path / "b.safetensors", dict(file.tensors), other)
    with pytest.raises(WeightsError, match="weights of 'pct', expected a recogniser of actions: timesformer"):
        RecognizeTask([RecognizeConfig("b")], [weights.read(tmp_path / "b.safetensors")])


def motion_weights(path, seed):
    """A tiny network that is shown motion beside colour."""
    torch.manual_seed(seed)
    sizes = {"size": SIZE, "frames": 9, "width": 16, "depth": 1, "heads": 2, "classes": 2}
    model = MotionTimeSformer(MotionTimeSformerConfig(**sizes))
    look = {"frames": 9, "mean": [0.0] * 3, "std": [1.0] * 3}
    metadata = {
        "architecture": "motion-timesformer",
        "config": json.dumps(sizes),
        "labels": json.dumps(["yes", f"no {seed}"]),
        "input": json.dumps({**INPUT, **look}),
        "licence": "none",
        "source": "test",
    }
    weights.write(path, {name: value for name, value in model.state_dict().items() if value.is_floating_point()}, metadata)
    return weights.read(path)


def test_models_that_measure_motion_alike_measure_it_once(tmp_path, monkeypatch):
    files = [motion_weights(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    look, looked = MotionTimeSformer.look, []

    def counted(self, clips):
        looked.append(len(clips))
        return look(self, clips)

    monkeypatch.setattr(MotionTimeSformer, "look", counted)
    configs = [RecognizeConfig(str(number)) for number in range(2)]
    both = outcome(RecognizeTask(configs, files), video(20))
    assert looked == [1] * answer(both).windows
    for number, (config, file) in enumerate(zip(configs, files, strict=True)):
        alone = outcome(RecognizeTask([config], [file]), video(20))
        assert answer(both).scores[number] == pytest.approx(answer(alone).scores[0], abs=ROUNDING)
    with pytest.raises(PresetError, match="5 pictures of 32x32, expected 9 of 32x32: this network takes no others"):
        RecognizeTask([RecognizeConfig("w", frames=5)], files[:1])
