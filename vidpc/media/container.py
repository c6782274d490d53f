"""Opening containers so that a name or a file can reach nothing but itself, and FFmpeg's errors in our words."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.stream import VideoStream

from vidpc.errors import OpenError, SourceError
from vidpc.media.layout import impossible_count
from vidpc.media.pipe import PipeReader, is_pipe, open_named_pipe, open_pipe
from vidpc.media.sources import VIDEO_SUFFIXES, Source, shown
from vidpc.types import ReadOptions

# Formats that are one file and name no other: no playlists (hls, dash, concat, sdp), no devices, no raw pixels of unknown size.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,flv,asf,ogg,gif,apng,mxf,nut,dv,"
    "mjpeg,yuv4mpegpipe,wtv,rm,h263,vc1,nsv,amv,bmp_pipe,jpeg_pipe,pgm_pipe,pgmyuv_pipe,ppm_pipe,png_pipe,tiff_pipe,webp_pipe"
)
_URL_PROTOCOLS = {"http": "http,tcp", "https": "https,tls,tcp", "rtsp": "rtsp,rtp,udp,tcp", "rtsps": "rtsp,rtp,udp,tcp,tls"}
_URL_FORMATS = _FORMATS + ",rtsp"
_ONE_PICTURE_A_PACKET = frozenset({"h264", "hevc", "vvc", "av1", "vp9", "mpeg1video", "mpeg2video", "mjpeg", "prores", "png"})
_MAX_STREAMS = 64
_MAX_THREADS = 8  # each holds frames of its own
_NOT_A_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails

# What PyAV raises for bad input: FFmpeg's codes, and Python's errors from values that do not fit.
AV_ERRORS = (FFmpegError, OSError, ValueError, OverflowError)


@contextmanager
def translated(doing: str, kind: type[SourceError]) -> Iterator[None]:
    """Turns the errors of PyAV and of the system into ours."""
    try:
        yield
    except AV_ERRORS as error:
        raise kind(f"{doing}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why something failed, in one line."""
    if isinstance(error, (InvalidDataError, EOFError)):
        return "its data are damaged, incomplete or no video"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(text)


@contextmanager
def open_container(source: Source, options: ReadOptions) -> Iterator[InputContainer]:
    """The open container of a file, a pipe or a URL."""
    doing = f"cannot open {shown(source.name)}"
    with ExitStack() as stack:
        with translated(doing, OpenError):
            target, extra = _target(source, options, stack)
            container = stack.enter_context(av.open(target, metadata_errors="replace", **extra))
        yield container


def _target(source: Source, options: ReadOptions, stack: ExitStack) -> tuple[Any, dict[str, Any]]:
    """What av.open takes for a source, and its options."""
    limits = {"max_pixels": str(options.max_pixels), "max_streams": str(_MAX_STREAMS)}
    local = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, **limits}
    if source.kind == "url":
        return _url(source, options, limits)
    if source.kind == "pipe":
        return _pipe(sys.stdin.buffer, "standard input", options, stack), {"options": local}
    path = Path(os.path.abspath(source.name))  # noqa: PTH100 - resolve() would follow links and fail on loops
    if is_pipe(path):
        pipe = stack.enter_context(open_named_pipe(path, options.timeout_s))
        return _pipe(pipe, source.name, options, stack), {"options": local}
    _refuse_unreadable(path)
    if lie := impossible_count(path):
        raise OpenError(f"cannot open {shown(path)}: {lie}")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        # The prefix keeps concat:, subfile: and their like from being protocols.
        return f"file:{path}", {"options": local}
    # Other suffixes make FFmpeg choose a format by name (image2 for .jpg, which reads patterns): content shall decide.
    return Nameless(stack.enter_context(path.open("rb"))), {"options": local}


def _pipe(pipe: BinaryIO, name: str, options: ReadOptions, stack: ExitStack) -> BinaryIO | PipeReader:
    """The pipe or its copy, which is closed with the container; the pipe itself is not ours to close here."""
    opened = open_pipe(pipe, name, options)
    if opened is not pipe and not isinstance(opened, PipeReader):
        stack.callback(opened.close)
    return opened


class Nameless:
    """An open file without its name."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _refuse_unreadable(path: Path) -> None:
    """Raise OpenError for what is no file with something in it: FFmpeg would read devices without end."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise OpenError(f"cannot open {shown(path)}: it is a folder, expected a file")
    if not stat.S_ISREG(status.st_mode):
        raise OpenError(f"cannot open {shown(path)}: it is a device, expected a file")
    path.open("rb").close()  # says that it is forbidden in the system's words, not in FFmpeg's
    if status.st_size == 0:
        raise OpenError(f"cannot open {shown(path)}: the file is empty")


def _url(source: Source, options: ReadOptions, limits: dict[str, str]) -> tuple[str, dict[str, Any]]:
    scheme = source.name.split(":", 1)[0].lower()
    if not options.allow_url:
        raise OpenError(f"cannot open {shown(source.name)}: addresses are read only with --allow-url")
    if scheme not in _URL_PROTOCOLS:
        raise OpenError(f"cannot open {shown(source.name)}: expected http, https or rtsp, found {shown(scheme)}")
    rules = {"protocol_whitelist": _URL_PROTOCOLS[scheme], "format_whitelist": _URL_FORMATS, **limits}
    return source.name, {"options": rules, "timeout": (options.timeout_s, options.timeout_s)}


def video_stream(container: InputContainer, name: str, options: ReadOptions) -> tuple[VideoStream, list[str]]:
    """The video stream to read, ready to decode, and warnings. Cover pictures do not count."""
    streams = _pictures(container)
    chosen = main_video(container)
    if chosen is None:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        cover = " (a cover picture only)" if container.streams.video else ""
        raise OpenError(f"cannot read {shown(name)}: no video stream{cover}, it holds {held}")
    if chosen.codec_context is None:
        raise OpenError(f"cannot read {shown(name)}: no decoder for its video")
    _limit(chosen, name, options)
    warnings = [f"{len(streams)} video streams: number {chosen.index} is read"] if len(streams) > 1 else []
    return chosen, warnings


def main_video(container: InputContainer) -> VideoStream | None:
    """The video stream that is read: the default one, else the first; None where there is none."""
    streams = _pictures(container)
    return next((stream for stream in streams if stream.disposition & Disposition.default), next(iter(streams), None))


def _pictures(container: InputContainer) -> list[VideoStream]:
    """Video streams that are no cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & _NOT_A_PICTURE]


def is_countable(stream: VideoStream) -> bool:
    """Whether a packet holds exactly one shown picture. VP8 and MPEG-4 have packets without one."""
    return stream.codec_context.codec.canonical_name in _ONE_PICTURE_A_PACKET


def _limit(stream: VideoStream, name: str, options: ReadOptions) -> None:
    """Refuse sizes beyond the limit before anything is allocated, and set what the decoder may use."""
    if stream.width * stream.height > options.max_pixels:
        raise OpenError(
            f"cannot read {shown(name)}: a picture of {stream.width}x{stream.height} is beyond the limit of "
            f"{options.max_pixels} pixels"
        )
    context = stream.codec_context
    context.options = {"max_pixels": str(options.max_pixels)}
    context.thread_type = "AUTO"
    context.thread_count = min(_MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
