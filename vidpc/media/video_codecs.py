"""What containers and codecs can hold, and which of them a video is written with."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.video.format import VideoFormat as PixelFormat

from vidpc.errors import OutputError, PresetError, unknown_name
from vidpc.media.pixel_layout import Layout, losses
from vidpc.media.sources import shown
from vidpc.types import VideoFormat, VideoInfo

_BITS = 8  # of ordinary video
_FULL_RANGE = ("yuvj",)  # all that MJPEG holds without leave
_PRORES_422_HQ, _PRORES_4444 = "3", "4"
# Where their decoders place the shared colour samples of 4:2:0 unless told: PyAV does not hand out what a frame says.
_LEFT_SITED = frozenset({"h264", "hevc", "mpeg2video", "mpeg4"})
_ALIASES = {"h265": "hevc"}


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file: FFmpeg's name, its codecs with the usual one first, and what it has no place for."""

    name: str
    codecs: tuple[str, ...]
    deep_codec: str  # for more than 8 bits
    lossless_codec: str
    keeps_orientation: bool = True
    keeps_colours: bool = True
    keeps_times: bool = True  # or else a constant rate
    keeps_aspect: bool = False  # of any codec: else only of those that say it themselves
    text: str | None = None  # the codec of its subtitles


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder with its settings. ``crf`` is what it takes where nothing is asked, None where it knows no such number."""

    encoder: str
    rgb_encoder: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    crf: int | None = None
    most_crf: int = 0
    lossless: Mapping[str, str] | None = None  # settings that make it so; None: it cannot
    takes_odd: bool = True  # sizes, also where two pixels share a colour sample
    says_aspect: bool = False
    says_colours: bool = True
    kinds: tuple[str, ...] = ("yuv", "nv", "gbr", "rgb", "bgr")  # how its pixel formats begin that are chosen unasked


_MP4 = Container("mp4", ("h264", "hevc", "av1", "vp9", "mjpeg"), "hevc", "h264", keeps_aspect=True, text="mov_text")
_MOV = Container("mov", ("h264", "hevc", "prores", "mjpeg"), "hevc", "h264", keeps_aspect=True, text="mov_text")
_MKV = Container("matroska", ("h264", "hevc", "vp9", "av1", "ffv1", "prores", "mjpeg"), "hevc", "ffv1", text="subrip")
_WEBM = Container("webm", ("vp9", "av1"), "av1", "vp9", text="webvtt")
_AVI = Container("avi", ("mjpeg", "ffv1"), "ffv1", "ffv1", keeps_orientation=False, keeps_colours=False, keeps_times=False)
CONTAINERS = {".mp4": _MP4, ".m4v": _MP4, ".mov": _MOV, ".mkv": _MKV, ".webm": _WEBM, ".avi": _AVI}

_H264 = {"preset": "veryfast"}
_VP9 = {"deadline": "realtime", "cpu-used": "7", "row-mt": "1"}
CODECS = {
    "h264": Codec("libx264", "libx264rgb", _H264, 20, 51, {"qp": "0"}, takes_odd=False, says_aspect=True),
    "hevc": Codec(
        "libx265",
        options={"preset": "superfast", "x265-params": "log-level=none"},
        crf=22,
        most_crf=51,
        lossless={"x265-params": "log-level=none:lossless=1"},
        takes_odd=False,
        says_aspect=True,
    ),
    "vp9": Codec("libvpx-vp9", options=_VP9, crf=30, most_crf=63, lossless={"lossless": "1"}),
    "av1": Codec("libsvtav1", options={"preset": "9"}, crf=30, most_crf=63),  # its lossless mode is off by 3 at 10 bits
    "ffv1": Codec("ffv1", options={"level": "3", "slices": "4", "slicecrc": "1"}, lossless={}),
    "prores": Codec("prores_ks", options={"vendor": "apl0"}),
    "mjpeg": Codec("mjpeg", options={"qmin": "3", "qmax": "3"}, says_aspect=True, says_colours=False, kinds=_FULL_RANGE),
}


@dataclass(frozen=True, slots=True)
class Coding:
    """With what a video is written."""

    container: Container
    codec: Codec
    encoder: str
    options: Mapping[str, str]
    pixel_format: str
    warnings: tuple[str, ...] = ()


def container_of(path: str | Path) -> Container:
    """The kind of file that a name asks for. Raises OutputError."""
    suffix = Path(path).suffix.lower()
    if suffix not in CONTAINERS:
        known = ", ".join(sorted(CONTAINERS))
        raise OutputError(f"cannot write {shown(path)}: expected a name that ends in {known}, or a folder for pictures")
    return CONTAINERS[suffix]


def check_format(path: str | Path, wanted: VideoFormat) -> None:
    """Raises OutputError for the name, PresetError for what is asked and cannot be; no source has to be known."""
    for name in _candidates(path, wanted, bits=_BITS):
        _check(name, wanted)


def choose_coding(path: str | Path, info: VideoInfo, wanted: VideoFormat) -> Coding:
    """Codec, settings and pixel format for a source. Raises OutputError or PresetError."""
    source = Layout.of(info.pixel_format)
    names = _candidates(path, wanted, bits=source.bits)
    for name in names:
        _check(name, wanted)
    rows = [(CODECS[name], *_pixels(CODECS[name], source, info, wanted)) for name in names]
    codec, pixel_format, lost = next((row for row in rows if not row[2]), rows[0])
    if wanted.lossless and lost:
        raise PresetError(f"cannot write {shown(path)} without loss: {lost[0]}; ffv1 in an .mkv file holds more")
    warnings = [*lost, *(["transparency is left out"] if source.has_alpha else [])]
    encoder = codec.encoder if pixel_format in _formats(codec.encoder) else codec.rgb_encoder
    options = _options(codec, wanted)
    if info.codec in _LEFT_SITED:
        options["chroma_sample_location"] = "left"
    if codec.encoder == "prores_ks":
        options["profile"] = _PRORES_4444 if "444" in pixel_format else _PRORES_422_HQ
    return Coding(container_of(path), codec, encoder, options, pixel_format, tuple(warnings))


def _candidates(path: str | Path, wanted: VideoFormat, *, bits: int) -> list[str]:
    """The codecs that come into question, the first choice first: one, but where a lossless one has to be looked for."""
    container = container_of(path)
    there = [name for name, codec in CODECS.items() if _formats(codec.encoder)]
    if wanted.codec != "auto":
        return [_named(_ALIASES.get(wanted.codec, wanted.codec), path, there)]
    if wanted.pix_fmt != "auto":
        bits = _asked_bits(wanted.pix_fmt)
    usual = container.lossless_codec if wanted.lossless else container.deep_codec if bits > _BITS else container.codecs[0]
    fitting = [name for name in dict.fromkeys((usual, *container.codecs)) if name in there and _takes(CODECS[name], wanted)]
    return (fitting if wanted.lossless else fitting[:1]) or [usual]


def _named(name: str, path: str | Path, there: Sequence[str]) -> str:
    container = container_of(path)
    if name not in CODECS:
        raise PresetError(unknown_name("codec", name, ("auto", *there)))
    if name not in there:
        raise PresetError(f"this build of PyAV has no encoder for {name}; there are: {', '.join(there)}")
    if name not in container.codecs:
        fitting = ", ".join(suffix for suffix, row in CONTAINERS.items() if name in row.codecs)
        raise PresetError(
            f"cannot write {shown(path)}: its container takes {', '.join(container.codecs)}; {name} goes into {fitting}"
        )
    return name


def _asked_bits(pixel_format: str) -> int:
    try:
        return PixelFormat(pixel_format).components[0].bits
    except ValueError:
        raise PresetError(f"unknown pixel format {pixel_format!r}; write it as FFmpeg does, as in yuv420p") from None


def _takes(codec: Codec, wanted: VideoFormat) -> bool:
    has_lossless = not wanted.lossless or codec.lossless is not None
    has_crf = wanted.crf is None or codec.crf is not None
    return has_lossless and has_crf and (wanted.pix_fmt == "auto" or wanted.pix_fmt in _all_formats(codec))


def _check(name: str, wanted: VideoFormat) -> None:
    codec = CODECS[name]
    if wanted.pix_fmt != "auto" and wanted.pix_fmt not in _all_formats(codec):
        raise PresetError(f"{name} takes no pixels of {wanted.pix_fmt!r}; it takes {', '.join(_all_formats(codec))}")
    if wanted.lossless and codec.lossless is None:
        able = ", ".join(other for other, row in CODECS.items() if row.lossless is not None)
        raise PresetError(f"{name} cannot be lossless; expected one of {able}")
    if wanted.crf is not None and codec.crf is None:
        able = ", ".join(other for other, row in CODECS.items() if row.crf is not None)
        raise PresetError(f"{name} knows no crf; expected one of {able}")
    if wanted.crf is not None and not 0 <= wanted.crf <= codec.most_crf:
        raise PresetError(f"crf is {wanted.crf:g}, {name} takes 0 to {codec.most_crf}")


def _options(codec: Codec, wanted: VideoFormat) -> dict[str, str]:
    if wanted.lossless:
        return {**codec.options, **(codec.lossless or {})}
    crf = codec.crf if wanted.crf is None else wanted.crf
    return {**codec.options, **({} if crf is None else {"crf": f"{crf:g}"})}


@functools.cache
def _formats(encoder: str) -> tuple[str, ...]:
    """The pixel formats of an encoder; none where this build does not have it."""
    try:
        found = av.Codec(encoder, "w").video_formats
    except ValueError:  # of PyAV, for a name that it does not know
        return ()
    return tuple(layout.name for layout in found or ())


def _all_formats(codec: Codec) -> tuple[str, ...]:
    return (*_formats(codec.encoder), *(_formats(codec.rgb_encoder) if codec.rgb_encoder else ()))


def _pixels(codec: Codec, source: Layout, info: VideoInfo, wanted: VideoFormat) -> tuple[str, list[str]]:
    """The pixel format that is asked for, else the one of a codec that holds the most of a source; and what it loses."""
    if wanted.pix_fmt != "auto":
        return wanted.pix_fmt, []
    is_exact = codec.lossless is not None and (wanted.lossless or not codec.lossless)
    # Gray is kept sample by sample beside colours that are none: few players take it alone.
    goal = source.as_video() if source.kind == "gray" or not is_exact else source
    usable = [name for name in _all_formats(codec) if name.startswith(codec.kinds) and not Layout.of(name).has_alpha]
    if info.pixel_format in usable and source.kind == goal.kind:
        return info.pixel_format, []
    plain = [name for name in usable if codec.kinds == _FULL_RANGE or not name.startswith(_FULL_RANGE)]
    best = min(plain, key=lambda name: Layout.of(name).distance(goal))
    return best, losses(goal, Layout.of(best), best)
