"""Walking people, drawn: a jointed skeleton, seen from any side, dressed in rounded parts with soft edges.

All lengths of the body are shares of its height. Axes of the body: forward, left, up; of the picture: right, down, and
towards the viewer. A heading of 0 walks to the right, pi/2 towards the viewer, pi to the left, -pi/2 away.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from vidpc.types import F32, U8

STRIDE = 0.83  # body heights that one cycle of both legs covers

# Joint heights and limb lengths of an adult (Winter, Biomechanics of Human Movement, table of segment lengths), rounded.
THIGH, SHIN, ANKLE, FOOT = 0.245, 0.245, 0.035, 0.115
HIP_UP, SHOULDER_UP, HEAD_UP = 0.525, 0.805, 0.925
UPPER_ARM, FOREARM = 0.175, 0.15

_MARGIN = 0.06  # of the height, around the body on the canvas
_HALF_WIDTH = 0.42
_TILT = 0.13  # a camera above the heads sees what is nearer lower in the picture

Colour = tuple[float, float, float]  # red, green, blue in 0..255


@dataclass(frozen=True, slots=True)
class Appearance:
    """What one person looks like; it stays with the person over a clip."""

    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    accent: Colour  # bag, hat, stripes
    build: float  # 1 is average, larger is stouter
    sleeves: float  # share of the arm that is covered
    coat: float  # how far below the hips the top reaches
    skirt: bool
    shorts: bool
    long_hair: bool
    hat: bool
    bag: str  # "none", "back" or "hand"
    stripes: float  # strength of stripes on the top
    swing: float  # 1 is an average walk
    grain: int  # seed of the folds


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """A random person: mostly muted clothes, some bright ones, as a street shows them."""
    skin = np.array(_SKINS[rng.integers(len(_SKINS))]) * rng.uniform(0.9, 1.08)
    kind = rng.random()
    return Appearance(
        skin=_colour(skin),
        hair=_colour(np.array(_HAIRS[rng.integers(len(_HAIRS))]) * rng.uniform(0.8, 1.2)),
        top=_cloth(rng, bright=0.45),
        legs=_cloth(rng, bright=0.12),
        shoes=_cloth(rng, bright=0.2),
        accent=_cloth(rng, bright=0.6),
        build=float(rng.uniform(0.86, 1.18)),
        sleeves=float(rng.choice([1.0, 0.45, 0.2], p=[0.6, 0.25, 0.15])),
        coat=float(rng.choice([0.0, 0.06, 0.2], p=[0.6, 0.25, 0.15])),
        skirt=bool(kind < 0.14),
        shorts=bool(0.14 <= kind < 0.26),
        long_hair=bool(rng.random() < 0.4),
        hat=bool(rng.random() < 0.12),
        bag=str(rng.choice(["none", "back", "hand"], p=[0.6, 0.22, 0.18])),
        stripes=float(rng.choice([0.0, 0.3], p=[0.85, 0.15])),
        swing=float(rng.uniform(0.8, 1.15)),
        grain=int(rng.integers(1 << 30)),
    )


def draw_figure(
    appearance: Appearance,
    height_px: float,
    phase: float,
    *,
    heading: float = 0.0,
    walking: float = 1.0,
    light: float = -0.6,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> U8:
    """A person of ``height_px`` as rgba u8[h w 4], not premultiplied.

    ``phase`` in cycles says where the legs are, ``walking`` how far they swing (0 stands), ``light`` where the light is
    (-1 left, 1 right). The point on the ground below the hips lies at ``ground_point(height_px)`` plus ``shift_px``, a
    shift below one pixel that lets a figure move smoothly.
    """
    canvas = _Canvas(height_px, shift_px, light)
    joints = _pose(appearance, phase, walking)
    parts = sorted(_parts(appearance, joints, heading), key=lambda part: part.nearness(heading))
    for part in parts:
        canvas.paint(part, heading, appearance.grain)
    return canvas.pixels()


def ground_point(height_px: float) -> tuple[float, float]:
    """Where the point below the hips lies on the canvas of ``draw_figure``: (x, y) in pixels from the left and top."""
    width, height = _canvas_size(height_px)
    return width / 2, height - (_MARGIN + 0.03) * height_px


Point = tuple[float, float, float]  # forward, left, up


@dataclass(frozen=True, slots=True)
class _Part:
    """Rounded strokes of one colour: from joint to joint with a radius at either end."""

    strokes: tuple[tuple[Point, Point, float, float], ...]
    colour: Colour
    order: float = 0.0  # added to the nearness: a sleeve lies over its arm, a shirt over the trousers
    stripes: float = 0.0
    stretch: float = 1.0  # height over width of a blob

    def nearness(self, heading: float) -> float:
        """How far in front of the body's middle the part is."""
        middle = np.mean([[*a, *b] for a, b, _, _ in self.strokes], axis=0)
        forward, left = (middle[0] + middle[3]) / 2, (middle[1] + middle[4]) / 2
        return float(forward * sin(heading) - left * cos(heading)) + self.order


