"""``vidpc synthesize``: new frames between those of a video, and after its end."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import REPEAT_RULES, SynthesizeConfig
from vidpc.types import ReadOptions

from .naming import STEM, output_names
from .options import (
    changed,
    choice_option,
    device_options,
    model_options,
    output_options,
    progress_option,
    rate_fps,
    reading_options,
    span_options,
    verbose_option,
    video_format,
    video_options,
)
from .outcome import Words, leave, make_folder, say_skipped, tell
from .progress import Progress

if TYPE_CHECKING:
    from vidpc.pipeline.synthesize import Job, Options

DEFAULT_PRESET = "motion"
WORDS = Words(
    "frames",
    count=lambda tally: int(tally.frames),
    record=lambda tally: {
        "frames": tally.frames,
        "new": tally.new,
        "kept": tally.kept,
        "held": tally.held,
        "shots": tally.shots,
    },
    facts=lambda tallies: [f"{sum(tally.new for tally in tallies)} new", f"{sum(tally.shots for tally in tallies)} shots"],
)

EXAMPLES = """\b
Examples:
  vidpc synthesize street.mp4 --fps 60 --out smooth.mp4
  vidpc synthesize street.mp4 --factor 2 --out twice.mkv --lossless
  vidpc synthesize street.mp4 --slow 4 --start 0:02 --end 0:04 --out slow.mp4
  vidpc synthesize street.mp4 --extrapolate 5 --out longer.mp4
  vidpc synthesize street.mp4 --fps 30000/1001 --out frames/
  vidpc synthesize photos/ --input-fps 5 --factor 4 --out moving.mp4
  vidpc synthesize videos/ --fps 60 --out-dir smooth --skip-existing
"""


@click.command("synthesize", epilog=EXAMPLES)
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True)
@click.option("--out", metavar="FILE|FOLDER/", help="Video, or folder for PNG pictures. {stem} stands for the input's name.")
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, {stem}.mp4 by default.")
@click.option("--fps", type=rate_fps, metavar="RATE", help="Frames a second of the output: 60, 23.976, 30000/1001.")
@click.option("--factor", type=click.IntRange(2, 1000), help="So many times the frames: every gap is divided, all are kept.")
@click.option(
    "--slow", type=click.IntRange(2, 1000), help="So many times slower, at the source's rate unless --fps says another."
)
@click.option("--extrapolate", type=click.IntRange(1, 10_000), help="So many new frames after the last one.")
@model_options
@click.option(
    "--cut-threshold", type=float, metavar="SCORE", help="Least score of a cut, 0.38 by default; 0: none is looked for."
)
@choice_option("--repeats", REPEAT_RULES, help="Frames that repeat the one before: keep them, or draw new ones over them.")
@click.option("--tile", type=int, metavar="PIXELS", help="Draw larger frames in tiles of this side; less takes less memory.")
@video_options
@span_options
@reading_options
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went; outputs may be left out.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Draw new frames between those of videos: higher rates, slow motion, and some frames after the end.

    INPUT may be a file, a folder, a glob, @list.txt, a pattern of pictures (with --input-fps) or - for a pipe. Times, sound
    and duration stay as they are (with --slow there is no sound). Frames of the input that fall on a time of the output are
    passed on as they are. Nothing is blended across a cut or a long pause: the last frame before is shown until the next.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: see cli/track.py
    config = _config(ctx, given)
    from vidpc.pipeline import synthesize  # brings torch and the codecs: not for --help

    options = _options(ctx, given)
    jobs = _jobs(ctx, synthesize.expand(inputs, options.reading), given)
    if not jobs:  # all done already
        return
    names = [printable(str(getattr(job.source, "name", job.source))) for job in jobs]
    with Progress(given["progress"], unit="frames") as report:
        summary = synthesize.run(jobs, config, options, on_progress=lambda n, done, total: report.update(names[n], done, total))
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _options(ctx: click.Context, given: Mapping[str, Any]) -> "Options":
    from vidpc.pipeline.synthesize import Asked, Options

    if given["fps"] and given["factor"]:
        raise click.UsageError("--fps and --factor exclude each other", ctx)
    if not any(given[name] for name in ("fps", "factor", "slow", "extrapolate")):
        raise click.UsageError("nothing to do: give --fps RATE, --factor N, --slow N or --extrapolate N", ctx)
    slow = given["slow"] or 1
    factor = given["factor"] or (1 if given["fps"] else slow)
    asked = Asked(given["fps"], factor, slow, given["extrapolate"] or 0)
    names = ("input_fps", "strict", "allow_url")
    reading = ReadOptions(start_s=given["start"], end_s=given["end"], **{name: given[name] for name in names})
    return Options(asked, reading, given["device"], given["precision"], given["batch"], video_format(given))


def _config(ctx: click.Context, given: Mapping[str, Any]) -> SynthesizeConfig:
    """The preset, with what --set and the options of their own change."""
    direct = {name: given[name] for name in ("cut_threshold", "repeats", "tile")} | {"weights": given["model"]}
    changes = changed(ctx, given["settings"], direct)
    if given["preset"] is None and "weights" in changes:
        return _of_weights(str(changes["weights"]), changes)
    return presets.load(given["preset"] or DEFAULT_PRESET, SynthesizeConfig, changes)


def _of_weights(weights: str, changes: Mapping[str, Any]) -> SynthesizeConfig:
    """The preset that names the weights, else the usual settings; with the changes."""
    for name in presets.names("synthesize"):
        if presets.load(name, SynthesizeConfig).weights == weights:
            return presets.load(name, SynthesizeConfig, changes)
    return presets.build(SynthesizeConfig, changes, owner=f"weights {weights}")


def _jobs(ctx: click.Context, sources: Sequence[Any], given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each input; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.synthesize import Job

    out, folder = given["out"], given["out_dir"]
    if out is None and folder is not None:
        out = f"{STEM}.mp4"
    if out is None and not given["benchmark"]:
        raise click.UsageError("nothing to write: give --out FILE, --out FOLDER/ or --out-dir FOLDER", ctx)
    stems = [source.stem for source in sources]
    try:
        targets = [None] * len(stems) if out is None else output_names(out, stems, folder)
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if folder is not None:
        make_folder(folder)
    jobs = [Job(source, target, given["overwrite"]) for source, target in zip(sources, targets, strict=True)]
    done = [job for job in jobs if given["skip_existing"] and job.out is not None and _is_done(Path(job.out))]
    say_skipped(len(done))
    return [job for job in jobs if job not in done]


def _is_done(out: Path) -> bool:
    return out.is_file() or (out / "times.csv").is_file()
