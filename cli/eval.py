"""``vidpc eval``: results against ground truth."""

import json
from pathlib import Path

import click

from vidpc.errors import OutputError
from vidpc.evaluation.pairing import pair_up
from vidpc.evaluation.track_files import read_ground_truth, read_predictions
from vidpc.evaluation.track_scores import TrackScores, score_tracks

_SHARES = ("MOTA", "IDF1", "HOTA", "DetA", "AssA", "LocA", "recall", "precision")
_COUNTS = ("objects", "MT", "PT", "ML", "FP", "FN", "IDs", "Frag")
_OVERALL = "OVERALL"
_DECIMALS = 6  # of figures in JSON


@click.group("eval")
def command() -> None:
    """Measure results against ground truth."""


@command.command("track")
@click.option(
    "--gt", "truths", type=click.Path(path_type=Path), multiple=True, required=True, help="MOTChallenge file or folder."
)
@click.option("--pred", "results", type=click.Path(path_type=Path), multiple=True, required=True, help="Result, or folder.")
@click.option("--ignore-regions", is_flag=True, help="Leave out predictions inside rows whose column 7 is 0.")
@click.option(
    "--gt-origin",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="What the ground truth calls the picture's left edge; MOTChallenge says 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures as JSON to this file, too.")
def track(
    truths: tuple[Path, ...],
    results: tuple[Path, ...],
    ignore_regions: bool,
    gt_origin: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """CLEAR MOT, IDF1 and HOTA of tracks.

    --gt and --pred can be given several times: files are paired in order, folders by name. Results are MOTChallenge text
    or the .json and .jsonl of vidpc track. A match needs IoU 0.5; HOTA averages 0.05 to 0.95.
    """
    pairs, unasked = pair_up(truths, results)
    for path in unasked:
        click.echo(f"not evaluated, no ground truth has its name: {path}", err=True)
    scores: dict[str, TrackScores] = {}
    for pair in pairs:
        truth = read_ground_truth(pair.truth, first_pixel=gt_origin)
        predicted = read_predictions(pair.predicted)
        name = pair.name if pair.name not in scores else str(pair.truth)
        scores[name] = score_tracks(truth, predicted, ignore_regions=ignore_regions)
    text = _document(scores, ignore_regions=ignore_regions)
    if out:
        _write(out, text)
    click.echo(text if as_json else _table(scores))


def _document(scores: dict[str, TrackScores], *, ignore_regions: bool) -> str:
    document = {
        "ignore_regions": ignore_regions,
        "sequences": {name: _rounded(score) for name, score in scores.items()},
        "overall": _rounded(sum(scores.values(), TrackScores())),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _rounded(score: TrackScores) -> dict[str, float]:
    return {name: round(value, _DECIMALS) for name, value in score.figures().items()}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"writing figures to {path}: {error.strerror or error}") from error


def _table(scores: dict[str, TrackScores]) -> str:
    rows = [["sequence", *_SHARES, *_COUNTS]]
    rows += [_row(name, score) for name, score in scores.items()]
    if len(scores) > 1:
        rows.append(_row(_OVERALL, sum(scores.values(), TrackScores())))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join(lines)


def _row(name: str, score: TrackScores) -> list[str]:
    figures = score.figures()
    return [name, *(f"{100 * figures[key]:.1f}" for key in _SHARES), *(str(figures[key]) for key in _COUNTS)]
