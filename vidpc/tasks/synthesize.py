"""``vidpc synthesize``: frames in, more frames out.

samples   a gap between two frames becomes what the network sees of it; frames that are shown as they are pass it by
step      a batch of gaps: the new frames, in tiles where they are large
results   everything in order of time
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidpc.errors import DecodeError, PresetError, SourceError, WeightsError
from vidpc.models.convtransformer import ConvTransformer, ConvTransformerConfig
from vidpc.models.motion_convtransformer import MotionConvTransformer, MotionConvTransformerConfig
from vidpc.ops.tiles import Tiling, tiled
from vidpc.presets import SynthesizeConfig
from vidpc.tasks.gaps import Gap, Gaps, Look, Marks
from vidpc.tasks.network import build
from vidpc.tasks.output_times import Asked
from vidpc.types import U8, U16, Aside, Closed, Frame, ModelInfo, Opened, Sample, VideoInfo
from vidpc.weights import WeightsFile

Item = Opened[VideoInfo] | Frame | Closed
Output = tuple[Sample, Mapping[str, npt.NDArray[Any]]] | Opened[VideoInfo] | Aside | Closed

NETWORKS: dict[str, tuple[Any, Any]] = {
    "convtransformer": (ConvTransformer, ConvTransformerConfig),
    "motion-convtransformer": (MotionConvTransformer, MotionConvTransformerConfig),
}
WHOLE_SIDE = 1920  # frames of at most this side are drawn whole where neither the user nor the weights say otherwise
_DRAWN_PIXELS = 1 << 21  # of new frames that are drawn at once; the built-in network takes 1.1 GB for a million
_OVERLAP_PARTS = 8  # of a tile's side
_WHITE = {torch.uint8: 255, torch.uint16: 65535}


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame of the source that is shown as it is; ``is_held`` where it was shown before."""

    frame: Frame
    time_s: Fraction
    shot: int
    is_held: bool

    @property
    def nbytes(self) -> int:
        """Bytes that the frame holds in memory."""
        return self.frame.nbytes


