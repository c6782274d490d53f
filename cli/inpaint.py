"""``vidpc inpaint``: what is masked is taken out of a video, and filled."""

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc import presets
from vidpc.errors import printable
from vidpc.presets import REFERENCE_RULES, InpaintConfig
from vidpc.types import ReadOptions
from vidpc.weights import read_header, registry

from .naming import STEM, output_names, unique_stems
from .options import (
    box_xywh,
    changed,
    choice_option,
    device_options,
    model_options,
    output_options,
    progress_option,
    source_options,
    verbose_option,
    video_format,
    video_options,
)
from .outcome import Words, leave, make_folder, say_skipped, tell
from .progress import Progress

if TYPE_CHECKING:
    from vidpc.media.masks import MaskSource
    from vidpc.pipeline.inpaint import Job

DEFAULT_PRESET, RELEASED_PRESET = "aligned", "sttn"
WORDS = Words(
    "frames",
    count=lambda tally: int(tally.frames),
    record=lambda tally: {"frames": tally.frames, "filled": tally.filled},
    facts=lambda tallies: [f"{sum(tally.filled for tally in tallies)} filled"],
)

EXAMPLES = """\b
Examples:
  vidpc inpaint street.mp4 --mask masks/ --out clean.mp4
  vidpc inpaint street.mp4 --box 20,20,160,48 --out clean.mp4
  vidpc track street.mp4 --out tracks.json
  vidpc inpaint street.mp4 --mask tracks.json --ids 3,7 --dilate 8 --out clean.mp4
  vidpc inpaint street.mp4 --mask mask.mp4 --out clean.mkv --feather 6
  vidpc inpaint street.mp4 --mask logo.png --out frames/
  vidpc inpaint a.mp4 b.mp4 --mask 'masks/{stem}' --out-dir clean

Masks are white where something is to go: in PNG, BMP and TIFF everything that is not black counts, in JPEG and in videos
everything brighter than a quarter. A track that is lost for at most half a second is bridged.
"""


def _ids(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, ...]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(name.isdecimal() for name in names):
        raise click.BadParameter("write numbers with commas between them: 3,7", ctx, param)
    return tuple(dict.fromkeys(map(int, names)))


