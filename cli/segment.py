"""``vidpc segment``: what every point of a scan belongs to."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import SCHEMES, SegmentConfig
from vidpc.types import PointOptions
from vidpc.weights import read_header, registry

from .naming import STEM, output_names
from .options import changed, choice_option, device_options, model_options, output_options, progress_option, verbose_option
from .outcome import Words, leave, make_folder, say_skipped, tell
from .progress import Progress

if TYPE_CHECKING:
    from vidpc.pipeline.drive import Summary
    from vidpc.pipeline.segment import Input, Job, PointTally

FORMATS = ("ply", "las", "laz", "pcd", "npz", "csv", "json")
AERIAL, ROOMS, RELEASED = "aerial", "rooms", "point-transformer"
_STDOUT = "-"
_ADDITION = ".segmented"
WORDS = Words(
    unit="points",
    count=lambda tally: int(tally.points),
    record=lambda tally: {
        "points": tally.points,
        "unlabelled": tally.counts.unlabelled,
        "classes": dict(zip(tally.labels, tally.counts.points.tolist(), strict=False)),
    },
)

EXAMPLES = """\b
Examples:
  vidpc segment scan.ply
  vidpc segment tile.laz --out labelled.laz --color
  vidpc segment room.ply --out labels.npz --summary classes.csv
  vidpc segment room.ply --render room.png
  vidpc segment tiles/ --out-dir results --skip-existing
  vidpc segment a.las b.las --out 'out/{stem}.ply' --votes 3
  vidpc segment scan.ply --out - | jq '.classes[] | [.name, .share]'
  vidpc segment scan.ply --model mine.safetensors --scheme paper
"""


@click.command("segment", epilog=EXAMPLES)
@click.argument("inputs", metavar="SCAN…", nargs=-1, required=True)
@click.option(
    "--out", metavar="FILE|-", help="Labelled scan, by default SCAN.segmented beside the input; .json: what was found alone."
)
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs.")
@choice_option("--format", FORMATS, help="Format of the output; by default what its suffix says, or the input's own.")
@click.option("--summary", metavar="FILE", help="Points, share and mean confidence of every class as well (.json, .csv).")
@click.option("--render", metavar="FILE", help="Picture (.png) or page that a browser can turn (.html), coloured by class.")
@click.option("--color", is_flag=True, help="Paint the points in the colours of their classes.")
@model_options
@choice_option("--scheme", SCHEMES, help="tiles: scans of any size; paper: the authors' test, the whole scan in memory.")
@click.option("--votes", type=click.IntRange(1, 64), help="Look at every point so many times; by default the preset's.")
@click.option("--strict", is_flag=True, help="Damage in the input is an error, not a warning.")
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Give every point of a scan a class and a confidence, and write the scan with both.

    SCAN may be a file (PLY, PCD, LAS, LAZ, NPY, NPZ, text, KITTI), a folder, a glob, @list.txt or - for a pipe. Its third axis
    points up, its unit is the metre. Everything that a file holds comes out again in its own format, in its order. LAS and LAZ
    are looked at with the preset aerial, everything else with rooms, unless --preset or --model say otherwise.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: see cli/track.py
    if given["preset"] or given["model"]:
        _config(ctx, given, AERIAL)  # a wrong setting is told before anything is read
    from vidpc.pipeline import segment  # brings torch: not for --help

    with segment.open_inputs(inputs, PointOptions(strict=given["strict"])) as found:
        jobs = _jobs(ctx, _without_outputs(inputs, found), given)
        if not jobs:  # all done already
            return
        summary = _run(ctx, jobs, given)
    if given["progress"] != "json":
        _print(summary)
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _run(ctx: click.Context, jobs: "Sequence[Job]", given: Mapping[str, Any]) -> "Summary[PointTally]":
    """One run for each preset that the inputs ask for, told as one."""
    from vidpc.pipeline import segment

    options = segment.Options(
        reading=PointOptions(strict=given["strict"]),
        device=given["device"],
        precision=given["precision"],
        batch=given["batch"],
        paint=given["color"],
    )
    wanted = [AERIAL if job.input.format in ("las", "laz") else ROOMS for job in jobs]
    segment.check_targets(jobs)
    parts = {}
    with Progress(given["progress"], unit="points") as report:
        for preset in dict.fromkeys(wanted):
            own = [job for job, name in zip(jobs, wanted, strict=True) if name == preset]
            config = _config(ctx, given, preset)
            _say_preset(own, config, given, preset)
            names = [printable(job.input.name) for job in own]

            def update(number: int, stage: str, done: int, total: int, names: Sequence[str] = names) -> None:
                report.update(f"{names[number]}: {stage}", done, total)

            parts[preset] = segment.run(own, config, options, on_progress=update)
    return _joined(parts, wanted)


def _joined(parts: "Mapping[str, Summary[PointTally]]", wanted: Sequence[str]) -> "Summary[PointTally]":
    """The runs as one, inputs in their first order."""
    from vidpc.pipeline.drive import Summary

    rows = {preset: iter(part.inputs) for preset, part in parts.items()}
    stages: dict[str, float] = {}
    for part in parts.values():
        for stage, seconds in part.stages.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    any_part = next(iter(parts.values()))
    inputs = tuple(next(rows[preset]) for preset in wanted)
    return Summary(inputs, sum(part.seconds for part in parts.values()), stages, any_part.device, any_part.batch)


def _config(ctx: click.Context, given: Mapping[str, Any], default: str) -> SegmentConfig:
    """The preset, with what --set and the options of their own change; ``default`` where neither it nor weights were named."""
    direct = {"weights": given["model"], "scheme": given["scheme"], "votes": given["votes"]}
    changes = changed(ctx, given["settings"], direct)
    preset = given["preset"] or _preset_for(given["model"] or given["settings"].get("weights")) or default
    return presets.load(preset, SegmentConfig, changes)


def _preset_for(weights: str | None) -> str | None:
    """The preset that names the weights, or the authors' for weights in their way; None where the input is to decide."""
    if weights is None:
        return None
    for name in presets.names("segment"):
        if presets.load(name, SegmentConfig).weights == weights:
            return name
    if registry.is_path(weights):
        return RELEASED if "position" in read_header(weights).input.get("features", ()) else None
    return RELEASED if registry.find(weights).layout in ("point-transformer", "pointcept-ptv1") else None


