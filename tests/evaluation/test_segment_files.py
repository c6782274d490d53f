"""Labels of two files side by side, in whatever formats and runs they come."""

import numpy as np
import pytest

from vidpc.errors import PointCloudError, PresetError
from vidpc.evaluation import segment_files
from vidpc.evaluation.segment_files import Reading, names_in, parse_classes, score_files

NAMES = ("floor", "chair")
XYZ = np.array([[0, 0, 0], [0.01, 0, 0], [0.2, 0, 0], [0.4, 0, 0], [0.41, 0, 0]])


@pytest.fixture
def pair(tmp_path):
    """A truth with coordinates as NPZ, and what was found as text."""
    truth, found = tmp_path / "truth.npz", tmp_path / "found.csv"
    np.savez(truth, xyz=XYZ, label=np.array([0, 0, 1, 1, 7]), names=np.array(NAMES))
    rows = [f"{x},{y},{z},{label}" for (x, y, z), label in zip(XYZ.tolist(), [0, 1, 1, 0, 0], strict=True)]
    found.write_text("\n".join(["x,y,z,label", *rows]) + "\n")
    return truth, found


def test_files_of_two_formats_are_compared_point_by_point(pair):
    assert score_files(*pair, Reading(NAMES)).confusion.tolist() == [[1, 1, 0], [1, 1, 0]]


def test_runs_of_any_length_give_the_same(pair, monkeypatch):
    whole = score_files(*pair, Reading(NAMES)).confusion.tolist()
    monkeypatch.setattr(segment_files, "_RUN_POINTS", 2)
    assert score_files(*pair, Reading(NAMES)).confusion.tolist() == whole


def test_on_a_grid_only_the_first_point_of_a_cube_counts(pair):
    assert score_files(*pair, Reading(NAMES, grid_m=0.05)).confusion.tolist() == [[1, 0, 0], [1, 1, 0]]


def test_labels_alone_are_enough_for_what_was_found(pair, tmp_path):
    alone = tmp_path / "alone.npz"
    np.savez(alone, label=np.array([0, 1, 1, 0, 0], np.int32), confidence=np.ones(5, np.float32))
    assert score_files(pair[0], alone, Reading(NAMES, grid_m=0.05)).confusion.tolist() == [[1, 0, 0], [1, 1, 0]]
    with pytest.raises(PresetError, match="needs coordinates"):
        score_files(alone, alone, Reading(NAMES, grid_m=0.05))


def test_ignored_labels_and_other_codes(pair):
    reading = Reading(("low", "high"), truth_classes={0: 1, 1: 0, 7: 0}, found_classes={0: 1}, ignored=frozenset({7}))
    # truth becomes 1 1 0 0 (the last is ignored), found 1 none none 1
    assert score_files(*pair, reading).confusion.tolist() == [[0, 1, 1], [0, 1, 1]]


@pytest.mark.parametrize("count", [4, 6])
def test_files_of_different_length_are_refused(pair, tmp_path, count):
    other = tmp_path / "other.npz"
    np.savez(other, label=np.zeros(count, np.int64))
    with pytest.raises(PointCloudError, match="ends after"):
        score_files(pair[0], other, Reading(NAMES))


def test_a_scan_without_labels_is_refused(pair, tmp_path):
    bare = tmp_path / "bare.npz"
    np.savez(bare, xyz=XYZ)
    with pytest.raises(PointCloudError, match="its points have none"):
        score_files(bare, pair[1], Reading(NAMES))


def test_names_stand_in_the_file(pair):
    assert names_in(pair[0]) == NAMES
    assert names_in(pair[1]) is None


def test_classes_are_given_by_name_or_place():
    assert parse_classes("2=floor,-1=1", NAMES) == {2: 0, -1: 1}
    with pytest.raises(PresetError, match="cannot read '3=sofa'"):
        parse_classes("3=sofa", NAMES)
