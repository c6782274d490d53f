"""A labelled scan to look at: a picture (PNG) or a page for a browser (HTML), from at most a million of its points."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import PurePath
from typing import BinaryIO

from PIL import Image

from vidpc.errors import PresetError, printable, unknown_name
from vidpc.media.points import PointSource
from vidpc.outputs.canvas import Colour
from vidpc.outputs.point_page import page
from vidpc.outputs.point_picture import draw_picture
from vidpc.outputs.point_sample import PointSample, draw_sample
from vidpc.types import PointLabels, ScanHeader

Draw = Callable[[PointSample, Sequence[str], Mapping[int, Colour], ScanHeader], bytes]


def _png(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour], header: ScanHeader) -> bytes:
    packed = BytesIO()
    Image.fromarray(draw_picture(sample, names, palette, f"{_name(header)}   {_facts(sample, header)}")).save(packed, "PNG")
    return packed.getvalue()


def _html(sample: PointSample, names: Sequence[str], palette: Mapping[int, Colour], header: ScanHeader) -> bytes:
    return page(sample, names, palette, _name(header), _facts(sample, header)).encode("utf-8")


FORMATS: dict[str, Draw] = {"png": _png, "html": _html}


def format_of(target: str) -> str:
    """The name of a format in ``FORMATS`` by a target's suffix. Raises ``PresetError`` for others."""
    suffix = PurePath(target).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise PresetError(f"{printable(target)}: {unknown_name('format of a view', suffix, FORMATS)}")
    return suffix


def render(
    source: PointSource,
    labels: Iterable[PointLabels],
    file: BinaryIO,
    format: str,  # noqa: A002 - the option's name
    header: ScanHeader,
    palette: Mapping[int, Colour],
) -> list[str]:
    """Writes a view of a scan, coloured by class; returns warnings. ``palette`` has a colour for every label, and -1."""
    names = header.model.labels
    sample = draw_sample(source, labels, len(names))
    file.write(FORMATS[format](sample, names, palette, header))
    return [] if len(sample) else ["the view is empty: no point has coordinates"]


def _name(header: ScanHeader) -> str:
    return printable(PurePath(header.source).name)


def _facts(sample: PointSample, header: ScanHeader) -> str:
    total = int(sample.counts.sum())
    shown = f"{total:,} points" if total == len(sample) else f"{len(sample):,} of {total:,} points"
    return f"{shown}, classes by {header.model.name}"
