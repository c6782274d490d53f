"""Runs of ``vidpc synthesize`` over real files: counts, times, what is kept bit by bit, bad inputs, memory."""

import gc
import threading
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video
from tiny_synthesis import write_blend

from vidpc.errors import DecodeError, OpenError, OutputError
from vidpc.media.read import read_videos
from vidpc.pipeline.synthesize import Asked, Job, Options, run
from vidpc.presets import SynthesizeConfig
from vidpc.tasks import gaps
from vidpc.tasks.synthesize import SynthesizeTask
from vidpc.types import Frame, ReadOptions, VideoFormat

LOSSLESS = VideoFormat(lossless=True)
LEVELS = 6  # of a colour that goes from 4:2:0 to RGB and back once more, inside its surfaces


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    return SynthesizeConfig(str(write_blend(tmp_path / "weights" / "blend.safetensors", monkeypatch)))


def made(config, source, out, asked, *, batch=2, video_format=LOSSLESS, **reading):
    """What became of a run with one input."""
    options = Options(asked, ReadOptions(**reading), device="cpu", batch=batch, video_format=video_format)
    [row] = run([Job(str(source), str(out))], config, options).inputs
    assert row.error is None, row.error
    return row


def frames(path):
    return [item for item in read_videos([path]) if isinstance(item, Frame)]


def times(path):
    return [frame.time_s for frame in frames(path)]


