"""Presets: a flat TOML file and the user's changes become one frozen dataclass.

A preset is one architecture with one set of weights. ``load("people", TrackConfig)`` reads ``configs/people.toml``; a path
to a user's own file works as well. Every key must be a field of the dataclass, or of a dataclass among its fields: the file
stays flat. The key ``task`` names the subcommand that a preset is for.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vidpc.errors import PresetError, unknown_name

ASSOCIATION_RULES = ("paper", "motion", "two-pass")
RESIZE_RULES = ("scaler", "antialiased", "plain")
LEAST_POINTS = 256  # of a scanned object: with fewer, most shapes cannot be told apart
SCHEMES = ("tiles", "paper")
# Where the pictures of a window lie in it: in the middles of equal parts; TimeSformer on Kinetics; TimeSformer on
# Something-Something; VidTr, torchvision
SAMPLING_RULES = ("centres", "linspace", "segments", "steps")
# stretch: the whole picture becomes the square, by the decoder's scaler; float: TimeSformer; opencv: VidTr; antialiased:
# torchvision, whose transform of clips smooths nothing, whatever the name says
CLIP_RESIZE_RULES = ("stretch", "float", "opencv", "antialiased")

# Which frames the published inpainting network may look at beside the neighbours: some around the window, or the authors' rule
REFERENCE_RULES = ("bounded", "all")
REPEAT_RULES = ("keep", "drop")

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class AssociationSettings:
    """How detections become tracks. Times are seconds of the video, so a thinned or uneven input keeps its meaning."""

    rule: str = "paper"
    score: float = 0.4  # a detection at or above it can start or continue a track
    max_age: int = 32  # paper: a lost track is dropped in the frame that makes it this old; its age in sight is 1
    max_gap_s: float = 1.0  # motion, two-pass: a lost track is kept this long
    low_score: float = 0.1  # two-pass: a detection at or above it can continue a track in the second pass
    birth_score: float = 0.6  # motion, two-pass: a detection at or above it is a track at once,
    confirm_frames: int = 2  # a weaker one when it was seen in this many frames running
    match_giou: float = 0.2  # motion, two-pass: the least GIoU of a pair, first pass
    second_iou: float = 0.5  # two-pass: the least IoU of a pair, second pass
    duplicate_iou: float = 0.7  # motion, two-pass: of two detections that overlap more, the weaker is left out
    velocity_s: float = 0.5  # motion, two-pass: velocities are averaged over about this time,
    coast_s: float = 1.0  # and a lost track slows down with this time constant

    def __post_init__(self) -> None:
        if self.rule not in ASSOCIATION_RULES:
            raise PresetError(unknown_name("association rule", self.rule, ASSOCIATION_RULES))
        for name in ("max_age", "confirm_frames"):
            if getattr(self, name) < 1:
                raise PresetError(f"association: {name} is {getattr(self, name)}, expected at least 1")
        for name in ("velocity_s", "coast_s"):
            if not getattr(self, name) > 0:
                raise PresetError(f"association: {name} is {getattr(self, name)}, expected more than 0")


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """Settings of ``vidpc track``."""

    weights: str  # an entry of the registry, or a path
    short_side: int = 800
    long_side: int = 1333
    # scaler: one pass of the decoder's scaler, cheapest; antialiased: the authors' evaluation; plain: the authors' demo
    resize: str = "antialiased"
    near_scale: float = 0.0  # of a second, smaller picture in which people close to the camera are found; 0: none
    association: AssociationSettings = field(default_factory=AssociationSettings)

    def __post_init__(self) -> None:
        if self.resize not in RESIZE_RULES:
            raise PresetError(unknown_name("resize rule", self.resize, RESIZE_RULES))
        if not 32 <= self.short_side <= self.long_side <= 8192:
            raise PresetError(
                f"short_side {self.short_side} and long_side {self.long_side}: expected 32 <= short <= long <= 8192"
            )
        if not 0 <= self.near_scale < 1:
            raise PresetError(f"near_scale {self.near_scale:g}: expected 0, or a share of the picture's size below 1")


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """Settings of ``vidpc segment``. Lengths are in the scan's own unit, which is taken for metres."""

    weights: str  # an entry of the registry, or a path
    scheme: str = "tiles"  # tiles: any size in bounded memory; paper: the authors' test, the whole scan in memory
    votes: int = 1  # tiles: passes over every point, each with a voxel grid of its own
    voxel_m: float = 0.0  # side of the voxels that keep one point each; 0: what the weights were trained with
    block_m: float = 80.0  # the model sees a block of at most this side at once,
    halo_m: float = 10.0  # with so much of its surroundings,
    block_points: int = 60_000  # and at most about so many thinned points without them
    tile_points: int = 1_000_000  # points as they are in the file that are held at once

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise PresetError(unknown_name("scheme", self.scheme, SCHEMES))
        for name in ("votes", "block_points", "tile_points"):
            if getattr(self, name) < 1:
                raise PresetError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not self.block_m > 0 or not self.halo_m >= 0 or not self.voxel_m >= 0:
            raise PresetError(
                f"block_m {self.block_m}, halo_m {self.halo_m}, voxel_m {self.voxel_m}: expected a block and nothing below 0"
            )


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """Settings of ``vidpc classify``."""

    weights: str  # an entry of the registry, or a path
    points: int = 0  # that the network looks at, drawn from the scan; 0: as many as the weights ask for
    votes: int = 1  # looks at a scan, each at other points and from another side; their scores are averaged

    def __post_init__(self) -> None:
        if self.points and not LEAST_POINTS <= self.points <= 8192:
            raise PresetError(f"points is {self.points}, expected 0 or {LEAST_POINTS} to 8192")
        if not 1 <= self.votes <= 64:
            raise PresetError(f"votes is {self.votes}, expected 1 to 64")


