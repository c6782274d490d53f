"""The values that travel between rooms: frozen, and each checks its own shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vidpc.errors import PresetError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

Info = TypeVar("Info")  # what an input says of itself: VideoInfo or ScanInfo


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio stream of a container."""

    codec: str
    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How videos are read.

    ``start_s`` and ``end_s`` are on the clock of ``Frame.time_s``, half-open. ``rate_fps`` thins by time and never repeats a
    frame; ``stride`` keeps every n-th. ``input_fps`` is the rate of a folder of images. ``decoder`` serves random access only.
    """

    start_s: Fraction | None = None
    end_s: Fraction | None = None
    rate_fps: Fraction | None = None
    stride: int = 1
    input_fps: Fraction | None = None
    strict: bool = False
    allow_url: bool = False
    decoder: Literal["pyav", "decord"] = "pyav"
    max_pixels: int = 1 << 26  # of one picture: 8K is half of it
    max_spool_bytes: int = 4 << 30  # of a pipe that has to be kept in a file first
    timeout_s: float = 20.0  # for a connection or a named pipe that stays silent

    def __post_init__(self) -> None:
        if self.start_s is not None and self.end_s is not None and self.end_s <= self.start_s:
            raise PresetError(f"the end {float(self.end_s):g} s must lie after the start {float(self.start_s):g} s")
        for name, rate in (("rate_fps", self.rate_fps), ("input_fps", self.input_fps)):
            if rate is not None and not 0 < rate <= 100_000:
                raise PresetError(f"{name} is {float(rate):g}, expected a rate above 0 and at most 100000")
        if self.stride < 1:
            raise PresetError(f"stride is {self.stride}, expected 1 or more")
        if self.stride > 1 and self.rate_fps is not None:
            raise PresetError("stride and rate_fps exclude each other: give one of them")
        if self.decoder not in ("pyav", "decord"):
            raise PresetError(f"decoder is {self.decoder!r}, expected pyav or decord")


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How a video is written; ``auto`` follows the container and the source.

    ``codec`` is a name such as h264, ``crf`` the quality on that codec's own scale (lower is better), ``pix_fmt`` a format of
    pixels in FFmpeg's words. ``lossless`` keeps every coded sample.
    """

    codec: str = "auto"
    crf: float | None = None
    pix_fmt: str = "auto"
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.lossless and self.crf is not None:
            raise PresetError("crf and lossless exclude each other: give one of them")


