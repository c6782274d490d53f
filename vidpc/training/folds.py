"""Cross-validation of a recogniser: trained as often as there are folds, each time measured on clips that it did not see."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from vidpc.errors import PresetError
from vidpc.training.recognize import carry_out, figures, learnt, started, told
from vidpc.training.recognize_runs import Run
from vidpc.types import I64


def folds(run: Run, count: int) -> list[I64]:
    """The clips of each fold: those of whole groups, ``count`` folds of about as many clips; 0: a fold for each group.

    Clips of no group are in none.
    """
    groups = sorted({item.clip.group for item in run.train.footage} - {""})
    sizes = {group: sum(item.clip.group == group for item in run.train.footage) for group in groups}
    if len(groups) < 2 or count == 1:
        raise PresetError(
            f"{len(groups)} groups of clips, {count or 'all'} folds: expected two or more, to hold out one of them"
        )
    rng = np.random.default_rng(run.recipe.schedule.seed)
    held: list[list[str]] = [[] for _ in range(min(count or len(groups), len(groups)))]
    for group in sorted(groups, key=lambda group: (-sizes[group], rng.random())):
        min(held, key=lambda fold: sum(sizes[name] for name in fold)).append(group)
    return [np.flatnonzero([item.clip.group in fold for item in run.train.footage]) for fold in held]


def crossed(run: Run, count: int, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Trains once for each fold on all others and measures on it; a line a fold, and at last the figures of all together.

    A fold that is done already, under ``resume``, is not trained again.
    """
    scores = np.zeros((len(run.train.labels), len(run.classes)))
    accuracies = []
    for stale in () if resume else [*run.folder.glob("fold-*/scores.json"), *run.folder.glob("fold-*/checkpoint.pt")]:
        stale.unlink()  # of an earlier run, which this one would else go on with after a stop
    for number, fold in enumerate(folds(run, count)):
        held = np.zeros(len(scores), bool)
        held[fold] = True
        part = replace(run, train=run.train.take(~held), val=run.train.take(held), folder=run.folder / f"fold-{number}")
        result = part.folder / "scores.json"
        if not (resume and result.exists()):
            for line in carry_out(replace(part, val=None), resume=resume and (part.folder / "checkpoint.pt").exists()):
                if line["event"] == "step":
                    yield {**line, "fold": number}
            result.write_text(json.dumps(_scores_of(part)))
        scores[fold] = json.loads(result.read_text())
        accuracies.append(float((scores[fold].argmax(axis=1) == run.train.labels[fold]).mean()))
        yield {"event": "fold", "fold": number, "clips": len(fold), "accuracy": round(accuracies[-1], 4)}
    spread = {
        "folds": len(accuracies),
        "fold_accuracies": [round(a, 4) for a in accuracies],
        "deviation": round(np.std(accuracies), 4),
    }
    measured = np.array([item.clip.group != "" for item in run.train.footage])
    yield {"event": "end", **figures(scores[measured], run.train.labels[measured], run.classes), **spread}


def _scores_of(part: Run) -> list[list[float]]:
    """What the averaged weights of a fold's run say of the clips that were held out."""
    model = started(part)
    model.load_state_dict(learnt(part.folder)[1])
    assert part.val is not None
    scores: list[list[float]] = told(model.eval(), part.val, part).tolist()
    return scores