def _classes(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.BadParameter("write names with commas between them: person,car", ctx, param)
    return tuple(dict.fromkeys(names))


@click.command("inpaint", epilog=EXAMPLES)
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True)
@click.option(
    "--mask",
    metavar="PATH",
    help="Folder of pictures, a mask video, one picture for all frames, or tracks (.json, .jsonl). {stem}: the input's name.",
)
@click.option("--box", "boxes", type=box_xywh, metavar="X,Y,W,H", multiple=True, help="Fill this box; may be repeated.")
@click.option("--ids", metavar="N,…", callback=_ids, help="Of --mask tracks.json these identities alone.")
@click.option("--classes", metavar="NAME,…", callback=_classes, help="Of --mask tracks.json these labels alone.")
@click.option("--mask-fit", is_flag=True, help="Take masks of another size or number: nearest pixel, the last mask goes on.")
@click.option(
    "--dilate", type=click.IntRange(0, 1024), metavar="PX", help="Let masks grow so far first; by default the preset's."
)
@click.option("--feather", type=click.IntRange(0, 1024), metavar="PX", help="Fade the fill in so far inside the mask.")
@click.option("--out", metavar="FILE|FOLDER/", help="The video; a folder takes PNG images. {stem} stands for the input's name.")
@click.option("--out-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, {stem}.mp4 by default.")
@model_options
@choice_option("--references", REFERENCE_RULES, help="sttn: frames to look at beside the neighbours; all is the authors' rule.")
@video_options
@source_options
@device_options
@output_options
@click.option("--benchmark", is_flag=True, help="Say on stderr where the time went; outputs may be left out.")
@progress_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **given: Any) -> None:
    """Take out of videos what is masked, and fill the holes from the rest of the film.

    INPUT may be a file, a folder, a glob, @list.txt, a pattern of pictures (with --input-fps) or - for a pipe. Pixels that
    are not masked stay as they are; sound, times and rotation are kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: see track
    config = _config(ctx, given)
    from vidpc.pipeline import inpaint  # brings torch and the codecs: not for --help

    options = inpaint.Options(_reading(given), video_format(given), given["device"], given["precision"], given["batch"])
    jobs = _jobs(ctx, inpaint.expand(inputs, options.reading), given)
    if not jobs:  # all done already
        return
    names = [printable(str(getattr(job.source, "name", job.source))) for job in jobs]
    with Progress(given["progress"], unit="frames") as report:
        summary = inpaint.run(jobs, config, options, on_progress=lambda n, done, total: report.update(names[n], done, total))
    tell(summary, WORDS, mode=given["progress"], benchmark=given["benchmark"])
    leave(ctx, summary.inputs)


def _reading(given: Mapping[str, Any]) -> ReadOptions:
    names = ("stride", "input_fps", "strict", "allow_url")
    span: dict[str, Fraction | None] = {"start_s": given["start"], "end_s": given["end"], "rate_fps": given["fps"]}
    return ReadOptions(**span, **{name: given[name] for name in names})  # type: ignore[arg-type]


def _config(ctx: click.Context, given: Mapping[str, Any]) -> InpaintConfig:
    """The preset, with what --set and the options of their own change."""
    direct = {
        "weights": given["model"],
        "dilate_px": given["dilate"],
        "feather_px": given["feather"],
        "references": given["references"],
    }
    changes = changed(ctx, given["settings"], direct)
    preset = given["preset"] or _preset_for(given["model"] or given["settings"].get("weights"))
    return presets.load(preset, InpaintConfig, changes)


def _preset_for(weights: str | None) -> str:
    """The preset whose settings fit the weights: the one that names them, else that of their kind."""
    if weights is None:
        return DEFAULT_PRESET
    for name in presets.names("inpaint"):
        if presets.load(name, InpaintConfig).weights == weights:
            return name
    is_file = registry.is_path(weights)
    architecture = read_header(weights).architecture if is_file else registry.find(weights).architecture
    return RELEASED_PRESET if architecture == "sttn" else DEFAULT_PRESET


def _jobs(ctx: click.Context, sources: Sequence[Any], given: Mapping[str, Any]) -> "list[Job]":
    """What is to be made of each input; those whose outputs exist are left out under --skip-existing."""
    from vidpc.pipeline.inpaint import Job

    out, folder = given["out"], given["out_dir"]
    if out is None and folder is not None:
        out = f"{STEM}.mp4"
    if out is None and not given["benchmark"]:
        raise click.UsageError("nothing to write: give --out FILE, --out frames/ or --out-dir FOLDER", ctx)
    stems = [source.stem for source in sources]
    try:
        outs = [None] * len(stems) if out is None else output_names(out, stems, folder)
    except ValueError as error:
        raise click.UsageError(f"{error}, or give --out-dir", ctx) from error
    if folder is not None:
        make_folder(folder)
    rows = zip(sources, _masks(ctx, stems, given), outs, strict=True)
    jobs = [Job(source, masks, target, given["overwrite"]) for source, masks, target in rows]
    done = [job for job in jobs if given["skip_existing"] and job.out is not None and _is_done(Path(job.out))]
    say_skipped(len(done))
    return [job for job in jobs if job not in done]


def _masks(ctx: click.Context, stems: Sequence[str], given: Mapping[str, Any]) -> "list[MaskSource]":
    """The masks of each input."""
    from vidpc.media.masks import TRACK_SUFFIXES, MaskSource

    path, boxes, ids, classes = (given[name] for name in ("mask", "boxes", "ids", "classes"))
    if (path is None) == (not boxes):
        raise click.UsageError("say what to fill: give either --mask PATH or --box X,Y,W,H", ctx)
    if (ids or classes) and (path is None or not path.lower().endswith(TRACK_SUFFIXES)):
        raise click.UsageError("--ids and --classes choose among tracks: give --mask tracks.json, from `vidpc track`", ctx)
    if path is not None and STEM not in path and len(stems) > 1:
        raise click.UsageError(f"one mask for {len(stems)} inputs: put {STEM} into its name, as in --mask 'masks/{STEM}'", ctx)
    paths = [None if path is None else path.replace(STEM, stem) for stem in unique_stems(stems)]
    return [MaskSource(each, boxes, ids, classes, given["mask_fit"]) for each in paths]


def _is_done(out: Path) -> bool:
    return out.is_file() or (out / "times.csv").is_file()
