"""Output names of several inputs."""

from pathlib import Path

import pytest

from vidpc.cli.naming import output_names, unique_stems


@pytest.mark.parametrize(
    ("stems", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "b", "a", "a"], ["a", "b", "a-2", "a-3"]),
        (["a", "a", "a-2"], ["a", "a-3", "a-2"]),  # a-2 is another input's own name
        (["a-2", "a", "a"], ["a-2", "a", "a-3"]),
        ([], []),
    ],
)
def test_a_repeated_stem_gets_a_number(stems: list[str], expected: list[str]):
    assert unique_stems(stems) == expected


def test_the_stem_is_filled_in_and_the_folder_put_in_front():
    assert output_names("{stem}.json", ["a", "b"], Path("out")) == ["out/a.json", "out/b.json"]
    assert output_names("x/{stem}-tracks.txt", ["a"], None) == ["x/a-tracks.txt"]
    assert output_names("tracks.json", ["a"], Path("out")) == ["out/tracks.json"]
    assert output_names("/elsewhere/{stem}.json", ["a"], Path("out")) == ["/elsewhere/a.json"]


def test_one_name_for_several_inputs_is_refused():
    with pytest.raises(ValueError, match=r"'tracks.json' would be written for each of 2 inputs: put \{stem\} into the name"):
        output_names("tracks.json", ["a", "b"], None)
