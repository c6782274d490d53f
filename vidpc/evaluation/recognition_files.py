"""True labels of clips, what ``vidpc recognize`` wrote of them, and which belongs to which.

True labels are a table with the columns ``file`` and ``label`` (and ``split``, where a part of it is asked for), or a folder
with a folder of clips a label. Results are the .json and .jsonl of ``vidpc recognize``: they say of which video they are.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from vidpc.errors import DecodeError, OpenError, PresetError, unknown_name
from vidpc.evaluation.recognition import FEW, Judged
from vidpc.media.sources import VIDEO_SUFFIXES

_FORMAT, _VERSION = "vidpc-actions", 1
_LINES = (".jsonl", ".ndjson")
_SUFFIXES = (".json", *_LINES)
_NAMED = 3  # files that a message names


@dataclass(frozen=True, slots=True)
class Truth:
    """A clip as the ground truth names it."""

    file: str
    label: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one model said of one video: ``found`` labels with their scores, best first, of its ``labels``."""

    path: Path
    source: str
    model: str
    labels: tuple[str, ...]
    found: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """Every clip with its prediction, in the order of the ground truth, and the predictions that nothing asks for."""

    pairs: tuple[tuple[Truth, Prediction | None], ...]
    unasked: tuple[Prediction, ...]
    by_name_alone: tuple[Truth, ...]


def read_truths(path: Path, split: str | None = None) -> list[Truth]:
    """The clips of a table or a folder, of which ``split`` chooses a part. Raises ``VidpcError``."""
    if path.is_dir():
        if split is not None:
            raise PresetError(f"--split {split}: {path} is a folder, and only a table has a column 'split'")
        return _folder_truths(path)
    return _table_truths(path, split)


