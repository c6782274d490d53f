"""Tracks as metrics see them: rows of boxes, and how the boxes of two files overlap frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidpc.ops import overlap
from vidpc.types import F64, I64

MATCH_IOU = 0.5  # of CLEAR MOT and IDF1, and of a prediction that no ignored region may take away
IGNORED_SHARE = 0.5  # a prediction with more than this share inside an ignored region is dropped


@dataclass(frozen=True, slots=True)
class TrackRows:
    """A row a box: ``frames`` i64[n] from 1, ``ids`` i64[n], ``boxes_xyxy`` f64[n 4]."""

    frames: I64
    ids: I64
    boxes_xyxy: F64

    def __post_init__(self) -> None:
        if self.ids.shape != self.frames.shape or self.boxes_xyxy.shape != (len(self.frames), 4):
            shapes = (self.frames.shape, self.ids.shape, self.boxes_xyxy.shape)
            raise ValueError(f"TrackRows: shapes {shapes} disagree, expected (n,), (n,), (n, 4)")

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, rows: npt.NDArray[Any]) -> "TrackRows":
        """The rows that an index array or a mask chooses."""
        return TrackRows(self.frames[rows], self.ids[rows], self.boxes_xyxy[rows])


@dataclass(frozen=True, slots=True)
class LabelledTracks:
    """Ground truth: the boxes that count, and the regions in which predictions may be left out."""

    scored: TrackRows
    ignored: TrackRows


@dataclass(frozen=True, slots=True)
class FrameOverlap:
    """One frame: which objects and which predicted tracks are in it (numbered from 0), and their ``iou`` f64[g p]."""

    truths: I64
    tracks: I64
    iou: F64


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two files side by side, frame by frame in order; frames that are empty in both are left out."""

    frames: Sequence[FrameOverlap]
    truth_lengths: I64  # boxes of each object, i64[objects]
    track_lengths: I64  # boxes of each predicted track, i64[tracks]


def compare(truth: TrackRows, predicted: TrackRows) -> Comparison:
    """Overlaps of the scored boxes with the predicted ones."""
    truth_numbers, truth_lengths = _numbered(truth.ids)
    track_numbers, track_lengths = _numbered(predicted.ids)
    truth_rows, track_rows = _by_frame(truth.frames), _by_frame(predicted.frames)
    nothing = np.zeros(0, dtype=np.int64)
    frames = []
    for number in sorted(truth_rows.keys() | track_rows.keys()):
        t, p = truth_rows.get(number, nothing), track_rows.get(number, nothing)
        iou = np.asarray(overlap.iou(truth.boxes_xyxy[t], predicted.boxes_xyxy[p]), dtype=np.float64)
        frames.append(FrameOverlap(truth_numbers[t], track_numbers[p], iou))
    return Comparison(frames, truth_lengths, track_lengths)


def without_ignored(predicted: TrackRows, truth: LabelledTracks) -> TrackRows:
    """``predicted`` without the boxes that lie more than half inside an ignored region, unless they meet a scored box."""
    scored_rows, ignored_rows = _by_frame(truth.scored.frames), _by_frame(truth.ignored.frames)
    keep = np.ones(len(predicted), dtype=bool)
    for number, rows in _by_frame(predicted.frames).items():
        if number not in ignored_rows:
            continue
        boxes = predicted.boxes_xyxy[rows]
        regions = truth.ignored.boxes_xyxy[ignored_rows[number]]
        inside = (overlap.covered(boxes, regions) > IGNORED_SHARE).any(axis=1)
        scored = truth.scored.boxes_xyxy[scored_rows.get(number, rows[:0])]
        keep[rows] = ~inside | (overlap.iou(boxes, scored) >= MATCH_IOU).any(axis=1)
    return predicted.take(keep)


def _numbered(ids: I64) -> tuple[I64, I64]:
    _, numbers, lengths = np.unique(ids, return_inverse=True, return_counts=True)
    return numbers.reshape(-1), lengths


def _by_frame(frames: I64) -> dict[int, I64]:
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(frames[order], return_index=True)
    return {int(number): rows for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True)} if order.size else {}
