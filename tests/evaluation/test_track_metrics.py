"""CLEAR MOT, IDF1 and HOTA: equal to motmetrics and TrackEval on real results, and worked by hand on small ones."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from vidpc.evaluation.clear import clear_mot
from vidpc.evaluation.hota import hota
from vidpc.evaluation.identity import identity
from vidpc.evaluation.track_files import read_ground_truth, read_predictions
from vidpc.evaluation.track_scores import TrackScores, score_tracks
from vidpc.evaluation.tracks import LabelledTracks, TrackRows, compare, without_ignored

GOLDEN = Path(__file__).parents[1] / "golden" / "mot"
REFERENCE = json.loads((GOLDEN / "expected.json").read_text())["sequences"]
PRINTED = 1e-6  # the reference figures are printed with six decimals
TREVAL_NAMES = {
    "MOTA": "CLEAR_MOTA", "MOTP": "CLEAR_MOTP", "TP": "CLEAR_CLR_TP", "FP": "CLEAR_CLR_FP", "FN": "CLEAR_CLR_FN",
    "IDs": "CLEAR_IDSW", "MT": "CLEAR_MT", "PT": "CLEAR_PT", "ML": "CLEAR_ML", "Frag": "CLEAR_Frag", "IDF1": "ID_IDF1",
    "IDP": "ID_IDP", "IDR": "ID_IDR", "IDTP": "ID_IDTP", "IDFP": "ID_IDFP", "IDFN": "ID_IDFN",
} | {name: name for name in ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA")}  # fmt: skip
MOTMETRICS_NAMES = {
    "MOTA": "mota", "IDF1": "idf1", "IDP": "idp", "IDR": "idr", "recall": "recall", "precision": "precision",
    "FP": "num_false_positives", "FN": "num_misses", "objects": "num_unique_objects", "TP": "num_detections",
}  # fmt: skip


def files_of(name):
    folder = GOLDEN if (GOLDEN / name).is_dir() else Path(os.environ.get("VIDPC_DATA", ".")) / "mot"
    if not (folder / name).is_dir():
        pytest.skip("VIDPC_DATA names no folder with mot/" + name)
    return folder / REFERENCE[name]["gt"], folder / REFERENCE[name]["result"]


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_figures_equal_trackeval(name):
    truth, result = files_of(name)
    score = score_tracks(read_ground_truth(truth), read_predictions(result))
    expected = REFERENCE[name]["trackeval"]
    figures = score.figures()
    assert {key: figures[key] for key in TREVAL_NAMES} == pytest.approx(
        {key: expected[other] for key, other in TREVAL_NAMES.items()}, abs=PRINTED
    )
    assert score.hota.by_alpha == pytest.approx(expected["HOTA_per_alpha"], abs=PRINTED)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_figures_equal_motmetrics(name):
    truth, result = files_of(name)
    figures = score_tracks(read_ground_truth(truth), read_predictions(result)).figures()
    expected = REFERENCE[name]["motmetrics"]
    # One switch of MOT17-05 rests on an equal choice that motmetrics takes the other way.
    chosen = {key: other for key, other in MOTMETRICS_NAMES.items() if (name, key) != ("MOT17-05-FRCNN", "MOTA")}
    assert {key: figures[key] for key in chosen} == pytest.approx(
        {key: expected[other] for key, other in chosen.items()}, abs=PRINTED
    )


def rows(*table):
    """Rows of (frame, id, left): boxes 10 wide and high."""
    data = np.array(table, dtype=float).reshape(-1, 3)
    boxes = np.stack([data[:, 2], 0 * data[:, 2], data[:, 2] + 10, 0 * data[:, 2] + 10], axis=1)
    return TrackRows(data[:, 0].astype(np.int64), data[:, 1].astype(np.int64), boxes)


def test_a_kept_pair_outranks_a_better_one():
    # Frame 2: track 8 fits better, but 7 still overlaps by half and was the match before.
    truth = rows((1, 1, 0), (2, 1, 0))
    kept = clear_mot(compare(truth, rows((1, 7, 0), (2, 7, 3), (2, 8, 0))))
    assert (kept.switches, kept.false_positives, kept.misses) == (0, 1, 0)
    lost = clear_mot(compare(truth, rows((1, 7, 0), (2, 7, 4), (2, 8, 0))))  # 6 of 14: below half
    assert (lost.switches, lost.false_positives, lost.misses) == (1, 1, 0)


def test_mota_counts_misses_false_positives_and_switches():
    truth = rows(*((frame, 1, 0) for frame in range(1, 11)))
    predicted = rows((1, 5, 0), (2, 5, 0), (3, 5, 50), (4, 6, 0), (5, 6, 0))
    clear = clear_mot(compare(truth, predicted))
    assert (clear.matches, clear.misses, clear.false_positives, clear.switches) == (4, 6, 1, 1)
    assert clear.mota == pytest.approx(1 - 8 / 10)
    assert (clear.mostly_tracked, clear.partly_tracked, clear.mostly_lost) == (0, 1, 0)


def test_one_object_followed_by_two_tracks_halves_idf1_and_association():
    truth = rows(*((frame, 1, 0) for frame in range(1, 11)))
    predicted = rows(*((frame, 1 if frame <= 5 else 2, 0) for frame in range(1, 11)))
    comparison = compare(truth, predicted)
    assert identity(comparison).idf1 == pytest.approx(0.5)
    # Each match: 5 shared boxes of 10 labelled and 5 predicted, 5 / 10.
    assert hota(comparison).figures()["AssA"] == pytest.approx(0.5)
    assert hota(comparison).figures()["HOTA"] == pytest.approx(np.sqrt(0.5))


def test_perfect_tracks_score_one():
    truth = rows((1, 1, 0), (1, 2, 50), (3, 1, 0))
    figures = score_tracks(LabelledTracks(truth, rows()), truth).figures()
    assert {figures[key] for key in ("MOTA", "IDF1", "HOTA", "LocA", "MOTP")} == {1.0}


@pytest.mark.parametrize(("truth", "predicted"), [(rows(), rows((1, 1, 0))), (rows((1, 1, 0)), rows()), (rows(), rows())])
def test_empty_files_score_zero(truth, predicted):
    figures = score_tracks(LabelledTracks(truth, rows()), predicted).figures()
    assert figures["IDF1"] == figures["HOTA"] == figures["TP"] == 0
    assert (figures["FN"], figures["FP"]) == (len(truth), len(predicted))


def test_joined_sequences_weigh_their_boxes():
    right = score_tracks(LabelledTracks(rows((1, 1, 0)), rows()), rows((1, 1, 0)))
    wrong = score_tracks(LabelledTracks(rows((1, 1, 0), (2, 1, 0), (3, 1, 0)), rows()), rows())
    both = sum([right, wrong], TrackScores()).figures()
    assert (both["recall"], both["objects"], both["MT"], both["ML"]) == (0.25, 2, 1, 1)


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (104, False),  # 0.6 inside the region 100..110
        (105, True),  # exactly half
        (20, True),  # outside
        (95.5, True),  # inside by more than half, but it also meets a scored box with IoU >= 0.5
    ],
)
def test_predictions_inside_ignored_regions_are_dropped(left, kept):
    truth = LabelledTracks(scored=rows((1, 1, 93)), ignored=rows((1, 9, 100), (1, 9, 95) if left == 95.5 else (2, 9, 0)))
    assert len(without_ignored(rows((1, 3, left)), truth)) == int(kept)


def test_regions_hold_only_in_their_frame():
    truth = LabelledTracks(rows(), ignored=rows((1, 9, 0)))
    assert without_ignored(rows((1, 3, 0), (2, 3, 0)), truth).frames.tolist() == [2]
