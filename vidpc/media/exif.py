"""The orientation in a JPEG's EXIF header, for where PyAV cannot hand out FFmpeg's display matrix of a photograph."""

import struct

from vidpc.media.orientation import Orientation

_ORIENTATION_TAG = 0x0112
_AS_DISPLAYED = {
    1: Orientation(0),
    2: Orientation(0, mirrored=True),
    3: Orientation(180),
    4: Orientation(180, mirrored=True),
    5: Orientation(90, mirrored=True),
    6: Orientation(90),
    7: Orientation(270, mirrored=True),
    8: Orientation(270),
}


def orientation_of_jpeg(data: bytes) -> Orientation | None:
    """The orientation that a JPEG states, None where it states none or is damaged there."""
    try:
        tiff = _tiff_of(data)
        return None if tiff is None else _AS_DISPLAYED.get(_tag_of(tiff))
    except (struct.error, IndexError):
        return None


def _tiff_of(data: bytes) -> bytes | None:
    """The TIFF block of the EXIF segment. Segments follow each other, each with its length, up to the picture."""
    position = 2
    while data[position] == 0xFF and data[position + 1] != 0xDA:
        marker, (length,) = data[position + 1], struct.unpack_from(">H", data, position + 2)
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            return data[position + 10 : position + 2 + length]
        position += 2 + length
    return None


def _tag_of(tiff: bytes) -> int:
    """The value of the orientation tag, 0 where there is none."""
    order = "<" if tiff[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for k in range(count):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * k)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return 0
