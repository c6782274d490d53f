"""How a network wants to see a video: which pictures of a window, how large, in which colours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from vidpc.errors import PresetError, WeightsError
from vidpc.ops.clip_sampling import RATED_FPS
from vidpc.presets import CLIP_RESIZE_RULES, SAMPLING_RULES, RecognizeConfig
from vidpc.stream.windows import WindowRule

LEAST_WINDOW_S = Fraction(1, 10)


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
            window_s = Fraction(rules["frames"] * rate, RATED_FPS) if rate else exact(rules["window_s"])
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
            look = replace(look, window_s=exact(config.window_s))
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


def exact(seconds: float) -> Fraction:
    """As it is written: 8.533 is 8533/1000."""
    return Fraction(str(seconds))
