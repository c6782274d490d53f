"""The settings of a training run of a network that labels points."""

from dataclasses import dataclass, field

from vidpc.errors import PresetError
from vidpc.ops.point_features import check_names
from vidpc.training.scan_views import ViewOptions
from vidpc.training.trainee import Schedule


@dataclass(frozen=True, slots=True)
class SegmentRecipe:
    """One training run. ``configs/aerial.train.toml`` and ``configs/rooms.train.toml`` hold those of the built-in weights."""

    # a class each: its name, and the labels in the files that mean it: "vegetation=3 4 5"; others are not learnt from
    classes: tuple[str, ...]
    features: tuple[str, ...]
    voxel_m: float
    grid_m: float
    # network, a number a level; a point a cube, those of level i are 2**i * grid_m wide, the finest has all points
    widths: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    neighbours: tuple[int, ...] = (8, 16, 16, 16)
    # blocks
    block_m: tuple[float, ...] = (30.0, 90.0)  # least and greatest side
    block_points: int = 16000  # of one block, at most: of those nearest to its middle
    step_points: int = 16000  # of one step; blocks are drawn until there are as many
    rare: float = 0.5  # blocks around a point of a class that is drawn first, each as often; others are drawn anywhere
    scan_weights: tuple[str, ...] = ()  # how often scans are drawn, by the beginning of their name: "town=3"; 1 where none fits
    generated: int = 0  # rooms that are made up and used like scans, called "generated"
    views: ViewOptions = field(default_factory=ViewOptions)
    # loss
    smoothing: float = 0.05
    balance: float = 0.3  # power of a class's share by which it weighs less
    # how much a class counts in the loss: "other=0.2"; what counts less than 1 is left out of the overlap: it is found where
    # the network is sure, and takes little from the others
    loss_weights: tuple[str, ...] = ()
    # measuring
    core_m: float = 80.0
    halo_m: float = 10.0
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        check_names(self.features)
        if not len(self.widths) == len(self.blocks) == len(self.neighbours):
            raise PresetError(
                f"{len(self.widths)} widths, {len(self.blocks)} blocks, {len(self.neighbours)} neighbours: expected one a level"
            )
        if len(self.block_m) != 2 or not 0 < self.block_m[0] <= self.block_m[1]:
            raise PresetError(f"block_m is {self.block_m}, expected the least and the greatest side of a block")
        for text in self.classes:
            parse_class(text)
        for text in self.scan_weights:
            parse_weight(text)
        if unknown := [name for name, _ in map(parse_weight, self.loss_weights) if name not in self.labels]:
            raise PresetError(f"loss_weights name {', '.join(unknown)}, expected some of {', '.join(self.labels)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of every class."""
        return tuple(parse_class(text)[0] for text in self.classes)

    @property
    def codes(self) -> tuple[tuple[int, ...], ...]:
        """The labels in the files that mean each class."""
        return tuple(parse_class(text)[1] for text in self.classes)

    def weight_of(self, name: str) -> float:
        """How often a scan of that name is drawn."""
        fitting = [weight for start, weight in map(parse_weight, self.scan_weights) if name.startswith(start)]
        return fitting[0] if fitting else 1.0

    @property
    def loss_shares(self) -> tuple[float, ...]:
        """How much every class counts in the loss."""
        named = dict(map(parse_weight, self.loss_weights))
        return tuple(named.get(label, 1.0) for label in self.labels)


def parse_class(text: str) -> tuple[str, tuple[int, ...]]:
    """(name, labels) from a line such as ``vegetation=3 4 5``."""
    name, equals, values = text.partition("=")
    if not name or not equals or not all(value.lstrip("-").isdigit() for value in values.split()) or not values.split():
        raise PresetError(f"class {text!r}: expected NAME=LABEL …, such as vegetation=3 4 5")
    return name, tuple(map(int, values.split()))


def parse_weight(text: str) -> tuple[str, float]:
    """(beginning of a name, weight) from a word such as ``town=3``."""
    name, equals, value = text.partition("=")
    try:
        return name, float(value if equals else "none")
    except ValueError:
        raise PresetError(f"weight {text!r}: expected NAME=NUMBER, such as town=3") from None