@dataclass(frozen=True, slots=True)
class ColourCodes:
    """What a video states of its colours, in the numbers of ITU-T H.273; 2 where it states nothing."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself before it is decoded.

    ``width`` and ``height`` are those of the displayed image: rotated, mirrored, square pixels. ``rate_fps``,
    ``duration_s`` and ``frame_count`` are the container's claims, None where it makes none.
    """

    path: str
    container: str
    codec: str
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation_deg: int  # clockwise turn that displays the coded picture: 0, 90, 180, 270
    mirrored: bool  # flipped left to right after that turn
    sample_aspect: Fraction
    pixel_format: str
    bit_depth: int
    matrix: str  # bt601, bt709, bt2020 or rgb: the one that is used, stated or assumed
    full_range: bool
    start_s: Fraction
    rate_fps: Fraction | None
    duration_s: Fraction | None
    frame_count: int | None
    audio: tuple[AudioInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    time_base: Fraction = Fraction(1, 90000)  # the tick of the container's clock
    colour_codes: ColourCodes = ColourCodes()
    is_interlaced: bool = False


@dataclass(frozen=True, slots=True)
class Planes:
    """An 8-bit 4:2:0 picture as it was coded: not yet rotated, mirrored or scaled.

    ``y`` u8[h w], ``u`` and ``v`` u8[ceil(h/2) ceil(w/2)].
    """

    y: U8
    u: U8
    v: U8
    matrix: str
    full_range: bool
    rotation_deg: int
    mirrored: bool

    def __post_init__(self) -> None:
        h, w = self.y.shape
        half = ((h + 1) // 2, (w + 1) // 2)
        if self.u.shape != half or self.v.shape != half:
            raise ValueError(f"planes disagree: y {self.y.shape}, u {self.u.shape}, v {self.v.shape}, expected {half}")


class Image(Protocol):
    """Pixels that are converted only when somebody asks, and only to the size that is asked for."""

    def rgb(self, width: int, height: int) -> U8:
        """The displayed picture as u8[height width 3]; scaling, colour and rotation in one go."""
        ...

    def pixels(self, width: int, height: int) -> U8 | U16:
        """As ``rgb``, but u16[height width 3] of the full range 0..65535 where the picture has more than 8 bits."""
        ...

    def planes(self) -> Planes | None:
        """The coded 8-bit 4:2:0 planes, or None where the picture is of another kind."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes that the picture holds in memory."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One displayed picture. ``index`` counts the source's frames in presentation order from 0, before any thinning."""

    image: Image
    index: int
    time_s: Fraction
    width: int
    height: int

    def rgb(self, width: int | None = None, height: int | None = None) -> U8:
        """The displayed picture as u8[h w 3], by default in the displayed size."""
        return self.image.rgb(width or self.width, height or self.height)

    def pixels(self) -> U8 | U16:
        """The displayed picture at the source's depth: u8[h w 3], or u16[h w 3] of 0..65535 where it has more than 8 bits."""
        return self.image.pixels(self.width, self.height)

    @property
    def nbytes(self) -> int:
        """Bytes that the frame holds in memory."""
        return self.image.nbytes


@dataclass(frozen=True, slots=True)
class MaskedFrame:
    """A frame and what of it is meant: ``mask`` bool[h w] in the displayed size."""

    frame: Frame
    mask: Bool

    def __post_init__(self) -> None:
        if self.mask.shape != (self.frame.height, self.frame.width):
            raise ValueError(f"MaskedFrame: mask {self.mask.shape}, expected {(self.frame.height, self.frame.width)}")

    @property
    def nbytes(self) -> int:
        """Bytes that the frame and its mask hold in memory."""
        return self.frame.nbytes + self.mask.nbytes


@dataclass(frozen=True, slots=True)
class PointOptions:
    """How scans are read. Where ``strict`` is set, damage that could be recovered from is an error."""

    strict: bool = False
    max_points: int = 1 << 36
    max_header_bytes: int = 4 << 20
    max_spool_bytes: int = 16 << 30  # of a pipe, or of a compressed body, that has to be kept in a file first
    timeout_s: float = 20.0  # for a named pipe that stays silent

    def __post_init__(self) -> None:
        if self.max_points < 1:
            raise PresetError(f"max_points is {self.max_points}, expected 1 or more")


@dataclass(frozen=True, slots=True)
class PointField:
    """One value that a scan has of every point: its name and its NumPy type (``<f4``), as stored."""

    name: str
    dtype: str


@dataclass(frozen=True, slots=True)
class ScanInfo:
    """What a scan says of itself before its points are read.

    ``low_xyz`` and ``high_xyz`` are the header's claim, None where it makes none; ``crs`` is a name or WKT.
    """

    path: str
    format: str
    count: int
    fields: tuple[PointField, ...]
    low_xyz: tuple[float, float, float] | None = None
    high_xyz: tuple[float, float, float] | None = None
    crs: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointCloud:
    """A run of a scan's points in file order; ``first`` is the place of the first of them in the scan, from 0.

    ``xyz`` f64[n 3] in the scan's own coordinates, ``colour`` u8[n 3], ``intensity`` f32[n] as stored, ``label`` i64[n]: None
    where the scan has none. ``fields`` holds every further value by its name. ``records`` are the rows as the file's format has
    them, for a writer of the same format alone.
    """

    first: int
    xyz: F64
    colour: U8 | None = None
    intensity: F32 | None = None
    label: I64 | None = None
    fields: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    records: Any = None

    def __post_init__(self) -> None:
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3:
            raise ValueError(f"PointCloud: xyz has shape {self.xyz.shape}, expected (n, 3)")
        named = {"colour": self.colour, "intensity": self.intensity, "label": self.label, **self.fields}
        _check_rows("PointCloud", xyz=self.xyz, **{name: column for name, column in named.items() if column is not None})

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def nbytes(self) -> int:
        """Bytes that the points hold in memory, but for ``records``."""
        columns = [self.xyz, self.colour, self.intensity, self.label, *self.fields.values()]
        return sum(column.nbytes for column in columns if column is not None)


@dataclass(frozen=True, slots=True)
class PointLabels:
    """What was found of a run of points of input ``stream``: ``label`` i64[n] (-1: none), ``confidence`` f32[n] in 0..1."""

    stream: int
    first: int
    label: I64
    confidence: F32

    def __post_init__(self) -> None:
        _check_rows("PointLabels", label=self.label, confidence=self.confidence)

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True)
class Opened(Generic[Info]):
    """Stands in a stream of frames or points before the first of input number ``stream``."""

    stream: int
    info: Info


@dataclass(frozen=True, slots=True)
class Closed:
    """Stands in a stream of frames or points after the last of input number ``stream``.

    ``error`` is what ended the input early; then its output must not be completed.
    """

    stream: int
    warnings: tuple[str, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """Stands in a stream of samples where its place is: what ``samples`` tells ``results`` past the model."""

    stream: int
    content: Any


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """Which frames each clip of a video looks at, by ``Frame.index``, in order and repetitions included.

    It stands in an ``Aside`` before the frames: each that some clip names follows once, in order. ``interval_s`` is the usual
    time between frames.
    """

    clips: tuple[tuple[int, ...], ...]
    interval_s: Fraction


@dataclass(frozen=True, slots=True)
class Sample:
    """What one call of a model reads: arrays without the batch axis, and what the task wants back with the output.

    The arrays of a batch are stacked, or, where they are ``packed`` (rows of points, as many in each array), laid end to end.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    stream: int
    context: Any = None
    layout: Literal["stacked", "packed"] = "stacked"

    def __post_init__(self) -> None:
        if self.layout == "packed":
            _check_rows("Sample", **self.arrays)

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int, ...], str], ...]:
        """Equal for two samples exactly where they can share a batch: packed ones may differ in their rows."""
        free = 1 if self.layout == "packed" else 0
        return tuple((name, array.shape[free:], array.dtype.str) for name, array in sorted(self.arrays.items()))

    @property
    def rows(self) -> int:
        """The points of a packed sample; 1 for one that is stacked."""
        return len(next(iter(self.arrays.values()))) if self.layout == "packed" else 1

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays hold."""
        return sum(array.nbytes for array in self.arrays.values())


def _check_rows(owner: str, **columns: npt.NDArray[Any]) -> None:
    rows = {name: len(column) for name, column in columns.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"{owner}: columns of different length {rows}")


@dataclass(frozen=True, slots=True)
class Boxes:
    """Detections of one frame: ``boxes_xyxy`` f[n 4] in pixels of the displayed image, ``scores`` f[n], ``labels`` i64[n]."""

    boxes_xyxy: F64
    scores: F64
    labels: I64

    def __post_init__(self) -> None:
        _check_rows("Boxes", boxes_xyxy=self.boxes_xyxy, scores=self.scores, labels=self.labels)
        if self.boxes_xyxy.ndim != 2 or self.boxes_xyxy.shape[1] != 4:
            raise ValueError(f"Boxes: boxes_xyxy has shape {self.boxes_xyxy.shape}, expected (n, 4)")

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class FrameTracks:
    """One frame's tracks: ``ids`` i64[n], ``boxes_xyxy`` f64[n 4] in displayed pixels, ``scores`` f64[n], ``labels`` i64[n]."""

    index: int
    time_s: Fraction
    ids: I64
    boxes_xyxy: F64
    scores: F64
    labels: I64

    def __post_init__(self) -> None:
        _check_rows("FrameTracks", ids=self.ids, boxes_xyxy=self.boxes_xyxy, scores=self.scores, labels=self.labels)
        if self.boxes_xyxy.ndim != 2 or self.boxes_xyxy.shape[1] != 4:
            raise ValueError(f"FrameTracks: boxes_xyxy has shape {self.boxes_xyxy.shape}, expected (n, 4)")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which weights made a result."""

    name: str
    architecture: str
    sha256: str
    licence: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that a scan may show, and how sure that is: ``score`` in 0..1, one over all candidates."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What was found in a scan: for every label ``points`` i64[k] and their mean ``confidence`` f64[k], 0 where there are none.

    ``unlabelled`` points have no usable coordinates.
    """

    points: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    confidence: F64 = field(default_factory=lambda: np.zeros(0))
    unlabelled: int = 0

    def __post_init__(self) -> None:
        _check_rows("LabelCounts", points=self.points, confidence=self.confidence)


@dataclass(frozen=True, slots=True)
class ScanHeader:
    """What stands at the head of what is said of a scan and its points."""

    source: str
    scan: ScanInfo
    model: ModelInfo
    settings: Mapping[str, Any] = field(default_factory=dict)
    vidpc_version: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of a video and how sure every model is of each of its labels there.

    ``number`` counts the windows of a video from 0. It is half-open: ``start_s`` to ``end_s``, of which ``first_index`` and
    ``last_index`` are the first and the last frame that were looked at. ``scores`` holds f32[labels] in 0..1 for each model.
    """

    number: int
    start_s: Fraction
    end_s: Fraction
    first_index: int
    last_index: int
    scores: tuple[F32, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A span in which ``model`` saw ``label``: neighbouring windows as one. ``score`` is their mean."""

    model: str
    label: str
    start_s: Fraction
    end_s: Fraction
    score: float


@dataclass(frozen=True, slots=True)
class Actions:
    """What a whole video shows: ``scores`` f32[labels] for each model, and the segments by start, then score."""

    windows: int
    scores: tuple[F32, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class ActionHeader:
    """What stands at the head of every file of actions. ``window_s`` and ``hop_s`` are those that were used."""

    source: str
    video: VideoInfo
    models: tuple[ModelInfo, ...]
    window_s: Fraction
    hop_s: Fraction
    settings: Mapping[str, Any] = field(default_factory=dict)
    vidpc_version: str = ""


@dataclass(frozen=True, slots=True)
class TrackHeader:
    """What stands at the head of every track file."""

    source: str
    video: VideoInfo
    model: ModelInfo
    settings: Mapping[str, Any] = field(default_factory=dict)
    vidpc_version: str = ""