def _folder_truths(path: Path) -> list[Truth]:
    """Files with the suffix of a video, and folders (of pictures), in the folders of labels."""
    truths = [
        Truth(str(PurePath(folder.name, clip.name)), folder.name)
        for folder in sorted(path.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for clip in sorted(folder.iterdir())
        if not clip.name.startswith(".") and (clip.is_dir() or clip.suffix.lower() in VIDEO_SUFFIXES)
    ]
    if not truths:
        raise OpenError(f"no clips in {path}: expected a folder for every label, with videos in it")
    return truths


def _table_truths(path: Path, split: str | None) -> list[Truth]:
    rows = list(_rows(path, ("file", "label") if split is None else ("file", "label", "split")))
    if split is not None:
        splits = dict.fromkeys(row["split"] for _, row in rows)
        if split not in splits:
            raise PresetError(f"{path}: {unknown_name('split', split, splits)}")
    truths: dict[str, Truth] = {}
    for where, row in rows:
        if split is not None and row["split"] != split:
            continue
        if not row["file"] or not row["label"]:
            raise DecodeError(f"{where}: file or label is empty")
        if row["file"] in truths:
            raise DecodeError(f"{where}: {row['file']} stands there twice")
        truths[row["file"]] = Truth(row["file"], row["label"])
    if not truths:
        raise DecodeError(f"reading labels from {path}: no rows below its header")
    return list(truths.values())


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, values of the columns) of every row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            for name in columns:
                if name not in (reader.fieldnames or ()):
                    found = ", ".join(reader.fieldnames or ()) or "none"
                    raise DecodeError(f"reading labels from {path}: no column {name!r} in its first line, found {found[:200]}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", {name: (row[name] or "").strip() for name in columns}
    except OSError as error:
        raise OpenError(f"reading labels from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DecodeError(f"reading labels from {path}: not a text file ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise DecodeError(f"reading labels from {path}: not a table ({error})") from error


def read_answers(paths: Sequence[Path], model: str | None = None) -> list[Prediction]:
    """What ``model`` says in all files and in those of all folders; without a name, the only model that there is."""
    found = [_prediction(file, model) for path in paths for file in _files(path)]
    names = list(dict.fromkeys(prediction.model for prediction in found))
    if len(names) > 1:
        raise PresetError(f"the results are of several models: choose one with --model: {', '.join(names)}")
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."))
    if not found:
        raise OpenError(f"no results in {path}: expected files named *{', *'.join(_SUFFIXES)}")
    return found


def _prediction(path: Path, model: str | None) -> Prediction:
    head, top = _parts(path)
    try:
        labels = {str(entry["name"]): tuple(map(str, entry["labels"])) for entry in head["models"]}
        name = _chosen(path, model, list(labels))
        found = [(str(entry["label"]), _score(entry["score"])) for entry in top if entry["model"] == name]
        found.sort(key=lambda entry: -entry[1])
        return Prediction(path, str(head["source"]), name, labels[name], tuple(found))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = (
            f"reading actions from {path}: expected source, models and video.top as vidpc recognize writes them ({error!r})"
        )
        raise DecodeError(message) from error


def _chosen(path: Path, model: str | None, names: list[str]) -> str:
    if model is not None:
        if model not in names:
            raise PresetError(f"{path}: {unknown_name('model', model, names)}")
        return model
    if len(names) != 1:
        raise PresetError(f"{path} holds answers of {len(names)} models: choose one with --model: {', '.join(names)}")
    return names[0]


def _score(value: Any) -> float:
    score = float(value)
    if not 0 <= score <= 1:
        raise ValueError(f"a score of {score:g}, expected 0 to 1")
    return score


def _parts(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """The facts at the head of a file, and what the whole video shows."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OpenError(f"reading actions from {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DecodeError(f"reading actions from {path}: not a text file ({error.reason} at byte {error.start})") from error
    if not text.strip():
        raise DecodeError(f"reading actions from {path}: the file is empty")
    if path.suffix.lower() in _LINES:
        return _line_parts(path, text)
    document = _parsed(str(path), text)
    _check_format(path, document)
    video = document.get("video")
    return document, _top(path, video if isinstance(video, dict) else {})


def _line_parts(path: Path, text: str) -> tuple[dict[str, Any], list[Any]]:
    records = [_parsed(f"{path}, line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    _check_format(path, records[0])
    if not all(isinstance(record, dict) for record in records) or records[-1].get("type") != "end":
        raise DecodeError(f"reading actions from {path}: no line of type 'end' at its end, so it is not complete")
    video: dict[str, Any] = next((record for record in records if record.get("type") == "video"), {})
    return records[0], _top(path, video)


def _parsed(where: str, text: str) -> Any:
    def refuse(name: str) -> float:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{where}: not JSON, or cut off ({error})") from error


def _check_format(path: Path, record: Any) -> None:
    found = record.get("format") if isinstance(record, dict) else type(record).__name__
    if found != _FORMAT:
        raise DecodeError(
            f"reading actions from {path}: its format is {found!r}, expected {_FORMAT!r} as vidpc recognize writes"
        )
    if record.get("version") != _VERSION:
        raise DecodeError(f"reading actions from {path}: its version is {record.get('version')!r}, expected {_VERSION}")


def _top(path: Path, video: dict[str, Any]) -> list[Any]:
    top = video.get("top")
    if not isinstance(top, list):
        raise DecodeError(f"reading actions from {path}: no list 'top' of the video, expected what it shows as a whole")
    return top


def match(truths: Sequence[Truth], predictions: Sequence[Prediction]) -> Matched:
    """Pairs of which the shorter path is how the longer one ends: ``fight/a.mp4`` and ``/data/fight/a.mp4``.

    What is left over is paired by the name of the file alone, where only one clip and one prediction are left that have it.
    Raises ``PresetError`` where two predictions answer a clip equally well, or one answers several.
    """
    named: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        named[_steps(prediction.source)[-1]].append(prediction)
    pairs = {truth: _nearest(truth, named[_steps(truth.file)[-1]]) for truth in truths}
    _refuse_shared(pairs)
    used = {id(prediction) for prediction in pairs.values() if prediction is not None}
    lonely = Counter(_steps(truth.file)[-1] for truth, prediction in pairs.items() if prediction is None)
    by_name = []
    for truth in [truth for truth, prediction in pairs.items() if prediction is None]:
        name = _steps(truth.file)[-1]
        free = [prediction for prediction in named[name] if id(prediction) not in used]
        if len(free) == lonely[name] == 1:
            pairs[truth] = free[0]
            used.add(id(free[0]))
            by_name.append(truth)
    unasked = tuple(prediction for prediction in predictions if id(prediction) not in used)
    if not used:
        raise OpenError(
            f"no result is of any of the {len(truths)} clips: they are called {_some(t.file for t in truths)}, "
            f"the results are of {_some(p.source for p in predictions)}"
        )
    return Matched(tuple(pairs.items()), unasked, tuple(by_name))


def _steps(name: str) -> tuple[str, ...]:
    """The folders and the name of a path, without those that lead nowhere."""
    return tuple(step for step in PurePath(name).parts if step not in ("/", "..", ".")) or (name,)


def _nearest(truth: Truth, predictions: Iterable[Prediction]) -> Prediction | None:
    """The prediction whose source has the most of the clip's path at its end."""
    asked = _steps(truth.file)
    fitting = []
    for prediction in predictions:
        source = _steps(prediction.source)
        shared = min(len(asked), len(source))
        if asked[-shared:] == source[-shared:]:
            fitting.append((shared, prediction))
    most = max((shared for shared, _ in fitting), default=0)
    best = [prediction for shared, prediction in fitting if shared == most]
    if len(best) > 1:
        raise PresetError(
            f"{truth.file} is answered by {len(best)} results: {_some(str(p.path) for p in best)}; name one of them"
        )
    return best[0] if best else None


def _refuse_shared(pairs: dict[Truth, Prediction | None]) -> None:
    answers: dict[int, list[Truth]] = defaultdict(list)
    for truth, prediction in pairs.items():
        if prediction is not None:
            answers[id(prediction)].append(truth)
            clips = answers[id(prediction)]
            if len(clips) > 1:
                raise PresetError(
                    f"{prediction.path} is of {prediction.source!r}, which fits several clips: {_some(t.file for t in clips)}; "
                    "recognize them by paths that tell them apart"
                )


def judge(matched: Matched, labels: Sequence[str]) -> tuple[list[Judged], list[str]]:
    """Every clip with what was found of it, and what a reader has to know of that, a line each.

    A true label is the model's where they differ in case, spaces, and signs such as _ or - alone: ``noFight``, ``no fight``.
    """
    own = _own_names([truth.label for truth, _ in matched.pairs], labels)
    judged = [
        Judged(own[truth.label], tuple(label for label, _ in prediction.found) if prediction else ())
        for truth, prediction in matched.pairs
    ]
    return judged, list(_notes(matched, own, labels))


def _own_names(truths: Iterable[str], labels: Sequence[str]) -> dict[str, str]:
    plain: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        plain[_plain(label)].append(label)
    return {
        truth: near[0] if truth not in labels and len(near := plain[_plain(truth)]) == 1 else truth
        for truth in dict.fromkeys(truths)
    }


def _plain(label: str) -> str:
    return "".join(sign for sign in label.casefold() if sign.isalnum()) or label


def _notes(matched: Matched, own: dict[str, str], labels: Sequence[str]) -> Iterator[str]:
    missing = [truth.file for truth, prediction in matched.pairs if prediction is None]
    if missing:
        yield f"no prediction for {_counted(missing, 'clip')}, counted as wrong: {_some(missing)}"
    nothing = [truth.file for truth, prediction in matched.pairs if prediction is not None and not prediction.found]
    if nothing:
        yield f"nothing was found in {_counted(nothing, 'clip')}, counted as wrong: {_some(nothing)}"
    if matched.by_name_alone:
        files = [truth.file for truth in matched.by_name_alone]
        yield f"{_counted(files, 'clip')} and predictions share the name of the file, not the folder: {_some(files)}"
    if matched.unasked:
        yield f"not evaluated, no clip has its name: {_some(str(prediction.path) for prediction in matched.unasked)}"
    for truth, label in own.items():
        if truth != label:
            yield f"the label {truth!r} is taken for {label!r} of the model"
        elif truth not in labels:
            files = [pair[0].file for pair in matched.pairs if pair[0].label == truth]
            yield f"the model does not know the label {truth!r}, so {_counted(files, 'clip')} of it cannot be right"
    ties = [t.file for t, p in matched.pairs if p is not None and len(p.found) > 1 and p.found[0][1] == p.found[1][1]]
    if ties:
        yield f"the best two scores are equal in {_counted(ties, 'clip')}, the first in the file counts: {_some(ties)}"
    least = min((len(p.found) for _, p in matched.pairs if p is not None and p.found), default=FEW)
    if least < min(FEW, len(labels)):
        yield f"some results hold {least} labels, so top-5 counts no more than those (recognize with a larger --top)"


def _counted(names: Sequence[str], unit: str) -> str:
    return f"{len(names)} {unit}{'s'[: len(names) != 1]}"


def _some(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
