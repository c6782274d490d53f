"""``vidpc eval video``: how near one video is to another."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc.errors import OutputError, printable

from .options import box_xywh, rate_fps, span_options

if TYPE_CHECKING:
    from vidpc.evaluation.video_quality import FrameQuality, VideoQuality
    from vidpc.media.masks import MaskSource

_DECIMALS = 6
_WORST = 3  # frames that a table shows


@click.command("video")
@click.option("--gt", "truth", type=click.Path(path_type=Path), required=True, help="The true video, or a folder of pictures.")
@click.option("--pred", "judged", type=click.Path(path_type=Path), required=True, help="The one that is judged.")
@click.option("--mask", help="Judge what is masked alone: masks as vidpc inpaint takes them.")
@click.option("--box", "boxes", type=box_xywh, metavar="X,Y,W,H", multiple=True, help="Judge this box alone; may be repeated.")
@click.option("--mask-fit", is_flag=True, help="Take masks of another size or number: nearest pixel, the last mask goes on.")
@click.option(
    "--match",
    type=click.Choice(["index", "time"]),
    default="index",
    show_default=True,
    help="Which frames belong together: those of the same number, or of the same time.",
)
@click.option("--input-fps", type=rate_fps, metavar="RATE", help="Rate of a folder of pictures, for --match time.")
@span_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the figures of every frame, instead of a table.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures as JSON to this file, too.")
@click.pass_context
def command(ctx: click.Context, /, truth: Path, judged: Path, as_json: bool, out: Path | None, **given: Any) -> None:
    """PSNR, SSIM and temporal error of a video against the true one, of every frame and of all.

    PSNR and SSIM (Gaussian windows of 11 pixels, sigma 1.5) are of RGB. The temporal error is how far changes from frame to
    frame are from the true changes, in grey levels. The first figures are means over frames, "pooled" is of all pixels at once.
    """
    from vidpc.evaluation.video_quality import VideoQuality, judge  # readers of video: not for --help
    from vidpc.evaluation.video_quality_files import Comparison
    from vidpc.types import ReadOptions

    options = ReadOptions(start_s=given["start"], end_s=given["end"], input_fps=given["input_fps"])
    comparison = Comparison(truth, judged, _mask(ctx, given), given["match"], options)
    quality, frames = VideoQuality(), list["FrameQuality"]()
    for frame in judge(comparison.pairs()):
        quality.add(frame)
        frames.append(frame)
    for note in _notes(quality, comparison.unpaired, comparison.warnings):
        click.echo(f"vidpc: warning: {printable(note)}", err=True)
    record = {"gt": str(truth), "pred": str(judged), **_record(quality), "per_frame": [_frame_record(f) for f in frames]}
    text = json.dumps(record, indent=2, allow_nan=False)
    if out:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"writing figures to {out}: {error.strerror or error}") from error
    click.echo(text if as_json else _table(quality, frames))


def _mask(ctx: click.Context, given: dict[str, Any]) -> "MaskSource | None":
    from vidpc.media.masks import MaskSource

    path, boxes = given["mask"], given["boxes"]
    if path and boxes:
        raise click.UsageError("give either --mask PATH or --box X,Y,W,H", ctx)
    return MaskSource(path, boxes, fit=given["mask_fit"]) if path or boxes else None


def _notes(quality: "VideoQuality", unpaired: dict[str, int], warnings: list[str]) -> list[str]:
    """What a reader of the figures has to know."""
    alone = [f"{count} frames of --{name} have no frame of the same time and were left out" for name, count in unpaired.items()]
    notes = [*warnings, *(note for note, count in zip(alone, unpaired.values(), strict=True) if count)]
    if quality.equal_frames:
        notes.append(f"{quality.equal_frames} of {quality.frames} frames are equal: their PSNR is infinite and in no mean")
    if quality.unjudged_frames:
        notes.append(f"{quality.unjudged_frames} of {quality.frames} frames have nothing masked and were left out")
    return notes


def _record(quality: "VideoQuality") -> dict[str, Any]:
    return {name: _rounded(value) for name, value in quality.figures().items()}


def _frame_record(frame: "FrameQuality") -> dict[str, Any]:
    """None stands for an infinite PSNR, too: then ``equal`` is true."""
    sums = frame.sums
    return {
        "index": frame.index,
        "time_s": round(float(frame.time_s), _DECIMALS),
        "equal": bool(sums.values) and not sums.squares,
        "psnr_db": _rounded(sums.psnr_db if sums.squares else None),
        "ssim": _rounded(sums.ssim),
        "temporal": _rounded(sums.temporal),
    }


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, _DECIMALS) if isinstance(value, float) else value


def _table(quality: "VideoQuality", frames: "list[FrameQuality]") -> str:
    figures = quality.figures()
    differing = sorted((f for f in frames if f.sums.squares), key=lambda frame: frame.sums.psnr_db or 0)
    worst = ", ".join(f"{f.index} ({f.sums.psnr_db:.2f} dB)" for f in differing[:_WORST])
    equal = "equal" if quality.equal_frames else "-"
    shown = {
        "PSNR": _shown(figures["psnr_db"], "{:.2f} dB", equal),
        "PSNR pooled": _shown(figures["psnr_pooled_db"], "{:.2f} dB", equal),
        "SSIM": _shown(figures["ssim"], "{:.4f}", "-"),
        "temporal error": _shown(figures["temporal"], "{:.2f} grey levels", "-"),
        "worst frames": worst or "-",
    }
    return "\n".join([f"{figures['frames']} frames", *(f"{name:15} {value}" for name, value in shown.items())])


def _shown(value: float | None, form: str, missing: str) -> str:
    return missing if value is None else form.format(value)
