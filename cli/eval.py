"""``vidpc eval``: results against ground truth."""

import json
from pathlib import Path
from typing import Any

import click

from vidpc.errors import OutputError, PresetError, printable
from vidpc.evaluation.pairing import pair_up
from vidpc.evaluation.recognition import FEW, RecognitionScores, score_clips
from vidpc.evaluation.recognition_files import judge, match, read_answers, read_truths
from vidpc.evaluation.segmentation import SegmentScores, no_scores
from vidpc.evaluation.track_files import read_ground_truth, read_predictions
from vidpc.evaluation.track_scores import TrackScores, score_tracks

from .eval_video import command as video

_SHARES = ("MOTA", "IDF1", "HOTA", "DetA", "AssA", "LocA", "recall", "precision")
_COUNTS = ("objects", "MT", "PT", "ML", "FP", "FN", "IDs", "Frag")
_OVERALL = "OVERALL"
_DECIMALS = 6  # of figures in JSON
_MISTAKES = 10  # pairs of labels that a table shows


@click.group("eval")
def command() -> None:
    """Measure results against ground truth."""


command.add_command(video)


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


@command.command("segment")
@click.option("--gt", "truths", type=click.Path(path_type=Path), multiple=True, required=True, help="Scan with true labels.")
@click.option("--pred", "results", type=click.Path(path_type=Path), multiple=True, required=True, help="The same, as found.")
@click.option("--classes", help="Names of the classes, in order: ground,vegetation,building. Default: those in the files.")
@click.option("--map-gt", help="Labels of --gt: 2=ground,3=vegetation,6=building. Others are not judged.")
@click.option("--map-pred", help="The same for --pred. Others count as misses.")
@click.option("--ignore", multiple=True, type=int, help="A label of --gt that is not judged. Can be given several times.")
@click.option(
    "--grid",
    type=click.FloatRange(min=0, min_open=True),
    help="Judge one point a cube of this size in metres: the first in the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures as JSON to this file, too.")