def _say_preset(jobs: "Sequence[Job]", config: SegmentConfig, given: Mapping[str, Any], preset: str) -> None:
    """Which weights label which inputs, where that was not asked for."""
    if given["preset"] or given["model"] or given["progress"] == "json":
        return
    kind, other = (
        ("LAS and LAZ", f"indoors: --preset {ROOMS}")
        if preset == AERIAL
        else ("scans that are not LAS or LAZ", f"from the air: --preset {AERIAL}")
    )
    names = jobs[0].input.name if len(jobs) == 1 else f"{len(jobs)} inputs"
    click.echo(
        f"vidpc: {printable(names)}: preset {preset}, the default for {kind} ({other}), with weights {config.weights}", err=True
    )


def _without_outputs(arguments: Sequence[str], found: "Sequence[Input]") -> "list[Input]":
    """The inputs but for results of an earlier run that a folder or a glob brought along."""
    kept = [one for one in found if not one.stem.endswith(_ADDITION) or one.name in arguments]
    if len(kept) < len(found):
        click.echo(f"vidpc: {len(found) - len(kept)} left out: results of an earlier run (*{_ADDITION}.*)", err=True)
    return kept


def _jobs(ctx: click.Context, found: "Sequence[Input]", given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each input; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.segment import Job

    stems = [one.stem for one in found]
    try:
        outs = _outs(found, stems, given)
        summaries, views = (
            [None] * len(stems) if given[name] is None else output_names(given[name], stems, given["out_dir"])
            for name in ("summary", "render")
        )
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if given["out"] == _STDOUT and len(stems) > 1:
        raise click.UsageError(f"--out - takes one input, and there are {len(stems)}: give --out-dir", ctx)
    if given["out_dir"] is not None:
        make_folder(given["out_dir"])
    rows = zip(found, outs, summaries, views, strict=True)
    jobs = [Job(*row, given["format"], given["overwrite"]) for row in rows]
    done = [job for job in jobs if given["skip_existing"] and all(Path(target).is_file() for target in job.targets)]
    say_skipped(len(done))
    return [job for job in jobs if job not in done]


def _outs(found: "Sequence[Input]", stems: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """The labelled scan of each input: as asked for, or by its own name, beside it or in the folder."""
    from vidpc.pipeline.segment import default_suffix

    out, folder = given["out"], given["out_dir"]
    if out == _STDOUT:
        return [out] * len(found)
    if out is not None:
        return output_names(out, stems, folder)
    endings = [default_suffix(one.name, one.format or "ply", given["format"]) for one in found]
    if folder is not None:
        return [name + ending for name, ending in zip(output_names(STEM, stems, folder), endings, strict=True)]
    beside = [Path() if one.name == _STDOUT else Path(one.name).parent for one in found]
    return [str(place / (stem + ending)) for place, stem, ending in zip(beside, stems, endings, strict=True)]


def _print(summary: "Summary[PointTally]") -> None:
    """What was found in each scan, on stderr."""
    from vidpc.pipeline.segment import text_table

    for row in summary.inputs:
        if row.error is None:
            click.echo(f"{printable(row.source)}: {row.counted.points} points", err=True)
            click.echo(text_table(row.counted.labels, row.counted.counts), err=True)
