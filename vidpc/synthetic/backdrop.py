"""A street without people: house fronts, pavement, road, parked cars, and the things that stand in front of walkers.

The ground is flat. ``Ground`` is the camera that looks at it; everything is drawn in its pixels.
"""

from dataclasses import dataclass

import numpy as np

from vidpc.types import F32

MARGIN = 16  # pixels around the picture, for a camera that sways


@dataclass(frozen=True, slots=True)
class Ground:
    """A level camera above flat ground: which pixel shows which place."""

    width: int = 640
    height: int = 360
    horizon_y: float = 59.0
    camera_m: float = 4.4
    focal_px: float = 560.0

    def place(self, right_m: float, depth_m: float) -> tuple[float, float]:
        """The pixel (x, y) of a point on the ground."""
        return self.width / 2 + right_m * self.focal_px / depth_m, self.horizon_y + self.camera_m * self.focal_px / depth_m


@dataclass(frozen=True, slots=True)
class Standing:
    """Something that hides walkers behind it: ``rgba`` f32[h w 4] with its top left corner at (x, y)."""

    rgba: F32
    x: int
    y: int
    depth_m: float


FRONT_M, FAR_KERB_M, NEAR_KERB_M = 24.5, 19.5, 13.2  # depths where the houses end, and of the road's edges


def draw_backdrop(ground: Ground, rng: np.random.Generator) -> F32:
    """The empty street as f32[h w 3] in 0..255, with ``MARGIN`` pixels around the picture."""
    height, width = ground.height + 2 * MARGIN, ground.width + 2 * MARGIN
    picture = np.zeros((height, width, 3), np.float32)
    _paint_ground(picture, ground, rng)
    base = int(ground.place(0, FRONT_M)[1]) + MARGIN
    x = -int(rng.integers(20, 90))
    while x < width:
        front = int(rng.integers(150, 260))
        _paint_front(picture[:base], x, min(x + front, width), ground.focal_px / FRONT_M, rng)
        x += front
    picture[base : base + 5] *= np.linspace(0.55, 1, 5, dtype=np.float32)[:, None, None]
    for right_m in (-7.5, 2.5, 8.2):
        _paint_car(picture, ground, right_m + float(rng.uniform(-0.8, 0.8)), FAR_KERB_M - 1.0, rng)
    picture *= np.linspace(1.06, 0.92, width, dtype=np.float32)[None, :, None]
    return picture.clip(0, 255)


def draw_standing(ground: Ground, rng: np.random.Generator) -> list[Standing]:
    """A lamp post, a tree and bollards."""
    post = _post(ground, float(rng.uniform(-4.6, -3.4)), 12.6, width_m=0.16, height_m=5.6, colour=(64, 70, 70))
    trunk = _post(ground, float(rng.uniform(2.6, 3.8)), 11.4, width_m=0.34, height_m=3.4, colour=(88, 72, 56))
    bollards = [_post(ground, x, 12.9, width_m=0.14, height_m=0.9, colour=(120, 118, 112)) for x in (-1.6, 0.4, 5.6)]
    return [post, trunk, _crown(ground, trunk, rng), *bollards]


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> F32:
    """Smooth noise f32[h w] between -1 and 1 whose lumps are ``cell`` pixels wide."""
    rows, columns = int(height / cell) + 2, int(width / cell) + 2
    grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    y, x = np.arange(height, dtype=np.float32) / cell, np.arange(width, dtype=np.float32) / cell
    top, left = y.astype(int), x.astype(int)
    down, along = (y - top)[:, None], (x - left)[None]
    upper = grid[top][:, left] * (1 - along) + grid[top][:, left + 1] * along
    lower = grid[top + 1][:, left] * (1 - along) + grid[top + 1][:, left + 1] * along
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> F32:
    """Three sizes of noise over one another, f32[h w 1]."""
    layers = noise(rng, height, width, 31) + 0.6 * noise(rng, height, width, 7) + 0.5 * noise(rng, height, width, 1.6)
    return np.asarray(layers[..., None] / 2.1, np.float32)


