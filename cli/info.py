"""``vidpc info``: what files hold, and what vidpc would do with them."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import click

from vidpc.errors import SourceError, printable
from vidpc.media.probe import probe_all
from vidpc.types import ReadOptions, VideoInfo

from .options import rate_fps

_FORMAT, _VERSION = "vidpc-info", 1


@click.command("info")
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--input-fps", type=rate_fps, metavar="RATE", help="Rate of an image sequence, which says none itself.")
@click.option("--allow-url", is_flag=True, help="Allow http, https and rtsp addresses as inputs.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], as_json: bool, input_fps: Fraction | None, allow_url: bool) -> None:
    """What files hold and what vidpc would do with them.

    FILE may be a file, a folder, a glob, @list.txt, a pattern of pictures or - for a pipe. Only the first picture is decoded.
    """
    found = list(probe_all(files, ReadOptions(input_fps=input_fps, allow_url=allow_url)))
    failed = [result for _, result in found if isinstance(result, SourceError)]
    if len(found) == len(failed) == 1 and not as_json:
        raise failed[0]
    if as_json:
        entries = [_entry(name, result) for name, result in found]
        click.echo(json.dumps({"format": _FORMAT, "version": _VERSION, "files": entries}, indent=2, allow_nan=False))
    else:
        _print(found)
    if failed:
        ctx.exit(3 if len(found) == 1 else 1)


def _print(found: list[tuple[str, VideoInfo | SourceError]]) -> None:
    for name, result in found:
        if isinstance(result, SourceError):
            click.echo(f"vidpc: error: {result}", err=True)
            continue
        click.echo(printable(name))
        for label, text in _facts(result):
            click.echo(f"  {label:<9} {text}")


def _facts(info: VideoInfo) -> Iterator[tuple[str, str]]:
    """Label and sentence, for people."""
    depth = f", {info.bit_depth} bit" if info.bit_depth != 8 else ""
    yield (
        "video",
        f"{info.codec} in {info.container.split(',')[0]}, {info.coded_width}x{info.coded_height} {info.pixel_format}{depth}",
    )
    yield "time", _time(info)
    yield "sound", ", ".join(f"{a.codec} {a.rate_hz} Hz, {a.channels} channels" for a in info.audio) or "none"
    yield "reads as", f"{info.width}x{info.height} RGB, {_steps(info)}"
    for warning in info.warnings:
        yield "note", warning


def _time(info: VideoInfo) -> str:
    parts = [f"{float(info.rate_fps):g} frames/s" if info.rate_fps else "no frame rate stated"]
    parts.append(f"{info.frame_count} frames" if info.frame_count is not None else "no frame count stated")
    parts.append(f"{float(info.duration_s):.3f} s" if info.duration_s is not None else "no duration stated")
    if info.start_s:
        parts.append(f"starts at {float(info.start_s):.3f} s")
    return ", ".join(parts)


def _steps(info: VideoInfo) -> str:
    """What is done to a coded picture."""
    steps = []
    if info.sample_aspect != 1:
        steps.append(f"stretched from pixels of {info.sample_aspect.numerator}:{info.sample_aspect.denominator}")
    if info.rotation_deg:
        steps.append(f"turned {info.rotation_deg} degrees clockwise")
    if info.mirrored:
        steps.append("mirrored")
    if info.matrix != "rgb":
        steps.append(f"{info.matrix.replace('bt', 'BT.')} {'full' if info.full_range else 'limited'} range")
    return ", ".join(steps) or "as it is stored"


def _entry(name: str, result: VideoInfo | SourceError) -> dict[str, Any]:
    """One file as JSON."""
    if isinstance(result, SourceError):
        return {"path": _valid(name), "error": str(result)}
    return {
        "path": _valid(name),
        "container": result.container,
        "codec": result.codec,
        "width": result.width,
        "height": result.height,
        "coded_width": result.coded_width,
        "coded_height": result.coded_height,
        "rotation_deg": result.rotation_deg,
        "mirrored": result.mirrored,
        "sample_aspect": str(result.sample_aspect),
        "pixel_format": result.pixel_format,
        "bit_depth": result.bit_depth,
        "matrix": result.matrix,
        "full_range": result.full_range,
        "start_s": float(result.start_s),
        "rate_fps": _float(result.rate_fps),
        "rate": None if result.rate_fps is None else str(result.rate_fps),
        "duration_s": _float(result.duration_s),
        "frame_count": result.frame_count,
        "audio": [{"codec": a.codec, "rate_hz": a.rate_hz, "channels": a.channels} for a in result.audio],
        "warnings": list(result.warnings),
    }


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _valid(name: str) -> str:
    """A name that any JSON reader takes: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
