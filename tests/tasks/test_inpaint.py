"""Holes filled from aligned frames and by STTN as published, on pictures whose truth is known."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from tiny_holes import RULES, STTN_RULES, Averaging, masked, square, texture, write_sttn, write_weights

from vidpc import weights
from vidpc.engine.call import Caller
from vidpc.engine.device import choose
from vidpc.errors import DecodeError, PresetError, SourceError, WeightsError
from vidpc.presets import InpaintConfig
from vidpc.tasks.aligned_fill import AlignedFiller
from vidpc.tasks.inpaint import InpaintTask, results
from vidpc.tasks.published_fill import PublishedFiller
from vidpc.types import Closed, MaskedFrame, Opened

WIDTH, HEIGHT = 96, 72
RESAMPLED = 3.0  # grey levels that two readings of a soft picture differ by on average, and light that is taken from its rim
PLAIN = {"dilate_px": 2, "feather_px": 0, "grain": 0.0}


def filler(model=None, batch=2, **settings):
    call = Caller(choose("cpu"), batch)
    return AlignedFiller(model or Averaging(), InpaintConfig("", **{**PLAIN, **settings}), RULES, call)


def filled(frames, model=None, batch=2, **settings):
    return list(filler(model, batch, **settings)(iter(frames)))


def still(count=12, seed=0):
    """A still scene, in which a square of 16 pixels moves by 4 pixels a frame and is masked."""
    scene = texture(HEIGHT, WIDTH, seed)
    holes = [square(HEIGHT, WIDTH, 8 + 4 * k, 30, 16) for k in range(count)]
    pictures = [np.where(hole[..., None], np.uint8(255), scene) for hole in holes]
    return scene, pictures, holes


def test_a_still_scene_is_filled_with_what_was_filmed():
    scene, pictures, holes = still()
    for one, picture, hole in zip(filled(masked(pictures, holes)), pictures, holes, strict=True):
        assert np.array_equal(one.rgb[~one.hole], picture[~one.hole])
        assert one.hole[hole].all()
        assert np.abs(one.rgb[one.hole].astype(float) - scene[one.hole]).mean() <= RESAMPLED


def test_a_moving_camera_is_followed():
    world = texture(HEIGHT + 40, WIDTH + 60, seed=2, cell=8)
    truth = [world[10 + k : 10 + k + HEIGHT, 2 * k : 2 * k + WIDTH] for k in range(11)]
    holes = [square(HEIGHT, WIDTH, 84 - 8 * k, 30, 8) for k in range(11)]
    pictures = [np.where(hole[..., None], np.uint8(0), picture) for hole, picture in zip(holes, truth, strict=True)]
    for one, expected in list(zip(filled(masked(pictures, holes)), truth, strict=True))[2:-2]:
        assert np.abs(one.rgb[one.hole].astype(float) - expected[one.hole]).mean() <= RESAMPLED


def test_what_no_frame_shows_is_painted():
    scene = texture(HEIGHT, WIDTH)
    hole = square(HEIGHT, WIDTH, 40, 30, 16)
    for one in filled(masked([scene] * 8, [hole] * 8)):
        assert np.abs(one.rgb[one.hole].astype(float) - 255 * Averaging.grey).max() <= RESAMPLED


def test_nothing_comes_from_another_shot():
    first, second = texture(HEIGHT, WIDTH, 1, 6), texture(HEIGHT, WIDTH, 9, 6) // 3 + np.array([0, 0, 150], np.uint8)
    shot = [np.roll(first, k, axis=1) for k in range(8)], [np.roll(second, k, axis=1) for k in range(8)]
    holes = [square(HEIGHT, WIDTH, 40, 30, 16) if k >= 8 else np.zeros((HEIGHT, WIDTH), bool) for k in range(16)]
    holes[8:] = [square(HEIGHT, WIDTH, 40 + k, 30, 16) for k in range(8)]  # it moves with the camera, so nobody sees behind
    for one in filled(masked([*shot[0], *shot[1]], holes))[8:]:
        inner = one.hole & square(HEIGHT, WIDTH, 40 + one.frame.index - 8 + 2, 32, 12)
        assert np.abs(one.rgb[inner].astype(float) - 255 * Averaging.grey).max() <= 2


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_batches_do_not_change_the_result(batch):
    _, pictures, holes = still()
    ours, theirs = filled(masked(pictures, holes), batch=batch), filled(masked(pictures, holes), batch=2)
    assert [one.frame.index for one in ours] == list(range(12))
    assert max(np.abs(a.rgb.astype(int) - b.rgb).max() for a, b in zip(ours, theirs, strict=True)) <= 1


def test_frames_without_a_hole_come_back_as_they_were():
    _, pictures, holes = still()
    holes[3] = holes[4] = np.zeros((HEIGHT, WIDTH), bool)
    found = filled(masked(pictures, holes))
    assert [one.rgb is None for one in found] == [k in (3, 4) for k in range(12)]
    assert [one.hole is None for one in found] == [k in (3, 4) for k in range(12)]


def test_a_video_without_holes_is_never_looked_at():
    _, pictures, _ = still()
    model = Averaging()
    assert len(filled(masked(pictures, [np.zeros((HEIGHT, WIDTH), bool)] * 12), model)) == 12
    assert model.encoded == 0


def test_a_frame_is_encoded_once():
    scene = texture(HEIGHT, WIDTH)
    hole = square(HEIGHT, WIDTH, 40, 30, 16)
    model = Averaging()
    filled(masked([scene] * 14, [hole] * 14), model, batch=3)
    assert model.encoded == 14


def test_holes_of_one_pixel_and_at_the_border_are_filled():
    scene = texture(HEIGHT, WIDTH)
    boxes = [(0, 0, 1), (WIDTH - 1, HEIGHT - 1, 1), (0, 30, 9), (40, HEIGHT - 5, 5), (WIDTH - 7, 0, 7)]
    holes = [square(HEIGHT, WIDTH, *boxes[k % 5]) for k in range(12)]
    for one, hole in zip(filled(masked([scene] * 12, holes), dilate_px=0), holes, strict=True):
        assert np.array_equal(one.hole, hole)
        assert np.abs(one.rgb.astype(float) - scene)[one.hole].mean() <= RESAMPLED


def test_a_frame_that_is_all_hole_is_filled_from_others_and_a_film_that_is_cannot_be():
    scene = texture(HEIGHT, WIDTH)
    everything, nothing = np.ones((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    found = filled(masked([scene] * 9, [everything if k == 4 else nothing for k in range(9)]))
    assert np.abs(found[4].rgb.astype(float) - scene).mean() <= RESAMPLED
    with pytest.raises(DecodeError, match=r"frame 0 at 0\.000 s: its mask covers the whole picture"):
        filled(masked([scene] * 5, [everything] * 5))


def test_two_holes_far_apart_are_filled_through_a_window_each():
    scene = texture(240, 320)
    holes = [square(240, 320, 10 + 4 * k, 10, 4) | square(240, 320, 300 - 4 * k, 220, 4) for k in range(14)]
    model = Averaging()
    found = filled(masked([np.where(h[..., None], np.uint8(0), scene) for h in holes], holes), model)
    assert model.encoded == 2 * 14
    assert all(np.abs(one.rgb.astype(float) - scene)[one.hole].mean() <= RESAMPLED for one in found[4:-4])


def test_deep_pictures_stay_deep():
    scene, pictures, holes = still()
    deep = [picture.astype(np.uint16) * 257 for picture in pictures]
    found = filled(masked(deep, holes))
    assert found[5].rgb.dtype == np.uint16
    assert np.abs(found[5].rgb.astype(float) / 257 - scene)[found[5].hole].mean() <= RESAMPLED


def test_a_fill_fades_in_from_the_rim():
    scene = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    hole = square(HEIGHT, WIDTH, 40, 30, 16)
    one = filled(masked([scene] * 3, [hole] * 3), dilate_px=0, feather_px=3)[0]
    painted = 255 * Averaging.grey
    row = one.rgb[38, 38:46, 0].astype(float)
    expected = [200, 200, *(200 + share * (painted - 200) for share in (0.25, 0.5, 0.75, 1, 1, 1))]
    assert np.abs(row - expected).max() <= 1


def test_a_fill_gets_the_grain_of_what_is_around_it():
    noise = np.random.default_rng(0).normal(0, 6, (HEIGHT, WIDTH, 1))
    scene = np.clip(120 + np.repeat(noise, 3, axis=2), 0, 255).round().astype(np.uint8)
    hole = square(HEIGHT, WIDTH, 30, 20, 30)
    with_grain, again, without = (filled(masked([scene] * 3, [hole] * 3), grain=g)[1].rgb[hole] for g in (1.0, 1.0, 0.0))
    assert with_grain[:, 0].std() == pytest.approx(6, rel=0.2)
    assert np.array_equal(with_grain, again)
    assert without.std() < 1


def published(batch=1, tmp=None, **settings):
    task = InpaintTask(InpaintConfig("tiny", **{**PLAIN, **settings}), weights.read(write_sttn(tmp / "sttn.safetensors")))
    return task.filler(Caller(choose("cpu"), batch))


@pytest.mark.parametrize("references", ["bounded", "all"])
def test_the_published_network_changes_the_hole_alone(tmp_path, references):
    _, pictures, holes = still(20)
    fill = published(tmp=tmp_path, references=references)
    assert isinstance(fill, PublishedFiller)
    found = list(fill(iter(masked(pictures, holes))))
    assert [one.frame.index for one in found] == list(range(20))
    for one, picture, hole in zip(found, pictures, holes, strict=True):
        assert np.array_equal(one.rgb[~one.hole], picture[~one.hole])
        assert np.abs(one.rgb[hole].astype(int) - 255).min() > 0


def test_the_published_network_fills_long_films_run_by_run(tmp_path):
    scene = texture(HEIGHT, WIDTH)
    holes = [square(HEIGHT, WIDTH, 40, 30, 8) if 30 <= k < 100 else np.zeros((HEIGHT, WIDTH), bool) for k in range(150)]
    found = list(published(tmp=tmp_path)(iter(masked([scene] * 150, holes))))
    assert [one.frame.index for one in found] == list(range(150))
    assert [one.rgb is not None for one in found] == [30 <= k < 100 for k in range(150)]


def test_weights_and_settings_of_another_kind_are_refused(tmp_path):
    file = weights.read(write_weights(tmp_path / "a.safetensors"))
    with pytest.raises(PresetError, match="'all' is for the network 'sttn'"):
        InpaintTask(InpaintConfig("tiny", references="all"), file)
    with pytest.raises(WeightsError, match="width, height, references"):
        AlignedFiller(Averaging(), InpaintConfig(""), {"width": 64}, Caller(choose("cpu"), 1))
    with pytest.raises(WeightsError, match="width, height"):
        PublishedFiller(Averaging(), InpaintConfig(""), {}, Caller(choose("cpu"), 1))
    assert STTN_RULES["width"] == RULES["width"]


def items_of(*inputs):
    """Opened, frames, Closed of every input; an input is its frames and what ended it."""
    for number, (frames, error) in enumerate(inputs):
        yield Opened(number, None)
        yield from frames
        yield Closed(number, error=error)


def test_inputs_are_filled_each_on_its_own_and_a_bad_one_ends_alone():
    scene = texture(HEIGHT, WIDTH)
    nothing, everything = np.zeros((HEIGHT, WIDTH), bool), np.ones((HEIGHT, WIDTH), bool)
    good, blind = masked([scene] * 3, [nothing] * 3), masked([scene] * 3, [everything] * 3)
    broken = SourceError("broken")
    out = list(results(items_of((good, None), (blind, None), (good, broken), (good, None)), filler()))
    closed = {item.stream: item.error for item in out if isinstance(item, Closed)}
    assert (closed[0], closed[2], closed[3]) == (None, broken, None)
    assert isinstance(closed[1], DecodeError)
    frames = [(item.stream, item.filled.frame.index) for item in out if not isinstance(item, Opened | Closed)]
    assert [one for one in frames if one[0] in (0, 3)] == [(s, k) for s in (0, 3) for k in range(3)]


def test_no_more_frames_are_read_ahead_than_the_references_reach():
    read = 0

    def source() -> Iterator[MaskedFrame]:
        nonlocal read
        scene = texture(HEIGHT, WIDTH)
        for one in masked([scene] * 20, [square(HEIGHT, WIDTH, 40, 30, 8)] * 20):
            read += 1
            yield one

    for done, one in enumerate(filler(batch=2)(source())):
        assert one.frame.time_s == Fraction(done, 25)
        assert read <= done + 6 + 2


def test_a_network_works_at_about_its_own_area_in_the_shape_of_the_picture():
    assert filler().network_size(64 / 48) == (64, 48)
    wide, tall = filler().network_size(2.0), filler().network_size(0.5)
    assert wide[0] > wide[1]
    assert tall[0] < tall[1]
    assert all(0.5 <= w * h / (64 * 48) <= 1.3 for w, h in (wide, tall))


def test_calls_of_a_network_are_batched_and_halved_where_memory_ends():
    sizes = []

    def twice(x):
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("no memory")
        return x * 2, x + 1

    call = Caller(choose("cpu"), 4)
    double, more = call(twice, torch.arange(7.0))
    assert double.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert more.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert sizes == [4, 2, 2, 2, 1]