def _paint_ground(picture: F32, ground: Ground, rng: np.random.Generator) -> None:
    """Slabs, kerbs and asphalt, in perspective."""
    height, width = picture.shape[:2]
    y = np.maximum(np.arange(height) - MARGIN + 0.5, ground.horizon_y + 20)
    depth = (ground.camera_m * ground.focal_px / (y - ground.horizon_y))[:, None]  # f64[h 1]
    right = (np.arange(width)[None] - MARGIN + 0.5 - ground.width / 2) * depth / ground.focal_px
    texture = _texture(rng, height, width)
    slabs = _pattern(right, depth, 0.9, 0.02) * _pattern(right + 0.45 * (np.floor(depth / 0.6) % 2), depth, 0.6, 0.0)
    tone = (1 - 0.16 * (1 - slabs))[..., None] + 0.09 * texture
    picture[:] = np.array([150, 145, 138], np.float32) * tone
    road = ((depth < FAR_KERB_M) & (depth > NEAR_KERB_M)) & np.ones_like(right, bool)
    asphalt = np.array([84, 85, 88], np.float32) * (1 + 0.12 * texture)
    picture[road] = asphalt[road]
    dashes = road & (np.abs(depth - 16.1) < 0.09) & (np.floor(right / 1.6) % 2 == 0)
    picture[dashes] = np.array([196, 194, 186], np.float32)
    for kerb in (FAR_KERB_M, NEAR_KERB_M):
        stone = (np.abs(depth - kerb) < 0.13) & np.ones_like(right, bool)
        picture[stone] = (np.array([170, 167, 160], np.float32) * (1 + 0.1 * texture))[stone]


def _pattern(right: F32, depth: F32, size_m: float, joint: float) -> F32:
    """1 inside slabs of ``size_m``, less on the joints between them; joints fade where they get thin."""
    away = np.maximum(np.abs((right / size_m) % 1 - 0.5), np.abs((depth / size_m) % 1 - 0.5) + joint)
    return np.asarray(np.clip(1 - (away - 0.46) / 0.04, 0, 1), np.float32)


def _paint_front(wall: F32, x0: int, x1: int, scale: float, rng: np.random.Generator) -> None:
    """One house: plaster or brick, a shop below, windows above. ``scale`` is pixels a metre on the wall."""
    left, base = max(x0, 0), wall.shape[0]
    if x1 <= left:
        return
    colour = np.array(_WALLS[rng.integers(len(_WALLS))], np.float32) * rng.uniform(0.85, 1.1)
    wall[:, left:x1] = colour * (1 + 0.08 * _texture(rng, base, x1 - left))
    if rng.random() < 0.5:
        wall[::3, left:x1] *= 0.93
    storey, bay = 3.4 * scale, rng.uniform(2.2, 3.2) * scale
    for x in np.arange(x0 + 0.25 * bay, x1 - 0.7 * bay, bay):
        _glass(wall, x, base - 0.78 * storey, 0.62 * bay, 0.66 * storey if rng.random() < 0.75 else 0.78 * storey, rng)
        for floor in (1, 2):
            _glass(wall, x + 0.08 * bay, base - (floor + 0.78) * storey, 0.44 * bay, 0.55 * storey, rng)
    sign = slice(max(int(base - 0.97 * storey), 0), int(base - 0.84 * storey))
    wall[sign, left + 6 : x1 - 6] = np.array(_SIGNS[rng.integers(len(_SIGNS))], np.float32) * rng.uniform(0.7, 1.1)
    wall[: int(base - storey), left:x1][-3:] *= 0.8
    wall[:, left : left + 2] *= 0.7