@dataclass(frozen=True, slots=True)
class SynthesisResult:
    """One frame of the output of input number ``stream``: ``shown`` from the source, or ``pixels`` u8|u16[h w 3], a new one.

    ``shot`` counts the shots of the input from 0.
    """

    stream: int
    time_s: Fraction
    shot: int
    shown: Shown | None = None
    pixels: U8 | U16 | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that the result holds in memory."""
        return (0 if self.shown is None else self.shown.nbytes) + (0 if self.pixels is None else self.pixels.nbytes)


class SynthesizeTask:
    """A network that draws frames between and after others: ``samples``, ``step`` and ``results`` of ``vidpc synthesize``."""

    def __init__(self, config: SynthesizeConfig, weights: WeightsFile, asked: Asked, *, name: str = "") -> None:
        """Raises ``WeightsError`` for weights of another network, ``PresetError`` for settings that do not fit it."""
        header = weights.header
        self.config, self.asked = config, asked
        self.info = ModelInfo(name or config.weights, header.architecture, weights.sha256, header.licence, header.labels)
        self.model = build_model(weights)
        self._frames = _frames(header.input, self.model)
        self._tiling = _tiling(config, header.input)

    def samples(self, items: Iterable[Item]) -> Iterator[Sample | Opened[VideoInfo] | Aside | Closed]:
        """The gaps of every input in order; an input with a frame that cannot be converted ends there."""
        stream, failed = 0, -1
        flow: _Flow | None = None
        for item in items:
            if isinstance(item, Opened):
                stream, flow = item.stream, self._flow(item.info)
                yield item
            elif flow is None:  # an input that could not be opened, or what is left of one that failed
                if isinstance(item, Closed) and item.stream != failed:
                    yield item
            else:
                try:
                    yield from _items(flow, item, stream)
                except SourceError as error:  # a picture that cannot be converted ends its own input alone
                    failed, flow = stream, None
                    yield Closed(stream, error=error)
                flow = flow if isinstance(item, Frame) else None

    def step(self, tensors: Mapping[str, Tensor], streams: Sequence[int], carry: None) -> tuple[dict[str, Tensor], None]:
        """New frames u8|u16[b m h w 3] at the places ``times`` f32[b m] among ``frames`` u8|u16[b n h w 3]."""
        frames, times = tensors["frames"], tensors["times"]
        sides = (min(side, self._tiling.side) for side in frames.shape[2:4])
        count = max(1, _DRAWN_PIXELS // (prod(sides) * times.shape[1]))
        drawn = [self._drawn(*part) for part in zip(frames.split(count), times.split(count), strict=True)]
        return {"pictures": torch.cat(drawn)}, None

    def _drawn(self, frames: Tensor, times: Tensor) -> Tensor:
        white = _WHITE[frames.dtype]

        def draw(rows: slice, columns: slice) -> Tensor:
            part = frames[:, :, rows, columns].permute(0, 1, 4, 2, 3).float() / white
            drawn: Tensor = self.model(part, times)
            return drawn.float()

        h, w = frames.shape[2:4]
        drawn = tiled(draw, height=h, width=w, tiling=self._tiling)
        pictures = drawn.clamp_(0, 1).mul_(white).round_().to(frames.dtype)
        return pictures.permute(0, 1, 3, 4, 2).contiguous()

    def results(self, outputs: Iterable[Output]) -> Iterator[SynthesisResult | Opened[VideoInfo] | Closed]:
        """Every frame of the outputs, in order of time."""
        for item in outputs:
            if isinstance(item, tuple):
                sample, arrays = item
                shot, times_s = sample.context
                for time_s, pixels in zip(times_s, arrays["pictures"], strict=True):
                    yield SynthesisResult(sample.stream, time_s, shot, pixels=pixels)
            elif isinstance(item, Aside):
                shown: Shown = item.content
                yield SynthesisResult(item.stream, shown.time_s, shown.shot, shown=shown)
            else:
                yield item

    def _flow(self, info: VideoInfo) -> "_Flow":
        config, asked = self.config, self.asked
        gaps = Gaps(asked.times(info), info, frames=self._frames, repeats=config.repeats, extrapolate=asked.extrapolate)
        return _Flow(info, Marks(config.cut_threshold), gaps)


def build_model(weights: WeightsFile) -> nn.Module:
    """The network that ``weights`` describe, in float32, with their values. Raises ``WeightsError``."""
    architecture = weights.header.architecture
    if architecture not in NETWORKS:
        known = " or ".join(NETWORKS)
        raise WeightsError(f"{weights.header.path}: weights of {architecture!r}, expected those of {known}")
    network, config = NETWORKS[architecture]
    model: nn.Module = build(weights, architecture, network, config)
    return model


@dataclass(slots=True)
class _Flow:
    """The frames of one input on their way to gaps."""

    info: VideoInfo
    marks: Marks
    gaps: Gaps

    def add(self, frame: Frame) -> Iterator[Gap]:
        for look, begins_shot in self.marks.add(Look(frame)):
            yield from self.gaps.add(look, begins_shot=begins_shot)

    def end(self) -> Iterator[Gap]:
        for look, begins_shot in self.marks.end():
            yield from self.gaps.add(look, begins_shot=begins_shot)
        yield from self.gaps.end()


def _items(flow: _Flow, item: Frame | Closed, stream: int) -> Iterator[Sample | Aside | Closed]:
    """What a frame completes, or the end of the input."""
    if isinstance(item, Frame):
        for gap in flow.add(item):
            yield from _of_gap(gap, stream)
        return
    if item.error is not None:
        yield item
        return
    for gap in flow.end():
        yield from _of_gap(gap, stream)
    if flow.gaps.is_empty:
        reason = "; ".join(item.warnings) or "it holds none"
        yield Closed(stream, error=DecodeError(f"cannot synthesize frames of {flow.info.path} without a frame: {reason}"))
    else:
        yield replace(item, warnings=(*item.warnings, *flow.gaps.warnings()))


def _of_gap(gap: Gap, stream: int) -> Iterator[Sample | Aside]:
    frame = gap.shown.frame
    for k, time_s in enumerate(gap.held_s):
        yield Aside(stream, Shown(frame, time_s, gap.shot, is_held=k > 0 or time_s != frame.time_s))
    if not gap.new_s:
        return
    frames = _stacked([look.pixels for look in gap.looks])
    count = max(1, _DRAWN_PIXELS // (frame.width * frame.height))
    for k in range(0, len(gap.new_s), count):
        times = np.array(gap.places[k : k + count], np.float32)
        yield Sample({"frames": frames, "times": times}, stream, (gap.shot, gap.new_s[k : k + count]))


def _stacked(pictures: Sequence[U8 | U16]) -> npt.NDArray[Any]:
    """Pictures as one array [n h w 3], of 16 bits where one of them has as many."""
    if len({picture.dtype for picture in pictures}) == 1:
        return np.stack(pictures)
    return np.stack([picture if picture.dtype == np.uint16 else picture.astype(np.uint16) * 257 for picture in pictures])


def _frames(rules: Mapping[str, Any], model: nn.Module) -> int:
    """How many frames the network sees."""
    config: Any = model.config
    frames = rules.get("frames", config.frames)
    if frames != config.frames or rules.get("value_range", [0, 1]) != [0, 1]:
        raise WeightsError(f"the weights ask for an input that vidpc synthesize does not make: {dict(rules)}")
    return int(frames)


def _tiling(config: SynthesizeConfig, rules: Mapping[str, Any]) -> Tiling:
    side = config.tile or rules.get("tile", 0) or WHOLE_SIDE
    overlap = config.overlap or side // _OVERLAP_PARTS
    if not isinstance(side, int) or not 0 < overlap <= side // 4:
        raise PresetError(f"overlap is {overlap}, expected at most a quarter of the tile, which is {side}")
    return Tiling(side, overlap)
