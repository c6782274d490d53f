"""The settings of a training run of a network that fills holes."""

from dataclasses import dataclass, field

from vidpc.errors import PresetError
from vidpc.models.aligned_sttn import AlignedSTTNConfig
from vidpc.training.trainee import Schedule


@dataclass(frozen=True, slots=True)
class Holes:
    """How the holes of a sample are drawn: one shape of a size that goes its way over the picture."""

    smallest: float = 0.12  # of the picture's sides
    largest: float = 0.5
    still: float = 0.2  # share of holes that do not move
    fastest: float = 0.03  # of the picture's width, from frame to frame
    round_share: float = 0.4  # share of holes that are blobs, not rectangles

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= self.largest < 1:
            raise PresetError(f"smallest {self.smallest:g}, largest {self.largest:g}: expected 0 < smallest <= largest < 1")


@dataclass(frozen=True, slots=True)
class InpaintRecipe:
    """One run. ``configs/aligned.train.toml`` holds the values of the built-in weights."""

    network: AlignedSTTNConfig = field(default_factory=AlignedSTTNConfig)
    # data
    size: tuple[int, ...] = (216, 120)  # of the pictures that are learnt from
    batch: int = 4
    references: int = 6
    farthest: int = 40  # frames from the one to fill
    short_side: int = 480  # larger pictures are made smaller
    least_window: float = 0.45  # share of the picture's sides that a sample shows at least
    holes: Holes = field(default_factory=Holes)
    # loss
    painted: float = 0.4  # weight of the painted picture's own error
    # how `vidpc inpaint` is to use the weights
    run_size: tuple[int, ...] = (432, 240)
    run_references: tuple[int, ...] = (-40, -30, -22, -15, -9, -4, 4, 9, 15, 22, 30, 40)
    # measure
    check_samples: int = 24
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        across, down = self.network.multiple
        for name, size in (("size", self.size), ("run_size", self.run_size)):
            if len(size) != 2 or size[0] % across or size[1] % down:
                raise PresetError(f"{name} is {size}, expected multiples of {across} and {down}: patches fill the picture")
        if self.references < 1 or self.farthest < 1:
            raise PresetError("references and farthest are 1 or more")
