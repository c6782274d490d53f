"""The settings of a training run of a network that draws frames between and after others."""

from dataclasses import dataclass, field

from vidpc.errors import PresetError, unknown_name
from vidpc.models.convtransformer import ConvTransformerConfig
from vidpc.models.motion_convtransformer import MotionConvTransformerConfig
from vidpc.training.trainee import Schedule

DIRECT, MOTION = "convtransformer", "motion-convtransformer"


@dataclass(frozen=True, slots=True)
class SynthesizeRecipe:
    """One run. ``configs/motion.train.toml`` and ``configs/direct.train.toml`` hold the values of the built-in weights."""

    architecture: str = MOTION
    # network; which of these count is up to the architecture
    width: int = 16
    heads: int = 4
    synthesis: tuple[int, ...] = (24, 40, 64)
    windows: tuple[int, ...] = (5, 9, 19)
    frames: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 1
    stride: int = 4
    # data
    crop: int = 192  # pixels of the square that is learnt from
    batch: int = 4
    short_side: int = 480  # larger pictures are made smaller
    spacings: tuple[int, ...] = (2, 2, 2, 3, 4)  # frames from one shown to the next; one is drawn
    after: float = 0.15  # share of samples whose wanted frame comes after those shown
    halved: float = 0.35  # share of samples at half of their size
    tries: int = 2  # crops, of which the one that changes most is taken
    # measure
    check_samples: int = 24  # of the shots of --val, evenly spread
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.architecture not in (DIRECT, MOTION):
            raise PresetError(unknown_name("architecture", self.architecture, (DIRECT, MOTION)))
        if self.crop % 16 or self.crop < 64:
            raise PresetError(f"crop is {self.crop}, expected a multiple of 16, at least 64")
        if not self.spacings or min(self.spacings) < 2:
            raise PresetError(f"spacings are {self.spacings}, expected numbers of 2 or more: a frame between is wanted")
        self.network()

    def network(self) -> ConvTransformerConfig | MotionConvTransformerConfig:
        """The network's sizes."""
        if self.architecture == MOTION:
            return MotionConvTransformerConfig(self.windows, self.width, self.synthesis)
        layers = (self.encoder_layers, self.decoder_layers)
        return ConvTransformerConfig(self.frames, self.width, self.heads, *layers, self.synthesis, self.stride)
