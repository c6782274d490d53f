"""Association: the released tracker number for number, and what the other rules add, on scenes made by hand."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidpc.errors import PresetError
from vidpc.tasks.association import AssociationSettings, Queries, TrackState, step

RELEASED = Path(__file__).parents[1] / "parity" / "transtrack_tracker.json"


def queries(time, boxes, scores, *, expected=None, labels=None, index=0):
    """A frame whose query i has ``boxes[i]``; ``expected`` are the track boxes, by default none."""
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), dtype=np.int64) if labels is None else np.array(labels)
    expected = None if expected is None else np.array(expected, dtype=np.float32).reshape(-1, 4)
    return Queries(index, Fraction(time), np.array(scores, dtype=np.float32), labels, boxes, expected)


def follow(frames, settings):
    """The tracks of each frame, as {id: left edge}."""
    state, seen = TrackState(), []
    for frame in frames:
        state, tracks = step(state, frame, settings)
        seen.append({int(i): float(b[0]) for i, b in zip(tracks.ids, tracks.boxes_xyxy, strict=True)})
    return seen


def at(x, width=10):
    return [x, 0, x + width, 40]


@pytest.fixture(scope="module")
def released():
    return json.loads(RELEASED.read_text())


def released_frames(released):
    for t, frame in enumerate(released["frames"]):
        yield queries(Fraction(t, 25), frame["boxes"], frame["scores"], expected=frame["track_boxes"], index=t)


def test_paper_equals_the_released_tracker(released):
    settings = AssociationSettings(score=released["score_thresh"], max_age=released["max_age"])
    state = TrackState()
    for frame, rows in zip(released_frames(released), released["expected"], strict=True):
        state, tracks = step(state, frame, settings)
        live = [row for row in rows if row[1]]
        assert tracks.ids.tolist() == [row[0] for row in live]
        assert tracks.boxes_xyxy.tolist() == [row[3] for row in live]
        lost = state.tracks.take(np.flatnonzero(state.tracks.queries < 0))
        assert [[i, 0, a, b.tolist()] for i, a, b in zip(lost.ids, lost.ages, lost.boxes_xyxy, strict=True)] == [
            row for row in rows if not row[1]
        ]


def test_streamed_identities_equal_those_of_the_released_file(released):
    state, lines = TrackState(), []
    for frame in released_frames(released):
        state, tracks = step(state, frame, AssociationSettings())
        for number, (x1, y1, x2, y2) in zip(tracks.ids, tracks.boxes_xyxy, strict=True):
            lines.append(f"{frame.index + 1},{number},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},-1,-1,-1,-1")
    assert sorted(lines) == sorted(released["mot_lines"])


def test_a_step_leaves_its_state_as_it_was(released):
    frames = list(released_frames(released))[:6]
    state = TrackState()
    for frame in frames[:-1]:
        state, _ = step(state, frame, AssociationSettings())
    before = state.tracks.boxes_xyxy.copy()
    first = step(state, frames[-1], AssociationSettings())[1]
    assert np.array_equal(state.tracks.boxes_xyxy, before)
    assert np.array_equal(step(state, frames[-1], AssociationSettings())[1].ids, first.ids)


@pytest.mark.parametrize("rule", ["paper", "motion", "two-pass"])
class TestEveryRule:
    def test_empty_frames_are_no_obstacle(self, rule):
        frames = [queries(t, [at(0)], [score]) for t, score in enumerate([0.0, 0.9, 0.0, 0.9])]
        assert follow(frames, AssociationSettings(rule, max_gap_s=5.0)) == [{}, {1: 0.0}, {}, {1: 0.0}]

    def test_frames_without_queries_give_no_tracks(self, rule):
        assert follow([queries(0, [], []), queries(1, [], [])], AssociationSettings(rule)) == [{}, {}]

    def test_the_models_expectation_outranks_nearness(self, rule):
        # Two people swap places; the model says so.
        frames = [
            queries(0, [at(0), at(100)], [0.9, 0.9]),
            queries(1, [at(100), at(0)], [0.9, 0.9], expected=[at(98), at(2)]),
        ]
        assert follow(frames, AssociationSettings(rule))[1] == {1: 100.0, 2: 0.0}

    def test_identities_are_not_reused(self, rule):
        settings = AssociationSettings(rule, max_age=2, max_gap_s=1.0)
        frames = [queries(0, [at(0)], [0.9]), *(queries(t, [at(0)], [0.0]) for t in (1, 2, 3)), queries(4, [at(0)], [0.9])]
        assert follow(frames, settings)[-1] == {2: 0.0}

    def test_labels_do_not_mix(self, rule):
        frames = [queries(0, [at(0)], [0.9], labels=[0]), queries(1, [at(0)], [0.9], labels=[1])]
        assert follow(frames, AssociationSettings(rule)) == [{1: 0.0}, {2: 0.0}]

    def test_a_box_far_off_is_another_track(self, rule):
        frames = [queries(0, [at(0)], [0.9]), queries(1, [at(500)], [0.9])]
        assert follow(frames, AssociationSettings(rule)) == [{1: 0.0}, {2: 500.0}]


def test_a_lost_track_waits_31_frames_in_the_released_rule():
    def gap(length):
        shown = [0.9, *[0.0] * length, 0.9]
        return follow([queries(t, [at(0)], [s]) for t, s in enumerate(shown)], AssociationSettings())[-1]

    assert gap(31) == {1: 0.0}
    assert gap(32) == {2: 0.0}


def walker(times, hidden, rule, **settings):
    """Someone who walks 100 pixels a second, out of sight in ``hidden``; the identities that were given."""
    frames = [queries(t, [at(100 * float(t), width=60)], [0.0 if t in hidden else 0.9]) for t in times]
    return [list(seen) for seen in follow(frames, AssociationSettings(rule, **settings))]


@pytest.mark.parametrize("rate", [4, 10, 25])
def test_motion_finds_a_walker_behind_a_pillar_at_any_frame_rate(rate):
    times = [Fraction(t, rate) for t in range(3 * rate)]
    hidden = [t for t in times if 1 <= t < 2]
    for rule, found in [("paper", [2]), ("motion", [1])]:
        assert walker(times, hidden, rule, coast_s=10.0, max_gap_s=2.0)[-1] == found


def test_motion_reads_uneven_frame_times():
    times = [Fraction(t, 100) for t in (0, 3, 5, 20, 22, 40, 45, 60, 75, 80, 100, 130, 150)]
    hidden = [t for t in times if Fraction(3, 5) < t < Fraction(3, 2)]
    assert walker(times, hidden, "motion", coast_s=10.0)[-1] == [1]


def test_repeated_frame_times_are_no_obstacle():
    assert walker([Fraction(0), Fraction(0), Fraction(1, 10)], [], "motion") == [[1], [1], [1]]


def test_a_lost_track_is_kept_for_seconds_not_frames():
    for rate in (2, 20):
        times = [Fraction(t, rate) for t in range(2 * rate + 1)]
        frames = [queries(t, [at(0)], [0.9 if t in (0, 2) else 0.0]) for t in times]
        assert follow(frames, AssociationSettings("motion", max_gap_s=2.0))[-1] == {1: 0.0}
        assert follow(frames, AssociationSettings("motion", max_gap_s=1.9))[-1] == {2: 0.0}


def test_weak_detections_continue_a_track_but_start_none():
    scores = [(0.9, 0.2), (0.2, 0.2), (0.9, 0.2)]
    frames = [queries(t, [at(0), at(300)], s) for t, s in enumerate(scores)]
    settings = {"max_gap_s": 5.0}
    assert follow(frames, AssociationSettings("two-pass", **settings)) == [{1: 0.0}, {1: 0.0}, {1: 0.0}]
    assert follow(frames, AssociationSettings("motion", **settings)) == [{1: 0.0}, {}, {1: 0.0}]


def test_a_weak_birth_must_be_seen_twice_running():
    settings = AssociationSettings("motion", score=0.4, birth_score=0.6, confirm_frames=2)
    shown = [(0.0, 0.0), (0.5, 0.7), (0.0, 0.7), (0.5, 0.7), (0.5, 0.7)]
    frames = [queries(t, [at(0), at(300)], s) for t, s in enumerate(shown)]
    assert follow(frames, settings) == [{}, {1: 300.0}, {1: 300.0}, {1: 300.0}, {1: 300.0, 2: 0.0}]


def test_everyone_in_the_first_frame_is_a_track_at_once():
    assert follow([queries(0, [at(0)], [0.5])], AssociationSettings("motion", score=0.4)) == [{1: 0.0}]


def test_of_two_detections_of_one_person_the_better_counts():
    frame = queries(0, [at(0), at(0.5), at(9)], [0.7, 0.9, 0.8])
    assert follow([frame], AssociationSettings("motion")) == [{1: 0.5, 2: 9.0}]


def test_a_barred_pair_takes_no_partner_away():
    # Matching both pairs badly would be cheaper in sum than one good pair and one far one.
    frames = [queries(0, [at(0), at(12)], [0.9, 0.9]), queries(1, [at(12), at(400)], [0.9, 0.9])]
    assert follow(frames, AssociationSettings("motion")) == [{1: 0.0, 2: 12.0}, {2: 12.0, 3: 400.0}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "sort"}, "unknown association rule 'sort'; there are: paper, motion, two-pass"),
        ({"max_age": 0}, "max_age is 0, expected at least 1"),
        ({"velocity_s": 0.0}, "velocity_s is 0.0, expected more than 0"),
    ],
)
def test_settings_without_meaning_are_refused(settings, message):
    with pytest.raises(PresetError, match=message):
        AssociationSettings(**settings)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="Queries: 1 scores"):
        queries(0, [at(0), at(1)], [0.5])
