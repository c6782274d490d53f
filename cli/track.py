"""``vidpc track``: who is where in a video, with lasting identities."""

import os
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import ASSOCIATION_RULES, TrackConfig
from vidpc.types import ReadOptions
from vidpc.weights import read_header, registry

from .naming import STEM, output_names
from .options import (
    changed,
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
    from vidpc.pipeline.track import Job

FORMATS = {"json": ".json", "jsonl": ".jsonl", "mot": ".txt", "csv": ".csv", "coco": ".coco.json"}
DEFAULT_PRESET, RELEASED_PRESET = "people", "transtrack"
_STDOUT = "-"
WORDS = Words(
    "frames",
    count=lambda tally: int(tally.frames),
    record=lambda tally: {"frames": tally.frames, "ids": len(tally.ids)},
    facts=lambda tallies: [f"{sum(len(tally.ids) for tally in tallies)} ids"],
)

EXAMPLES = """\b
Examples:
  vidpc track street.mp4 --out tracks.json
  vidpc track street.mp4 --out tracks.txt --render tracked.mp4
  vidpc track street.mp4 --out - | head -n 3
  vidpc track videos/ --out-dir results --format mot --skip-existing
  vidpc track a.mp4 b.mp4 --out 'out/{stem}.json' --render 'out/{stem}.mp4'
  vidpc track street.mp4 --out tracks.json --start 0:02 --end 0:04 --fps 5
  vidpc track street.mp4 --benchmark
"""


def _classes(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.BadParameter("write names with commas between them: person,car", ctx, param)
    return tuple(dict.fromkeys(names))


def _age(ctx: click.Context, param: click.Parameter, text: str | None) -> dict[str, Any]:
    """Frames (``32``) for the rule paper, seconds (``1.5s``) for the others, as the setting that it is."""
    if text is None:
        return {}
    if text.isdecimal() and int(text) >= 1:
        return {"max_age": int(text)}
    if re.fullmatch(r"\d+(\.\d+)?s", text):
        return {"max_gap_s": float(text[:-1])}
    raise click.BadParameter(f"{text!r} is no age; write frames (32) or seconds (1.5s)", ctx, param)


@click.command("track", epilog=EXAMPLES)
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True)
@click.option("--out", metavar="FILE|-", help="Track file; - for stdout. {stem} stands for the input's name.")
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, {stem}.json by default.")
@choice_option("--format", tuple(FORMATS), help="Format of the track file; by default what its suffix says.")
@click.option("--render", metavar="FILE", help="Video (.mp4, .mkv, .mov) with boxes, identities and trails drawn in.")
@model_options
@choice_option("--association", ASSOCIATION_RULES, help="How detections become tracks; by default the preset's rule.")
@click.option("--classes", metavar="NAME,…", callback=_classes, help="Keep tracks of these labels alone.")
@click.option("--score", type=click.FloatRange(0, 1), help="Least score of a detection; by default the preset's.")
@click.option("--max-age", metavar="N|Ns", callback=_age, help="Keep a lost track so long: frames (paper) or seconds (1.5s).")
@source_options
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went; outputs may be left out.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Follow people and things through videos, and write who is where in every frame.

    INPUT may be a file, a folder, a glob, @list.txt, a pattern of pictures (with --input-fps) or - for a pipe.
    """
    # To be said before torch is loaded. Threads that wait actively for one another take the CPUs from the decoder and from
    # other programs: on two busy cores the small network ran three times faster like this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    config = _config(ctx, given)
    from vidpc.pipeline import track  # brings torch and the codecs: not for --help

    options = track.Options(_reading(given), given["device"], given["precision"], given["batch"], given["classes"])
    jobs = _jobs(ctx, track.expand(inputs, options.reading), given)
    if not jobs:  # all done already
        return
    names = [printable(str(getattr(job.source, "name", job.source))) for job in jobs]
    with Progress(given["progress"], unit="frames") as report:
        summary = track.run(jobs, config, options, on_progress=lambda n, done, total: report.update(names[n], done, total))
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _reading(given: Mapping[str, Any]) -> ReadOptions:
    names = ("stride", "input_fps", "strict", "allow_url")
    span: dict[str, Fraction | None] = {"start_s": given["start"], "end_s": given["end"], "rate_fps": given["fps"]}
    return ReadOptions(**span, **{name: given[name] for name in names})  # type: ignore[arg-type]


def _config(ctx: click.Context, given: Mapping[str, Any]) -> TrackConfig:
    """The preset, with what --set and the options of their own change."""
    direct = {"weights": given["model"], "rule": given["association"], "score": given["score"], **given["max_age"]}
    changes = changed(ctx, given["settings"], direct)
    preset = given["preset"] or _preset_for(given["model"] or given["settings"].get("weights"))
    config = presets.load(preset, TrackConfig, changes)
    wanted = "max_age" if config.association.rule == "paper" else "max_gap_s"
    if given["max_age"] and wanted not in given["max_age"]:
        unit = "frames, as in 32" if wanted == "max_age" else "seconds, as in 1.5s"
        raise click.UsageError(f"--max-age under the rule {config.association.rule} is given in {unit}", ctx)
    return config


def _preset_for(weights: str | None) -> str:
    """The preset whose settings fit the weights: the one that names them, else that of their kind."""
    if weights is None:
        return DEFAULT_PRESET
    for name in presets.names("track"):
        if presets.load(name, TrackConfig).weights == weights:
            return name
    if registry.is_path(weights):
        is_released = "short_side" in read_header(weights).input
    else:
        is_released = registry.find(weights).layout == "transtrack"
    return RELEASED_PRESET if is_released else DEFAULT_PRESET


def _jobs(ctx: click.Context, sources: Sequence[Any], given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each input; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.track import Job

    out, render, folder = given["out"], given["render"], given["out_dir"]
    if out is None and folder is not None:
        out = STEM + FORMATS[given["format"] or "json"]
    if out is None and given["format"] is not None:
        raise click.UsageError("--format needs --out or --out-dir", ctx)
    if out is None and render is None and not given["benchmark"]:
        raise click.UsageError("nothing to write: give --out FILE, --out-dir FOLDER or --render FILE", ctx)
    stems = [source.stem for source in sources]
    try:
        tracks = [out] * len(stems) if out in (None, _STDOUT) else output_names(out, stems, folder)
        videos = [None] * len(stems) if render is None else output_names(render, stems, folder)
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if out == _STDOUT and len(stems) > 1:
        raise click.UsageError(f"--out - takes one input, and there are {len(stems)}: give --out-dir", ctx)
    if folder is not None:
        make_folder(folder)
    rows = zip(sources, tracks, videos, strict=True)
    jobs = [Job(source, track, video, given["format"], given["overwrite"]) for source, track, video in rows]
    done = [job for job in jobs if given["skip_existing"] and _is_done(job)]
    say_skipped(len(done))
    return [job for job in jobs if job not in done]


def _is_done(job: "Job") -> bool:
    targets = [target for target in (job.tracks, job.render) if target is not None]
    return bool(targets) and all(Path(target).is_file() for target in targets)
