"""Two videos side by side, frame by frame: the truth and what is judged."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidpc.errors import DecodeError, PresetError, unknown_name
from vidpc.evaluation.video_quality import Pair
from vidpc.media.masks import Masks, MaskSource, open_masks
from vidpc.media.read import read_videos
from vidpc.types import F64, Frame, Opened, ReadOptions, VideoInfo

MATCHES = ("index", "time")
_SAME_TIME_S = Fraction(1, 1000)  # containers round times; Matroska to milliseconds
_ANY_FPS = Fraction(25)
_LEAST_SIDE = 11  # of a picture, for a window of SSIM to lie in it


@dataclass(slots=True)
class Comparison:
    """The frames of two videos in pairs. ``match``: by their number, which must be equal, or by their time in the video."""

    truth: Path
    judged: Path
    mask: MaskSource | None = None
    match: str = "index"
    options: ReadOptions = field(default_factory=ReadOptions)
    warnings: list[str] = field(default_factory=list)  # complete after the last pair
    unpaired: dict[str, int] = field(default_factory=lambda: {"gt": 0, "pred": 0})  # frames without a partner, by time

    def __post_init__(self) -> None:
        if self.match not in MATCHES:
            raise PresetError(unknown_name("match", self.match, MATCHES))

    def pairs(self) -> Iterator[Pair]:
        """Every frame of the truth with that of what is judged. Raises ``VidpcError`` where they do not belong together."""
        with ExitStack() as stack:
            truth, judged = (_Video(path, self._options_of(path), stack) for path in (self.truth, self.judged))
            if truth.size != judged.size:
                raise PresetError(
                    f"comparing {judged.path} with {truth.path}: pictures of {judged.shown}, expected {truth.shown} as in the "
                    "ground truth"
                )
            if min(truth.size) < _LEAST_SIDE:
                raise PresetError(f"comparing {truth.path}: pictures of {truth.shown}, expected at least {_LEAST_SIDE} pixels")
            masks = stack.enter_context(open_masks(self.mask, truth.info)) if self.mask else None
            yield from (_pair(a, b, masks) for a, b in self._matched(truth, judged))
            if masks and self.options.end_s is None:
                masks.end()
            self.warnings = [f"{video.path}: {text}" for video in (truth, judged) for text in video.warnings]

    def _options_of(self, path: Path) -> ReadOptions:
        """Pictures of a folder have a rate: the given one, or where frames go by number, any."""
        if not path.is_dir() or (self.options.input_fps is None and self.match == "time"):
            return replace(self.options, input_fps=None)
        return replace(self.options, input_fps=self.options.input_fps or _ANY_FPS)

    def _matched(self, truth: "_Video", judged: "_Video") -> Iterator[tuple[Frame, Frame]]:
        if self.match == "index":
            yield from _by_index(truth, judged)
            return
        a, b = truth.next(), judged.next()
        paired = 0
        while a is not None or b is not None:
            apart = None if a is None or b is None else truth.place(a) - judged.place(b)
            if a is not None and b is not None and apart is not None and abs(apart) <= _SAME_TIME_S:
                yield a, b
                paired += 1
                a, b = truth.next(), judged.next()
            elif b is None or (apart is not None and apart < 0):
                self.unpaired["gt"] += 1
                a = truth.next()
            else:
                self.unpaired["pred"] += 1
                b = judged.next()
        if not paired:
            raise PresetError(f"comparing {judged.path} with {truth.path}: no two frames have the same time")


def _by_index(truth: "_Video", judged: "_Video") -> Iterator[tuple[Frame, Frame]]:
    while (a := truth.next()) is not None:
        b = judged.next()
        if b is None:
            raise PresetError(_of_another_length(truth, judged))
        yield a, b
    if judged.next() is not None:
        raise PresetError(_of_another_length(truth, judged))


def _of_another_length(truth: "_Video", judged: "_Video") -> str:
    """The message, with the number of frames of both, which are read to their ends."""
    for video in (truth, judged):
        while video.next() is not None:
            pass
    return (
        f"comparing {judged.path} with {truth.path}: {judged.read} frames, expected {truth.read} as in the ground truth; "
        "--match time compares frames of the same time"
    )


class _Video:
    """An open video: its frames one by one."""

    def __init__(self, path: Path, options: ReadOptions, stack: ExitStack) -> None:
        self.path, self.warnings, self.read = path, tuple[str, ...](), 0
        self._items = stack.enter_context(closing(read_videos([str(path)], options)))
        opened = next(self._items)
        if not isinstance(opened, Opened):
            raise opened.error if not isinstance(opened, Frame) and opened.error else DecodeError(f"{path}: no video")
        self.info: VideoInfo = opened.info
        self._start_s: Fraction | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.info.width, self.info.height

    @property
    def shown(self) -> str:
        return f"{self.info.width}x{self.info.height}"

    def next(self) -> Frame | None:
        """The next frame, None after the last. Raises what ended the video too early."""
        for item in self._items:
            if isinstance(item, Frame):
                self.read += 1
                self._start_s = item.time_s if self._start_s is None else self._start_s
                return item
            if isinstance(item, Opened):
                raise PresetError(f"comparing {self.path}: it stands for several videos, expected one")
            self.warnings = (*self.warnings, *item.warnings)
            if item.error:
                raise item.error
        return None

    def place(self, frame: Frame) -> Fraction:
        """Seconds from the first frame on."""
        return frame.time_s - (self._start_s or 0)


def _pair(truth: Frame, judged: Frame, masks: Masks | None) -> Pair:
    mask = masks.at(truth) if masks else None
    return Pair(_grey_levels(truth), _grey_levels(judged), mask, truth.index, truth.time_s)


def _grey_levels(frame: Frame) -> F64:
    """f64[h w 3] in 0..255."""
    pixels = frame.pixels()
    levels: F64 = pixels.astype(np.float64)
    return levels / 257 if pixels.dtype == np.uint16 else levels
