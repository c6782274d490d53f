"""The picture of scores over time: what is drawn in which colour and place."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from vidpc.errors import OutputError
from vidpc.outputs.action_plot import (
    MOST_LABELS,
    check_plot,
    draw_plot,
    labels_that_mattered,
    plot_actions,
    tick_text,
    ticks,
)
from vidpc.outputs.timeline import Timeline
from vidpc.types import Actions, ModelInfo, Segment, Window

FIRST, SECOND = (31, 110, 190), (222, 84, 20)  # colours of the two labels that mattered most
LEFT, RIGHT = 90, 1210  # of the time axis
CURVES_TOP, FOOT = 130, 390  # of the first panel: 100 % and 0 %


@pytest.fixture
def fight(action_header):
    return replace(action_header, models=action_header.models[1:])


def filled(header, *rows):
    """Windows of (start, end, scores of the only model)."""
    timeline = Timeline(header)
    for number, (start, end, scores) in enumerate(rows):
        arrays = (np.array(scores, np.float32),)
        timeline.add(Window(number, Fraction(start), Fraction(end), 0, 0, arrays))
    return timeline


def answer(*segments, scores=(0.75, 0.25), windows=1):
    return Actions(windows, (np.array(scores, np.float32),), tuple(segments))


def where(picture, colour):
    """Rows and columns of a colour left of the legend."""
    rows, columns = np.nonzero((picture[:, : RIGHT + 1] == np.array(colour)).all(axis=2))
    return rows, columns


def test_a_lone_window_is_a_level_line_over_its_whole_span(fight):
    picture = draw_plot(filled(fight, (0, 2, [0.75, 0.25])), answer())
    rows, columns = where(picture, FIRST)
    assert abs(np.median(rows) - (FOOT - 0.75 * (FOOT - CURVES_TOP))) <= 1
    assert columns.min() <= LEFT + 1
    assert columns.max() >= RIGHT - 2
    assert abs(np.median(where(picture, SECOND)[0]) - (FOOT - 0.25 * (FOOT - CURVES_TOP))) <= 1


def test_nothing_is_drawn_where_no_window_was_looked_at(fight):
    """Windows 0..1 and 3..4 of a time axis of 4 seconds: its middle half is empty."""
    picture = draw_plot(filled(fight, (0, 1, [0.9, 0.1]), (3, 4, [0.9, 0.1])), answer(windows=2))
    columns = where(picture, FIRST)[1]
    quarter = (RIGHT - LEFT) / 4
    assert not ((columns > LEFT + quarter + 2) & (columns < RIGHT - quarter - 2)).any()
    assert (columns < LEFT + quarter).any()
    assert (columns > RIGHT - quarter).any()


def test_segments_are_bars_below_in_the_colour_of_their_label(fight):
    """``fight`` has the only segment, so it comes first; it lasts from 1 to 2 of 4 seconds."""
    timeline = filled(fight, (0, 4, [0.75, 0.25]))
    picture = draw_plot(timeline, answer(Segment("fight", "fight", Fraction(1), Fraction(2), 0.5)))
    rows, columns = where(picture, FIRST)
    below = rows > FOOT + 5
    assert columns[below].min() == LEFT + 280
    assert abs(columns[below].max() - (LEFT + 560)) <= 2
    assert len(np.unique(rows[below])) == 18


def test_the_axis_reaches_the_end_of_a_segment_behind_the_last_window(fight):
    """The window ends at 3 of 4 seconds, and so does its curve."""
    picture = draw_plot(
        filled(fight, (0, 3, [0.75, 0.25])), answer(Segment("fight", "no fight", Fraction(0), Fraction(4), 0.75))
    )
    rows, columns = where(picture, FIRST)
    assert abs(columns[rows < FOOT].max() - (LEFT + 840)) <= 3
    assert RIGHT - 3 <= columns[rows > FOOT + 5].max() <= RIGHT


def test_labels_with_segments_come_first_then_those_with_the_highest_scores(action_header):
    model = ModelInfo("many", "timesformer", "ab" * 32, "MIT", tuple("abcdefghijkl"))
    header = replace(action_header, models=(model,))
    falling = np.arange(12, 0, -1) / 78
    timeline = filled(header, (0, 1, falling))
    segments = [Segment("many", "k", Fraction(0), Fraction(1), 0.5), Segment("many", "l", Fraction(0), Fraction(2), 0.5)]
    shown = [model.labels[label] for label in labels_that_mattered(timeline, 0, segments)]
    assert shown == ["l", "k", "a", "b", "c", "d", "e", "f"]
    assert len(shown) == MOST_LABELS
    few = filled(header, (0, 1, [0.97, 0.03, *[0.0] * 10]))
    assert labels_that_mattered(few, 0, []) == (0, 1)


def test_a_video_without_windows_is_an_empty_frame(action_header):
    picture = draw_plot(Timeline(action_header), Actions(0, (), ()))
    assert picture.shape[1:] == (1600, 3)
    assert not len(where(picture, FIRST)[0])


def test_the_file_is_a_png_and_complete_or_absent(tmp_path, fight):
    path, timeline = tmp_path / "a.png", filled(fight, (0, 2, [0.75, 0.25]))
    plot_actions(path, timeline, answer())
    with Image.open(path) as image:
        assert (image.format, image.width) == ("PNG", 1600)
        assert (np.asarray(image) == draw_plot(timeline, answer())).all()
    with pytest.raises(OutputError, match="exists already: use --overwrite"):
        plot_actions(path, timeline, answer())
    plot_actions(path, timeline, answer(), overwrite=True)
    with pytest.raises(OutputError, match=r"a\.jpg: expected a name that ends in \.png"):
        check_plot("a.jpg")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (3, 25, [5, 10, 15, 20, 25]),
        (0, 3600, [0, 600, 1200, 1800, 2400, 3000, 3600]),
        (-1.5, 1.5, [-1.5, -1, -0.5, 0, 0.5, 1, 1.5]),
        (0, 0.03, [0, 0.01, 0.02, 0.03]),
        (0, 3e6, [0, 345600, 691200, 1036800, 1382400, 1728000, 2073600, 2419200, 2764800]),
    ],
)
def test_ticks_are_round(start, end, expected):
    assert ticks(start, end) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("time_s", "in_minutes", "expected"),
    [(7.5, False, "7.5"), (110, False, "110"), (150, True, "2:30"), (3750, True, "1:02:30"), (-30, True, "-0:30")],
)
def test_tick_texts(time_s, in_minutes, expected):
    assert tick_text(time_s, in_minutes=in_minutes) == expected
