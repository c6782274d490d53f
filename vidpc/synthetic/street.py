"""A street clip with walking people, and where each of them is in every frame."""

from dataclasses import dataclass
from math import atan2, pi, sin

import numpy as np

from vidpc.types import F32, F64, I64, U8

from .backdrop import MARGIN, Ground, Standing, draw_backdrop, draw_standing
from .figures import STRIDE, Appearance, draw_appearance, draw_figure, ground_point

NEAREST_M, FARTHEST_M = 8.6, 16.0  # people are 110 px tall at the nearest and 60 at the farthest
_EDGE_M = 0.6  # walkers start this far outside the picture
_SHADOW = 0.42


@dataclass(frozen=True, slots=True)
class Walker:
    """One person and the straight way that it walks; it stands still until ``wait_s``."""

    id: int
    appearance: Appearance
    height_m: float
    start_m: tuple[float, float]  # right, depth at second 0
    velocity_m_s: tuple[float, float]
    wait_s: float = 0.0

    def place_m(self, time_s: float) -> tuple[float, float]:
        """Where on the ground it is: right of the middle, and how deep."""
        walked = max(0.0, time_s - self.wait_s)
        return self.start_m[0] + self.velocity_m_s[0] * walked, self.start_m[1] + self.velocity_m_s[1] * walked

    def phase(self, time_s: float) -> float:
        """Cycles of its legs since it set off."""
        return max(0.0, time_s - self.wait_s) * float(np.hypot(*self.velocity_m_s)) / (STRIDE * self.height_m) + self.id * 0.37


@dataclass(frozen=True, slots=True)
class Known:
    """Who is in a frame: ``ids`` i64[n], ``boxes_xyxy`` f64[n 4] inside the picture, ``visible`` f64[n], the share of each
    person that nothing hides and that lies inside the picture."""

    ids: I64
    boxes_xyxy: F64
    visible: F64


class Street:
    """A street that can be looked at, at any time. Equal seeds give equal pictures."""

    def __init__(self, *, seed: int = 0, duration_s: float = 10.0, ground: Ground | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.ground = ground or Ground()
        self.walkers = _walkers(self.ground, rng, duration_s)
        self._backdrop = draw_backdrop(self.ground, rng)
        self._standing = draw_standing(self.ground, rng)
        self._grain = (2.2 * rng.standard_normal((97, self.ground.height, self.ground.width, 1), np.float32)).astype(np.float16)

    def frame(self, time_s: float) -> tuple[U8, Known]:
        """The picture u8[h w 3] at that time, and who is in it."""
        sway = (3.0 * sin(2 * pi * time_s / 6.1) + 0.7 * sin(2 * pi * time_s / 1.3), 1.6 * sin(2 * pi * time_s / 4.3 + 1))
        picture = _shifted(self._backdrop, sway, self.ground.width, self.ground.height)
        owner = np.zeros(picture.shape[:2], np.int64)
        drawn: dict[int, tuple[F64, int]] = {}
        things: list[tuple[float, Walker | Standing]] = [(walker.place_m(time_s)[1], walker) for walker in self.walkers]
        things += [(thing.depth_m, thing) for thing in self._standing]
        for depth_m, thing in sorted(things, key=lambda pair: -pair[0]):
            if isinstance(thing, Standing):
                _lay(picture, owner, thing.rgba, round(thing.x + sway[0]), round(thing.y + sway[1]), 0)
            elif 4.0 < depth_m < 60.0:
                drawn[thing.id] = self._draw(picture, owner, thing, time_s, sway)
        picture += self._grain[int(time_s * 1000) % len(self._grain)]
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8), _known(owner, drawn)

    def _draw(self, picture: F32, owner: I64, walker: Walker, time_s: float, sway: tuple[float, float]) -> tuple[F64, int]:
        """Paints one person; the box of all of it, and how many pixels it covers."""
        right_m, depth_m = walker.place_m(time_s)
        x, y = self.ground.place(right_m, depth_m)
        x, y = x + sway[0], y + sway[1]
        height_px = walker.height_m * self.ground.focal_px / depth_m
        if not -height_px < x < self.ground.width + height_px:
            return np.zeros(4), 0
        _shade_ground(picture, x, y, height_px)
        origin_x, origin_y = ground_point(height_px)
        left, top = int(np.floor(x - origin_x)), int(np.floor(y - origin_y))
        moving = float(np.clip((time_s - walker.wait_s) / 0.4, 0, 1)) if walker.wait_s else 1.0
        figure = draw_figure(
            walker.appearance,
            height_px,
            walker.phase(time_s),
            heading=atan2(-walker.velocity_m_s[1], walker.velocity_m_s[0]),
            walking=moving,
            shift_px=(x - origin_x - left, y - origin_y - top),
        )
        rgba = figure.astype(np.float32)
        rgba[..., 3] /= 255
        _lay(picture, owner, rgba, left, top, walker.id)
        solid = rgba[..., 3] > 0.5
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        box = np.array([left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1], np.float64)
        return box, int(solid.sum())


