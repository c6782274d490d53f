"""Frame pairs for training: true neighbours, single pictures under a moving camera, mosaics, people pasted in."""

from dataclasses import dataclass, replace

import numpy as np

from vidpc.training.appearance import apply_look, draw_look
from vidpc.training.cutouts import Cutout, cut, cut_people, overlap_shares, paste
from vidpc.training.pictures import UNLINKED, Clip, Marks, Picture, join
from vidpc.training.views import Window, clipped, heights, look, mirrored
from vidpc.types import F64

PASTED_FROM = 1_000_000  # identities of pasted people: above those of any cell
CELL_IDS = 10_000
LARGE_PX = 130  # cutouts of fewer rows are a blur when they fill a picture


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one size, earlier first. ``complete``: an identity that the second lacks has truly left it."""

    before: Picture
    after: Picture
    complete: bool


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """How often what is drawn."""

    native: float = 0.4  # share of views near the picture's own scale; the others draw a height for its people
    low_px: float = 24.0
    high_px: float = 330.0
    paste: float = 0.45  # share of pairs with people pasted in
    empty: float = 0.12  # share of pairs generated over a background without people
    near: float = 0.3  # share of the pairs with people pasted in whose people are close to the camera


class Scenes:
    """Draws pairs from clips. Each draw depends on the generator that it is given and on nothing before it."""

    def __init__(self, clips: list[Clip], weights: dict[str, float], options: SceneOptions) -> None:
        self.clips = [clip for clip in clips if any(len(picture.marks) for picture in clip.pictures)]
        self.empty = [clip for clip in clips if not any(len(picture.marks) for picture in clip.pictures)]
        self.options = options
        self.cutouts = [one for clip in self.clips for one in cut_people(clip.pictures[0])]
        self.large = [one for one in self.cutouts if one.pixels.shape[0] >= LARGE_PX] or self.cutouts
        share = np.array([weights.get(clip.name, 1.0) for clip in self.clips], np.float64)
        self.share = np.cumsum(share / share.sum())

    def draw(self, rng: np.random.Generator, width: int, height: int) -> Pair:
        """One pair of ``width`` x ``height``."""
        kind = rng.random()
        if self.empty and self.cutouts and kind < self.options.empty:
            pair = self._peopled(self._backdrop(rng, width, height), rng, 14)
        else:
            pair = self._fill(rng, width, height)
            if self.cutouts and rng.random() < self.options.paste:
                pair = self._peopled(pair, rng, 7)
        faults = draw_look(rng)
        before, after = (
            Picture(apply_look(p.pixels, faults, rng), clipped(p.marks, width, height)) for p in (pair.before, pair.after)
        )
        if rng.random() < 0.5:
            before, after = mirrored(before), mirrored(after)
        if rng.random() < 0.5 and pair.complete:
            before, after = after, before
        return Pair(before, after, pair.complete)

    def _clip(self, rng: np.random.Generator) -> Clip:
        return self.clips[int(np.searchsorted(self.share, rng.random()).clip(0, len(self.clips) - 1))]

    def _fill(self, rng: np.random.Generator, width: int, height: int) -> Pair:
        """A view of one clip, or a mosaic where the scaled clip would leave much of the canvas bare."""
        clip = self._clip(rng)
        scale = self._scale(clip, rng)
        source_h, source_w = clip.pictures[0].pixels.shape[:2]
        covered = min(1, source_w * scale / width) * min(1, source_h * scale / height)
        if covered > 0.6 and rng.random() > 0.15:
            return self._view(clip, scale, rng, width, height)
        split_x, split_y = (round(size * rng.uniform(0.35, 0.65)) for size in (width, height))
        cells = [
            (0, 0, split_x, split_y),
            (split_x, 0, width, split_y),
            (0, split_y, split_x, height),
            (split_x, split_y, width, height),
        ]
        parts: list[tuple[int, int, Pair]] = []
        for x0, y0, x1, y1 in cells:
            clip = clip if not parts else self._clip(rng)
            parts.append((x0, y0, self._view(clip, self._scale(clip, rng), rng, x1 - x0, y1 - y0)))
        return _mosaic(parts, width, height)

    def _scale(self, clip: Clip, rng: np.random.Generator) -> float:
        """Target pixels a source pixel."""
        tall = heights(clip.pictures[0].marks.boxes_xyxy[~clip.pictures[0].marks.ignored])
        if rng.random() < self.options.native or not len(tall):
            return float(np.exp(rng.normal(-0.05, 0.2)))
        wanted = np.exp(rng.uniform(np.log(self.options.low_px), np.log(self.options.high_px)))
        return float(np.clip(wanted / rng.choice(tall), 0.25, 1.8))

    def _view(self, clip: Clip, scale: float, rng: np.random.Generator, width: int, height: int) -> Pair:
        before, after, real = _two(clip, rng)
        source_h, source_w = before.pixels.shape[:2]
        stretch = float(np.exp(rng.normal(0, 0.08)))
        window_w, window_h = width / scale * stretch, height / scale / stretch
        first = Window(_place(source_w, window_w, rng), _place(source_h, window_h, rng), window_w, window_h)
        # true neighbours mostly keep the motion that they have
        reach = float(rng.choice([0.0, 0.02] if real else [0.004, 0.02, 0.05], p=[0.6, 0.4] if real else [0.3, 0.5, 0.2]))
        second = first.moved(rng.normal(0, reach), rng.normal(0, reach), float(np.exp(rng.normal(0, reach * 0.7))))
        fill = int(rng.integers(0, 160))
        views = [look(p, w, width, height, flipped=False, fill=fill) for p, w in ((before, first), (after, second))]
        return Pair(views[0], views[1], not real)

    def _backdrop(self, rng: np.random.Generator, width: int, height: int) -> Pair:
        clip = self.empty[int(rng.integers(len(self.empty)))]
        source_h, source_w = clip.pictures[0].pixels.shape[:2]
        fitting = max(width / source_w, height / source_h)
        return self._view(clip, fitting * float(np.exp(rng.uniform(0, 0.5))), rng, width, height)

    def _peopled(self, pair: Pair, rng: np.random.Generator, most: int) -> Pair:
        """People set down in a pair: fewer than ``most`` at a street camera's distance, or one to three close by."""
        height = pair.before.pixels.shape[0]
        if rng.random() < self.options.near:
            tall = height * np.exp(rng.uniform(np.log(0.5), np.log(1.5), int(rng.integers(1, 4))))
            # feet below the picture: what shows of a close person is mostly the upper part
            feet = np.sort(rng.uniform(np.maximum(0.85 * height, 0.5 * tall), np.maximum(1.05 * height, 1.1 * tall)))
            return self._populated(pair, rng, self.large, feet, tall)
        feet = np.sort(rng.uniform(0.25, 1.05, int(rng.integers(1, most)))) * height  # nearer people are pasted later
        typical = float(np.exp(rng.uniform(np.log(26), np.log(150))))
        tall = typical * np.exp(rng.normal(0, 0.2, len(feet))) * (0.6 + 0.5 * feet / height)
        return self._populated(pair, rng, self.cutouts, feet, tall)

    def _populated(self, pair: Pair, rng: np.random.Generator, cutouts: list[Cutout], feet: F64, talls: F64) -> Pair:
        """People of given heights set down and moved a step, each their own way; now and then something that is no person."""
        width = pair.before.pixels.shape[1]
        before, after = pair.before, pair.after
        for number, (foot_y, tall) in enumerate(zip(feet, talls, strict=True)):
            cutout = cutouts[int(rng.integers(len(cutouts)))]
            if rng.random() < 0.2:
                cutout = self._distractor(rng) or cutout
            scale = float(tall) / cutout.pixels.shape[0]
            foot_x = float(rng.uniform(0, width))
            step = rng.normal(0, 0.09, 2) * tall * (rng.random() < 0.85)
            cutout = _toned(cutout, rng)
            before = paste(before, cutout, foot_x, float(foot_y), scale, PASTED_FROM + number)
            zoom = float(np.exp(rng.normal(0, 0.02)))
            after = paste(after, cutout, foot_x + step[0], foot_y + step[1] * 0.4, scale * zoom, PASTED_FROM + number)
        return Pair(before, after, pair.complete)

    def _distractor(self, rng: np.random.Generator) -> Cutout | None:
        """A person-shaped piece of background, so that pasted edges alone say nothing."""
        picture = self._clip(rng).pictures[0]
        height, width = picture.pixels.shape[:2]
        tall = float(rng.uniform(0.2, 0.6)) * height
        left, top = rng.uniform(0, max(width - tall * 0.4, 1)), rng.uniform(0, height - tall)
        box = np.array([left, top, left + tall * 0.4, top + tall])
        reach = Marks(box[None].astype(np.float32), np.zeros(1, np.int64), np.zeros(1, np.bool_)).boxes_xyxy
        if (overlap_shares(picture.marks.boxes_xyxy, box) > 0.02).any() or reach[0, 2] > width:
            return None
        return cut(picture.pixels, box, is_person=False)


