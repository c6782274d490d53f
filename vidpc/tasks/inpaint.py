"""``vidpc inpaint``: frames with masks in, the same frames with what was masked filled in out.

results   each input's frames through the filler of its network; a frame without a hole comes back as it was
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vidpc.errors import PresetError, SourceError, WeightsError, unknown_name
from vidpc.models.aligned_sttn import AlignedSTTN, AlignedSTTNConfig
from vidpc.models.sttn import STTN, STTNConfig
from vidpc.presets import InpaintConfig
from vidpc.tasks.aligned_fill import AlignedFiller
from vidpc.tasks.filling import Call, Filled, Filler
from vidpc.tasks.network import build
from vidpc.tasks.published_fill import PublishedFiller
from vidpc.types import Closed, MaskedFrame, ModelInfo, Opened, VideoInfo
from vidpc.weights import WeightsFile

MaskedItem = Opened[VideoInfo] | MaskedFrame | Closed

# architecture -> the network and its config, and what fills frames with it
_NETWORKS: Mapping[str, tuple[Any, Any]] = {
    "aligned-sttn": (AlignedSTTN, AlignedSTTNConfig),
    "sttn": (STTN, STTNConfig),
}
_FILLERS: Mapping[str, Any] = {"aligned-sttn": AlignedFiller, "sttn": PublishedFiller}


@dataclass(frozen=True, slots=True)
class InpaintResult:
    """A filled frame of input number ``stream``."""

    stream: int
    filled: Filled

    @property
    def nbytes(self) -> int:
        """Bytes that the result holds in memory."""
        rgb = self.filled.rgb
        return self.filled.frame.nbytes + (0 if rgb is None else rgb.nbytes)


class InpaintTask:
    """A network that fills holes, and what it is called with."""

    def __init__(self, config: InpaintConfig, weights: WeightsFile, *, name: str = "") -> None:
        """Raises ``WeightsError`` for weights of another kind of network, ``PresetError`` for settings of another one."""
        header = weights.header
        if header.architecture not in _NETWORKS:
            raise WeightsError(f"{header.path}: {unknown_name('network to fill with', header.architecture, _NETWORKS)}")
        if config.references != "bounded" and header.architecture != "sttn":
            raise PresetError(
                f"references {config.references!r} is for the network 'sttn', and {name} is {header.architecture!r}"
            )
        self.config, self.rules = config, header.input
        self.info = ModelInfo(name or config.weights, header.architecture, weights.sha256, header.licence, ())
        self.model: nn.Module = build(weights, header.architecture, *_NETWORKS[header.architecture])

    def filler(self, call: Call) -> Filler:
        """What fills the frames of one input after the other; ``call`` runs the network on its device."""
        filler: Filler = _FILLERS[self.info.architecture](self.model, self.config, self.rules, call)
        return filler


def results(items: Iterable[MaskedItem], fill: Filler) -> Iterator[InpaintResult | Opened[VideoInfo] | Closed]:
    """The frames of every input through ``fill``, each input on its own; one that cannot be filled ends there."""
    source = iter(items)
    for item in source:
        if isinstance(item, Opened):
            yield item
            run = _Run(source)
            error: SourceError | None = None
            try:
                for filled in fill(run.frames()):
                    if run.closed is not None and run.closed.error is not None:
                        break  # its output will not be completed
                    yield InpaintResult(item.stream, filled)
            except SourceError as raised:
                error = raised
            closed = run.to_its_end()
            yield closed if error is None else Closed(closed.stream, closed.warnings, error)
        elif isinstance(item, Closed):
            yield item


class _Run:
    """The frames of one input, taken from a stream of several."""

    def __init__(self, items: Iterator[MaskedItem]) -> None:
        self._items = items
        self.closed: Closed | None = None

    def frames(self) -> Iterator[MaskedFrame]:
        """Frames until the input closes."""
        for item in self._items:
            if isinstance(item, Closed):
                self.closed = item
                return
            if isinstance(item, MaskedFrame):
                yield item

    def to_its_end(self) -> Closed:
        """The input's Closed, whatever of it was not read."""
        for _ in self.frames() if self.closed is None else ():
            pass
        if self.closed is None:
            raise ValueError("inpaint: an input ended without Closed")
        return self.closed
