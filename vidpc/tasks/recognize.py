"""``vidpc recognize``: frames in, what happens and when out.

samples   windows of a video in true time, or the clips of the papers' test; their pictures resized and cropped, once each
step      a batch of clips through every model, each with a normalisation of its own
results   scores of every window as they come; at the end of a video its answer and its segments
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from vidpc.errors import DecodeError, PresetError, SourceError, WeightsError, unknown_name
from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.models.timesformer import TimeSformer, TimeSformerConfig
from vidpc.models.torchvision_video import MViT, MViTConfig, Swin3D, Swin3DConfig
from vidpc.models.vidtr import CompactVidTr, CompactVidTrConfig, VidTr, VidTrConfig
from vidpc.ops import clip
from vidpc.ops.clip_sampling import RATED_FPS, Sampling, clip_indices
from vidpc.presets import CLIP_RESIZE_RULES, SAMPLING_RULES, RecognizeConfig
from vidpc.stream.windows import Shown, Span, WindowRule, Windows
from vidpc.tasks.action_segments import ActionSegments, Thresholds
from vidpc.tasks.network import build
from vidpc.types import (
    F64,
    Actions,
    Aside,
    ClipPlan,
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
Picture = clip.Pixels  # [views crop crop 3]

ARCHITECTURES: dict[str, tuple[Callable[[Any], nn.Module], Callable[..., Any]]] = {
    "timesformer": (TimeSformer, TimeSformerConfig),
    "motion-timesformer": (MotionTimeSformer, MotionTimeSformerConfig),
    "vidtr": (VidTr, VidTrConfig),
    "cvidtr": (CompactVidTr, CompactVidTrConfig),
    "swin3d": (Swin3D, Swin3DConfig),
    "mvit": (MViT, MViTConfig),
}
# Networks that take clips of one kind alone: their pictures, and the side of those.
_ONLY_CLIPS: dict[str, Callable[[Any], tuple[int, int]]] = {
    "vidtr": lambda config: (config.frames, config.size[0]),
    "cvidtr": lambda config: (config.frames, config.size[0]),
    "mvit": lambda config: (16, 224),
    "motion-timesformer": lambda config: (config.frames, config.size),
}
LEAST_WINDOW_S = Fraction(1, 10)
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


@dataclass(frozen=True, slots=True)
class Look:
    """How a network wants to see a video: the ``input`` of its weights file, with what a preset changes.

    ``rate`` counts the pictures of a video of 30 a second from one that is looked at to the next; it may be a fraction.
    """

    frames: int
    window_s: Fraction
    sampling: str
    resize: str
    short_side: int
    crop: int
    order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    combine: str

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> "Look":
        """The rules of a weights file. Raises ``WeightsError`` for one that vidpc recognize cannot follow."""
        try:
            rate = rules["rate"]
            window_s = Fraction(rules["frames"] * rate, RATED_FPS) if rate else _exact(rules["window_s"])
            mean, std = (tuple(float(x) for x in rules[name]) for name in ("mean", "std"))
            names = ("frames", "sampling", "resize", "short_side", "crop", "order", "combine")
            look = cls(window_s=window_s, mean=mean, std=std, **{name: rules[name] for name in names})
            look.check()
        except (KeyError, TypeError, ValueError, PresetError) as error:
            raise WeightsError(f"the weights ask for an input that vidpc recognize does not make: {dict(rules)}") from error
        return look

    def changed(self, config: RecognizeConfig) -> "Look":
        """With what the settings say in place of what the weights say. Raises ``PresetError`` where the two do not fit."""
        names = ("frames", "sampling", "resize", "short_side", "crop", "order", "mean", "std", "combine")
        look = replace(self, **{name: getattr(config, name) for name in names if getattr(config, name)})
        if config.rate:
            look = replace(look, window_s=Fraction(look.frames * config.rate, RATED_FPS))
        if config.window_s:
            look = replace(look, window_s=_exact(config.window_s))
        look.check()
        return look

    def check(self) -> None:
        """Raises ``PresetError`` for what no window can be."""
        known = (self.sampling in SAMPLING_RULES, self.resize in CLIP_RESIZE_RULES, self.order in ("rgb", "bgr"))
        if not all(known) or self.combine not in ("scores", "logits"):
            raise PresetError(f"no clips are made like this: {self}")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise PresetError(f"mean {self.mean}, std {self.std}: expected three values each, and none of std 0")
        whole = all(isinstance(size, int) for size in (self.frames, self.crop, self.short_side))
        if not whole or not 1 <= self.frames <= 512 or not 8 <= self.crop <= self.short_side <= 2048:
            raise PresetError(
                f"frames {self.frames}, crop {self.crop}, short_side {self.short_side}: expected 1 to 512 pictures, and "
                "8 <= crop <= short_side <= 2048"
            )
        if self.resize == "stretch" and self.crop != self.short_side:
            raise PresetError(f"crop {self.crop}, short_side {self.short_side}: the rule stretch takes the whole picture")
        if self.window_s < LEAST_WINDOW_S:
            raise PresetError(f"window_s is {float(self.window_s):g}, expected at least {float(LEAST_WINDOW_S):g}")

    @property
    def rate(self) -> float:
        """Pictures of a video of 30 a second from one that is looked at to the next."""
        return float(self.window_s * RATED_FPS / self.frames)

    @property
    def half_s(self) -> Fraction:
        """About half a window: whole steps from picture to picture, so that windows look at the same pictures."""
        rule = self.rule(self.window_s)
        return rule.step_s * max(1, rule.count // 2) if rule.count > 1 else self.window_s / 2

    @property
    def shared(self) -> "Look":
        """What must be equal for models that see the same clips."""
        return replace(self, mean=(), std=(), combine="")

    def rule(self, hop_s: Fraction) -> WindowRule:
        """The windows, ``hop_s`` from start to start."""
        count = self.frames
        if self.sampling == "linspace":  # from the first picture of the window to the last, at 30 a second
            spacing = (1 - 1 / (RATED_FPS * self.window_s)) / (count - 1) if count > 1 else Fraction(1)
            return WindowRule(self.window_s, hop_s, count, Fraction(0), spacing)
        first = Fraction(0) if self.sampling == "steps" else Fraction(1, 2 * count)
        return WindowRule(self.window_s, hop_s, count, first, Fraction(1, count))


@dataclass(slots=True)
class Recogniser:
    """One of the models of a run. ``kept`` are the labels that are told, by their places among the scores."""

    config: RecognizeConfig
    info: ModelInfo
    model: Any
    look: Look
    logits: tuple[int, ...]
    kept: tuple[int, ...]

    @classmethod
    def of(cls, config: RecognizeConfig, weights: WeightsFile, names: Mapping[str, str]) -> "Recogniser":
        """The model of ``weights`` under the settings; ``names`` as in ``RecognizeTask``."""
        header = weights.header
        look = Look.of(header.input).changed(config)
        logits, classes = header.logits, len(header.labels)
        model = build_model(weights)
        _check_fit(model.config, look, header.architecture, owner=config.weights)
        outputs: int = model.config.classes
        if len(logits) != classes or not classes or not all(0 <= logit < outputs for logit in logits):
            raise WeightsError(f"{header.path}: {classes} labels for {len(logits)} of {outputs} logits")
        kept = [i for i, label in enumerate(header.labels) if not names or label in names]
        labels = tuple(names.get(header.labels[i], header.labels[i]) for i in kept)
        _check_told(names, labels)
        info = ModelInfo(config.weights, header.architecture, weights.sha256, header.licence, labels)
        return cls(config, info, model, look, logits, tuple(kept))

    @property
    def thresholds(self) -> Thresholds:
        """What makes segments of its scores."""
        return Thresholds(self.info.name, self.info.labels, self.config.on_score, self.config.off_score)

    def told(self, found: F64) -> npt.NDArray[np.float32]:
        """The scores f32[labels] of what its part of ``step`` gives, or of the mean of several such."""
        scores = _softmax(found) if self.look.combine == "logits" else found
        return scores[list(self.kept)].astype(np.float32)


class RecognizeTask:
    """Recognisers of clips that see the same windows: ``samples``, ``step`` and ``results`` of ``vidpc recognize``."""

    def __init__(
        self, configs: Sequence[RecognizeConfig], weights: Sequence[WeightsFile], *, names: Mapping[str, str] | None = None
    ) -> None:
        """``names`` are the labels that are told, with the names that they are told by; empty for all, as they are.

        A model that none of the names belongs to is left out. Raises ``PresetError`` for a name that no model has and for
        models that need other clips than the first, ``WeightsError`` for weights of another network.
        """
        _check_names(names or {}, weights)
        found = [Recogniser.of(config, file, names or {}) for config, file in zip(configs, weights, strict=True)]
        _check_shared(found)
        self.recognisers = [recogniser for recogniser in found if recogniser.kept]
        self.config, self.look = found[0].config, found[0].look
        hop_s = _exact(self.config.hop_s) if self.config.hop_s else self.look.half_s
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
            logits = _logits(recogniser, clips.flatten(0, 1), seen)[:, recogniser.logits].float()
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


class Clips:
    """The clips of a ``ClipPlan`` over the frames that it names: ``add`` every frame in order, then ``end``."""

    left_out = 0

    def __init__(self, plan: ClipPlan, prepare: Callable[[Frame], Picture]) -> None:
        self._plan, self._prepare = plan, prepare
        self._kept: dict[int, tuple[Shown[Picture], Fraction]] = {}
        self._given = 0
        self.end_s = Fraction(0)

    def add(self, frame: Frame) -> list[Span[Picture]]:
        """The clips of which this is the last frame."""
        self._kept[frame.index] = Shown(frame.index, self._prepare(frame)), frame.time_s
        self.end_s = frame.time_s + self._plan.interval_s
        spans = []
        while self._given < len(self._plan.clips) and self._plan.clips[self._given][-1] <= frame.index:
            indices = self._plan.clips[self._given]
            begin_s, last_s = self._kept[indices[0]][1], self._kept[indices[-1]][1]
            shown = tuple(self._kept[index][0] for index in indices)
            spans.append(Span(self._given, begin_s, last_s + self._plan.interval_s, shown))
            self._given += 1
        needed = min((clip[0] for clip in self._plan.clips[self._given :]), default=frame.index + 1)
        self._kept = {index: kept for index, kept in self._kept.items() if index >= needed}
        return spans

    def end(self) -> list[Span[Picture]]:
        """Nothing: every clip was given with its last frame."""
        return []


def build_model(weights: WeightsFile) -> Any:
    """The network (a ``nn.Module`` with its ``config``) that ``weights`` describe. Raises ``WeightsError``."""
    name = weights.header.architecture
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{weights.header.path}: weights of {name!r}, expected a recogniser of actions: {known}")
    return build(weights, name, *ARCHITECTURES[name])


def _check_fit(config: Any, look: Look, architecture: str, *, owner: str) -> None:
    """Raises ``PresetError`` for clips that the network cannot take."""
    frames, crop = _ONLY_CLIPS.get(architecture, lambda _: (look.frames, look.crop))(config)
    if (frames, crop) != (look.frames, look.crop):
        raise PresetError(
            f"{owner}: {look.frames} pictures of {look.crop}x{look.crop}, expected {frames} of {crop}x{crop}: this "
            "network takes no others"
        )
    if look.crop % getattr(config, "patch", 1):
        raise PresetError(f"{owner}: crop is {look.crop}, expected a multiple of the network's patch of {config.patch}")


def _logits(recogniser: Recogniser, clips: Tensor, seen: dict[Any, Any]) -> Tensor:
    """What the network says of clips [b t h w 3]; what it has in common with those before is kept in ``seen``."""
    model, look = recogniser.model, recogniser.look
    ground = (look.mean, look.std)
    if ground not in seen:
        seen[ground] = clip.normalized(clips, mean=look.mean, std=look.std)
    if not isinstance(model, MotionTimeSformer):
        logits: Tensor = model(seen[ground])
        return logits
    motion = (*ground, model.config.patch, model.config.tube)  # sizes and numbers of pictures are those of the clips
    if motion not in seen:
        seen[motion] = model.look(seen[ground])
    return model.classify(*seen[motion])


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


def _check_names(names: Mapping[str, str], weights: Sequence[WeightsFile]) -> None:
    known = [label for file in weights for label in file.header.labels]
    for name in names:
        if name not in known:
            raise PresetError(unknown_name("label", name, known))


def _check_told(names: Mapping[str, str], labels: Sequence[str]) -> None:
    for name in names.values():
        if labels.count(name) > 1:
            raise PresetError(f"two labels would be told as {name!r}: give each a name of its own")


def _check_shared(found: Sequence[Recogniser]) -> None:
    """Raises ``PresetError`` where models that are to see the same clips would need others."""
    first, *others = found
    names = [recogniser.info.name for recogniser in found]
    if len(set(names)) < len(names):
        raise PresetError(f"the same weights twice: {', '.join(names)}")
    for other in others:
        same = all(getattr(other.config, name) == getattr(first.config, name) for name in ("hop_s", "clips", "crops"))
        if other.look.shared != first.look.shared or not same:
            raise PresetError(
                f"{first.info.name} and {other.info.name} look at a video in different ways: give them a run each"
            )


def _remarks(cutter: "Windows[Picture] | Clips") -> Iterator[str]:
    if cutter.left_out:
        yield f"windows in gaps of more than a minute, in which nothing begins, were left out: {cutter.left_out}"


def _softmax(logits: F64) -> F64:
    exponents: F64 = np.exp(logits - logits.max())
    return np.asarray(exponents / exponents.sum())


def _exact(seconds: float) -> Fraction:
    """As it is written: 8.533 is 8533/1000."""
    return Fraction(str(seconds))
