"""Which format a labelled scan is written in, how it is called, and what its header says."""

import pytest

from vidpc.errors import OutputError, PresetError
from vidpc.outputs.points import check_format, choose_format, classification, default_suffix


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        ("ply", ".segmented.ply"),
        ("pcd", ".segmented.pcd"),
        ("las", ".segmented.las"),
        ("laz", ".segmented.laz"),
        ("npy", ".segmented.npz"),
        ("npz", ".segmented.npz"),
        ("text", ".segmented.csv"),
        ("kitti", ".segmented.npz"),
    ],
)
def test_the_default_suffix_follows_the_input_and_can_be_written(source: str, suffix: str):
    assert default_suffix("a", source) == suffix
    check_format(choose_format(f"a{suffix}"), source, "a")


def test_text_keeps_the_suffix_that_it_has():
    assert default_suffix("a.XYZ", "text") == ".segmented.XYZ"
    assert default_suffix("-", "text") == ".segmented.csv"
    assert default_suffix("a.dat", "text") == ".segmented.csv"


def test_a_given_format_decides_over_names():
    assert choose_format("a.ply", "laz") == "laz"
    assert default_suffix("a.ply", "ply", "csv") == ".segmented.csv"
    assert choose_format("-") == "json"
    assert choose_format("A.LAZ") == "laz"
    with pytest.raises(PresetError, match=r"a\.docx: no format of points has this suffix .* give --format"):
        choose_format("a.docx")


def test_a_format_that_cannot_hold_a_scan_is_told_with_its_name():
    with pytest.raises(
        OutputError, match=r"^writing a\.ply as b\.las: a scan read from ply cannot be written as las; possible"
    ):
        check_format("las", "ply", "a.ply as b.las")


def test_labels_have_asprs_codes_where_all_of_them_do():
    assert classification(["ground", "vegetation", "building", "other"]) == {0: 2, 1: 5, 2: 6, 3: 1}
    assert classification(["ground", "sofa"]) is None
