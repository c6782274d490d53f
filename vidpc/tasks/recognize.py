"""``vidpc recognize``: frames in, what happens and when out.

samples   windows of a video in true time, or the clips of the papers' test; their pictures resized and cropped, once each
step      a batch of clips through every model, each with a normalisation of its own
results   scores of every window as they come; at the end of a video its answer and its segments
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidpc.errors import DecodeError, PresetError, SourceError
from vidpc.ops import clip
from vidpc.ops.clip_sampling import Sampling, clip_indices
from vidpc.presets import RecognizeConfig
from vidpc.stream.windows import Shown, Span, Windows
from vidpc.tasks.action_segments import ActionSegments
from vidpc.tasks.look import exact
from vidpc.tasks.paper_clips import Clips, Picture
from vidpc.tasks.recognisers import Recogniser, check_names, check_shared, logits_of
from vidpc.types import (
    F64,
    Actions,
    Aside,
    Closed,
    Frame,
    ModelInfo,
    Opened,
    Sample,
    VideoInfo,
    Window,
)
from vidpc.weights import WeightsFile

Item = Opened[VideoInfo] | Frame | Aside | Closed
Output = tuple[Sample, Mapping[str, npt.NDArray[Any]]] | Opened[VideoInfo] | Aside | Closed

LEAST_HOP_S = Fraction(1, 100)
LONGEST_SHAPE = 16  # times as wide as high: beyond, a picture of usual height would fill memory
_RESULT_BYTES = 1 << 12  # a guess at the scores of a window


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What is said of input number ``stream``: one window after the other, and at last the whole video."""

    stream: int
    found: Window | Actions

    @property
    def nbytes(self) -> int:
        """Bytes that the result holds in memory."""
        return _RESULT_BYTES + sum(scores.nbytes for scores in self.found.scores)


class RecognizeTask:
    """Recognisers of clips that see the same windows: ``samples``, ``step`` and ``results`` of ``vidpc recognize``."""

    def __init__(
        self, configs: Sequence[RecognizeConfig], weights: Sequence[WeightsFile], *, names: Mapping[str, str] | None = None
    ) -> None:
        """``names`` are the labels that are told, with the names that they are told by; empty for all, as they are.

        A model that none of the names belongs to is left out. Raises ``PresetError`` for a name that no model has and for
        models that need other clips than the first, ``WeightsError`` for weights of another network.
        """
        check_names(names or {}, weights)
        found = [Recogniser.of(config, file, names or {}) for config, file in zip(configs, weights, strict=True)]
        check_shared(found)
        self.recognisers = [recogniser for recogniser in found if recogniser.kept]
        self.config, self.look = found[0].config, found[0].look
        hop_s = exact(self.config.hop_s) if self.config.hop_s else self.look.half_s
        if hop_s < LEAST_HOP_S:
            raise PresetError(f"hop_s is {float(hop_s):g}, expected at least {float(LEAST_HOP_S):g}")
        if self.look.resize == "stretch" and self.config.crops > 1:
            raise PresetError("crops 3: these models see the whole picture at once, so there are no others: leave it at 1")
        self.rule = self.look.rule(hop_s)

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        """Which weights make the results."""
        return tuple(recogniser.info for recogniser in self.recognisers)

    def plan(self, count: int, rate_fps: float) -> list[list[int]]:
        """The frames of each of the ``config.clips`` clips of a video of ``count`` frames, ``rate_fps`` a second."""
        sampling = Sampling(self.look.frames, self.look.rate, self.config.clips)
        return clip_indices(self.look.sampling, sampling, count=count, fps=rate_fps)

    def samples(self, items: Iterable[Item]) -> Iterator[Sample | Opened[VideoInfo] | Aside | Closed]:
        """Each window as one sample; an input with a frame that cannot be converted ends there."""
        stream, failed = 0, -1
        cutter: Windows[Picture] | Clips | None = None
        for item in items:
            if isinstance(item, Opened):
                stream, cutter = item.stream, self._windows(item.info)
                yield item
            elif cutter is None:  # an input that could not be opened, or what is left of one that failed
                if isinstance(item, Closed) and item.stream != failed:
                    yield item
            elif isinstance(item, Aside):
                cutter = Clips(item.content, self._picture)
            else:
                try:
                    yield from _cut(cutter, item, stream)
                except SourceError as error:  # a picture that cannot be converted ends its own input alone
                    failed, cutter = stream, None
                    yield Closed(stream, error=error)
                cutter = cutter if isinstance(item, Frame) else None

    def step(self, tensors: Mapping[str, Tensor], streams: Sequence[int], carry: None) -> tuple[dict[str, Tensor], None]:
        """What each model finds in clips [b views t h w 3]: scores f32[b labels], or logits where it combines those."""
        clips = tensors["clips"]
        b, views = clips.shape[:2]
        outputs: dict[str, Tensor] = {}
        seen: dict[Any, Any] = {}
        for number, recogniser in enumerate(self.recognisers):
            logits = logits_of(recogniser, clips.flatten(0, 1), seen)[:, recogniser.logits].float()
            found = logits.softmax(dim=-1) if recogniser.look.combine == "scores" else logits
            outputs[str(number)] = found.unflatten(0, (b, views)).mean(dim=1)
        return outputs, None

    def results(self, outputs: Iterable[Output]) -> Iterator[ActionResult | Opened[VideoInfo] | Closed]:
        """The windows of every input, and before its end the answer for all of it."""
        answers: dict[int, _Answer] = {}
        for item in outputs:
            if isinstance(item, tuple):
                sample, arrays = item
                found = [arrays[str(number)].astype(np.float64) for number in range(len(self.recognisers))]
                window = self._window(sample.context, found)
                answers[sample.stream].add(window, found)
                yield ActionResult(sample.stream, window)
            elif isinstance(item, Opened):
                answers[item.stream] = self._answer()
                yield item
            elif isinstance(item, Aside):
                answers[item.stream].end_s = item.content
            else:
                answer = answers.pop(item.stream, None)
                if answer is not None and item.error is None:
                    yield ActionResult(item.stream, answer.actions(self.recognisers))
                yield item

    def _windows(self, info: VideoInfo) -> Windows[Picture]:
        return Windows(self.rule, self._picture, interval_s=1 / info.rate_fps if info.rate_fps else None)

    def _picture(self, frame: Frame) -> Picture:
        """What the network sees of a frame: u8 or f32 [views crop crop 3]."""
        look = self.look
        if look.resize == "stretch":
            resized: Picture = frame.rgb(look.crop, look.crop)
        elif max(frame.width, frame.height) > LONGEST_SHAPE * min(frame.width, frame.height):
            raise DecodeError(
                f"cannot look at a picture of {frame.width}x{frame.height}: expected sides of at most {LONGEST_SHAPE} to 1"
            )
        else:
            resized = clip.resized(frame.rgb(), rule=look.resize, short_side=look.short_side)
        return clip.views(resized, rule=look.resize, crop=look.crop, crops=self.config.crops, order=look.order)

    def _window(self, span: Span[None], found: Sequence[F64]) -> Window:
        scores = tuple(recogniser.told(own) for recogniser, own in zip(self.recognisers, found, strict=True))
        return Window(span.number, span.start_s, span.end_s, span.shown[0].index, span.shown[-1].index, scores)

    def _answer(self) -> "_Answer":
        reach_s = max(self.rule.hop_s, self.rule.window_s)
        segments = ActionSegments([recogniser.thresholds for recogniser in self.recognisers], reach_s=reach_s)
        return _Answer(None if self.config.clips else segments)


