"""What was found in a scan, class by class."""

import numpy as np

from vidpc.outputs.segment_summary import text_table
from vidpc.types import LabelCounts


def test_the_table_has_what_was_found_and_what_has_no_label():
    counts = LabelCounts(np.array([10, 0, 30]), np.array([0.5, 0.0, 0.75]), 60)
    rows = [line.split() for line in text_table(["ground", "water", "building"], counts).splitlines()]
    assert rows[1:] == [
        ["building", "30", "30.0", "%", "0.75"],
        ["ground", "10", "10.0", "%", "0.50"],
        ["not", "labelled", "60", "60.0", "%", "0.00"],
    ]


def test_the_table_leaves_out_what_was_not_found():
    counts = LabelCounts(np.array([10, 0]), np.array([0.5, 0.0]), 0)
    assert [line.split()[0] for line in text_table(["ground", "water"], counts).splitlines()] == ["class", "ground"]
