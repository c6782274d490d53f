"""Drawing on pictures u8[h w 3] in place: frames, lines and text, clipped to the picture. Positions are pixels, y downwards.

The font has letters of English and the sign …: other letters lose their accents, and what is then left over becomes a ?.
"""

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vidpc.types import F64, U8

Colour = tuple[int, int, int]
_LUMA = (0.299, 0.587, 0.114)
_MIDDLE_GREY = 140  # a brighter ground gets black text
_PAD_SHARE = 0.2  # of the text's height, left and right of it


def fill(picture: U8, colour: Colour, left: int, top: int, right: int, bottom: int) -> None:
    """A filled rectangle; ``right`` and ``bottom`` lie outside it."""
    picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour


def shade(picture: U8, share: float, left: int, top: int, right: int, bottom: int) -> None:
    """A rectangle made darker: ``share`` of its light is left."""
    ground = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    np.multiply(ground, share, out=ground, casting="unsafe")


def outline(picture: U8, colour: Colour, box_xyxy: F64, thickness: int) -> None:
    """The border of a box, inside its edges. What lies outside the picture is not drawn, not even along its rim."""
    left, top, right, bottom = _pixels(box_xyxy)
    fill(picture, colour, left, top, right, min(top + thickness, bottom))
    fill(picture, colour, left, max(bottom - thickness, top), right, bottom)
    fill(picture, colour, left, top, min(left + thickness, right), bottom)
    fill(picture, colour, max(right - thickness, left), top, right, bottom)


def polyline(picture: U8, colour: Colour, points: F64, thickness: int) -> None:
    """A line through ``points`` f64[n 2] (x, y) that fades in from its first point to its last."""
    if len(points) < 2:
        return
    centres = _steps(np.clip(points, -_reach(picture), 2 * _reach(picture)))
    weight = np.linspace(0.2, 1.0, len(centres))
    radius = (thickness - 1) / 2
    ys, xs = np.mgrid[-(thickness // 2) : thickness // 2 + 1, -(thickness // 2) : thickness // 2 + 1]
    brush = np.stack([xs, ys], axis=-1)[np.hypot(xs, ys) <= radius + 0.5]  # i64[k 2], a disc
    dots = (centres[:, None] + brush).reshape(-1, 2)
    weights = np.repeat(weight, len(brush))
    height, width = picture.shape[:2]
    inside = (dots >= 0).all(axis=1) & (dots < (width, height)).all(axis=1)
    x, y = dots[inside].T
    mix = weights[inside][:, None]
    picture[y, x] = (picture[y, x] * (1 - mix) + np.array(colour) * mix + 0.5).astype(np.uint8)


def text_size(text: str, height: int) -> tuple[int, int]:
    """Width and height of the plate that ``plate`` draws."""
    rows, columns = _glyphs(text, height).shape
    return columns, rows


def plate(picture: U8, colour: Colour, text: str, left: int, top: int, height: int) -> None:
    """``text`` in black or white, whichever reads better, on a plate of ``colour``; ``height`` is that of the letters' box."""
    ink = _glyphs(text, height)
    rows, columns = slice(max(top, 0), max(top + ink.shape[0], 0)), slice(max(left, 0), max(left + ink.shape[1], 0))
    ground = picture[rows, columns]
    cut = ink[rows.start - top :, columns.start - left :][: ground.shape[0], : ground.shape[1], None] / 255.0
    letter = 0 if np.dot(_LUMA, colour) > _MIDDLE_GREY else 255
    ground[:] = (np.array(colour) * (1 - cut) + letter * cut + 0.5).astype(np.uint8)


def write(picture: U8, colour: Colour, text: str, left: int, top: int, height: int) -> None:
    """``text`` in ``colour`` on what is there already, as large as a plate of it would be."""
    ink = _glyphs(text, height)
    rows, columns = slice(max(top, 0), max(top + ink.shape[0], 0)), slice(max(left, 0), max(left + ink.shape[1], 0))
    ground = picture[rows, columns]
    cut = ink[rows.start - top :, columns.start - left :][: ground.shape[0], : ground.shape[1], None] / 255.0
    ground[:] = (ground * (1 - cut) + np.array(colour) * cut + 0.5).astype(np.uint8)


def shortened(text: str, height: int, width: int) -> str:
    """``text``, with … for its end where its plate would be wider than ``width``."""
    if text_size(text, height)[0] <= width:
        return text
    kept = next((n for n in range(len(text) - 1, 0, -1) if text_size(f"{text[:n].rstrip()}…", height)[0] <= width), 0)
    return f"{text[:kept].rstrip()}…"


def wrapped(text: str, height: int, width: int, most: int) -> list[str]:
    """``text`` in at most ``most`` lines, none wider than ``width``: broken between words, shortened where it must be."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(lines) < most and text_size(longer, height)[0] > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [shortened(line, height, width) for line in lines]


def spelled(text: str) -> str:
    """``text`` in the letters that the font has."""
    return "".join(_letter(sign) for sign in text)


def _letter(sign: str) -> str:
    if sign.isascii() or sign == "…":
        return sign
    return "".join(part for part in unicodedata.normalize("NFKD", sign) if part.isascii()) or "?"


def _reach(picture: U8) -> int:
    return int(max(picture.shape))


def _pixels(box_xyxy: F64) -> tuple[int, int, int, int]:
    left, top, right, bottom = np.clip(np.rint(box_xyxy), -(1 << 20), 1 << 20).astype(int).tolist()
    return left, top, right, bottom


def _steps(points: F64) -> npt.NDArray[np.int64]:
    """Whole pixels from point to point without gaps, i64[m 2]."""
    lengths = np.abs(np.diff(points, axis=0)).max(axis=1)
    counts = np.maximum(np.ceil(lengths), 1).astype(int)
    pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(points[:-1], points[1:], counts, strict=True)]
    return np.asarray(np.rint(np.concatenate([*pieces, points[-1:]])), dtype=np.int64)


@lru_cache(maxsize=8)
def _font(height: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    return ImageFont.load_default(size=height)


@lru_cache(maxsize=4096)
def _glyphs(text: str, height: int) -> U8:
    """Coverage u8[h w] of ``text`` with a margin left and right."""
    font, text = _font(height), spelled(text)
    left, _, right, _ = font.getbbox(text)
    pad = max(1, round(_PAD_SHARE * height))
    image = Image.new("L", (max(1, round(right - left)) + 2 * pad, round(1.25 * height)))
    ImageDraw.Draw(image).text((pad - left, 0), text, fill=255, font=font)
    return np.asarray(image)