def _pose(person: Appearance, phase: float, walking: float) -> dict[str, Point]:
    """Every joint. The lower foot stands on the ground, which makes the body rise and sink as it walks."""
    joints: dict[str, Point] = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        angle = 2 * pi * phase + (pi if side == "right" else 0.0)
        reach = 0.38 * person.swing * walking
        thigh = reach * sin(angle) + 0.04 * walking
        # The knee bends while the leg comes forward.
        shin = thigh - (0.05 + 0.95 * reach / 0.38 * max(0.0, cos(angle + 0.35)) ** 1.5)
        hip = (0.0, sign * 0.055 * person.build, HIP_UP)
        knee = (hip[0] + THIGH * sin(thigh), hip[1], hip[2] - THIGH * cos(thigh))
        ankle = (knee[0] + SHIN * sin(shin), hip[1], knee[2] - SHIN * cos(shin))
        pitch = 0.55 * min(shin, 0.15)
        toe = (ankle[0] + FOOT * cos(pitch) * 0.75, hip[1] + sign * 0.015, ankle[2] - 0.02 + FOOT * sin(pitch))
        joints |= {f"{side} hip": hip, f"{side} knee": knee, f"{side} ankle": ankle, f"{side} toe": toe}
        swing = -0.5 * person.swing * walking * sin(angle) + 0.03
        shoulder = (0.0, sign * 0.098 * person.build, SHOULDER_UP)
        elbow = (UPPER_ARM * sin(swing), shoulder[1] + sign * 0.02, SHOULDER_UP - UPPER_ARM * cos(swing))
        bend = swing + 0.2 + 0.3 * max(0.0, sin(swing)) * walking
        hand = (elbow[0] + FOREARM * sin(bend), elbow[1] - sign * 0.005, elbow[2] - FOREARM * cos(bend))
        joints |= {f"{side} shoulder": shoulder, f"{side} elbow": elbow, f"{side} hand": hand}
    sink = min(joints["left ankle"][2], joints["right ankle"][2]) - ANKLE
    lean = 0.03 * walking
    moved = {name: (f + lean * max(0.0, u - HIP_UP), side, u - sink) for name, (f, side, u) in joints.items()}
    middle = HIP_UP - sink
    head = HEAD_UP - sink
    return moved | {
        "hips": (0.0, 0.0, middle),
        "neck": (lean * 0.3, 0.0, SHOULDER_UP + 0.025 - sink),
        "head": (0.015 + lean * 0.4, 0.0, head),
    }


def _parts(person: Appearance, joints: dict[str, Point], heading: float) -> Iterator[_Part]:
    """Everything to paint, in no order."""
    build = person.build
    for side in ("left", "right"):
        hip, knee, ankle, toe = (joints[f"{side} {name}"] for name in ("hip", "knee", "ankle", "toe"))
        lower = person.skin if person.skirt or person.shorts else person.legs
        shade = 0.94 if side == "left" else 1.0
        yield _Part(((knee, ankle, 0.042 * build, 0.03),), _times(lower, shade), order=-0.02)
        if not person.skirt:
            yield _Part(((hip, knee, 0.068 * build, 0.048 * build),), _times(person.legs, shade), order=-0.015)
        yield _Part(((_mix(ankle, toe, -0.2, down=0.012), toe, 0.027, 0.02),), person.shoes, order=-0.01)
        shoulder, elbow, hand = (joints[f"{side} {name}"] for name in ("shoulder", "elbow", "hand"))
        yield _Part(((elbow, hand, 0.028 * build, 0.021),), person.skin, order=0.095)
        yield _Part(((hand, _mix(elbow, hand, 1.18), 0.022, 0.019),), person.skin, order=0.1)
        yield _Part(((shoulder, elbow, 0.037 * build, 0.03 * build),), _times(person.top, shade), order=0.1)
        if person.sleeves > 0.9:
            yield _Part(((elbow, _mix(elbow, hand, 0.85), 0.033 * build, 0.027),), _times(person.top, shade), order=0.104)
    yield from _trunk(person, joints)
    yield from _head(person, joints, heading)
    yield from _carried(person, joints)