def segment(
    truths: tuple[Path, ...],
    results: tuple[Path, ...],
    classes: str | None,
    map_gt: str | None,
    map_pred: str | None,
    ignore: tuple[int, ...],
    grid: float | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Accuracy and IoU of labelled points, with a row a class and the confusion matrix.

    Both files hold the same points in the same order, in any format of scans, or as .npz with label alone. mAcc and mIoU are
    means over all classes, those marked "present" over the classes that the ground truth has. Several pairs are added up.
    """
    from vidpc.evaluation.segment_files import Reading, names_in, parse_classes, score_files  # readers of scans: not for --help

    if len(truths) != len(results):
        raise PresetError(f"{len(truths)} files of ground truth, but {len(results)} results: files are paired in order")
    found = tuple(classes.split(",")) if classes else names_in(truths[0]) or names_in(results[0])
    if not found:
        raise PresetError(f"{truths[0]} does not say how its classes are called: name them with --classes")
    reading = Reading(
        found,
        parse_classes(map_gt, found) if map_gt else None,
        parse_classes(map_pred, found) if map_pred else None,
        frozenset(ignore),
        grid,
    )
    pairs = [score_files(truth, result, reading) for truth, result in zip(truths, results, strict=True)]
    scores = sum(pairs, no_scores(found))
    text = json.dumps({"grid_m": grid, **_segment_record(scores)}, indent=2, allow_nan=False)
    if out:
        _write(out, text)
    click.echo(text if as_json else _segment_table(scores))


@command.command("recognize")
@click.option(
    "--gt",
    "truth",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV with the columns file,label, or a folder with a folder of clips a label.",
)
@click.option(
    "--pred", "results", type=click.Path(path_type=Path), multiple=True, required=True, help="Result, or folder of results."
)
@click.option("--split", help="Judge the rows alone whose column 'split' says this.")
@click.option("--model", help="Whose answers are judged, where results hold those of several models.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures as JSON to this file, too.")
def recognize(
    truth: Path, results: tuple[Path, ...], split: str | None, model: str | None, as_json: bool, out: Path | None
) -> None:
    """Top-1, top-5 and mean class accuracy of what videos show, with a row a class and who was taken for whom.

    Results are the .json and .jsonl of vidpc recognize. They name their video: a clip is looked for by the end of its path. A
    clip without a result counts as wrong. --pred can be given several times.
    """
    matched = match(read_truths(truth, split), predictions := read_answers(results, model))
    labels = tuple(dict.fromkeys(label for prediction in predictions for label in prediction.labels))
    judged, notes = judge(matched, labels)
    scores = score_clips(judged, labels)
    for note in notes:
        click.echo(f"vidpc: warning: {printable(note)}", err=True)
    record = {"model": predictions[0].model, "split": split, **_recognition_record(scores, labels), "warnings": notes}
    text = json.dumps(record, indent=2, allow_nan=False)
    if out:
        _write(out, text)
    click.echo(text if as_json else _recognition_table(scores, labels))


def _recognition_record(scores: RecognitionScores, labels: tuple[str, ...]) -> dict[str, Any]:
    columns = (scores.clips, scores.hits, scores.near, scores.found, scores.accuracies, scores.precisions)
    rows = zip(scores.labels, *(column.tolist() for column in columns), strict=True)
    figures = scores.figures().items()
    return {
        **{name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in figures},
        "classes": [
            {
                "label": label,
                "known": label in labels,
                "clips": clips,
                "hits": hits,
                "hits_in_5": near,
                "found": found,
                "accuracy": None if clips == 0 else round(accuracy, _DECIMALS),
                "precision": None if found == 0 else round(precision, _DECIMALS),
            }
            for label, clips, hits, near, found, accuracy, precision in rows
        ],
        "confusion": {"columns": [*scores.labels, None], "clips": scores.confusion.tolist()},
    }


def _recognition_table(scores: RecognitionScores, labels: tuple[str, ...]) -> str:
    """A row a class, the most frequent mistakes, and the figures."""
    figures = scores.figures()
    rows = [["class", "clips", "hits", "found", "accuracy", "precision"]]
    columns = (scores.clips, scores.hits, scores.found, scores.accuracies, scores.precisions)
    for label, clips, hits, found, accuracy, precision in zip(scores.labels, *columns, strict=True):
        shares = [f"{100 * accuracy:.1f}" if clips else "-", f"{100 * precision:.1f}" if found else "-"]
        rows.append([printable(label), str(clips), str(hits), str(found), *shares])
    mistakes = scores.mistakes()
    lines = [_aligned(rows), *(f"{count} {printable(a)} taken for {printable(b)}" for a, b, count in mistakes[:_MISTAKES])]
    if len(mistakes) > _MISTAKES:
        lines.append(f"and {len(mistakes) - _MISTAKES} more kinds of mistakes: see --json")
    top5 = f"  top-5 {100 * figures['top5']:.1f}" if len(labels) > FEW else ""
    lines.append(
        f"{figures['clips']} clips, {figures['classes_present']} classes, {figures['without_prediction']} without prediction  "
        f"top-1 {100 * figures['top1']:.1f}{top5}  mean class accuracy {100 * figures['mean_class_accuracy']:.1f}  "
        f"(always {printable(figures['majority_label'])}: {100 * figures['majority']:.1f})"
    )
    return "\n".join(lines)


def _segment_record(scores: SegmentScores) -> dict[str, Any]:
    rows = zip(scores.names, scores.truths.tolist(), scores.accuracies.tolist(), scores.ious.tolist(), strict=True)
    return {
        **{name: round(value, _DECIMALS) for name, value in scores.figures().items()},
        "classes": [
            {"name": name, "points": points, "accuracy": round(accuracy, _DECIMALS), "IoU": round(iou, _DECIMALS)}
            for name, points, accuracy, iou in rows
        ],
        "confusion": scores.confusion.tolist(),
    }


def _segment_table(scores: SegmentScores) -> str:
    """Means, a row a class, and the confusion matrix in percent of the true points."""
    figures = scores.figures()
    shares = 100 * scores.confusion / scores.truths.clip(min=1)[:, None]
    rows = [["class", "points", "accuracy", "IoU", *(name[:6] for name in scores.names), "none"]]
    each = zip(scores.names, scores.truths, scores.accuracies, scores.ious, shares, strict=True)
    for name, points, accuracy, iou, share in each:
        figures_of = [str(points), f"{100 * accuracy:.1f}", f"{100 * iou:.1f}"] if points else ["0", "-", f"{100 * iou:.1f}"]
        rows.append([name, *figures_of, *(f"{value:.1f}" if points else "-" for value in share)])
    means = "  ".join(f"{key} {100 * figures[key]:.1f}" for key in ("OA", "mAcc", "mIoU", "mAcc_present", "mIoU_present"))
    return f"{_aligned(rows)}\n{figures['points']} points, {figures['classes_present']} classes present  {means}"


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
    return _aligned(rows)


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join(lines)


def _row(name: str, score: TrackScores) -> list[str]:
    figures = score.figures()
    return [name, *(f"{100 * figures[key]:.1f}" for key in _SHARES), *(str(figures[key]) for key in _COUNTS)]