@dataclass(slots=True)
class _Answer:
    """What is kept of one input: sums of what the models found, and the segments so far."""

    segments: ActionSegments | None
    windows: int = 0
    sums: list[F64] = field(default_factory=list)
    end_s: Fraction = Fraction(0)

    def add(self, window: Window, found: Sequence[F64]) -> None:
        self.windows += 1
        self.sums = [a + b for a, b in zip(self.sums, found, strict=True)] if self.sums else list(found)
        if self.segments is not None:
            self.segments.add(window)

    def actions(self, recognisers: Sequence[Recogniser]) -> Actions:
        if not self.windows:
            return Actions(0, tuple(np.zeros(len(recogniser.kept), np.float32) for recogniser in recognisers), ())
        scores = tuple(recogniser.told(total / self.windows) for recogniser, total in zip(recognisers, self.sums, strict=True))
        return Actions(self.windows, scores, () if self.segments is None else self.segments.end(self.end_s))


def _cut(cutter: "Windows[Picture] | Clips", item: Frame | Closed, stream: int) -> Iterator[Sample | Aside | Closed]:
    """What a frame completes, or the end of the input: the time at which it ends stands before its Closed."""
    if isinstance(item, Frame):
        yield from (_sample(span, stream) for span in cutter.add(item))
    elif item.error is not None:
        yield item
    else:
        yield from (_sample(span, stream) for span in cutter.end())
        yield Aside(stream, cutter.end_s)
        yield replace(item, warnings=(*item.warnings, *_remarks(cutter)))


def _sample(span: Span[Picture], stream: int) -> Sample:
    """The pictures as [views t h w 3]; what comes back with the scores holds none."""
    clips = np.stack([shown.picture for shown in span.shown], axis=1)
    indices = tuple(Shown(shown.index, None) for shown in span.shown)
    return Sample({"clips": clips}, stream, Span(span.number, span.start_s, span.end_s, indices))


def _remarks(cutter: "Windows[Picture] | Clips") -> Iterator[str]:
    if cutter.left_out:
        yield f"windows in gaps of more than a minute, in which nothing begins, were left out: {cutter.left_out}"