def planes(path):
    """The coded samples of every frame, u8|u16[rows columns]."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def test_a_clip_at_twice_its_rate(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=10))
    row = made(config, source, tmp_path / "b.mkv", Asked(rate_fps=Fraction(50)))
    assert times(tmp_path / "b.mkv") == [Fraction(k, 50) for k in range(20)]
    assert (row.counted.kept, row.counted.new, row.counted.held, row.counted.shots) == (10, 9, 1, 1)
    assert row.outputs == (str(tmp_path / "b.mkv"),)


def test_frames_of_the_source_are_kept_bit_by_bit(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=6))
    made(config, source, tmp_path / "b.mkv", Asked(factor=3))
    before, after = planes(source), planes(tmp_path / "b.mkv")
    assert len(after) == 18
    assert all(np.array_equal(one, other) for one, other in zip(before, after[::3], strict=True))
    assert not np.array_equal(after[0], after[1])


def test_new_frames_are_what_the_network_draws(tmp_path, config):
    plain = [np.full((48, 64, 3), level, np.uint8) for level in (60, 90)]
    source = write_video(tmp_path / "a.mkv", Clip(codec="ffv1", matrix="bt709"), plain)
    made(replace(config, cut_threshold=0.0), source, tmp_path / "b.mkv", Asked(factor=3))
    assert [round(float(frame.rgb().mean())) for frame in frames(tmp_path / "b.mkv")] == pytest.approx(
        [60, 70, 80, 90, 90, 90], abs=LEVELS
    )


def test_ten_bits_stay_ten_bits(tmp_path, config):
    clip = Clip(count=4, codec="ffv1", pixel_format="yuv420p10le")
    source = write_video(tmp_path / "a.mkv", clip)
    made(config, source, tmp_path / "b.mkv", Asked(factor=2))
    before, after = planes(source), planes(tmp_path / "b.mkv")
    assert after[1].dtype == np.uint16
    assert all(np.array_equal(one, other) for one, other in zip(before, after[::2], strict=True))


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_uneven_times_are_kept_and_every_gap_is_divided(tmp_path, config, name):
    shown = tuple(Fraction(ms, 1000) for ms in (0, 40, 90, 200, 240))
    source = write_video(tmp_path / "a.mkv", Clip(count=5, times_s=shown, tick=Fraction(1, 1000)))
    made(config, source, tmp_path / name, Asked(factor=2), video_format=VideoFormat())
    found = times(tmp_path / name)
    expected = [0, 20, 40, 65, 90, 145, 200, 220, 240, 260]  # the last frame lasts as long as is usual there
    assert [round(1000 * time_s) for time_s in found] == expected


def test_slow_motion_takes_longer_and_has_no_sound(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=8, sound="aac"))
    row = made(config, source, tmp_path / "b.mp4", Asked(factor=4, slow=4), video_format=VideoFormat())
    assert times(tmp_path / "b.mp4") == [Fraction(k, 25) for k in range(32)]
    assert any("sound" in warning for warning in row.warnings)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio


def test_sound_goes_along_at_another_rate(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=25, sound="aac"))
    made(config, source, tmp_path / "b.mp4", Asked(rate_fps=Fraction(30)), video_format=VideoFormat())

    def packets(path):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(source) == packets(tmp_path / "b.mp4")
    assert len(times(tmp_path / "b.mp4")) == 30


def test_a_part_begins_at_zero(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=25))
    asked = Asked(rate_fps=Fraction(50))
    made(config, source, tmp_path / "b.mkv", asked, start_s=Fraction(2, 5), end_s=Fraction(4, 5))
    assert times(tmp_path / "b.mkv") == [Fraction(k, 50) for k in range(20)]


def test_frames_follow_the_end(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(count=5))
    row = made(config, source, tmp_path / "b.mkv", Asked(extrapolate=3))
    assert times(tmp_path / "b.mkv") == [Fraction(k, 25) for k in range(8)]
    assert (row.counted.kept, row.counted.new) == (5, 3)


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 0, 2)), (2, (2, 2, 2))])
def test_very_short_videos(tmp_path, config, count, expected):
    source = write_video(tmp_path / "a.mp4", Clip(count=count))
    counted = made(config, source, tmp_path / "b.mkv", Asked(factor=3)).counted
    assert (counted.kept, counted.new, counted.held) == expected


def test_a_black_video_is_held(tmp_path, config):
    source = write_video(tmp_path / "a.mp4", Clip(), [np.zeros((48, 64, 3), np.uint8)] * 6)
    row = made(config, source, tmp_path / "b.mkv", Asked(factor=2))
    assert (row.counted.kept, row.counted.new, row.counted.held) == (6, 0, 6)
    assert not any(frame.rgb().any() for frame in frames(tmp_path / "b.mkv"))


def test_pictures_in_and_pictures_out(tmp_path, config):
    (tmp_path / "in").mkdir()
    pictures = [scene(k, 40, 30) for k in range(3)]
    for k, picture in enumerate(pictures):
        write_picture(tmp_path / "in" / f"{k}.png", picture)
    row = made(config, tmp_path / "in", f"{tmp_path}/out/", Asked(factor=2), input_fps=Fraction(5))
    assert (row.counted.kept, row.counted.new, row.counted.held) == (3, 2, 1)
    found = [item for item in read_videos([tmp_path / "out"], ReadOptions(input_fps=Fraction(10))) if isinstance(item, Frame)]
    assert [np.array_equal(found[2 * k].rgb(), picture) for k, picture in enumerate(pictures)] == [True] * 3
    blend = (pictures[0].astype(float) + pictures[1]) / 2
    assert found[1].rgb() == pytest.approx(blend, abs=1)
    assert (tmp_path / "out" / "times.csv").read_text().splitlines()[2].startswith("1,0.1")


def test_many_inputs_are_what_each_is_alone_and_a_bad_one_ends_alone(tmp_path, config):
    clips = [Clip(count=7), Clip(count=1), Clip(count=9, width=48)]
    paths = [write_video(tmp_path / f"{k}.mp4", clip) for k, clip in enumerate(clips)]
    (tmp_path / "bad.mp4").write_bytes(b"no video at all")
    jobs = [Job(str(path), str(tmp_path / f"{path.stem}.mkv")) for path in (*paths[:2], tmp_path / "bad.mp4", paths[2])]
    options = Options(Asked(factor=2), device="cpu", batch=3, video_format=LOSSLESS)
    rows = run(jobs, config, options).inputs
    assert [type(row.error) for row in rows] == [type(None), type(None), OpenError, type(None)]
    assert not (tmp_path / "bad.mkv").exists()
    for path in paths:
        made(config, path, tmp_path / f"{path.stem}.alone.mkv", Asked(factor=2), batch=1)
        together, alone = planes(tmp_path / f"{path.stem}.mkv"), planes(tmp_path / f"{path.stem}.alone.mkv")
        assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


def test_a_span_without_a_frame_is_an_error_and_leaves_nothing(tmp_path, config):
    source = write_video(tmp_path / "a.mp4")
    options = Options(Asked(factor=2), ReadOptions(start_s=Fraction(9)), device="cpu")
    [row] = run([Job(str(source), str(tmp_path / "b.mp4"))], config, options).inputs
    assert isinstance(row.error, DecodeError)
    assert "without a frame: no frame lies from 9 s" in str(row.error)
    assert not list(tmp_path.glob("*b.mp4*"))


def test_a_cut_off_file_is_made_as_far_as_it_goes(tmp_path, config):
    path = write_video(tmp_path / "a.mkv", Clip(count=100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    row = made(config, path, tmp_path / "b.mkv", Asked(factor=2))
    assert row.warnings
    assert len(frames(tmp_path / "b.mkv")) == 2 * len(frames(path)) > 20


def test_outputs_that_would_harm_are_refused_before_any_work(tmp_path, config):
    path = write_video(tmp_path / "a.mp4")
    (tmp_path / "mine.mp4").write_text("mine")
    options = Options(Asked(factor=2), device="cpu")
    for target, overwrite, message in (
        ("mine.mp4", False, "exists already"),
        ("a.mp4", True, "it is the input"),
        ("b.doc", False, "b.doc"),
        ("nowhere/b.mp4", False, "does not exist"),
    ):
        with pytest.raises(OutputError, match=message):
            run([Job(str(path), str(tmp_path / target), overwrite)], config, options)
    with pytest.raises(OutputError, match="output of another input"):
        run([Job(str(path), str(tmp_path / "b.mp4"))] * 2, config, options)
    assert (tmp_path / "mine.mp4").read_text() == "mine"


def test_a_run_that_fails_leaves_nothing(tmp_path, config, monkeypatch):
    path = write_video(tmp_path / "a.mp4", Clip(count=40))
    step, calls = SynthesizeTask.step, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the model failed")
        return step(self, *arguments)

    monkeypatch.setattr(SynthesizeTask, "step", failing)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the model failed"):
        run([Job(str(path), str(tmp_path / "b.mp4"))], config, Options(Asked(factor=2), device="cpu"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "weights"]
    assert threading.active_count() == before


def test_progress_counts_the_frames_of_the_output(tmp_path, config):
    told = []
    path = write_video(tmp_path / "a.mp4", Clip(count=4))
    run([Job(str(path))], config, Options(Asked(factor=2), device="cpu"), on_progress=lambda *facts: told.append(facts))
    assert told == [(0, k, 8) for k in range(1, 9)]


@pytest.mark.parametrize("asked", [Asked(factor=2), Asked(rate_fps=Fraction(25))])
def test_what_is_held_does_not_grow_with_the_video(tmp_path, config, monkeypatch, asked):
    """Frames that are alive, however long the video is, new ones or not."""
    alive, most = [0], [0]

    class Counted(gaps.Look):
        def __post_init__(self):
            alive[0] += 1
            most[0] = max(most[0], alive[0])

        def __del__(self):
            alive[0] -= 1

    monkeypatch.setattr("vidpc.tasks.synthesize.Look", Counted)
    peaks = []
    for count in (20, 80):
        most[0] = 0
        path = write_video(tmp_path / f"{count}.mp4", Clip(count=count, gop=50))
        made(config, path, tmp_path / f"{count}.out.mp4", asked, video_format=VideoFormat())
        gc.collect()
        peaks.append(most[0])
    assert peaks[1] <= peaks[0] + 1 <= 12
