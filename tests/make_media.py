"""Small videos, sounds and pictures that tests make for themselves."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.subtitles.subtitle import SubtitleSet
from av.video.reformatter import VideoReformatter

from vidpc.media.priority import usual_priority

SCALER_MATRIX = {"bt709": 1, "bt601": 5, "bt2020": 9}
AV_MATRIX = {"bt709": 1, "bt601": 6, "bt2020": 9}


@dataclass(frozen=True)
class Clip:
    """What a generated video is like; the defaults make an ordinary one."""

    count: int = 12
    width: int = 64
    height: int = 48
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rate_fps: Fraction = Fraction(25)
    times_s: tuple[Fraction, ...] = ()  # instead of a constant rate
    tick: Fraction | None = None
    matrix: str | None = None
    full_range: bool = False
    transfer: int | None = None
    rotation_deg: int = 0  # counter-clockwise, as FFmpeg counts
    hflip: bool = False
    aspect: Fraction | None = None
    sound: str | None = None  # a codec
    sound_streams: int = 1
    sound_s: float | None = None  # as long as the pictures
    sound_language: str | None = None
    texts: tuple[str, ...] = ()  # codecs of subtitles: "line 0" at 0.1 s for 0.4 s, "line 1" at 0.6 s, "line 2" at 1.1 s
    chapters: bool = False  # "One" from 0 s, "Two" from 1 s, to 2 s
    title: str | None = None
    primaries: int | None = None
    codec_options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    gop: int = 4


def scene(index: int, width: int, height: int) -> np.ndarray:
    """A picture u8[h w 3] that differs from frame to frame: a gradient and a bright block that walks to the right."""
    x = np.linspace(40, 200, width)[None, :, None]
    y = np.linspace(30, 160, height)[:, None, None]
    picture = np.broadcast_to(np.concatenate([x + 0 * y, y + 0 * x, 0 * x + 0 * y + 90], axis=2), (height, width, 3)).copy()
    side = max(1, min(width, height) // 4)
    left = index * 3 % max(1, width - side)
    picture[height // 3 : height // 3 + side, left : left + side] = (230, 210, 40)
    return picture.astype(np.uint8)


def write_video(path: Path, clip: Clip | None = None, pictures: list[np.ndarray] | None = None) -> Path:
    """Writes a clip; its pictures are ``scene(0)``, ``scene(1)``, … unless given."""
    clip = clip or Clip()
    with usual_priority(), av.open(str(path), "w", container_options=clip.container_options) as container:
        stream = _video_stream(container, clip)
        sounds = [
            container.add_stream(clip.sound, rate=44100, layout="mono") for _ in range(clip.sound_streams if clip.sound else 0)
        ]
        texts = [_text_stream(container, codec) for codec in clip.texts]
        for sound in sounds:
            if clip.sound_language:
                sound.metadata["language"] = clip.sound_language
        if clip.chapters:
            ends = {"One": (0, 1000), "Two": (1000, 2000)}
            tick = Fraction(1, 1000)
            container.set_chapters(
                [
                    {"id": k, "start": start, "end": end, "time_base": tick, "metadata": {"title": name}}
                    for k, (name, (start, end)) in enumerate(ends.items(), 1)
                ]
            )
        if clip.title:
            container.metadata["title"] = clip.title
        for k in range(clip.count if pictures is None else len(pictures)):
            rgb = scene(k, clip.width, clip.height) if pictures is None else pictures[k]
            container.mux(stream.encode(_frame(rgb, k, stream, clip)))
        container.mux(stream.encode(None))
        for sound in sounds:
            _write_tone(container, sound, clip.sound_s or float(clip.count / clip.rate_fps))
        for text in texts:
            _write_lines(container, text)
    return path


def _video_stream(container, clip: Clip):
    stream = container.add_stream(clip.codec, rate=clip.rate_fps, options=dict(clip.codec_options))
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pixel_format
    context = stream.codec_context
    context.gop_size = clip.gop
    context.time_base = clip.tick or 1 / clip.rate_fps
    if clip.matrix:
        context.colorspace = AV_MATRIX[clip.matrix]
        context.color_range = 2 if clip.full_range else 1
    if clip.transfer:
        context.color_trc = clip.transfer
    if clip.primaries:
        context.color_primaries = clip.primaries
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    if clip.rotation_deg or clip.hflip:
        stream.set_display_rotation(clip.rotation_deg, hflip=clip.hflip)
    return stream


def _frame(rgb: np.ndarray, k: int, stream, clip: Clip) -> VideoFrame:
    frame = VideoReformatter().reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
        format=clip.pixel_format,
        dst_colorspace=SCALER_MATRIX[clip.matrix or "bt601"],
        dst_color_range=2 if clip.full_range else 1,
    )
    tick = stream.codec_context.time_base
    frame.time_base = tick
    frame.pts = round((clip.times_s[k] if clip.times_s else k / clip.rate_fps) / tick)
    return frame


def _write_tone(container, stream, seconds: float) -> None:
    samples = (np.sin(np.arange(int(44100 * seconds)) * 0.06) * 8000).astype(np.int16)
    for start in range(0, len(samples), 1024):
        frame = AudioFrame.from_ndarray(samples[None, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


_STYLES = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment
Style: Default,Arial,16,&Hffffff,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def _text_stream(container, codec: str):
    stream = container.add_stream(codec)
    stream.codec_context.subtitle_header = _STYLES
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "ger"
    return stream


def _write_lines(container, stream) -> None:
    for k in range(3):
        line = SubtitleSet.create(text=f"{k},0,Default,,0,0,0,,line {k}".encode(), start=0, end=400)
        packet = stream.codec_context.encode_subtitle(line)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 100 + 500 * k
        packet.duration = 400
        container.mux(packet)


def write_picture(path: Path, rgb: np.ndarray) -> Path:
    """Writes one picture; the suffix chooses the format."""
    codec, pixel_format = {".png": ("png", "rgb24"), ".jpg": ("mjpeg", "yuvj444p"), ".bmp": ("bmp", "bgr24")}[path.suffix]
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = rgb.shape[:2]
    context.pix_fmt, context.time_base = pixel_format, Fraction(1, 25)
    context.options = {"strict": "unofficial"}
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format=pixel_format)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return path
