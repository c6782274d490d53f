"""``vidpc classify``: what a scan of a single object shows."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import ClassifyConfig

from .naming import STEM, output_names
from .options import choice_option, device_options, model_options, output_options, progress_option, verbose_option
from .outcome import Words, leave, make_folder, say_skipped, tell
from .progress import Progress

if TYPE_CHECKING:
    from vidpc.pipeline.classify import Job, ObjectTally
    from vidpc.pipeline.drive import Summary

FORMATS = ("json", "csv")
DEFAULT_PRESET, RELEASED_PRESET = "objects", "pct"
_STDOUT = "-"
_NAME_WIDTH = 40  # of a scan's name in the table
WORDS = Words(
    unit="scans",
    count=lambda tally: int(bool(tally.candidates)),
    record=lambda tally: {
        "points": tally.points,
        "top": [{"label": found.label, "score": round(found.score, 4)} for found in tally.candidates[:1]],
    },
)

EXAMPLES = """\b
Examples:
  vidpc classify chair.ply
  vidpc classify chair.ply --out chair.json
  vidpc classify scans/ --out-dir results --format csv --skip-existing
  vidpc classify a.ply b.pcd --out 'out/{stem}.json' --top 3
  vidpc classify chair.ply --out - | jq .top[0]
"""


@click.command("classify", epilog=EXAMPLES)
@click.argument("inputs", metavar="FILE…", nargs=-1, required=True)
@click.option("--out", metavar="FILE|-", help="Result file (.json, .csv); - for stdout. {stem} stands for the input's name.")
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, {stem}.json by default.")
@choice_option("--format", FORMATS, help="Format of the result file; by default what its suffix says.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Tell the best so many classes.")
@model_options
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Say what scans of single objects show: a table on stderr, and files where asked for.

    FILE may be a scan of any format, a folder, a glob, @list.txt or - for a pipe. A scan holds one object, its third axis
    pointing up, of any size and turned any way about that axis, and 256 points or more.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: see cli/track.py
    config = _config(ctx, given)
    from vidpc.pipeline import classify  # brings torch: not for --help

    options = classify.Options(device=given["device"], precision=given["precision"], batch=given["batch"], top=given["top"])
    jobs = _jobs(ctx, classify.expand(inputs), given)
    if not jobs:  # all done already
        return
    with Progress(given["progress"], unit="scans") as report:
        summary = classify.run(jobs, config, options, on_progress=lambda done, total: report.update("scans", done, total))
    if given["progress"] != "json":
        _print(summary, top=given["top"])
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _config(ctx: click.Context, given: Mapping[str, Any]) -> ClassifyConfig:
    """The preset, with what --set and --model change."""
    if given["model"] is not None and "weights" in given["settings"]:
        raise click.UsageError("'weights' is set by --set and by an option of its own", ctx)
    weights = given["model"] or given["settings"].get("weights")
    changes = {**given["settings"], **({"weights": given["model"]} if given["model"] else {})}
    return presets.load(given["preset"] or _preset_for(weights), ClassifyConfig, changes)


def _preset_for(weights: str | None) -> str:
    """The preset whose settings fit the weights: shapes that always face one way are looked at once, as they stand."""
    if weights is None:
        return DEFAULT_PRESET
    for name in presets.names("classify"):
        if presets.load(name, ClassifyConfig).weights == weights:
            return name
    from vidpc.weights import read_header, registry

    header = read_header(registry.locate(weights))
    return RELEASED_PRESET if header.input.get("up") == "y" else DEFAULT_PRESET


def _jobs(ctx: click.Context, sources: Sequence[Any], given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each scan; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.classify import Job

    out, folder = given["out"], given["out_dir"]
    if out is None and folder is not None:
        out = f"{STEM}.{given['format'] or 'json'}"
    if out is None and given["format"] is not None:
        raise click.UsageError("--format needs --out or --out-dir", ctx)
    stems = [source.stem for source in sources]
    if out == _STDOUT and len(stems) > 1:
        raise click.UsageError(f"--out - takes one input, and there are {len(stems)}: give --out-dir", ctx)
    try:
        targets = [out] * len(stems) if out in (None, _STDOUT) else output_names(out, stems, folder)
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if folder is not None:
        make_folder(folder)
    rows = zip(sources, targets, strict=True)
    jobs = [Job(source, target, given["format"], given["overwrite"]) for source, target in rows]
    open_jobs = [job for job in jobs if not (given["skip_existing"] and job.out is not None and Path(job.out).is_file())]
    say_skipped(len(jobs) - len(open_jobs))
    return open_jobs


def _print(summary: "Summary[ObjectTally]", *, top: int) -> None:
    """The table: a line a scan, its best classes in percent."""
    rows = [row for row in summary.inputs if row.counted.candidates]
    names = [_shortened(printable(row.source)) for row in rows]
    width = max(map(len, names), default=0)
    for name, row in zip(names, rows, strict=True):
        found = "".join(f"  {candidate.label} {100 * candidate.score:.0f} %" for candidate in row.counted.candidates[:top])
        click.echo(f"{name:<{width}}{found}", err=True)


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"