def _two(clip: Clip, rng: np.random.Generator) -> tuple[Picture, Picture, bool]:
    """Two pictures of a clip, and whether they are different moments."""
    count = len(clip.pictures)
    if count == 1 or rng.random() < 0.2:
        picture = clip.pictures[int(rng.integers(count))]
        if (picture.marks.ids == UNLINKED).any():
            picture = replace(picture, marks=numbered(picture.marks))
        return picture, picture, False
    first = int(rng.integers(count))
    second = first + int(rng.choice([-2, -1, 1, 2]))
    second = second if 0 <= second < count else (first + 1 if first + 1 < count else first - 1)
    return clip.pictures[first], clip.pictures[second], True


def numbered(marks: Marks) -> Marks:
    """The same marks with an identity for each: what one picture shows twice is the same."""
    return Marks(marks.boxes_xyxy, np.arange(len(marks), dtype=np.int64), marks.ignored)


def _place(source: float, window: float, rng: np.random.Generator) -> float:
    """Where a window starts along one axis: inside the source where it fits, else anywhere that shows all of it."""
    spare = source - window
    return float(rng.uniform(min(spare, 0), max(spare, 0)))


def _toned(cutout: Cutout, rng: np.random.Generator) -> Cutout:
    gain, flip = rng.uniform(0.75, 1.2), rng.random() < 0.5
    pixels = np.clip(cutout.pixels * gain, 0, 255).astype(np.uint8)
    if not flip:
        return replace(cutout, pixels=pixels)
    width, person = pixels.shape[1], cutout.person
    mirror = None if person is None else (width - person[2], person[1], width - person[0], person[3])
    return Cutout(np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(cutout.cover[:, ::-1]), mirror)


def _mosaic(parts: list[tuple[int, int, Pair]], width: int, height: int) -> Pair:
    """Cells side by side; identities of different cells never meet."""
    frames = []
    for moment in ("before", "after"):
        pixels = np.zeros((height, width, 3), np.uint8)
        marks = []
        for number, (x0, y0, pair) in enumerate(parts):
            picture: Picture = getattr(pair, moment)
            cell_h, cell_w = picture.pixels.shape[:2]
            pixels[y0 : y0 + cell_h, x0 : x0 + cell_w] = picture.pixels
            boxes = picture.marks.boxes_xyxy + np.array([x0, y0, x0, y0], np.float32)
            known = picture.marks.ids != UNLINKED
            ids = np.where(known, picture.marks.ids % CELL_IDS + (number + 1) * CELL_IDS, UNLINKED)
            marks.append(Marks(boxes, ids, picture.marks.ignored))
        frames.append(Picture(pixels, join(marks)))
    return Pair(frames[0], frames[1], all(pair.complete for _, _, pair in parts))
