"""``vidpc recognize``: what happens in a video, and when."""

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import RecognizeConfig
from vidpc.types import ReadOptions

from .naming import STEM, output_names
from .options import (
    choice_option,
    device_options,
    model_options,
    output_options,
    progress_option,
    source_options,
    verbose_option,
)
from .outcome import Words, leave, make_folder, say_skipped, tell
from .progress import Progress

if TYPE_CHECKING:
    from vidpc.pipeline.drive import Summary
    from vidpc.pipeline.recognize import ActionTally, Job

FORMATS = ("json", "jsonl", "csv", "srt", "vtt")
DEFAULT_PRESET = "fight,camera"
KINETICS = "swin3d-t-kinetics400"
_STDOUT = "-"
WORDS = Words(
    "windows",
    count=lambda tally: int(tally.windows),
    record=lambda tally: {
        "windows": tally.windows,
        "top": [{"label": label, "score": round(score, 4), "model": model} for label, model, score in tally.top],
    },
    facts=lambda tallies: [f"{sum(len(tally.actions.segments) for tally in tallies if tally.actions)} segments"],
)

EXAMPLES = f"""\b
Examples:
  vidpc recognize clip.mp4
  vidpc recognize clip.mp4 --out actions.json --render captioned.mp4
  vidpc recognize clip.mp4 --out actions.srt --plot timeline.png
  vidpc recognize clip.mp4 --preset camera --window 2 --hop 0.5 --out -
  vidpc recognize clip.mp4 --preset fight --labels fight=brawl --out actions.csv
  vidpc recognize videos/ --out-dir results --format csv --skip-existing
  vidpc models pull {KINETICS}
  vidpc recognize clip.mp4 --model {KINETICS} --clips 10 --top 3
"""


