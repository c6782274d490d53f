"""The settings of a recogniser's training run."""

from dataclasses import dataclass, field

from vidpc.errors import PresetError
from vidpc.models.motion_timesformer import MotionTimeSformerConfig
from vidpc.training.clip_views import ClipViews
from vidpc.training.simulated import Simulation
from vidpc.training.trainee import Schedule

_LEARNS = ("all", "head")


@dataclass(frozen=True, slots=True)
class RecognizeRecipe:
    """One training run of a recogniser. ``configs/fight.train.toml`` and its neighbours hold those of the built-in weights."""

    network: MotionTimeSformerConfig = field(default_factory=MotionTimeSformerConfig)  # where --init names no other
    # what a label of the data counts as, such as "fight: punch kick push"; labels that none names stay as they are
    classes_of: tuple[str, ...] = ()
    # added to the logit of a label in the weights file, such as "fight: -0.3", where cross-validation finds it told too often
    offsets: tuple[str, ...] = ()
    rate_fps: float = 15.0  # at which pictures are kept; the network's own takes every one of them
    batch: int = 16
    smoothing: float = 0.1
    mixed: float = 0.2  # both parameters of the Beta distribution that batches are mixed by; 0: they are not
    colours: float = 0.5  # share of clips whose pictures are shown beside their motion
    learns: str = "all"  # or the head alone
    layer_decay: float = 1.0  # share of a block's learning rate that the block before it has
    masked: float = 0.0  # weight of the loss of masked tubes on the clips of --scenes; 0: there is none
    hidden: float = 0.6  # share of the places that it hides
    views: ClipViews = field(default_factory=ClipViews)
    simulation: Simulation = field(default_factory=Simulation)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.learns not in _LEARNS:
            raise PresetError(f"learns is {self.learns!r}, expected one of {', '.join(_LEARNS)}")
        for text in self.classes_of:
            parse_class(text)
        for text in self.offsets:
            parse_offset(text)
        if self.batch < 2 or not 0 <= self.smoothing < 1 or not 0 < self.layer_decay <= 1 or not self.rate_fps > 0:
            raise PresetError(
                f"batch {self.batch}, smoothing {self.smoothing}, layer_decay {self.layer_decay}, rate_fps {self.rate_fps}: "
                "expected at least 2, 0 to below 1, above 0 to 1, above 0"
            )
        if self.mixed < 0 or self.masked < 0 or not 0 < self.hidden < 1 or not 0 <= self.colours <= 1:
            raise PresetError(
                f"mixed {self.mixed}, masked {self.masked}, hidden {self.hidden}, colours {self.colours}: expected 0 or more, "
                "0 or more, between 0 and 1, 0 to 1"
            )


def parse_class(text: str) -> tuple[str, tuple[str, ...]]:
    """(class, labels) from words such as ``fight: punch kick push``."""
    name, colon, labels = text.partition(":")
    if not colon or not name.strip() or not labels.split():
        raise PresetError(f"classes_of {text!r}: expected CLASS: LABEL …, such as fight: punch kick push")
    return name.strip(), tuple(labels.split())


def parse_offset(text: str) -> tuple[str, float]:
    """(label, offset) from words such as ``fight: -0.3``."""
    label, _, value = text.rpartition(":")
    try:
        return label.strip(), float(value if label.strip() else "none")
    except ValueError:
        raise PresetError(f"offsets {text!r}: expected LABEL: NUMBER, such as fight: -0.3") from None
