"""The lines that a person reads."""

from dataclasses import replace
from fractions import Fraction

import pytest

from vidpc.outputs.action_table import clock, text_table
from vidpc.types import Actions, Segment


def test_the_table_has_models_then_segments(action_header, actions):
    assert text_table(action_header, actions, labels=2).splitlines() == [
        "street.mp4: 2 windows of 2 s",
        "  camera  pan left 63.0 %, zoom in 21.0 %",
        "  fight   no fight 65.0 %, fight 35.0 %",
        "  0:00.0 - 0:03.0  pan left   62.5 %  camera",
        "  0:00.0 - 0:01.5  no fight   90.0 %  fight",
        "  0:01.5 - 0:03.0  fight      60.0 %  fight",
    ]


def test_of_many_segments_the_longest_are_shown_in_order(action_header, actions):
    lengths = (1, 5, 2, 4, 3)
    segments = tuple(
        Segment("fight", f"n{k}", Fraction(10 * k), Fraction(10 * k + length), 0.5) for k, length in enumerate(lengths)
    )
    lines = text_table(action_header, replace(actions, segments=segments), segments=2).splitlines()[3:]
    assert [line.split()[3] for line in lines[:2]] == ["n1", "n3"]
    assert lines[2] == "  and 3 more segments, none longer than these"


def test_a_video_without_windows_or_segments_says_so(action_header, actions):
    assert text_table(action_header, Actions(0, (), ())) == "street.mp4: no window of 2 s"
    assert "no segment: nothing was sure enough" in text_table(action_header, replace(actions, segments=()))


def test_nothing_moves_the_cursor(action_header, actions):
    segment = Segment("fight", "\x1b[2Jx", Fraction(0), Fraction(1), 0.5)
    table = text_table(replace(action_header, source="a\rb"), replace(actions, segments=(segment,)))
    assert table.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("time_s", "with_hours", "expected"),
    [
        (0.0, False, "0:00.0"),
        (59.96, False, "1:00.0"),
        (62.5, False, "1:02.5"),
        (3599.0, False, "59:59.0"),
        (3723.4, True, "1:02:03.4"),
        (360000.0, True, "100:00:00.0"),
        (-1.5, False, "-0:01.5"),
        (-0.01, False, "0:00.0"),
    ],
)
def test_clock(time_s, with_hours, expected):
    assert clock(time_s, with_hours=with_hours) == expected
