"""All figures of tracks against ground truth, for one sequence or for several joined."""

from dataclasses import dataclass, field

from vidpc.evaluation.clear import ClearMot, clear_mot
from vidpc.evaluation.hota import Hota, hota
from vidpc.evaluation.identity import Identity, identity
from vidpc.evaluation.tracks import LabelledTracks, TrackRows, compare, without_ignored


@dataclass(frozen=True, slots=True)
class TrackScores:
    """Counts of one or of several sequences. Add two to join them: figures of the sum weigh sequences by their boxes."""

    clear: ClearMot = field(default_factory=ClearMot)
    identity: Identity = field(default_factory=Identity)
    hota: Hota = field(default_factory=Hota)
    objects: int = 0
    tracks: int = 0

    def __add__(self, other: "TrackScores") -> "TrackScores":
        return TrackScores(
            self.clear + other.clear,
            self.identity + other.identity,
            self.hota + other.hota,
            self.objects + other.objects,
            self.tracks + other.tracks,
        )

    def figures(self) -> dict[str, float]:
        """Every figure by its usual name; shares are between 0 and 1 (MOTA may fall below 0)."""
        clear, ids = self.clear, self.identity
        return {
            "MOTA": clear.mota,
            "IDF1": ids.idf1,
            **self.hota.figures(),
            "MOTP": clear.motp,
            "recall": clear.recall,
            "precision": clear.precision,
            "IDP": ids.idp,
            "IDR": ids.idr,
            "TP": clear.matches,
            "FP": clear.false_positives,
            "FN": clear.misses,
            "IDs": clear.switches,
            "Frag": clear.fragmentations,
            "MT": clear.mostly_tracked,
            "PT": clear.partly_tracked,
            "ML": clear.mostly_lost,
            "IDTP": ids.right,
            "IDFP": ids.wrong,
            "IDFN": ids.missed,
            "objects": self.objects,
            "tracks": self.tracks,
        }


def score_tracks(truth: LabelledTracks, predicted: TrackRows, *, ignore_regions: bool = False) -> TrackScores:
    """CLEAR MOT, identity and HOTA of ``predicted``, by default with every prediction judged, also in ignored regions."""
    judged = without_ignored(predicted, truth) if ignore_regions else predicted
    comparison = compare(truth.scored, judged)
    return TrackScores(
        clear_mot(comparison),
        identity(comparison),
        hota(comparison),
        objects=len(comparison.truth_lengths),
        tracks=len(comparison.track_lengths),
    )
