"""``vidpc info``: what files hold, and what vidpc would do with them."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import click

from vidpc.errors import PointCloudError, SourceError, printable
from vidpc.media.probe import QUICK_POINTS, Facts, ScanFacts, probe_all
from vidpc.types import ReadOptions, VideoInfo

from .options import rate_fps

_FORMAT, _VERSION = "vidpc-info", 1
_EVERY_POINT = 1 << 62
_ERRORS = (SourceError, PointCloudError)
_SHOWN_CLASSES = 20
_ASPRS = {  # names of the codes in LAS files
    0: "never classified",
    1: "unclassified",
    2: "ground",
    3: "low vegetation",
    4: "medium vegetation",
    5: "high vegetation",
    6: "building",
    7: "low noise",
    9: "water",
    10: "rail",
    11: "road",
    17: "bridge",
    18: "high noise",
}
_NAME_IN_WKT = re.compile(r'^[A-Z_]+\s*\[\s*"([^"]*)"')
_EPSG_IN_WKT = re.compile(r'(?:AUTHORITY\s*\[\s*"EPSG"\s*,\s*"?|ID\s*\[\s*"EPSG"\s*,\s*)(\d+)"?\s*\]\s*\]?\s*$')

Result = Facts | SourceError | PointCloudError


@click.command("info")
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--input-fps", type=rate_fps, metavar="RATE", help="Rate of an image sequence, which says none itself.")
@click.option("--allow-url", is_flag=True, help="Allow http, https and rtsp addresses as inputs.")
@click.option("--scan", "read_all", is_flag=True, help=f"Read every point of scans of more than {QUICK_POINTS:,} points, too.")
@click.pass_context
def command(
    ctx: click.Context, files: tuple[str, ...], as_json: bool, input_fps: Fraction | None, allow_url: bool, read_all: bool
) -> None:
    """What videos and scans hold and what vidpc would do with them.

    FILE may be a file, a folder, a glob, @list.txt, a pattern of pictures or - for a pipe. Of a video only the first picture is
    decoded; of a scan all points are read where they are few, else only what its header says.
    """
    options = ReadOptions(input_fps=input_fps, allow_url=allow_url)
    found = list(probe_all(files, options, read_points=_EVERY_POINT if read_all else QUICK_POINTS))
    failed = [result for _, result in found if isinstance(result, _ERRORS)]
    if len(found) == len(failed) == 1 and not as_json:
        raise failed[0]
    if as_json:
        entries = [_entry(name, result) for name, result in found]
        click.echo(json.dumps({"format": _FORMAT, "version": _VERSION, "files": entries}, indent=2, allow_nan=False))
    else:
        _print(found)
    if failed:
        ctx.exit(3 if len(found) == 1 else 1)


def _print(found: list[tuple[str, Result]]) -> None:
    for name, result in found:
        if isinstance(result, _ERRORS):
            click.echo(f"vidpc: error: {result}", err=True)
            continue
        click.echo(printable(name))
        for label, text in _scan_facts(result) if isinstance(result, ScanFacts) else _video_facts(result):
            click.echo(f"  {label:<9} {text}")


def _scan_facts(facts: ScanFacts) -> Iterator[tuple[str, str]]:
    """Label and sentence, for people."""
    info, points = facts.info, facts.points
    yield "scan", f"{info.format}, {info.count:,} points"
    if facts.low_xyz and facts.high_xyz:
        spans = [
            f"{axis} {low:.10g} to {high:.10g}" for axis, low, high in zip("xyz", facts.low_xyz, facts.high_xyz, strict=True)
        ]
        yield "bounds", ", ".join(spans) + ("" if points else " (as the header says)")
    if facts.density_per_m2 is not None:
        over = f"over the occupied cells of {points.cell_m:g} m" if points else "over the header's bounds"
        density = f"{facts.density_per_m2:,.0f}" if facts.density_per_m2 >= 100 else f"{facts.density_per_m2:.3g}"
        yield "density", f"{density} points/m2 {over} ({facts.area_m2:,.0f} m2)"
    yield "fields", printable(" ".join(field.name for field in info.fields))
    if info.crs:
        yield "crs", printable(crs_name(info.crs))
    if points is None:
        yield "points", "not read: --scan reads them all, for colour, classes and exact bounds"
    else:
        yield "colour", "yes" if points.has_colour else "none"
        if points.classes is not None:
            yield "classes", _classes(points.classes, info.count, _ASPRS if info.format in ("las", "laz") else {})
        if points.not_finite:
            yield "note", f"{points.not_finite:,} points have coordinates that are no finite numbers"
    for warning in facts.warnings:
        yield "note", warning


def _classes(classes: dict[int, int], count: int, names: dict[int, str]) -> str:
    """The classes by their numbers, with shares."""
    shown = [
        f"{_class_name(label, names)} {100 * number / count:.1f} %" for label, number in list(classes.items())[:_SHOWN_CLASSES]
    ]
    left = len(classes) - _SHOWN_CLASSES
    return ", ".join(shown) + (f", and {left} more" if left > 0 else "")


def _class_name(label: int, names: dict[int, str]) -> str:
    return f"{label} {names[label]}" if label in names else str(label)


def crs_name(crs: str) -> str:
    """A coordinate system in a few words: the name in its WKT and its EPSG number, or what is no WKT as it is."""
    name = _NAME_IN_WKT.match(crs)
    if name is None:
        return crs
    number = _EPSG_IN_WKT.search(crs)
    return f"{name[1]} (EPSG:{number[1]})" if number else name[1]


def _video_facts(info: VideoInfo) -> Iterator[tuple[str, str]]:
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


def _entry(name: str, result: Result) -> dict[str, Any]:
    """One file as JSON."""
    if isinstance(result, _ERRORS):
        return {"path": _valid(name), "error": str(result)}
    return {"path": _valid(name), **(_scan_entry(result) if isinstance(result, ScanFacts) else _video_entry(result))}


def _scan_entry(facts: ScanFacts) -> dict[str, Any]:
    info, points = facts.info, facts.points
    return {
        "kind": "scan",
        "format": info.format,
        "count": info.count,
        "fields": [{"name": _valid(field.name), "dtype": field.dtype} for field in info.fields],
        "low_xyz": facts.low_xyz,
        "high_xyz": facts.high_xyz,
        "crs": info.crs,
        "crs_name": None if info.crs is None else crs_name(info.crs),
        "points_read": points is not None,
        "density_per_m2": facts.density_per_m2,
        "area_m2": facts.area_m2,
        "area": f"occupied cells of {points.cell_m:g} m" if points else "bounds",
        "has_colour": None if points is None else points.has_colour,
        "has_intensity": None if points is None else points.has_intensity,
        "classes": None if points is None or points.classes is None else {str(k): n for k, n in points.classes.items()},
        "not_finite": None if points is None else points.not_finite,
        "warnings": list(facts.warnings),
    }


def _video_entry(result: VideoInfo) -> dict[str, Any]:
    return {
        "kind": "video",
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
