"""People cut out of pictures and put into others: copy-paste, and the actors of generated scenes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidpc.training.pictures import Marks, Picture
from vidpc.training.views import heights, resized
from vidpc.types import F32, U8

MIN_HEIGHT_PX = 56
MARGIN = 0.06  # of the box's side, so that the soft edge lies outside the person
HIDDEN_SHARE = 0.65  # a box covered by more than this is ignored


@dataclass(frozen=True, slots=True)
class Cutout:
    """Pixels u8[h w 3] and coverage f32[h w]; ``person`` xyxy inside the pixels, None for something that is no person."""

    pixels: U8
    cover: F32
    person: tuple[float, float, float, float] | None


def soft_edge(height: int, width: int, share: float = 0.14) -> F32:
    """Coverage f32[h w]: 1 inside, falling to 0 over ``share`` of each side, corners rounded."""
    rows, columns = (_ramp(size, share) for size in (height, width))
    rounded = np.sqrt(rows[:, None] * columns[None]) * np.sqrt(np.minimum(rows[:, None], columns[None]))
    return np.asarray(rounded, np.float32)


def _ramp(size: int, share: float) -> F32:
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    t = np.clip(np.minimum(place, 1 - place) / share, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def overlap_shares(boxes_xyxy: F32, box_xyxy: npt.NDArray[np.floating]) -> F32:
    """Share f32[n] of each box that lies inside one box."""
    low = np.maximum(boxes_xyxy[:, :2], box_xyxy[:2])
    high = np.minimum(boxes_xyxy[:, 2:], box_xyxy[2:])
    area = np.prod(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1e-6), axis=1)
    shares: F32 = np.prod(np.maximum(high - low, 0), axis=1) / area
    return shares


def cut_people(picture: Picture) -> list[Cutout]:
    """The people who stand alone, whole, and are large enough."""
    boxes = picture.marks.boxes_xyxy
    height, width = picture.pixels.shape[:2]
    found = []
    for row, box in enumerate(boxes):
        whole = box[0] > 2 and box[1] > 2 and box[2] < width - 2 and box[3] < height - 2
        upright = heights(box[None])[0] > 1.6 * (box[2] - box[0])
        alone = np.delete(overlap_shares(boxes, box), row).max(initial=0) < 0.15
        if whole and upright and alone and heights(box[None])[0] >= MIN_HEIGHT_PX and not picture.marks.ignored[row]:
            found.append(cut(picture.pixels, box, is_person=True))
    return found


def cut(pixels: U8, box_xyxy: npt.NDArray[np.floating], *, is_person: bool) -> Cutout:
    """What lies in a box, with a margin and soft edges."""
    margin = MARGIN * (box_xyxy[2:] - box_xyxy[:2])
    limits = [pixels.shape[1], pixels.shape[0]] * 2
    x0, y0, x1, y1 = (
        int(v) for v in np.clip(np.concatenate([box_xyxy[:2] - margin, box_xyxy[2:] + margin]).round(), 0, limits)
    )
    piece = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    left, top, right, bottom = (float(v) for v in box_xyxy - np.array([x0, y0, x0, y0]))
    return Cutout(piece, soft_edge(y1 - y0, x1 - x0), (left, top, right, bottom) if is_person else None)


def paste(picture: Picture, cutout: Cutout, foot_x: float, foot_y: float, scale: float, identity: int) -> Picture:
    """The picture with the cutout standing at a point; what it hides becomes ignored. Pixels are changed in place."""
    height, width = cutout.pixels.shape[:2]
    new_w, new_h = max(2, round(width * scale)), max(2, round(height * scale))
    left, top = round(foot_x - new_w / 2), round(foot_y - new_h)
    canvas_h, canvas_w = picture.pixels.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + new_w, canvas_w), min(top + new_h, canvas_h)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return picture
    inner = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    cover = resized(np.round(cutout.cover * 255).astype(np.uint8)[..., None].repeat(3, axis=-1), new_w, new_h)[
        inner
    ] / np.float32(255)
    below = picture.pixels[y0:y1, x0:x1]
    picture.pixels[y0:y1, x0:x1] = np.round(
        below + (resized(cutout.pixels, new_w, new_h)[inner] - below.astype(np.float32)) * cover
    )
    solid = np.array([left + 0.08 * new_w, top + 0.05 * new_h, left + 0.92 * new_w, top + new_h], np.float32)
    hidden = overlap_shares(picture.marks.boxes_xyxy, solid) > HIDDEN_SHARE
    marks = Marks(picture.marks.boxes_xyxy, picture.marks.ids, picture.marks.ignored | hidden)
    if cutout.person is None:
        return Picture(picture.pixels, marks)
    factor = np.array([new_w / width, new_h / height] * 2, np.float32)
    box = np.array(cutout.person, np.float32) * factor + np.array([left, top, left, top], np.float32)
    return Picture(
        picture.pixels,
        Marks(
            np.concatenate([marks.boxes_xyxy, box[None]]),
            np.append(marks.ids, np.int64(identity)),
            np.append(marks.ignored, False),
        ),
    )
