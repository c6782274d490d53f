"""``vidpc train``: weights from labelled pictures, scans and clips, and from raw footage."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from vidpc.errors import OutputError, PresetError

from .options import Command, choice_option, device, setting, together

_FIGURES = {"step": "{step:>6}  loss {total:.3f}  {s:.2f} s a step", "check": "{step:>6}  AP50 {ap50:.3f}  AP {ap:.3f}"}

_Path = click.Path(path_type=Path)


def run_options(folder: str) -> Callable[[Command], Command]:
    """What every training run takes: settings, steps, seed, run folder, output."""
    return together(
        click.option(
            "--set", "settings", type=setting, metavar="KEY=VALUE", multiple=True, help="Change one setting of the recipe."
        ),
        click.option("--steps", type=click.IntRange(min=1), help="Updates in all."),
        click.option("--seed", type=click.IntRange(min=0), help="Everything random follows from it."),
        click.option("--run", "folder", type=_Path, default=folder, show_default=True, help="Log, checkpoint."),
        click.option("--resume", is_flag=True, help="Go on from the checkpoint in --run."),
        click.option("--out", type=_Path, required=True, help="Weights file to write."),
        click.option("--licence", default="unknown", show_default=True, help="Terms that the weights file states."),
        click.option("--overwrite", is_flag=True, help="Replace --out, or the run in --run."),
    )


def footage_options(recipe: str) -> Callable[[Command], Command]:
    """What a run on raw footage takes: footage, recipe, weights to begin with."""
    return together(
        click.option("--data", type=_Path, multiple=True, help="Video, folder of videos, or table of them (.csv with file)."),
        click.option("--val", type=_Path, multiple=True, help="The same, to measure on."),
        click.option("--recipe", default=recipe, show_default=True, metavar="NAME|FILE", help="Settings of the run."),
        click.option("--init", metavar="NAME|FILE", help="Weights to begin with, instead of random ones."),
    )


@click.group("train")
def command() -> None:
    """Train weights on labelled pictures, scans and clips, and on raw footage."""


@command.command("track")
@click.option("--labels", type=_Path, multiple=True, help="COCO document, .jsonl of runs, or sequence folder.")
@click.option("--images", type=_Path, multiple=True, help="Folder of each label file's pictures: its own.")
@click.option("--val", type=_Path, multiple=True, help="The same, to measure on.")
@click.option("--recipe", default="people.train", show_default=True, metavar="NAME|FILE", help="Settings of the run.")
@click.option("--init", type=_Path, help="Weights to begin with, instead of random ones.")
@click.option("--device", type=device, default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Train together, a thread each.")
@run_options("runs/track")
def track(**options: Any) -> None:
    """Train a tracker of people, or of whatever the one category of the labels is.

    \b
    Labels are COCO documents. Pictures may carry `split` (val is not trained on, train not measured on), `set` (a name
    for the figures), `pair_id` or `clip_id` with `frame` (neighbours in time); boxes `track_id` and `ignore`.
    The run's folder holds log.jsonl and checkpoint.pt; stop it at any time and go on with --resume.
    """
    _refuse_to_replace(options)
    # torch loads with these: not for --help
    from vidpc.training.loop import train
    from vidpc.training.runs import finish, first_weights, prepare

    recipe, run = prepare(
        options["recipe"],
        _overrides(options),
        labels=options["labels"],
        images=options["images"],
        val=options["val"],
        folder=options["folder"],
        device=options["device"],
        processes=options["processes"],
    )
    init = first_weights(options["init"], recipe) if options["init"] else None
    for line in train(recipe, run, resume=options["resume"], init=init):
        _say(line)
    digest = finish(options["out"], recipe, run, licence=options["licence"])
    click.echo(f"{options['out']}  sha256 {digest}")


@command.command("classify")
@click.option("--data", type=_Path, multiple=True, help="Folder with a folder a label, .csv or .npz.")
@click.option("--val", type=_Path, multiple=True, help="The same, to measure on.")
@click.option("--recipe", default="objects.train", show_default=True, metavar="NAME|FILE", help="Settings of the run.")
@click.option("--init", type=_Path, help="Weights to begin with, instead of random ones.")
@run_options("runs/classify")
def classify(**options: Any) -> None:
    """Train a classifier of scanned objects, for `vidpc classify`.

    \b
    A folder holds a folder of scans for each label. A .csv has columns file (seen from its folder), label and, if wanted,
    split (train, val). An .npz has xyz f32[n m 3] (or q and scale), label, classes and, if wanted, split (0: train).
    Scans are objects on their own, the third axis up. Measured on --val, or on what --set hold_out=0.2 keeps back.
    """
    _refuse_to_replace(options)
    from vidpc.training import objects

    run = objects.prepare(
        options["recipe"], _overrides(options), data=options["data"], val=options["val"], folder=options["folder"]
    )
    for line in objects.carry_out(run, resume=options["resume"], init=options["init"]):
        _say_objects(line)
    digest = objects.finish(options["out"], run, licence=options["licence"])
    click.echo(f"{options['out']}  sha256 {digest}")


@command.command("segment")
@click.option("--data", type=_Path, multiple=True, help="Labelled scan, or folder of scans.")
@click.option("--val", type=_Path, multiple=True, help="The same, to measure on.")
@click.option(
    "--recipe", required=True, metavar="NAME|FILE", help="Settings of the run: aerial.train, rooms.train, or your own."
)
@run_options("runs/segment")
def segment(**options: Any) -> None:
    """Train a network that labels points, on scans of any format whose points have a label or a classification.

    \b
    The recipe's `classes` say which labels of the files mean which class; points with others are not learnt from.
    The run's folder holds log.jsonl and checkpoint.pt; stop it at any time and go on with --resume.
    """
    _refuse_to_replace(options)
    # torch loads with these: not for --help
    from vidpc.training.segment import finish, prepare, trained

    run = prepare(options["recipe"], _overrides(options), data=options["data"], val=options["val"], folder=options["folder"])
    for line in trained(run, resume=options["resume"]):
        _say_overlap(line)
    digest = finish(options["out"], run, licence=options["licence"])
    click.echo(f"{options['out']}  sha256 {digest}")


@command.command("recognize")
@click.option("--data", type=_Path, multiple=True, help="Table of clips (.csv), or folder with a folder a label.")
@click.option("--also", type=_Path, multiple=True, help="The same, to learn from but never measure on.")
@click.option("--val", type=_Path, multiple=True, help="The same, to measure on.")
@choice_option("--split", ("train", "all"), default="train", show_default=True, help="Clips of --data to learn from.")
@click.option(
    "--scenes",
    type=_Path,
    multiple=True,
    help="Videos that simulated camera moves go over (with simulated=N).",
)
@click.option("--val-scenes", type=_Path, multiple=True, help="The same, to measure on.")
@click.option(
    "--recipe",
    required=True,
    metavar="NAME|FILE",
    help="Settings of the run: fight.train, interactions.train, camera.train, or yours.",
)
@click.option("--init", metavar="NAME|FILE", help="Weights to begin with, built in, fetched or a file; their head is replaced.")
@click.option(
    "--folds",
    type=click.IntRange(min=0),
    help="Cross-validate instead: N folds, 0 for one a group; --out takes figures (.json).",
)
@run_options("runs/recognize")
def recognize(**options: Any) -> None:
    """Train a recogniser of what happens in clips, for `vidpc recognize`.

    \b
    A .csv has columns file (seen from its folder) and label and, if wanted, split (train, val) and group: clips of one
    source. --init with --set learns=head trains a new head on published weights, --set layer_decay=0.75 all of them with
    less change in the first blocks. The run's folder holds the decoded clips, log.jsonl and checkpoint.pt.
    """
    _refuse_to_replace(options)
    from vidpc.training import folds, recognize_runs
    from vidpc.training import recognize as training

    named = {name: options[name] for name in ("data", "also", "val", "init", "split", "folder")}
    run = recognize_runs.prepare(
        options["recipe"], _overrides(options), scene=options["scenes"], val_scene=options["val_scenes"], **named
    )
    if options["folds"] is not None:
        for line in folds.crossed(run, options["folds"], resume=options["resume"]):
            _say_recogniser(line)
        _write(options["out"], json.dumps(line, indent=2) + "\n")
        return
    for line in training.carry_out(run, resume=options["resume"]):
        _say_recogniser(line)
    digest = training.finish(options["out"], run, licence=options["licence"])
    click.echo(f"{options['out']}  sha256 {digest}")


@command.command("synthesize")
@footage_options("motion.train")
@run_options("runs/synthesize")
def synthesize(**options: Any) -> None:
    """Train a network that draws frames between others, for `vidpc synthesize`, on footage as it is.

    \b
    Nothing has to be labelled: frames are left out, and the network draws them. Repeated frames and cuts are found. A .csv
    may have a column split (train, val). `motion.train` is the recipe of the built-in weights, `direct.train` that of the
    paper's network. The run's folder holds the decoded footage, log.jsonl and checkpoint.pt.
    """
    _refuse_to_replace(options)
    from vidpc.training import synthesize as training

    _on_footage(training, options)


@command.command("inpaint")
@footage_options("aligned.train")
@run_options("runs/inpaint")
def inpaint(**options: Any) -> None:
    """Train a network that fills holes, for `vidpc inpaint`, on footage as it is.

    \b
    Nothing has to be labelled: moving holes are cut into the frames, and the network fills them. A .csv may have a column
    split (train, val). The run's folder holds the decoded footage, log.jsonl and checkpoint.pt.
    """
    _refuse_to_replace(options)
    from vidpc.training import inpaint as training

    _on_footage(training, options)


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path), metavar="WEIGHTS")
@click.option("--val", type=click.Path(path_type=Path), multiple=True, required=True, help="Labels to measure on.")
def check(file: Path, val: tuple[Path, ...]) -> None:
    """What weights reach, as JSON: a tracker's AP50 and AP50:95, in all and for each set; a classifier's accuracy; a
    recogniser's accuracy, in all and over labels, and which labels it takes for which; the PSNR of drawn frames and filled
    holes.

    Pictures, objects and clips whose split is train are left out.
    """
    from vidpc.weights import read_header

    click.echo(json.dumps(_measured(file, val, read_header(file).architecture), indent=2))


def _measured(file: Path, val: tuple[Path, ...], architecture: str) -> Mapping[str, Any]:
    if architecture == "transtrack":
        from vidpc.training.runs import measure

        return measure(file, val)
    if architecture == "pct":
        from vidpc.training import objects

        return objects.measure_file(file, val)
    from vidpc.training import inpaint, synthesize
    from vidpc.training import recognize as recognition

    measures = {"aligned-sttn": inpaint, "motion-convtransformer": synthesize, "convtransformer": synthesize}
    with tempfile.TemporaryDirectory() as folder:
        return measures.get(architecture, recognition).measure_file(file, val, Path(folder))  # type: ignore[no-any-return]


def _say_overlap(line: Mapping[str, Any]) -> None:
    """Progress on stderr, the scores at the end on stdout."""
    scores = {name: score for name, score in line.items() if isinstance(score, dict) and "miou" in score}
    if line["event"] == "step":
        click.echo(_FIGURES["step"].format(**line), err=True)
    elif line["event"] in ("check", "end"):
        text = "  ".join(f"{name} {score['miou']:.3f}" for name, score in scores.items())
        click.echo(f"{line['step']:>6}  mIoU {text}", err=True)
        if line["event"] == "end":
            click.echo(json.dumps(scores))


def _on_footage(training: Any, options: Mapping[str, Any]) -> None:
    """A run of the module ``training`` on raw footage, from the decoded shots to the weights file."""
    named = {name: options[name] for name in ("data", "val", "folder", "init")}
    run = training.prepare(options["recipe"], _overrides(options), **named)
    for line in training.carry_out(run, resume=options["resume"]):
        _say_psnr(line)
    digest = training.finish(options["out"], run, licence=options["licence"])
    click.echo(f"{options['out']}  sha256 {digest}")


def _say_psnr(line: Mapping[str, Any]) -> None:
    """Progress on stderr, the figures at the end on stdout."""
    if line["event"] == "step":
        click.echo(_FIGURES["step"].format(**line), err=True)
    elif "psnr" in line:
        click.echo(f"{line['step']:>6}  PSNR {line['psnr']:.2f} dB", err=True)
        if line["event"] == "end":
            click.echo(json.dumps({key: value for key, value in line.items() if key not in ("event", "step")}))


def _overrides(options: Mapping[str, Any]) -> dict[str, Any]:
    named = {key: options[key] for key in ("steps", "seed") if options[key] is not None}
    return {**dict(options["settings"]), **named}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _refuse_to_replace(options: Mapping[str, Any]) -> None:
    if not options["out"].parent.is_dir():  # told now, not after hours
        raise OutputError(f"cannot write {options['out']}: there is no folder {options['out'].parent}")
    if options["overwrite"]:
        return
    if options["out"].exists():
        raise OutputError(f"{options['out']} exists; --overwrite replaces it")
    folds = ("checkpoint.pt", "fold-0/checkpoint.pt")
    if not options["resume"] and any((options["folder"] / name).exists() for name in folds):
        raise PresetError(f"{options['folder']} holds a run; go on with --resume, or replace it with --overwrite")


def _say(line: Mapping[str, Any]) -> None:
    """Progress on stderr: the log has it all."""
    if line["event"] == "step":
        click.echo(_FIGURES["step"].format(**line), err=True)
    elif line["event"] in ("check", "end"):
        click.echo(_FIGURES["check"].format(step=line["step"], **line["all"]), err=True)
        if line["event"] == "end":
            click.echo(json.dumps({name: score for name, score in line.items() if isinstance(score, dict)}))


def _say_objects(line: Mapping[str, Any]) -> None:
    """The same of a classifier."""
    if line["event"] == "step":
        click.echo(_FIGURES["step"].format(**line), err=True)
    elif "accuracy" in line:
        click.echo(f"{line['step']:>6}  accuracy {line['accuracy']:.3f}", err=True)


def _say_recogniser(line: Mapping[str, Any]) -> None:
    """The same of a recogniser, of single runs and of folds; the figures at the end on stdout."""
    if line["event"] == "step":
        click.echo(_FIGURES["step"].format(**line), err=True)
    elif "accuracy" in line:
        where = f"fold {line['fold']:>2}" if "fold" in line else f"{line.get('step', ''):>6}"
        click.echo(f"{where}  accuracy {line['accuracy']:.3f} of {line['clips']} clips", err=True)
        if line["event"] == "end":
            click.echo(json.dumps({key: value for key, value in line.items() if key not in ("event", "step")}))
