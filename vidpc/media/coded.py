"""Pictures in the form in which an output codes them: one size, one format of pixels, one set of colours."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidpc.media.colour import AV_COLORSPACE, AV_RANGE, is_gray
from vidpc.media.orientation import Orientation
from vidpc.media.patching import box_of, replaced, rescaled, share_of
from vidpc.media.picture import Picture
from vidpc.media.samples import (
    Samples,
    bits_of,
    frame_of,
    frame_of_rgb,
    has_samples,
    padded,
    samples_of,
    to_scaler,
    turns_exactly,
)
from vidpc.types import U8, U16, Bool, ColourCodes, Frame

_SCALER_MATRIX = {"bt709": 1, "bt601": 5, "bt2020": 9, "rgb": 1}  # the scaler's own numbers
_NO_MATRIX = 0  # in tags: RGB
_BITS = 8  # of a component, that u8 holds
# A colour sample becomes the mean of its own pixels alone. The default also looks at neighbours: in flat 8x8 blocks it is off
# by up to 25 levels at their edges, AREA by half a level, in the same time.
_MEAN = Interpolation.AREA | Interpolation.ACCURATE_RND


@dataclass(frozen=True, slots=True)
class Coded:
    """How the pictures of an output are coded.

    ``width`` and ``height`` are those of the picture before ``orientation`` turns it; ``padded_width`` and ``padded_height``
    what the encoder is given.
    """

    width: int
    height: int
    padded_width: int
    padded_height: int
    aspect: Fraction  # of a sample
    pixel_format: str
    matrix: str
    full_range: bool
    codes: ColourCodes
    orientation: Orientation

    @property
    def is_rgb(self) -> bool:
        """Whether the samples are red, green and blue themselves."""
        return self.matrix == "rgb"


class Coder:
    """Makes frames for an encoder, each converted at most once."""

    def __init__(self, coded: Coded) -> None:
        self._coded = coded
        self._pack, self._convert, self._cut, self._mix = (VideoReformatter() for _ in range(4))

    def new(self, rgb: U8 | U16) -> VideoFrame:
        """A picture [h w 3] in displayed orientation as the encoder takes it."""
        coded = self._coded
        source = frame_of_rgb(self._for_scaler(_undone(coded.orientation, rgb)))
        return self._padded(self._packed(self._pack, source, coded.width, coded.height))

    def kept(self, frame: Frame) -> VideoFrame:
        """A frame of the source: its samples as they are where the format is the same."""
        picture = frame.image
        if not isinstance(picture, Picture):
            return self.new(frame.pixels())
        same = self._same_samples(picture)
        return self._padded(same) if same is not None else self.new(frame.pixels())

    def patched(self, frame: Frame, rgb: U8 | U16, mask: Bool) -> VideoFrame:
        """A frame of the source, in which the samples that cover ``mask`` bool[h w] are those of ``rgb``."""
        coded = self._coded
        base = self.kept(frame)
        if not mask.any():
            return base
        if not has_samples(coded.pixel_format):
            return self.new(np.where(mask[..., None], as_depth(rgb, frame.pixels().itemsize), frame.pixels()))
        covered = self._covered(mask)
        box = box_of(covered, coded.padded_width, coded.padded_height)
        return self._mixed(base, self._placed(rgb), covered, box)

    def _for_scaler(self, rgb: Samples) -> Samples:
        if rgb.itemsize == 1 or self._coded.is_rgb or is_gray(self._coded.pixel_format):
            return rgb
        return to_scaler(rgb)

    def _same_samples(self, picture: Picture) -> VideoFrame | None:
        """The picture in the coded format, orientation and size without a way through RGB; None where there is none."""
        coded, frame = self._coded, picture.frame
        turn = _from_to(picture.orientation, coded.orientation)
        if turn.size(frame.width, frame.height) != (coded.width, coded.height):
            return None
        is_colour_same = (picture.colour.matrix, picture.colour.full_range) == (coded.matrix, coded.full_range)
        name, wanted = frame.format.name, coded.pixel_format
        if is_gray(name) and not is_gray(wanted):
            frame_or_none = _with_colour(frame, wanted) if picture.colour.full_range == coded.full_range else None
        elif is_colour_same and name.replace("yuvj", "yuv") == wanted.replace("yuvj", "yuv"):
            frame_or_none = frame
        elif picture.colour.matrix == coded.matrix and not is_gray(wanted):
            frame_or_none = self._repacked(frame)
        else:
            return None
        return None if frame_or_none is None else self._turned(frame_or_none, turn)

    def _turned(self, frame: VideoFrame, turn: Orientation) -> VideoFrame | None:
        name, wanted = frame.format.name, self._coded.pixel_format
        if name == wanted and turn == Orientation():
            return frame
        if not turns_exactly(name, frame.width, frame.height, turn) and turn != Orientation():
            return None
        planes = [turn.apply(plane) for plane in samples_of(frame)]
        return frame_of(planes, wanted, *turn.size(frame.width, frame.height))

    def _packed(self, scaler: VideoReformatter, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        coded = self._coded
        packed = scaler.reformat(
            frame,
            width,
            height,
            coded.pixel_format,
            interpolation=_MEAN,
            dst_colorspace=_SCALER_MATRIX[coded.matrix],
            dst_color_range=AV_RANGE[coded.full_range],
            threads=1,
        )
        # What needs no conversion comes back as it is, and lies over the caller's pixels.
        return packed if packed is not frame else frame_of(samples_of(frame), coded.pixel_format, width, height)

    def _repacked(self, frame: VideoFrame) -> VideoFrame:
        """Other samples of the same colours: no matrix is named, so that none is applied."""
        wanted, full_range = self._coded.pixel_format, AV_RANGE[self._coded.full_range]
        return self._convert.reformat(frame, format=wanted, interpolation=_MEAN, dst_color_range=full_range, threads=1)

    def _padded(self, frame: VideoFrame) -> VideoFrame:
        coded = self._coded
        if (frame.width, frame.height) != (coded.padded_width, coded.padded_height):
            frame = padded(samples_of(frame), coded.pixel_format, coded.padded_width, coded.padded_height)
        return frame

    def _covered(self, mask: Bool) -> Bool:
        """The mask over the coded picture, padding included."""
        coded = self._coded
        turned: Bool = _undone(coded.orientation, mask)
        if turned.shape != (coded.height, coded.width):
            turned = rescaled(turned, coded.height, coded.width)
        after = (coded.padded_height - coded.height, coded.padded_width - coded.width)
        return np.pad(turned, [(0, size) for size in after], mode="edge")

    def _placed(self, rgb: U8 | U16) -> Samples:
        """A displayed picture over the coded one, padding included."""
        coded = self._coded
        turned = self._for_scaler(_undone(coded.orientation, as_depth(rgb, 1 if bits_of(coded.pixel_format) <= _BITS else 2)))
        if turned.shape[:2] != (coded.height, coded.width):
            name = "rgb24" if turned.dtype == np.uint8 else "rgb48le"
            scaled = self._cut.reformat(frame_of_rgb(turned), coded.width, coded.height, name, interpolation=_MEAN, threads=1)
            turned = samples_of(scaled)[0]
        after = (coded.padded_height - coded.height, coded.padded_width - coded.width)
        return np.pad(turned, [*[(0, size) for size in after], (0, 0)], mode="edge") if any(after) else turned

    def _mixed(self, base: VideoFrame, rgb: Samples, covered: Bool, box: tuple[slice, slice]) -> VideoFrame:
        """``base`` with the covered samples inside ``box`` made new; where a sample covers other pixels, too, these count."""
        planes = samples_of(base)
        parts = [plane[share_of(box, plane, base)] for plane in planes]
        mask = covered[box]
        old = self._as_rgb(frame_of(parts, base.format.name, mask.shape[1], mask.shape[0]), rgb.dtype.itemsize)
        mixed = frame_of_rgb(np.where(mask[..., None], rgb[box], old))
        new = samples_of(self._packed(self._mix, mixed, mixed.width, mixed.height))
        out = frame_of(planes, base.format.name, base.width, base.height)
        for plane, part in zip(samples_of(out), replaced(parts, new, mask), strict=True):
            plane[share_of(box, plane, base)] = part
        return out

    def _as_rgb(self, frame: VideoFrame, item_bytes: int) -> U8 | U16:
        coded = self._coded
        frame.colorspace = AV_COLORSPACE[coded.matrix]
        frame.color_range = AV_RANGE[coded.full_range]
        name = "rgb24" if item_bytes == 1 else "rgb48le"
        rgb: U8 | U16 = samples_of(self._cut.reformat(frame, format=name, dst_color_range=AV_RANGE[True], threads=1))[0]
        return rgb


def as_depth(rgb: U8 | U16, item_bytes: int) -> U8 | U16:
    """``rgb`` with so many bytes a value: 255 and 65535 are the same white."""
    if rgb.dtype.itemsize == item_bytes:
        return rgb
    return (
        rgb.astype(np.uint16) * np.uint16(257) if item_bytes == 2 else ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    )


def _undone(orientation: Orientation, picture: Samples) -> Samples:
    return orientation.undo(picture) if orientation != Orientation() else picture


def _from_to(source: Orientation, target: Orientation) -> Orientation:
    """The turn of coded samples after which ``target`` displays them as ``source`` did."""
    if source == target:
        return Orientation()
    # A flip changes the sense of turns: display by the source, then undo the target.
    sign = -1 if target.mirrored != source.mirrored else 1
    return Orientation((source.rotation_deg - sign * target.rotation_deg) % 360, source.mirrored != target.mirrored)


def _with_colour(frame: VideoFrame, pixel_format: str) -> VideoFrame | None:
    """A gray picture in a format with colour, which is none."""
    bits = bits_of(pixel_format)
    if bits != frame.format.components[0].bits or not has_samples(frame.format.name):
        return None
    out = VideoFrame(frame.width, frame.height, pixel_format)
    luma, *chroma = samples_of(out)
    luma[...] = samples_of(frame)[0]
    for plane in chroma:
        plane[...] = 1 << (bits - 1)
    return out
