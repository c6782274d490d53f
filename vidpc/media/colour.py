"""Which matrix turns a coded picture into RGB: what the file says, or what players assume where it says nothing."""

from dataclasses import dataclass

# FFmpeg's numbers (AVColorSpace), as PyAV hands them out.
_RGB, _BT709, _UNSPECIFIED, _FCC, _BT470BG, _SMPTE170M, _SMPTE240M = 0, 1, 2, 4, 5, 6, 7
_BT2020_NCL, _BT2020_CL = 9, 10
_STATED = {
    _BT709: "bt709",
    _FCC: "bt601",  # differs from BT.601 in the third digit
    _BT470BG: "bt601",
    _SMPTE170M: "bt601",
    _SMPTE240M: "bt709",  # the analogue forerunner, within 0.012 of it
    _BT2020_NCL: "bt2020",
}
_UNSPECIFIED_RANGE, _FULL_RANGE = 0, 2
_HDR = {16: "PQ", 18: "HLG"}  # AVColorTransferCharacteristic

# The numbers by which a matrix is asked for.
AV_COLORSPACE = {"bt601": _SMPTE170M, "bt709": _BT709, "bt2020": _BT2020_NCL, "rgb": _RGB}
AV_RANGE = {False: 1, True: _FULL_RANGE}


@dataclass(frozen=True, slots=True)
class Colour:
    """The matrix and range that are used; ``stated`` says whether the matrix is the file's own word."""

    matrix: str
    full_range: bool
    stated: bool = True
    warnings: tuple[str, ...] = ()


def is_gray(pixel_format: str) -> bool:
    """Whether a format holds no colour."""
    return pixel_format.startswith(("gray", "ya8", "ya16"))


def assumed_matrix(width: int, height: int) -> str:
    """The matrix of an untagged picture: players take BT.709 for HD and BT.601 below."""
    return "bt709" if width >= 1280 or height > 576 else "bt601"


@dataclass(frozen=True, slots=True)
class ColourTags:
    """What a decoded picture says of its colours, in FFmpeg's numbers."""

    matrix: int
    range: int
    transfer: int
    pixel_format: str
    is_rgb: bool
    width: int
    height: int


def choose(tags: ColourTags) -> Colour:
    """The conversion for a picture with these tags."""
    warnings = []
    if tags.transfer in _HDR:
        warnings.append(f"{_HDR[tags.transfer]} high dynamic range is shown without tone mapping: the picture looks flat")
    if tags.is_rgb:
        return Colour("rgb", full_range=True, warnings=tuple(warnings))
    # The yuvj formats are full range by definition, whatever the tag; untagged gray is by FFmpeg's convention.
    untagged_gray = is_gray(tags.pixel_format) and tags.range == _UNSPECIFIED_RANGE
    full_range = tags.range == _FULL_RANGE or tags.pixel_format.startswith("yuvj") or untagged_gray
    if tags.matrix in _STATED:
        return Colour(_STATED[tags.matrix], full_range, warnings=tuple(warnings))
    matrix = "bt2020" if tags.matrix == _BT2020_CL else assumed_matrix(tags.width, tags.height)
    if tags.matrix not in (_UNSPECIFIED, _RGB):
        warnings.append(f"colour matrix number {tags.matrix} is not supported, {matrix} is used: colours are not exact")
    return Colour(matrix, full_range, stated=False, warnings=tuple(warnings))