def _glass(wall: F32, x: float, y: float, width: float, height: float, rng: np.random.Generator) -> None:
    """A window: frame, dark pane with a slanted reflection, something lit inside now and then."""
    rows, columns = slice(max(int(y), 0), max(int(y + height), 0)), slice(max(int(x), 0), max(int(x + width), 0))
    pane = wall[rows, columns]
    if pane.shape[0] < 6 or pane.shape[1] < 6:
        return
    pane[:] = np.array([196, 192, 184], np.float32) * rng.uniform(0.4, 1.05)
    inside = pane[2:-2, 2:-2]
    down, along = np.mgrid[0 : inside.shape[0], 0 : inside.shape[1]].astype(np.float32)
    tint = (
        np.array([52, 60, 68], np.float32) * rng.uniform(0.7, 1.3)
        + 26 * noise(rng, inside.shape[0], inside.shape[1], 6)[..., None]
    )
    slant = (np.abs((along + 0.6 * down) / inside.shape[1] - rng.uniform(0.3, 1.2)) < 0.16)[..., None]
    inside[:] = np.clip(tint + 24 * slant, 14, 255)
    if rng.random() < 0.5:
        inside[:, inside.shape[1] // 2] = pane[0, 0]


def _paint_car(picture: F32, ground: Ground, right_m: float, depth_m: float, rng: np.random.Generator) -> None:
    """A parked car, from its side: shadow, body, cabin with windows, wheels."""
    scale = ground.focal_px / depth_m
    x, y = ground.place(right_m, depth_m)
    x, y = x + MARGIN, y + MARGIN
    colour = np.array(_CARS[rng.integers(len(_CARS))], np.float32)
    down, along = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    u, v = (along - x) / scale, (y - down) / scale  # metres right of its middle, above the ground

    def lay(shape: F32, paint: F32, strength: float = 1.0) -> None:
        cover = np.clip(0.5 - shape * scale, 0, 1)[..., None] * strength
        picture[:] = picture * (1 - cover) + paint * cover

    lay(np.hypot(u / 2.2, v / 0.22) - 1, np.array([30, 30, 32], np.float32), 0.6)
    cabin = np.maximum(np.abs(u + 0.15) - (1.5 - 0.75 * (v - 0.85).clip(0, 1)), np.abs(v - 1.05) - 0.42)
    lay(cabin, colour * 0.92)
    lay(np.maximum(cabin + 0.1, 0.9 - v), np.array([44, 52, 58], np.float32))
    lay(np.maximum(np.abs(u + 0.2) - 0.05, np.abs(v - 1.1) - 0.34), colour * 0.9)
    body = np.hypot(np.maximum(np.abs(u) - 1.85, 0), np.maximum(np.abs(v - 0.58) - 0.16, 0)) - 0.2
    lay(body, (colour * (0.8 + 0.35 * (v / 0.95).clip(0, 1))[..., None]).astype(np.float32))
    for wheel in (-1.25, 1.3):
        away = np.hypot(u - wheel, v - 0.32)
        lay(away - 0.33, np.array([26, 26, 28], np.float32))
        lay(away - 0.19, np.array([132, 134, 136], np.float32))


def _post(
    ground: Ground, right_m: float, depth_m: float, *, width_m: float, height_m: float, colour: tuple[int, int, int]
) -> Standing:
    """An upright round bar."""
    scale = ground.focal_px / depth_m
    x, y = ground.place(right_m, depth_m)
    radius, tall = width_m * scale / 2, int(height_m * scale)
    across = np.arange(-int(radius) - 2, int(radius) + 3, dtype=np.float32)
    cover = np.clip(radius - np.abs(across) + 0.5, 0, 1)
    shade = 0.85 - 0.35 * np.clip(across / radius, -1, 1)
    rgba = np.zeros((tall, len(across), 4), np.float32)
    rgba[..., :3] = np.array(colour, np.float32) * shade[None, :, None]
    rgba[..., 3] = cover
    return Standing(rgba, int(x) + int(across[0]), int(y) - tall, depth_m)


def _crown(ground: Ground, trunk: Standing, rng: np.random.Generator) -> Standing:
    """Leaves above a trunk: lumps of noise inside a round outline."""
    size = int(3.6 * ground.focal_px / trunk.depth_m)
    down, along = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    lumps = noise(rng, size, size, 14) + 0.7 * noise(rng, size, size, 5)
    cover = np.clip((1 - np.hypot(down, along) + 0.22 * lumps - 0.12) * 12, 0, 1)
    shade = 0.85 + 0.28 * noise(rng, size, size, 4) - 0.22 * along - 0.2 * down
    rgba = np.concatenate([np.array([74, 98, 52], np.float32) * shade[..., None], cover[..., None]], axis=-1)
    x = trunk.x + trunk.rgba.shape[1] // 2 - size // 2
    return Standing(rgba.astype(np.float32), x, trunk.y - int(0.72 * size), trunk.depth_m)


_WALLS = ((168, 150, 128), (142, 92, 74), (186, 180, 168), (120, 118, 116), (172, 136, 104), (150, 156, 158))
_SIGNS = ((92, 30, 34), (34, 60, 92), (44, 82, 60), (60, 56, 54), (168, 142, 74))
_CARS = ((132, 136, 140), (44, 48, 56), (122, 34, 34), (198, 198, 194), (48, 72, 104))