def _trunk(person: Appearance, joints: dict[str, Point]) -> Iterator[_Part]:
    build, hips, neck = person.build, joints["hips"], joints["neck"]
    strokes = []
    for side in ("left", "right"):
        shoulder, hip = joints[f"{side} shoulder"], joints[f"{side} hip"]
        chest = (shoulder[0], shoulder[1] * 0.62, shoulder[2] - 0.075)
        waist = (hip[0], hip[1] * 0.75, hip[2] + 0.1)
        hem = (hip[0], hip[1] * 0.95, hip[2] - person.coat)
        strokes += [
            (neck, _mix(neck, shoulder, 0.9, down=0.006), 0.026, 0.032 * build),
            (chest, waist, 0.063 * build, 0.05 * build),
        ]
        strokes += [(waist, hem, 0.05 * build, (0.054 + 0.1 * person.coat) * build)]
    strokes += [((neck[0], 0.0, neck[2] - 0.06), (hips[0], 0.0, hips[2] - person.coat), 0.066, 0.062 * build)]
    yield _Part(tuple(strokes), person.top, order=0.1, stripes=person.stripes)
    pelvis = (joints["left hip"], joints["right hip"], 0.06 * build, 0.06 * build)
    yield _Part((pelvis,), person.legs, order=0.05)
    if person.skirt:
        low = (0.0, 0.0, hips[2] - 0.2)
        ends = [(low[0], side * 0.045, low[2]) for side in (-1, 1)]
        yield _Part(tuple((hips, end, 0.07 * build, 0.075 * build) for end in ends), person.legs, order=0.09)


def _head(person: Appearance, joints: dict[str, Point], heading: float) -> Iterator[_Part]:
    forward, _, up = joints["head"]
    neck = joints["neck"]
    yield _Part((((neck[0], 0.0, neck[2] - 0.03), (forward, 0.0, up - 0.03), 0.03, 0.028),), person.skin, order=0.105)
    crown = ((forward - 0.008, 0.0, up + 0.008), (forward - 0.008, 0.0, up + 0.012), 0.055, 0.055)
    yield _Part((crown,), person.accent if person.hat else person.hair, order=0.12, stretch=1.15)
    if person.long_hair:
        behind = ((forward - 0.022, 0.0, up), (forward - 0.03, 0.0, up - 0.1), 0.05, 0.045)
        yield _Part((behind,), person.hair, order=0.0 if sin(heading) > 0.2 else 0.13)
    if sin(heading) > -0.5:
        face = ((forward + 0.016, 0.0, up - 0.004), (forward + 0.012, 0.0, up - 0.026), 0.043, 0.036)
        yield _Part((face,), person.skin, order=0.135, stretch=1.12)
    if person.hat:
        yield _Part(
            (((forward - 0.03, 0.0, up + 0.03), (forward + 0.06, 0.0, up + 0.03), 0.014, 0.01),), person.accent, order=0.15
        )


def _carried(person: Appearance, joints: dict[str, Point]) -> Iterator[_Part]:
    hips, hand = joints["hips"], joints["right hand"]
    if person.bag == "back":
        yield _Part((((-0.1, 0.0, hips[2] + 0.22), (-0.1, 0.0, hips[2] + 0.08), 0.062, 0.07),), person.accent, order=0.105)
    if person.bag == "hand":
        low = (hand[0] + 0.01, hand[1] - 0.01, hand[2] - 0.13)
        ends = [(low[0] + step, low[1], low[2]) for step in (-0.05, 0.05)]
        yield _Part(((ends[0], ends[1], 0.04, 0.04), (hand, low, 0.008, 0.012)), person.accent, order=0.106)