@dataclass(frozen=True, slots=True)
class RecognizeConfig:
    """Settings of ``vidpc recognize``. What is 0 or empty is as the weights file asks for."""

    weights: str  # an entry of the registry, or a path
    # windows
    window_s: float = 0.0  # span of a window
    hop_s: float = 0.0  # from the start of a window to that of the next; 0: about half a window
    clips: int = 0  # 0: windows side by side over the whole video; else so many, placed as the paper's test places them
    crops: int = 1  # views of a window: 1 in the middle, or 3 from side to side; their scores are averaged
    # how the network sees a window
    frames: int = 0  # pictures of a window
    rate: int = 0  # of them, in pictures of a video of 30 a second: the papers' "8 x 32" is frames x rate
    sampling: str = ""  # one of SAMPLING_RULES
    resize: str = ""  # one of CLIP_RESIZE_RULES
    short_side: int = 0  # after resizing, before cropping
    crop: int = 0  # side of the square that the network sees
    order: str = ""  # rgb or bgr
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    combine: str = ""  # what is averaged over views and windows: scores or logits
    # segments
    on_score: float = 0.5  # a segment begins with a window of at least this score,
    off_score: float = 0.35  # and goes on while windows have at least this one

    def __post_init__(self) -> None:
        for name, known in (("sampling", SAMPLING_RULES), ("resize", CLIP_RESIZE_RULES), ("order", ("rgb", "bgr"))):
            if getattr(self, name) not in ("", *known):
                raise PresetError(unknown_name(name, getattr(self, name), known))
        if self.combine not in ("", "scores", "logits"):
            raise PresetError(unknown_name("combine", self.combine, ("scores", "logits")))
        for name in ("window_s", "hop_s", "clips", "frames", "rate", "short_side", "crop"):
            if not getattr(self, name) >= 0:
                raise PresetError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if self.crops not in (1, 3):
            raise PresetError(f"crops is {self.crops}, expected 1 or 3")
        if not 0 <= self.off_score <= self.on_score <= 1:
            raise PresetError(f"off_score {self.off_score:g}, on_score {self.on_score:g}: expected 0 <= off <= on <= 1")


@dataclass(frozen=True, slots=True)
class InpaintConfig:
    """Settings of ``vidpc inpaint``. Lengths in pixels are those of the video itself."""

    weights: str  # an entry of the registry, or a path
    dilate_px: int = 8  # a mask grows by so much before anything is filled,
    feather_px: int = 4  # and from its rim inwards so far the fill fades in
    margin: float = 1.0  # of a region's own size that the network sees around it, on every side
    grain: float = 1.0  # share of the grain around a hole that the fill lacks and is given
    seed: int = 0  # of that grain
    # of the published network alone
    references: str = "bounded"  # one of REFERENCE_RULES

    def __post_init__(self) -> None:
        if self.references not in REFERENCE_RULES:
            raise PresetError(unknown_name("references", self.references, REFERENCE_RULES))
        for name in ("dilate_px", "feather_px"):
            if not 0 <= getattr(self, name) <= 1024:
                raise PresetError(f"{name} is {getattr(self, name)}, expected 0 to 1024")
        if not 0.25 <= self.margin <= 16:
            raise PresetError(f"margin is {self.margin:g}, expected 0.25 to 16")
        if not 0 <= self.grain <= 4:
            raise PresetError(f"grain is {self.grain:g}, expected 0 to 4")