def _walkers(ground: Ground, rng: np.random.Generator, duration_s: float) -> tuple[Walker, ...]:
    """People who are there at the start, then one more every other second or so; some walk in pairs, one waits."""
    walkers: list[Walker] = []

    def add(start: tuple[float, float], velocity: tuple[float, float], wait_s: float = 0.0) -> None:
        person = draw_appearance(rng)
        walkers.append(Walker(len(walkers) + 1, person, float(rng.uniform(1.58, 1.88)), start, velocity, wait_s))

    lanes = rng.permutation(np.linspace(NEAREST_M + 0.4, FARTHEST_M - 0.4, 6))
    for i, depth_m in enumerate(lanes):
        way = 1.0 if i % 2 else -1.0
        half = 0.5 * ground.width / ground.focal_px * depth_m
        speed, drift = float(rng.uniform(0.85, 1.5)), float(rng.choice([0.0, 0.0, rng.uniform(-0.3, 0.3)]))
        start = (-way * half * float(rng.uniform(0.05, 0.85)), float(depth_m))
        add(start, (way * speed, drift), wait_s=3.5 if i == 2 else 0.0)
        if i == 0:
            add((start[0] - 0.25 * way, start[1] + 0.75), (way * speed, drift))
    time_s = 1.2
    while time_s < duration_s:
        depth_m, way = float(rng.uniform(NEAREST_M + 0.3, FARTHEST_M - 0.3)), float(rng.choice([-1.0, 1.0]))
        edge = 0.5 * ground.width / ground.focal_px * depth_m + _EDGE_M
        speed = float(rng.uniform(0.9, 1.6))
        add((-way * (edge + speed * time_s), depth_m), (way * speed, 0.0))
        time_s += float(rng.uniform(2.2, 3.6))
    return tuple(walkers)


def _known(owner: I64, drawn: dict[int, tuple[F64, int]]) -> Known:
    """Whoever shows at least a pixel, its box cut to the picture."""
    height, width = owner.shape
    counts = np.bincount(owner.ravel(), minlength=max(drawn, default=0) + 1)
    ids = [i for i in sorted(drawn) if counts[i] > 0]
    boxes = np.array([drawn[i][0] for i in ids], np.float64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, [width, height, width, height])
    return Known(np.array(ids, np.int64), boxes, np.array([counts[i] / drawn[i][1] for i in ids], np.float64))


def _lay(picture: F32, owner: I64, rgba: F32, left: int, top: int, mark: int) -> None:
    """Paints ``rgba`` over the picture where it lies inside, and notes whose pixels they are now."""
    height, width = picture.shape[:2]
    rows, columns = slice(max(top, 0), min(top + rgba.shape[0], height)), slice(max(left, 0), min(left + rgba.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    piece = rgba[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    cover = piece[..., 3:]
    picture[rows, columns] += (piece[..., :3] - picture[rows, columns]) * cover
    owner[rows, columns][cover[..., 0] > 0.5] = mark


def _shade_ground(picture: F32, x: float, y: float, height_px: float) -> None:
    """The soft shadow at somebody's feet, longer on the side away from the light."""
    half_w, half_h = 0.3 * height_px, 0.06 * height_px
    left, top = int(x - half_w), int(y - half_h) - 1
    rows, columns = slice(max(top, 0), max(int(y + half_h) + 2, 0)), slice(max(left, 0), max(int(x + 1.5 * half_w) + 2, 0))
    down, along = np.ogrid[
        rows.start : rows.start + len(picture[rows]), columns.start : columns.start + picture[0, columns].shape[0]
    ]
    away = np.hypot((along - x - 0.22 * half_w) / (1.1 * half_w), (down - y) / half_h)
    picture[rows, columns] *= (1 - _SHADOW * np.clip(1.15 - away, 0, 1)).astype(np.float32)[..., None]


def _shifted(backdrop: F32, sway: tuple[float, float], width: int, height: int) -> F32:
    """The picture cut from the backdrop, moved by a part of a pixel too."""
    x, y = MARGIN - sway[0], MARGIN - sway[1]
    left, top = int(np.floor(x)), int(np.floor(y))
    along, down = np.float32(x - left), np.float32(y - top)
    rows = backdrop[top : top + height + 1, left : left + width + 1]
    mixed = rows[:-1] * (1 - down) + rows[1:] * down
    return np.asarray(mixed[:, :-1] * (1 - along) + mixed[:, 1:] * along, np.float32)