def _names(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.BadParameter("write names with commas between them: fight,camera", ctx, param)
    return tuple(dict.fromkeys(names))


def _renamed(ctx: click.Context, param: click.Parameter, text: str | None) -> dict[str, str]:
    """``fight=brawl,still`` as the names of labels and those that they are told by."""
    pairs = [part.partition("=") for part in _names(ctx, param, text)]
    renamed = {old.strip(): new.strip() if sign else old.strip() for old, sign, new in pairs}
    if not all(renamed) or not all(renamed.values()) or len(renamed) < len(pairs):
        raise click.BadParameter("write each label once, as NAME or NAME=NEW: fight=brawl,still", ctx, param)
    return renamed


def _seconds(ctx: click.Context, param: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds <= 3600:
        raise click.BadParameter(f"{seconds:g} s: expected more than 0 and at most 3600", ctx, param)
    return seconds


@click.command("recognize", epilog=EXAMPLES)
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True)
@click.option("--out", metavar="FILE|-", help="File of actions; - for stdout. {stem} stands for the input's name.")
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, {stem}.json by default.")
@choice_option("--format", FORMATS, help="Format of the file of actions; by default what its suffix says.")
@click.option("--render", metavar="FILE", help="Video (.mp4, .mkv, .mov) with what happens written in, and how sure that is.")
@click.option("--plot", metavar="FILE", help="Picture (.png) of the scores over time.")
@model_options
@click.option("--labels", metavar="NAME[=NEW],…", callback=_renamed, help="Tell these labels alone, under other names.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Tell so many labels of each model.")
@click.option("--window", type=float, metavar="SECONDS", callback=_seconds, help="Length of a window; by default the model's.")
@click.option(
    "--hop", type=float, metavar="SECONDS", callback=_seconds, help="From window to window; by default about half of one."
)
@click.option("--clips", type=click.IntRange(1, 1000), help="Look at so many clips, placed as in the papers, not at windows.")
@click.option("--crops", type=int, help="Views of each window: 1 in the middle, or 3 from side to side.")
@choice_option("--decoder", ("pyav", "decord"), default="pyav", show_default=True, help="What seeks in files for --clips.")
@source_options
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Say what happens in videos, and when: a table on stderr, and files where asked for.

    INPUT may be a file, a folder, a glob, @list.txt, a pattern of pictures (with --input-fps) or - for a pipe. Videos are
    looked at window by window; --preset and --model take several names with commas, whose models look at the same windows.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: see cli/track.py
    configs = _configs(ctx, given)
    from vidpc.pipeline import recognize  # brings torch and the codecs: not for --help

    options = recognize.Options(
        _reading(given), given["device"], given["precision"], given["batch"], given["labels"], given["top"]
    )
    jobs = _jobs(ctx, recognize.expand(inputs, options.reading), given)
    if not jobs:  # all done already
        return
    names = [printable(str(getattr(job.source, "name", job.source))) for job in jobs]
    with Progress(given["progress"], unit="s") as report:
        summary = recognize.run(jobs, configs, options, on_progress=lambda n, done, total: report.update(names[n], done, total))
    if given["progress"] != "json" and given["out"] != _STDOUT:
        _print(summary, top=given["top"])
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _reading(given: Mapping[str, Any]) -> ReadOptions:
    names = ("stride", "input_fps", "strict", "allow_url", "decoder")
    span: dict[str, Fraction | None] = {"start_s": given["start"], "end_s": given["end"], "rate_fps": given["fps"]}
    return ReadOptions(**span, **{name: given[name] for name in names})  # type: ignore[arg-type]


def _configs(ctx: click.Context, given: Mapping[str, Any]) -> list[RecognizeConfig]:
    """The settings of each model: its preset, with what --set and the options of their own change."""
    direct = {"window_s": given["window"], "hop_s": given["hop"], "clips": given["clips"], "crops": given["crops"]}
    direct = {key: value for key, value in direct.items() if value is not None}
    for key in {*direct, *(["weights"] if given["model"] else [])} & given["settings"].keys():
        raise click.UsageError(f"{key!r} is set by --set and by an option of its own", ctx)
    names, models = (_split(ctx, f"--{option}", given[option]) for option in ("preset", "model"))
    changes = {**given["settings"], **direct}
    if not models:
        names = names or (["weights"] if "weights" in changes else []) or DEFAULT_PRESET.split(",")
        if names == ["weights"]:
            return [_of_weights(str(changes.pop("weights")), changes)]
        return [presets.load(name, RecognizeConfig, changes) for name in names]
    if not names:
        return [_of_weights(model, changes) for model in models]
    if len(names) != len(models):
        raise click.UsageError(f"--preset names {len(names)} and --model {len(models)}: give as many of both", ctx)
    pairs = zip(names, models, strict=True)
    return [presets.load(name, RecognizeConfig, {**changes, "weights": model}) for name, model in pairs]


def _split(ctx: click.Context, option: str, text: str | None) -> list[str]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise click.UsageError(f"{option} {text}: write different names with commas between them", ctx)
    return names


def _of_weights(weights: str, changes: Mapping[str, Any]) -> RecognizeConfig:
    """The preset that names the weights, else what they ask for themselves; with the changes."""
    for name in presets.names("recognize"):
        if presets.load(name, RecognizeConfig).weights == weights:
            return presets.load(name, RecognizeConfig, changes)
    return presets.build(RecognizeConfig, {"weights": weights, **changes}, owner=f"weights {weights}")


def _jobs(ctx: click.Context, sources: Sequence[Any], given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each input; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.recognize import Job

    out, folder = given["out"], given["out_dir"]
    if out is None and folder is not None:
        out = f"{STEM}.{given['format'] or 'json'}"
    if out is None and given["format"] is not None:
        raise click.UsageError("--format needs --out or --out-dir", ctx)
    stems = [source.stem for source in sources]
    if out == _STDOUT and len(stems) > 1:
        raise click.UsageError(f"--out - takes one input, and there are {len(stems)}: give --out-dir", ctx)
    try:
        targets = [_each(name, stems, folder) for name in (out, given["render"], given["plot"])]
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if folder is not None:
        make_folder(folder)
    rows = zip(sources, *targets, strict=True)
    jobs = [Job(source, out, video, plot, given["format"], given["overwrite"]) for source, out, video, plot in rows]
    done = [job for job in jobs if given["skip_existing"] and _is_done(job)]
    say_skipped(len(done))
    return [job for job in jobs if job not in done]


def _each(name: str | None, stems: Sequence[str], folder: Path | None) -> Sequence[str | None]:
    return [name] * len(stems) if name in (None, _STDOUT) else output_names(str(name), stems, folder)


def _is_done(job: "Job") -> bool:
    return bool(job.targets) and all(Path(target).is_file() for target in job.targets)


def _print(summary: "Summary[ActionTally]", *, top: int) -> None:
    """What was found of each input, then which weights said so, and where there are more labels."""
    from vidpc.pipeline.recognize import table

    found = [row.counted for row in summary.inputs if row.error is None and row.counted.header is not None]
    for counted in found:
        click.echo(table(counted, labels=top), err=True)
    models = [model.name for counted in found[:1] if counted.header for model in counted.header.models]
    if not models:
        return
    more = f"; 400 classes of Kinetics: vidpc models pull {KINETICS}, then --model {KINETICS}"
    click.echo(f"vidpc: weights {printable(', '.join(models))}{'' if KINETICS in models else more}", err=True)
