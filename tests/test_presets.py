from dataclasses import fields

import pytest

from vidpc import presets
from vidpc.errors import PresetError
from vidpc.models.motion_timesformer import MotionTimeSformerConfig
from vidpc.presets import SegmentConfig, TrackConfig
from vidpc.tasks import association


def test_every_shipped_preset_loads_for_its_task():
    assert {"people"} <= set(presets.names("track"))
    assert {"aerial", "rooms", "point-transformer"} <= set(presets.names("segment"))
    found = [name for task, cls in presets.TASKS.items() for name in presets.names(task) if presets.load(name, cls).weights]
    assert sorted(found) == presets.names()


def test_a_preset_of_another_task_is_told_so():
    with pytest.raises(
        PresetError, match=r"preset people is one of `vidpc track`; here there are: aerial, point-transformer, rooms"
    ):
        presets.load("people", SegmentConfig)


def test_a_task_that_does_not_exist_is_told(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('task = "trakc"\nweights = "mine"\n')
    with pytest.raises(PresetError, match="unknown task 'trakc'; did you mean 'track'"):
        presets.load(str(path), TrackConfig)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scheme": "papre"}, "unknown scheme 'papre'; did you mean 'paper'"),
        ({"votes": 0}, "votes is 0, expected at least 1"),
        ({"block_m": 0.0}, "expected a block and nothing below 0"),
        ({"halo_m": -1.0}, "expected a block and nothing below 0"),
    ],
)
def test_settings_of_segment_that_cannot_be(setting, message):
    with pytest.raises(PresetError, match=message):
        presets.build(SegmentConfig, {"weights": "w", **setting}, owner="test")


def test_overrides_win_and_reach_the_association():
    config = presets.load("people", TrackConfig, {"score": 0.25, "short_side": 320})
    assert (config.association.score, config.short_side) == (0.25, 320)


def test_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('weights = "mine.safetensors"\nrule = "motion"\n')
    config = presets.load(str(path), TrackConfig)
    assert (config.weights, config.association.rule) == ("mine.safetensors", "motion")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('weights = "a"\nscoer = 1.0', "unknown setting 'scoer'; did you mean 'score'"),
        ('weights = "a"\nscore = "high"', "score is 'high', expected float"),
        ('weights = "a"\nmax_age = true', "max_age is True, expected int"),
        ("score = 0.5", "weights is missing"),
        ('weights = "a"\nresize = "best"', "unknown resize rule 'best'"),
        ('weights = "a"\nrule = "papre"', "unknown association rule 'papre'; did you mean 'paper'"),
        ('weights = "a"\nshort_side = 900\nlong_side = 800', "expected 32 <= short <= long"),
        ("weights = ", "not a TOML file"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(PresetError, match=message):
        presets.load(str(path), TrackConfig)


def test_an_unknown_preset_names_the_near_one():
    with pytest.raises(PresetError, match="did you mean 'people'"):
        presets.load("poeple", TrackConfig)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PresetError, match="no such file"):
        presets.load(str(tmp_path / "none.toml"), TrackConfig)


def test_rules_are_those_of_the_association():
    assert tuple(association.RULES) == presets.ASSOCIATION_RULES


def test_no_key_stands_twice_in_the_flat_file():
    flat = [f.name for f in fields(TrackConfig) if f.name != "association"]
    flat += [f.name for f in fields(presets.AssociationSettings)]
    assert len(set(flat)) == len(flat)


def test_what_a_network_says_of_its_sizes_is_told_as_a_wrong_setting():
    with pytest.raises(PresetError, match="recipe: 10 pictures in tubes of 4"):
        presets.build(MotionTimeSformerConfig, {"frames": 10}, owner="recipe")
