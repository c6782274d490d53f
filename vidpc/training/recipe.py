"""The settings of a training run."""

from dataclasses import dataclass

import numpy as np

from vidpc.errors import PresetError
from vidpc.models.transtrack import TransTrackConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run of a tracker. ``configs/people.train.toml`` holds the values of the built-in ``people`` weights."""

    # model
    depths: tuple[int, ...] = (2, 2, 2, 2)
    stem: int = 40
    width: int = 128
    heads: int = 4
    encoder_layers: int = 1
    decoder_layers: int = 3
    feedforward: int = 256
    levels: int = 3
    points: int = 4
    queries: int = 128
    # schedule, in steps
    steps: int = 6000
    warmup: int = 200
    decay_from: int = 4200  # the learning rate falls from here to the end
    decoders_from: int = 1200  # before this only the encoder learns, from its dense heads: cheap, and all else needs it
    # the step from which pictures have these sizes, one drawn a step; small ones first, where little is known yet
    sizes: tuple[str, ...] = ("0: 320x256 288x288 384x224", "900: 384x320 320x320 384x256 448x256", "4400: 640x352")
    pairs: int = 4
    learning_rate: float = 6e-4
    final_rate: float = 0.02  # share of the learning rate that is left at the end
    weight_decay: float = 0.02
    clip_norm: float = 20.0
    average: float = 0.999  # decay of the averaged weights, which are the ones that count
    seed: int = 1
    # data
    set_weights: tuple[str, ...] = ()  # how often a clip of a set is drawn, such as "street=2"; 1 where none is given
    paste: float = 0.45
    empty: float = 0.12
    streets: int = 0  # generated streets with drawn figures: sets of their own, called "street"
    # talk
    log_every: int = 20
    save_every: int = 250
    check_every: int = 500
    check_pictures: int = 80

    def __post_init__(self) -> None:
        if len(self.depths) != 4:
            raise PresetError(f"depths has {len(self.depths)} numbers, expected the blocks of four stages")
        if self.width % 32 or self.width % self.heads:
            raise PresetError(f"width {self.width}: expected a multiple of 32 and of the {self.heads} heads")
        starts = [parse_stage(text)[0] for text in self.sizes]
        if not starts or starts != sorted(starts) or starts[0] != 0:
            raise PresetError(f"sizes start at the steps {starts}: expected the first at 0 and the others after it")
        for text in self.set_weights:
            parse_weight(text)

    def model(self) -> TransTrackConfig:
        """The network that the recipe trains."""
        first, second, third, fourth = self.depths
        return TransTrackConfig(
            block="basic",
            depths=(first, second, third, fourth),
            stem=self.stem,
            width=self.width,
            heads=self.heads,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            feedforward=self.feedforward,
            levels=self.levels,
            points=self.points,
            queries=self.queries,
            classes=1,
            query_source="encoder",
            dropout=0.0,
        )

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: a linear rise, a plateau, a cosine fall."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, max(0.0, (step - self.decay_from) / max(self.steps - self.decay_from, 1)))
        share = self.final_rate + (1 - self.final_rate) * (1 + np.cos(np.pi * fall)) / 2
        return float(self.learning_rate * rise * share)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) from a word such as ``640x352``."""
    width, cross, height = text.partition("x")
    if not cross or not width.isdigit() or not height.isdigit() or min(int(width), int(height)) < 64:
        raise PresetError(f"picture size {text!r}: expected WIDTHxHEIGHT of at least 64, such as 640x352")
    return int(width), int(height)


def parse_stage(text: str) -> tuple[int, list[tuple[int, int]]]:
    """(first step, sizes) from words such as ``900: 384x320 448x256``."""
    step, colon, sizes = text.partition(":")
    if not colon or not step.strip().isdigit() or not sizes.split():
        raise PresetError(f"sizes {text!r}: expected STEP: WIDTHxHEIGHT …, such as 900: 384x320 448x256")
    return int(step), [parse_size(size) for size in sizes.split()]


def parse_weight(text: str) -> tuple[str, float]:
    """(set, weight) from a word such as ``tud=2``."""
    name, equals, value = text.partition("=")
    try:
        return name, float(value if equals else "none")
    except ValueError:
        raise PresetError(f"set weight {text!r}: expected NAME=NUMBER, such as street=2") from None