@dataclass(frozen=True, slots=True)
class SynthesizeConfig:
    """Settings of ``vidpc synthesize``."""

    weights: str  # an entry of the registry, or a path
    tile: int = 0  # side of the squares that larger frames are drawn in, in pixels; 0: as the weights ask for
    overlap: int = 0  # pixels that neighbouring squares share, whose seam fades over half of them; 0: an eighth of the side
    cut_threshold: float = 0.38  # a step from frame to frame with at least this score begins another shot; 0: none does
    repeats: str = "keep"  # one of REPEAT_RULES: what becomes of a frame that repeats the one before

    def __post_init__(self) -> None:
        if self.repeats not in REPEAT_RULES:
            raise PresetError(unknown_name("rule of repeats", self.repeats, REPEAT_RULES))
        if self.tile and not 64 <= self.tile <= 16384:
            raise PresetError(f"tile is {self.tile}, expected 0, or 64 to 16384")
        if not 0 <= self.overlap <= (self.tile or 16384) // 4:
            raise PresetError(f"overlap is {self.overlap}, expected 0, or up to a quarter of the tile")
        if not 0 <= self.cut_threshold <= 100:
            raise PresetError(f"cut_threshold is {self.cut_threshold:g}, expected 0 to 100")


# The subcommands that have presets, by the word that their files hold.
TASKS: dict[str, type] = {
    "track": TrackConfig,
    "segment": SegmentConfig,
    "classify": ClassifyConfig,
    "recognize": RecognizeConfig,
    "inpaint": InpaintConfig,
    "synthesize": SynthesizeConfig,
}


def names(task: str | None = None) -> list[str]:
    """The presets that come with vidpc, sorted: all of them, or those of one subcommand."""
    found = [name for name in _shipped() if not name.endswith(".train")]
    return [name for name in found if task is None or _read(name).get("task") == task]


def _shipped() -> list[str]:
    """Presets, and the recipes of training (``people.train``)."""
    files = resources.files("vidpc.configs").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(preset: str, cls: type[Config], overrides: Mapping[str, Any] | None = None) -> Config:
    """The preset of that name, or the TOML file at that path, with ``overrides`` on top.

    Raises ``PresetError`` for a preset, a key or a type that does not exist or fit, with the nearest valid name.
    """
    values = _read(preset)
    task = values.pop("task", None)
    if task is not None and task not in TASKS:
        raise PresetError(f"preset {preset}: {unknown_name('task', str(task), TASKS)}")
    if task is not None and TASKS[task] is not cls:
        fitting = ", ".join(names(next((name for name, kind in TASKS.items() if kind is cls), None)))
        raise PresetError(f"preset {preset} is one of `vidpc {task}`; here there are: {fitting}")
    return build(cls, {**values, **(overrides or {})}, owner=f"preset {preset}")


def build(cls: type[Config], values: Mapping[str, Any], *, owner: str) -> Config:
    """``cls`` from flat ``values``; the fields of its dataclass fields count as its own."""
    known = _flat_types(cls)
    for key, value in values.items():
        if key not in known:
            raise PresetError(f"{owner}: {unknown_name('setting', key, known)}")
        _check_type(owner, key, value, known[key])
    missing = [f.name for f in fields(cls) if f.name not in values and _is_required(f)]  # type: ignore[arg-type]
    if missing:
        raise PresetError(f"{owner}: {missing[0]} is missing")
    try:
        return _assemble(cls, values)
    except (ValueError, ZeroDivisionError) as error:  # of a network's config, which knows nothing of presets
        raise PresetError(f"{owner}: {error}") from error


def _read(preset: str) -> dict[str, Any]:
    if preset.endswith(".toml") or "/" in preset:
        path = Path(preset)
        if not path.is_file():
            raise PresetError(f"preset {preset}: no such file")
        return _parse(path.read_bytes(), preset)
    if preset not in _shipped():
        raise PresetError(unknown_name("preset", preset, _shipped()))
    return _parse(resources.files("vidpc.configs").joinpath(f"{preset}.toml").read_bytes(), preset)


def _parse(content: bytes, preset: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetError(f"preset {preset}: not a TOML file: {error}") from error


def _flat_types(cls: type) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        types.update(_flat_types(hint) if _is_group(hint) else {name: hint})
    return types


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _is_required(item: Any) -> bool:
    return item.default is item.default_factory  # both MISSING


def _check_type(owner: str, key: str, value: Any, hint: Any) -> None:
    expected = get_origin(hint) or hint
    fits = (
        isinstance(value, expected) or (expected is float and type(value) is int) or (expected is tuple and type(value) is list)
    )
    if not fits or (type(value) is bool and expected is not bool):
        raise PresetError(f"{owner}: {key} is {value!r}, expected {getattr(expected, '__name__', expected)}")
    if expected is tuple:
        for item in value:
            _check_type(owner, f"an item of {key}", item, get_args(hint)[0])


def _assemble(cls: type[Config], values: Mapping[str, Any]) -> Config:
    arguments: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        if _is_group(hint):
            arguments[name] = _assemble(hint, values)
        elif name in values:
            arguments[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
    return cls(**arguments)
