from dataclasses import fields

import pytest

from vidpc import presets
from vidpc.errors import PresetError
from vidpc.presets import TrackConfig
from vidpc.tasks import association


def test_every_shipped_preset_loads():
    names = presets.names()
    assert "people" in names
    for name in names:
        assert presets.load(name, TrackConfig).weights


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
