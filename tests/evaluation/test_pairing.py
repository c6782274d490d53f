"""Which result is measured against which ground truth."""

import pytest

from vidpc.errors import OpenError, PresetError
from vidpc.evaluation.pairing import pair_up


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_paired_in_order(tmp_path):
    touch(tmp_path, "a/gt.txt", "b.txt", "one.txt", "two.json")
    truths = [tmp_path / "a" / "gt.txt", tmp_path / "b.txt"]
    pairs, unasked = pair_up(truths, [tmp_path / "one.txt", tmp_path / "two.json"])
    assert [(pair.name, pair.predicted.name) for pair in pairs] == [("a", "one.txt"), ("b", "two.json")]
    assert unasked == []


@pytest.mark.parametrize("layout", ["{}/gt.txt", "{}/gt/gt.txt", "{}.txt"])
def test_folders_are_paired_by_name(tmp_path, layout):
    touch(tmp_path / "gt", layout.format("left"), layout.format("right"))
    touch(tmp_path / "out", "right.jsonl", "left.txt", "other.txt", "note.md")
    pairs, unasked = pair_up([tmp_path / "gt"], [tmp_path / "out"])
    assert [(pair.name, pair.predicted.name) for pair in pairs] == [("left", "left.txt"), ("right", "right.jsonl")]
    assert [path.name for path in unasked] == ["other.txt"]


def test_a_sequence_folder_is_one_ground_truth(tmp_path):
    touch(tmp_path, "street/gt/gt.txt", "street/det/det.txt", "street.txt")
    pairs, _ = pair_up([tmp_path / "street"], [tmp_path / "street.txt"])
    assert [pair.name for pair in pairs] == ["street"]


def test_a_missing_result_is_an_error(tmp_path):
    touch(tmp_path, "gt/left/gt.txt", "out/right.txt")
    with pytest.raises(OpenError, match=r"no result for .*left/gt\.txt: expected left\.txt, \.json or \.jsonl, found right"):
        pair_up([tmp_path / "gt"], [tmp_path / "out"])


def test_two_results_of_one_name_are_an_error(tmp_path):
    touch(tmp_path, "gt/left/gt.txt", "out/left.txt", "out/left.json")
    with pytest.raises(PresetError, match="two results are named left"):
        pair_up([tmp_path / "gt"], [tmp_path / "out"])


def test_unequal_numbers_of_files_are_an_error(tmp_path):
    touch(tmp_path, "a.txt", "b.txt")
    with pytest.raises(PresetError, match="2 files of ground truth, but 1 results"):
        pair_up([tmp_path / "a.txt", tmp_path / "b.txt"], [tmp_path / "a.txt"])


def test_empty_folders_are_named(tmp_path):
    (tmp_path / "gt").mkdir()
    with pytest.raises(OpenError, match="no ground truth in"):
        pair_up([tmp_path / "gt"], [tmp_path / "gt"])
