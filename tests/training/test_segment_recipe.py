import pytest

from vidpc import presets
from vidpc.errors import PresetError
from vidpc.ops.point_features import check_names
from vidpc.training.segment_recipe import SegmentRecipe, parse_class

BARE = {"classes": ["a=0", "b=1 2"], "features": ["shape"], "voxel_m": 0.1, "grid_m": 0.1}


def recipe(**changes: object) -> SegmentRecipe:
    return presets.build(SegmentRecipe, {**BARE, **changes}, owner="test")


@pytest.mark.parametrize("name", ["aerial.train", "rooms.train"])
def test_shipped_recipes_load(name: str):
    shipped = presets.load(name, SegmentRecipe)
    check_names(shipped.features)
    assert len(shipped.labels) == len(set(shipped.labels))


def test_classes_have_a_name_and_labels():
    assert parse_class("vegetation=3 4 5") == ("vegetation", (3, 4, 5))
    assert recipe().labels == ("a", "b")
    assert recipe().codes == ((0,), (1, 2))


@pytest.mark.parametrize("text", ["vegetation", "=3", "vegetation=", "vegetation=low"])
def test_other_lines_are_no_classes(text: str):
    with pytest.raises(PresetError, match="expected NAME=LABEL"):
        recipe(classes=[text])


def test_scans_are_weighed_by_the_beginning_of_their_name():
    weighed = recipe(scan_weights=["town=3", "gen_=0.5"])
    assert [weighed.weight_of(name) for name in ("town_b", "gen_0001", "city")] == [3, 0.5, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [32, 64]}, "expected one a level"),
        ({"block_m": [5.0]}, "least and the greatest side"),
        ({"scan_weights": ["town"]}, "NAME=NUMBER"),
        ({"features": ["heights"]}, "heights"),
        ({"no_colour": 2.0}, "no_colour"),
        ({"step": 3}, "steps"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(PresetError, match=message):
        recipe(**changes)
