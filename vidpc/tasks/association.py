"""From the boxes of single frames to tracks with lasting identities: pure functions on NumPy arrays.

    queries of frame t ──┐
    tracks of frame t-1 ─┴─> step ─> tracks of frame t (state) and the rows to write

A model of the TransTrack kind says two things of query ``i``: ``boxes_xyxy[i]`` is what it detects now, and
``track_boxes_xyxy[i]`` is where it expects now the object that query ``i`` detected in the frame before. A track that was
seen in the frame before is therefore predicted by the model itself; only a lost one needs a rule. The rules:

- ``paper``: the association that was released with TransTrack (Sun et al. 2020), identities included. A lost track waits where
  it was last seen.
- ``motion``: a lost track moves on with its last velocity, weak detections must repeat before they become a track, and
  pairs that cannot match are barred before the assignment instead of after it.
- ``two-pass``: ``motion``, then detections of low score continue tracks that found nothing better (ByteTrack, Zhang et al.
  2022).

Identities start at 1 and grow by 1 with each track that is written. The released code renumbers its identities when a video
has ended, over all that it gave away; since it writes every track in the frame of its birth, that changes nothing, and a
streaming writer gives the same numbers. Detections never continue a track of another label.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from vidpc.ops import overlap
from vidpc.presets import AssociationSettings
from vidpc.types import F64, I64, FrameTracks

PAPER_REJECT_COST = 1.2  # 1 - GIoU above which the released code tears an assigned pair apart
_OTHER_LABEL_COST = 4.0  # above any cost of two boxes: 1 - GIoU is at most 2
_UNNUMBERED = 0  # the identity of a track that waits for its confirmation

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Queries:
    """What the model says of one frame, all queries: pixels of the displayed image, index = query.

    ``scores`` f[n], ``labels`` i64[n], ``boxes_xyxy`` f[n 4], ``track_boxes_xyxy`` f[n 4] (None where the model makes none).
    """

    index: int
    time_s: Fraction
    scores: Floats
    labels: I64
    boxes_xyxy: Floats
    track_boxes_xyxy: Floats | None

    def __post_init__(self) -> None:
        n = len(self.scores)
        track_shape = (n, 4) if self.track_boxes_xyxy is None else self.track_boxes_xyxy.shape
        if (self.labels.shape, self.boxes_xyxy.shape, track_shape) != ((n,), (n, 4), (n, 4)):
            raise ValueError(f"Queries: {n} scores, labels {self.labels.shape}, boxes {self.boxes_xyxy.shape}, {track_shape}")


def _none(*shape: int) -> F64:
    return np.zeros((0, *shape))


def _no_numbers() -> I64:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TrackTable:
    """Columns of tracks: those in sight in query order, then the lost ones."""

    ids: I64 = field(default_factory=_no_numbers)
    queries: I64 = field(default_factory=_no_numbers)  # the query that saw it in the last frame, -1 where lost
    ages: I64 = field(default_factory=_no_numbers)  # 1 in sight, then one more a frame
    hits: I64 = field(default_factory=_no_numbers)  # frames in which it was seen
    labels: I64 = field(default_factory=_no_numbers)
    scores: F64 = field(default_factory=_none)
    boxes_xyxy: F64 = field(default_factory=lambda: _none(4))  # where last seen
    velocities: F64 = field(default_factory=lambda: _none(2))  # of the centre, pixels a second
    seen_s: F64 = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[Any]) -> "TrackTable":
        """The tracks of ``rows``, in that order."""
        return TrackTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class TrackState:
    """What an association carries from frame to frame. A new video starts with ``TrackState()``."""

    tracks: TrackTable = field(default_factory=TrackTable)
    next_id: int = 1
    frames: int = 0


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Rows of detections and of tracks that belong together, and those that were left."""

    detections: I64
    tracks: I64
    free_detections: I64
    free_tracks: I64


def step(state: TrackState, queries: Queries, settings: AssociationSettings) -> tuple[TrackState, FrameTracks]:
    """The state after this frame, and the frame's tracks: continued ones in query order, then new ones."""
    return RULES[settings.rule](state, queries, settings)


def _paper(state: TrackState, queries: Queries, settings: AssociationSettings) -> tuple[TrackState, FrameTracks]:
    tracks = _expected_by_model(state.tracks, queries)
    chosen = np.flatnonzero(queries.scores >= settings.score)
    cost = _giou_cost(queries, chosen, tracks)
    pairs = _assign(cost, cost <= PAPER_REJECT_COST)
    continued = _continued(tracks.take(pairs.tracks), queries, chosen[pairs.detections], settings)
    # The released code starts no track while it has none, and fails on the frame after; here they start.
    born = _born(queries, chosen[pairs.free_detections], state.next_id)
    lost = tracks.take(pairs.free_tracks)
    lost = _aged(lost.take(lost.ages < settings.max_age))
    return _finish(state, queries, _join(continued, born), lost)


