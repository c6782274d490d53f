"""What a camera sees of a picture: a window of it, scaled to a given size, boxes with it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from vidpc.training.pictures import Marks, Picture
from vidpc.types import F32, U8

MIN_SIDE_PX = 3.0
KEPT_SHARE = 0.35  # of a box inside the window: a mark; less of it: ignored
SEEN_SHARE = 0.08  # less than this: not there


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a picture, in its pixels; it may reach over the border."""

    left: float
    top: float
    width: float
    height: float

    def moved(self, right: float, down: float, zoom: float) -> "Window":
        """Shifted by shares of its size and scaled about its centre by ``zoom``."""
        width, height = self.width * zoom, self.height * zoom
        left = self.left + right * self.width + (self.width - width) / 2
        return Window(left, self.top + down * self.height + (self.height - height) / 2, width, height)


def resized(pixels: U8, width: int, height: int) -> U8:
    """``pixels`` u8[h w 3] scaled with an antialiased bilinear filter."""
    if pixels.shape[:2] == (height, width):
        return pixels
    chw = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    scaled = interpolate(chw, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())


def look(picture: Picture, window: Window, width: int, height: int, *, flipped: bool, fill: int = 114) -> Picture:
    """The picture in ``window`` as a picture of ``width`` x ``height``; what lies outside the source is ``fill``."""
    source_h, source_w = picture.pixels.shape[:2]
    scale = np.array([width / window.width, height / window.height] * 2, np.float32)
    shift = np.array([window.left, window.top] * 2, np.float32)
    inside = np.clip(
        [window.left, window.top, window.left + window.width, window.top + window.height], 0, [source_w, source_h] * 2
    )
    x0, y0, x1, y1 = (round(float(v)) for v in inside)
    pixels = np.full((height, width, 3), fill, np.uint8)
    if x1 > x0 and y1 > y0:
        place = (np.array([x0, y0, x1, y1]) - shift) * scale
        left, top, right, bottom = (round(float(v)) for v in np.clip(place, 0, [width, height] * 2))
        if right > left and bottom > top:
            pixels[top:bottom, left:right] = resized(picture.pixels[y0:y1, x0:x1], right - left, bottom - top)
    boxes = ((picture.marks.boxes_xyxy - shift) * scale).astype(np.float32)
    marks = clipped(Marks(boxes, picture.marks.ids, picture.marks.ignored), width, height)
    return mirrored(Picture(pixels, marks)) if flipped else Picture(pixels, marks)


def clipped(marks: Marks, width: int, height: int) -> Marks:
    """Marks cut to the picture: a box mostly outside becomes ignored, one that hardly shows is dropped."""
    boxes = np.clip(marks.boxes_xyxy, 0, np.array([width, height] * 2, np.float32))
    sides = boxes[:, 2:] - boxes[:, :2]
    whole = np.prod(np.maximum(marks.boxes_xyxy[:, 2:] - marks.boxes_xyxy[:, :2], 1e-6), axis=1)
    share = np.prod(sides, axis=1) / whole
    kept = (sides.min(axis=1, initial=np.inf) >= MIN_SIDE_PX) & (share > SEEN_SHARE)
    return Marks(boxes, marks.ids, marks.ignored | (share < KEPT_SHARE)).take(kept)


def mirrored(picture: Picture) -> Picture:
    """The picture and its boxes, left and right exchanged."""
    width = picture.pixels.shape[1]
    boxes = picture.marks.boxes_xyxy.copy()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return Picture(np.ascontiguousarray(picture.pixels[:, ::-1]), Marks(boxes, picture.marks.ids, picture.marks.ignored))


def heights(boxes_xyxy: F32) -> F32:
    """Heights f32[n] of boxes f32[n 4]."""
    return boxes_xyxy[:, 3] - boxes_xyxy[:, 1]
