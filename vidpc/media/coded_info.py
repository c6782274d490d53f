"""How the pictures of an output are coded: as those of the source, as far as container and codec hold that."""

from fractions import Fraction

from vidpc.media.coded import Coded
from vidpc.media.colour import AV_COLORSPACE, assumed_matrix, is_gray
from vidpc.media.orientation import Orientation, is_sane_aspect
from vidpc.media.pixel_layout import Layout
from vidpc.media.video_codecs import Coding
from vidpc.types import ColourCodes, VideoInfo

_UNSTATED = 2
_HDR = (16, 18)  # PQ and HLG
_OF_MATRIX = {"bt709": 1, "bt601": 6, "bt2020": 9}  # primaries that go with a matrix
_CURVE_OF = {"bt709": 1, "bt601": 6, "bt2020": 14}
_JPEG = ColourCodes(matrix=5)  # what readers take every JPEG for


def coded_info(info: VideoInfo, coding: Coding) -> tuple[Coded, list[str]]:
    """How the pictures of a source are coded, and what had to be changed."""
    said: list[str] = []
    orientation, aspect = Orientation(info.rotation_deg, info.mirrored), info.sample_aspect
    width, height = info.coded_width, info.coded_height
    if not is_sane_aspect(aspect):
        aspect = Fraction(1)
    if aspect != 1 and not (coding.container.keeps_aspect or coding.codec.says_aspect):
        square = orientation.size(info.width, info.height)
        if square != (width, height):
            said.append(f"the sample aspect ratio {aspect} cannot be kept: the pictures are stretched to square pixels")
        aspect, (width, height) = Fraction(1), square
    if orientation != Orientation() and not coding.container.keeps_orientation:
        said.append(f"{coding.container.name} cannot say how pictures are turned: they are written upright")
        width, height = orientation.size(width, height)
        aspect = 1 / aspect if orientation.is_turned else aspect
        orientation = Orientation()
    padded_width, padded_height = _padded(width, height, coding)
    if (padded_width, padded_height) != (width, height):
        said.append(f"the odd size {width}x{height} is padded to {padded_width}x{padded_height}")
    matrix, full_range, codes, more = _colours(info, coding)
    if info.is_interlaced:
        said.append("the video is interlaced: its fields are kept together in frames that are marked as progressive")
    coded = Coded(
        width, height, padded_width, padded_height, aspect, coding.pixel_format, matrix, full_range, codes, orientation
    )
    return coded, [*said, *more]


def _padded(width: int, height: int, coding: Coding) -> tuple[int, int]:
    if coding.codec.takes_odd:
        return width, height
    columns, rows = Layout.of(coding.pixel_format).shared
    return -(-width // columns) * columns, -(-height // rows) * rows


def _colours(info: VideoInfo, coding: Coding) -> tuple[str, bool, ColourCodes, list[str]]:
    """Matrix, range and tags."""
    codes = info.colour_codes
    layout = Layout.of(coding.pixel_format)
    if layout.kind == "rgb":
        return "rgb", True, ColourCodes(codes.primaries, codes.transfer, 0), []
    plain = assumed_matrix(info.coded_width, info.coded_height)
    if not coding.codec.says_colours:
        return "bt601", True, _JPEG, _unsaid(info, coding) if codes.transfer in _HDR else []
    if info.matrix == "rgb" and not coding.container.keeps_colours:
        return plain, False, ColourCodes(), []
    if not coding.container.keeps_colours:
        is_as_assumed = (info.matrix, info.full_range) == (plain, False) and codes.transfer not in _HDR
        return info.matrix, info.full_range, ColourCodes(), [] if is_as_assumed else _unsaid(info, coding)
    if info.matrix == "rgb":
        return plain, is_gray(coding.pixel_format), _of_rgb(codes, plain), []
    matrix_code = codes.matrix if codes.matrix not in (_UNSTATED, 0) else AV_COLORSPACE[info.matrix]
    return (
        info.matrix,
        info.full_range or is_gray(coding.pixel_format),
        ColourCodes(codes.primaries, codes.transfer, matrix_code),
        [],
    )


def _of_rgb(codes: ColourCodes, matrix: str) -> ColourCodes:
    """Tags of RGB in its new matrix: what it does not state is what players assume."""
    primaries = codes.primaries if codes.primaries != _UNSTATED else _OF_MATRIX[matrix]
    transfer = codes.transfer if codes.transfer != _UNSTATED else _CURVE_OF[matrix]
    return ColourCodes(primaries, transfer, AV_COLORSPACE[matrix])


def _unsaid(info: VideoInfo, coding: Coding) -> list[str]:
    """That samples are kept, or made JPEG's, without a word of how they are meant."""
    kind = {16: " PQ", 18: " HLG"}.get(info.colour_codes.transfer, "")
    extent = "full" if info.full_range else "limited"
    said = f"{coding.container.name} cannot say that its colours are {info.matrix}{kind} of {extent} range"
    return [f"{said}: players may show them differently"]