def _motion(state: TrackState, queries: Queries, settings: AssociationSettings) -> tuple[TrackState, FrameTracks]:
    return _associate(state, queries, settings, floor=settings.score)


def _two_pass(state: TrackState, queries: Queries, settings: AssociationSettings) -> tuple[TrackState, FrameTracks]:
    return _associate(state, queries, settings, floor=min(settings.low_score, settings.score))


def _associate(
    state: TrackState, queries: Queries, settings: AssociationSettings, *, floor: float
) -> tuple[TrackState, FrameTracks]:
    time_s = float(queries.time_s)
    chosen = _distinct(queries, floor, settings.duplicate_iou)
    strong = queries.scores[chosen] >= settings.score
    high, low = chosen[strong], chosen[~strong]
    known = _remembered(state.tracks, time_s, settings.max_gap_s)
    expected = _expected_by_model(_coasted(known, time_s, settings.coast_s), queries)

    cost = _giou_cost(queries, high, expected)
    first = _assign_within(cost, 1 - settings.match_giou)
    rest = first.free_tracks[known.queries[first.free_tracks] >= 0]  # only tracks in sight may follow a weak detection
    cost = _iou_cost(queries, low, expected.take(rest))
    second = _assign_within(cost, 1 - settings.second_iou)

    rows = np.concatenate([first.tracks, rest[second.tracks]])
    seen = np.concatenate([high[first.detections], low[second.detections]])
    continued = _continued(known.take(rows), queries, seen, settings)
    born = _born(queries, high[first.free_detections], None)
    lost = known.take(np.setdiff1d(np.arange(len(known)), rows))
    lost = _aged(lost.take(lost.ids != _UNNUMBERED))
    present = _confirmed(_join(continued, born), state, settings)
    return _finish(state, queries, present, lost)


RULES: dict[str, Callable[[TrackState, Queries, AssociationSettings], tuple[TrackState, FrameTracks]]] = {
    "paper": _paper,
    "motion": _motion,
    "two-pass": _two_pass,
}


def _expected_by_model(tracks: TrackTable, queries: Queries) -> TrackTable:
    """Tracks that were in sight stand where the model expects their query now."""
    if queries.track_boxes_xyxy is None:
        return tracks
    live = tracks.queries >= 0
    boxes = tracks.boxes_xyxy.copy()
    boxes[live] = queries.track_boxes_xyxy[tracks.queries[live]]
    return replace(tracks, boxes_xyxy=boxes)


def _remembered(tracks: TrackTable, time_s: float, max_gap_s: float) -> TrackTable:
    """Tracks that were in sight, and the lost ones that are not yet given up."""
    return tracks.take((tracks.queries >= 0) | (time_s - tracks.seen_s <= max_gap_s))


def _coasted(tracks: TrackTable, time_s: float, coast_s: float) -> TrackTable:
    """Tracks that moved on from where they were last seen, ever slower: v(t) = v exp(-t / coast_s)."""
    gap = np.maximum(time_s - tracks.seen_s, 0)
    travelled_s = coast_s * -np.expm1(-gap / coast_s)
    shift = tracks.velocities * travelled_s[:, None]
    return replace(tracks, boxes_xyxy=tracks.boxes_xyxy + np.tile(shift, 2))


def _distinct(queries: Queries, floor: float, duplicate_iou: float) -> I64:
    """Queries at or above ``floor``, in order, without those that a better one overlaps too much."""
    found = np.flatnonzero(queries.scores >= floor)
    order = found[np.argsort(-queries.scores[found], kind="stable")]
    same = queries.labels[order][:, None] == queries.labels[order]
    clash = (overlap.iou(queries.boxes_xyxy[order], queries.boxes_xyxy[order]) > duplicate_iou) & same
    keep = np.ones(len(order), dtype=bool)
    for row in range(len(order)):
        keep[row] = not (clash[row, :row] & keep[:row]).any()
    return np.sort(order[keep])


def _giou_cost(queries: Queries, chosen: I64, tracks: TrackTable) -> Floats:
    # float32, as in the released code: equal costs must be equal there and here.
    boxes = queries.boxes_xyxy[chosen].astype(np.float32)
    return _gated(1 - overlap.giou(boxes, tracks.boxes_xyxy.astype(np.float32)), queries, chosen, tracks)


def _iou_cost(queries: Queries, chosen: I64, tracks: TrackTable) -> Floats:
    return _gated(1 - overlap.iou(queries.boxes_xyxy[chosen], tracks.boxes_xyxy), queries, chosen, tracks)


