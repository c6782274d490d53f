"""What a container and its first picture say of the video: :class:`vidpc.types.VideoInfo`."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from av import VideoFrame
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from vidpc.media.colour import Colour, ColourTags, choose
from vidpc.media.exif import orientation_of_jpeg
from vidpc.media.orientation import Orientation, from_display_matrix, is_sane_aspect, square_pixels
from vidpc.types import AudioInfo, ColourCodes, VideoInfo

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_LONGEST_S = 10 * 365 * 86400  # a longer claim is a damaged header
_MATRIX_BYTES = 36


@dataclass(frozen=True, slots=True)
class View:
    """How the pictures of one input are displayed."""

    colour: Colour
    orientation: Orientation
    width: int
    height: int
    codes: ColourCodes
    is_interlaced: bool


def colour_of(frame: VideoFrame) -> Colour:
    """The conversion that a picture's tags ask for."""
    # Component ids of planar YUV and gray are 0..2; PyAV knows whether a format is RGB.
    return choose(
        ColourTags(
            frame.colorspace,
            frame.color_range,
            frame.color_trc,
            frame.format.name,
            frame.format.is_rgb or frame.format.has_palette,
            frame.width,
            frame.height,
        )
    )


def orientation_of(frame: VideoFrame, coded: bytes) -> tuple[Orientation, list[str]]:
    """The orientation in a picture's display matrix, and warnings. ``coded`` is the packet that the picture came from."""
    try:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # PyAV gives up on all side data when it meets a kind that it does not know
        return orientation_of_jpeg(coded) or Orientation(-frame.rotation % 360), []
    if data is None or data.buffer_size != _MATRIX_BYTES:
        return Orientation(), []
    orientation = from_display_matrix(struct.unpack("=9i", bytes(data)))
    if orientation is None:
        return Orientation(), ["the display matrix is no quarter turn: the picture is shown as coded"]
    return orientation, []


def view_of(frame: VideoFrame, coded: bytes, aspect: Fraction | None) -> tuple[View, list[str]]:
    """How pictures like this first one are displayed, and warnings."""
    colour = colour_of(frame)
    orientation, warnings = orientation_of(frame, coded)
    if aspect is not None and not is_sane_aspect(aspect):
        warnings.append(f"the sample aspect ratio {aspect} is not believable: pixels are taken as square")
        aspect = None
    width, height = orientation.size(*square_pixels(frame.width, frame.height, aspect or Fraction(1)))
    if frame.interlaced_frame:
        warnings.append("the video is interlaced: fields are shown together, not deinterlaced")
    codes = ColourCodes(frame.color_primaries, frame.color_trc, frame.colorspace)
    view = View(colour, orientation, width, height, codes, frame.interlaced_frame)
    return view, [*colour.warnings, *warnings]


def describe(
    path: str, container: InputContainer, stream: VideoStream, frame: VideoFrame, view: View, warnings: Sequence[str]
) -> VideoInfo:
    """The facts of an open container whose first picture was decoded."""
    component = frame.format.components[0]
    duration_s = declared_duration_s(container, stream)
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=codec_name(stream),
        width=view.width,
        height=view.height,
        coded_width=frame.width,
        coded_height=frame.height,
        rotation_deg=view.orientation.rotation_deg,
        mirrored=view.orientation.mirrored,
        sample_aspect=aspect_of(stream) or Fraction(1),
        pixel_format=frame.format.name,
        bit_depth=component.bits,
        matrix=view.colour.matrix,
        full_range=view.colour.full_range,
        start_s=start_of(stream, frame),
        rate_fps=stream.average_rate or None,
        duration_s=duration_s,
        frame_count=stream.frames if stream.frames > 0 else None,
        audio=audio_of(container),
        warnings=tuple(warnings),
        time_base=stream.time_base or Fraction(1, 90000),
        colour_codes=view.codes,
        is_interlaced=view.is_interlaced,
    )


def codec_name(stream: VideoStream) -> str:
    """The codec's own name, not that of the decoder."""
    return stream.codec_context.codec.canonical_name


def aspect_of(stream: VideoStream) -> Fraction | None:
    """The sample aspect ratio that container or codec state."""
    return stream.sample_aspect_ratio or None


def time_of(frame: VideoFrame) -> Fraction | None:
    """The presentation time; AVI holds only decoding times, which pictures leave the decoder in order of."""
    ticks = frame.pts if frame.pts is not None else frame.dts
    return None if ticks is None or frame.time_base is None else ticks * frame.time_base


def start_of(stream: VideoStream, frame: VideoFrame) -> Fraction:
    """When the first picture is shown."""
    if stream.start_time is not None and stream.time_base is not None:
        return stream.start_time * stream.time_base
    return time_of(frame) or Fraction(0)


def declared_duration_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """The length that the file claims for its video, None where it claims none or an impossible one."""
    tag = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if stream.duration is not None and stream.time_base is not None:
        duration_s = stream.duration * stream.time_base
    elif tag:
        duration_s = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3]) - counted_from_zero_s(container, stream)
    elif container.duration is not None:
        duration_s = Fraction(container.duration, 1_000_000) - counted_from_zero_s(container, stream)
    else:
        return None
    return duration_s if 0 < duration_s <= _LONGEST_S else None


def counted_from_zero_s(container: InputContainer, stream: VideoStream) -> Fraction:
    """What durations of Matroska and FLV hold beside the video: they count from time zero, not from the first picture."""
    if not container.format.name.startswith(("matroska", "flv")) or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def has_own_duration(stream: VideoStream) -> bool:
    """Whether the video's length is stated, and not only that of the longest stream, which may be the sound."""
    return stream.duration is not None or _CLOCK.fullmatch(stream.metadata.get("DURATION", "")) is not None


def audio_of(container: InputContainer) -> tuple[AudioInfo, ...]:
    """The sound streams; one without a decoder has no name."""
    return tuple(
        AudioInfo(s.codec_context.codec.canonical_name, s.codec_context.sample_rate, s.codec_context.channels)
        if s.codec_context is not None
        else AudioInfo("unknown", 0, 0)
        for s in container.streams.audio
    )