class _Canvas:
    """Parts over one another: premultiplied colour and cover, in floating point until the end."""

    def __init__(self, height_px: float, shift_px: tuple[float, float], light: float) -> None:
        width, height = _canvas_size(height_px)
        self._scale, self._light = height_px, light
        origin_x, origin_y = ground_point(height_px)
        self._origin = (origin_x + shift_px[0], origin_y + shift_px[1])
        self._colour = np.zeros((height, width, 3), np.float32)
        self._cover = np.zeros((height, width), np.float32)

    def paint(self, part: _Part, heading: float, grain: int) -> None:
        """Lays one part over what is there."""
        strokes = [(self._project(a, heading), self._project(b, heading), r0, r1) for a, b, r0, r1 in part.strokes]
        window = self._window(strokes, part.stretch)
        ys, xs = np.mgrid[window]
        cover, shade = np.zeros(xs.shape, np.float32), np.zeros(xs.shape, np.float32)
        for (ax, ay), (bx, by), r0, r1 in strokes:
            dx, dy = bx - ax, (by - ay)
            t = np.clip(((xs + 0.5 - ax) * dx + (ys + 0.5 - ay) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
            radius = (r0 + t * (r1 - r0)) * self._scale
            across, along = xs + 0.5 - ax - t * dx, (ys + 0.5 - ay - t * dy) / part.stretch
            own = np.clip(radius - np.hypot(across, along) + 0.5, 0, 1)
            round_ = (self._light * across - 0.5 * along) / np.maximum(radius, 0.5)
            shade = np.where(own > cover, round_, shade)
            cover = np.maximum(cover, own)
        folds = self._folds(xs - self._origin[0], ys - self._origin[1], part.stripes, grain)
        value = (0.9 + 0.2 * np.clip(shade, -1.3, 1.3) + folds)[..., None] * np.asarray(part.colour, np.float32)
        keep = 1 - cover
        self._colour[window] = self._colour[window] * keep[..., None] + value * cover[..., None]
        self._cover[window] = self._cover[window] * keep + cover

    def pixels(self) -> U8:
        """The picture as it is now, rgba."""
        colour = self._colour / np.maximum(self._cover, 1e-3)[..., None]
        rgba = np.concatenate([colour, self._cover[..., None] * 255], axis=-1)
        return np.clip(rgba + 0.5, 0, 255).astype(np.uint8)  # u8[h w 4]

    def _project(self, point: Point, heading: float) -> tuple[float, float]:
        forward, left, up = point
        right = forward * cos(heading) + left * sin(heading)
        nearer = forward * sin(heading) - left * cos(heading)
        return self._origin[0] + right * self._scale, self._origin[1] - (up - nearer * _TILT) * self._scale

    def _window(
        self, strokes: Sequence[tuple[tuple[float, float], tuple[float, float], float, float]], stretch: float
    ) -> tuple[slice, slice]:
        """The part of the canvas that the strokes can reach."""
        xs = [x for a, b, _, _ in strokes for x in (a[0], b[0])]
        ys = [y for a, b, _, _ in strokes for y in (a[1], b[1])]
        reach = max(max(r0, r1) for _, _, r0, r1 in strokes) * self._scale * max(stretch, 1.0) + 2
        height, width = self._cover.shape
        rows = slice(max(0, int(min(ys) - reach)), min(height, int(max(ys) + reach) + 1))
        return rows, slice(max(0, int(min(xs) - reach)), min(width, int(max(xs) + reach) + 1))

    def _folds(self, x: F32, y: F32, stripes: float, grain: int) -> F32:
        """Folds and stripes of the cloth, fixed to the body."""
        a, b, c = (((grain >> bits) & 255) / 40 for bits in (0, 8, 16))
        u, v = x / self._scale, y / self._scale
        folds = 0.05 * np.sin(37 * v + 11 * u + a) * np.sin(23 * u - 9 * v + b) + 0.035 * np.sin(71 * u + 53 * v + c)
        return np.asarray(folds + stripes * np.where(np.sin(110 * v + c) > 0, -0.5, 0.5), np.float32)


def _canvas_size(height_px: float) -> tuple[int, int]:
    return 2 * int(np.ceil(_HALF_WIDTH * height_px)) + 2, int(np.ceil((1 + 2 * _MARGIN) * height_px)) + 2


def _mix(a: Point, b: Point, share: float, *, down: float = 0.0) -> Point:
    """The point at ``share`` of the way from a to b; beyond the ends too."""
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]) - down)


def _times(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _colour(values: Iterable[float]) -> Colour:
    red, green, blue = (float(np.clip(value, 0, 255)) for value in values)
    return red, green, blue


def _cloth(rng: np.random.Generator, *, bright: float) -> Colour:
    """A colour of cloth: grey to muted, and with the chance ``bright`` a strong one."""
    value = rng.choice([rng.uniform(18, 70), rng.uniform(60, 150), rng.uniform(150, 235)], p=[0.5, 0.3, 0.2])
    colour = value * (1 + rng.normal(0, 0.06, 3))
    if rng.random() < bright:
        hue = np.array(_BRIGHTS[rng.integers(len(_BRIGHTS))])
        colour = hue * rng.uniform(0.6, 1.05)
    return _colour(colour)


_SKINS = ((236, 196, 170), (222, 172, 140), (198, 146, 112), (150, 104, 76), (104, 70, 52))
_HAIRS = ((32, 26, 24), (52, 38, 30), (88, 62, 42), (150, 116, 74), (120, 118, 116), (60, 34, 24))
_BRIGHTS = (
    (176, 40, 44),
    (44, 74, 150),
    (60, 120, 84),
    (214, 178, 60),
    (130, 64, 120),
    (66, 140, 176),
    (214, 110, 50),
    (92, 104, 62),
)