def _gated(cost: Floats, queries: Queries, chosen: I64, tracks: TrackTable) -> Floats:
    return np.where(queries.labels[chosen][:, None] == tracks.labels, cost, cost.dtype.type(_OTHER_LABEL_COST))


def _assign_within(cost: Floats, limit: float) -> _Pairs:
    """The assignment that is best with every pair above ``limit`` at the price of no pair: a barred pair displaces none."""
    return _assign(np.minimum(cost, limit), cost <= limit)


def _assign(cost: Floats, allowed: npt.NDArray[np.bool_]) -> _Pairs:
    """The cheapest assignment, then without the pairs that are not ``allowed``.

    What was left without a partner comes before what lost its partner: the released code numbers new tracks in that order.
    """
    rows, columns = linear_sum_assignment(cost)
    kept = allowed[rows, columns]
    return _Pairs(
        detections=rows[kept],
        tracks=columns[kept],
        free_detections=np.concatenate([np.setdiff1d(np.arange(cost.shape[0]), rows), rows[~kept]]),
        free_tracks=np.concatenate([np.setdiff1d(np.arange(cost.shape[1]), columns), columns[~kept]]),
    )


def _continued(tracks: TrackTable, queries: Queries, seen: I64, settings: AssociationSettings) -> TrackTable:
    """``tracks`` as they are now, each seen by the query of the same row of ``seen``."""
    time_s = float(queries.time_s)
    boxes = queries.boxes_xyxy[seen].astype(np.float64)
    return replace(
        tracks,
        queries=seen,
        ages=np.ones(len(seen), dtype=np.int64),
        hits=tracks.hits + 1,
        scores=queries.scores[seen].astype(np.float64),
        boxes_xyxy=boxes,
        velocities=_velocities(tracks, boxes, time_s, settings.velocity_s),
        seen_s=np.full(len(seen), time_s),
    )


def _velocities(tracks: TrackTable, boxes: F64, time_s: float, velocity_s: float) -> F64:
    gap = np.maximum(time_s - tracks.seen_s, 0)[:, None]
    moved = _centres(boxes) - _centres(tracks.boxes_xyxy)
    measured = np.divide(moved, gap, out=tracks.velocities.copy(), where=gap > 0)
    # The first measurements of a track are averaged evenly: nothing is known before them.
    weight = np.maximum(-np.expm1(-gap / velocity_s), 1 / np.maximum(tracks.hits, 1)[:, None])
    return np.asarray(tracks.velocities + weight * (measured - tracks.velocities))


def _centres(boxes: F64) -> F64:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _born(queries: Queries, seen: I64, first_id: int | None) -> TrackTable:
    """New tracks, numbered from ``first_id`` on, or not yet numbered."""
    n = len(seen)
    ids = np.full(n, _UNNUMBERED, dtype=np.int64) if first_id is None else np.arange(first_id, first_id + n)
    return TrackTable(
        ids=ids,
        queries=seen,
        ages=np.ones(n, dtype=np.int64),
        hits=np.ones(n, dtype=np.int64),
        labels=queries.labels[seen],
        scores=queries.scores[seen].astype(np.float64),
        boxes_xyxy=queries.boxes_xyxy[seen].astype(np.float64),
        velocities=np.zeros((n, 2)),
        seen_s=np.full(n, float(queries.time_s)),
    )


def _confirmed(present: TrackTable, state: TrackState, settings: AssociationSettings) -> TrackTable:
    """Tracks that have proved themselves get their identity. In the first frame every one does: a cut shows people at once."""
    proved = (present.hits >= settings.confirm_frames) | (present.scores >= settings.birth_score) | (state.frames == 0)
    new = np.flatnonzero((present.ids == _UNNUMBERED) & proved)
    ids = present.ids.copy()
    ids[new] = np.arange(state.next_id, state.next_id + len(new))
    return replace(present, ids=ids)


def _aged(tracks: TrackTable) -> TrackTable:
    return replace(tracks, ages=tracks.ages + 1, queries=np.full(len(tracks), -1, dtype=np.int64))


def _join(first: TrackTable, second: TrackTable) -> TrackTable:
    columns = [f.name for f in fields(TrackTable)]
    return TrackTable(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in columns})


def _finish(state: TrackState, queries: Queries, present: TrackTable, lost: TrackTable) -> tuple[TrackState, FrameTracks]:
    ordered = present.take(np.argsort(present.queries, kind="stable"))
    next_id = max(state.next_id, int(present.ids.max(initial=0)) + 1)
    shown = present.take(present.ids != _UNNUMBERED)
    written = FrameTracks(
        index=queries.index,
        time_s=queries.time_s,
        ids=shown.ids,
        boxes_xyxy=shown.boxes_xyxy,
        scores=shown.scores,
        labels=shown.labels,
    )
    return TrackState(_join(ordered, lost), next_id, state.frames + 1), written
