"""Simulated clips: the same whatever their number, kept on disk, over the scenes that were named."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from make_media import Clip as Video
from make_media import write_video

from vidpc.errors import PresetError
from vidpc.training import simulated
from vidpc.training.camera_moves import MOVES, MoveOptions
from vidpc.training.clips import Clip, Kept
from vidpc.training.simulated import Simulation, footage

KEPT = Kept(Fraction(10), 64, stretch=True, with_flow=True)
SIMULATION = Simulation(simulated=3, streets=0, moves=MoveOptions(pan=(0.06, 0.3)))
COUNT = 5  # pictures


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A wall that a block passes under a camera that stands, and the wall under a camera that pans."""
    folder = tmp_path_factory.mktemp("scenes")
    wall = np.random.default_rng(0).integers(0, 256, (6, 40, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    passed = np.stack([wall[:, :128]] * 12)
    for k, picture in enumerate(passed):
        picture[40:64, 6 * k : 6 * k + 24] = 255
    panned = [wall[:, 24 * k : 24 * k + 128] for k in range(12)]
    video = Video(width=128, height=96, rate_fps=Fraction(10))
    return {
        name: Clip(write_video(folder / f"{name}.mp4", video, list(pictures)), "", name)
        for name, pictures in (("stands", passed), ("pans", panned))
    }


def made(scenes, simulation, folder, count=COUNT, kept=KEPT, seed=1):
    return list(footage(scenes, simulation, kept, count, folder, seed))


def test_clips_show_one_move_after_the_other_in_the_wanted_size(videos, tmp_path):
    found = made([videos["stands"]], replace(SIMULATION, simulated=11), tmp_path)
    assert [item.clip.label for item in found] == [*MOVES, *MOVES[:2]]
    assert {(item.pictures.shape, item.flow.shape) for item in found} == {((5, 64, 64, 3), (4, 2, 16, 16))}
    assert len({item.clip.group for item in found}) == 11


def test_clip_i_is_the_same_whatever_the_number_of_clips(videos, tmp_path):
    scenes = list(videos.values())
    few = made(scenes, SIMULATION, tmp_path / "few")
    many = made(scenes, replace(SIMULATION, simulated=5), tmp_path / "many")
    other = made(scenes, SIMULATION, tmp_path / "few", seed=2)
    for first, again, drawn_otherwise in zip(few, many, other, strict=False):
        assert np.array_equal(first.pictures, again.pictures)
        assert np.array_equal(first.flow, again.flow)
        assert not np.array_equal(first.pictures, drawn_otherwise.pictures)


def test_clips_that_are_there_are_not_made_again(videos, tmp_path, monkeypatch):
    made(list(videos.values()), SIMULATION, tmp_path)
    asked = []
    film = simulated._film
    monkeypatch.setattr(simulated, "_film", lambda *given: asked.append(given[4]) or film(*given))
    made(list(videos.values()), replace(SIMULATION, simulated=5), tmp_path)
    assert asked == list(MOVES[3:5])
    next(tmp_path.glob("*-000001*.done")).unlink()  # as if the run had ended while it was made
    made(list(videos.values()), SIMULATION, tmp_path)
    assert asked == [*MOVES[3:5], MOVES[1]]


@pytest.mark.parametrize("changed", ["moves", "count", "side", "scenes"])
def test_clips_of_other_settings_are_not_taken_for_those_of_these(videos, tmp_path, changed):
    still, pans = videos["stands"], videos["pans"]
    made([still], SIMULATION, tmp_path / "both")
    faster = replace(SIMULATION, moves=MoveOptions(pan=(0.4, 0.5), zoom=(0.4, 0.5)))
    asked = {
        "moves": ([still], faster, COUNT, KEPT),
        "count": ([still], SIMULATION, 7, KEPT),
        "side": ([still], SIMULATION, COUNT, replace(KEPT, side=48)),
        "scenes": ([pans], SIMULATION, COUNT, KEPT),
    }[changed]
    scenes, simulation, count, kept = asked
    there, fresh = (made(scenes, simulation, tmp_path / name, count, kept) for name in ("both", "fresh"))
    for first, second in zip(there, fresh, strict=True):
        assert np.array_equal(first.pictures, second.pictures)


@pytest.mark.parametrize(("scene", "frozen", "lengths"), [("stands", 1.0, {1}), ("stands", 0.0, {COUNT}), ("pans", 0.0, {1})])
def test_things_move_only_where_the_camera_stood_and_not_in_frozen_clips(videos, tmp_path, monkeypatch, scene, frozen, lengths):
    seen = []
    film = simulated.filmed
    monkeypatch.setattr(simulated, "filmed", lambda pictures, *given: seen.append(len(pictures)) or film(pictures, *given))
    made([videos[scene]], replace(SIMULATION, frozen=frozen), tmp_path)
    assert set(seen) == lengths


def test_streets_do_without_scenes(tmp_path):
    found = made([], replace(SIMULATION, simulated=1, streets=1), tmp_path)
    assert found[0].clip.label == "still"
    assert found[0].pictures.std() > 10
    with pytest.raises(PresetError, match="need scenes: name videos, or set streets"):
        made([], SIMULATION, tmp_path)


def test_moves_that_fit_nowhere_are_told(videos, tmp_path):
    fast = replace(SIMULATION, simulated=2, moves=MoveOptions(pan=(200.0, 300.0)))
    with pytest.raises(PresetError, match="no way of the move 'pan left' fits into its scene"):
        made([videos["stands"]], fast, tmp_path)
