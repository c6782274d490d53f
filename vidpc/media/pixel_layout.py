"""What of a picture a pixel format can hold."""

from dataclasses import dataclass
from typing import Literal

from av.video.format import VideoFormat as PixelFormat

_SIDE = 64  # of a picture that the formats are asked about
_COARSEST = (2, 2)  # pixels that share a colour sample in 4:2:0


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a picture a pixel format can hold. ``shared`` are the columns and rows of pixels with one colour sample."""

    kind: Literal["gray", "yuv", "rgb"]
    bits: int
    shared: tuple[int, int]
    has_alpha: bool

    @classmethod
    def of(cls, name: str) -> "Layout":
        layout = PixelFormat(name, _SIDE, _SIDE)
        is_rgb = layout.is_rgb or layout.has_palette
        kind: Literal["gray", "yuv", "rgb"] = "rgb" if is_rgb else "yuv" if len(layout.components) > 2 else "gray"
        shared = (_SIDE // layout.chroma_width(), _SIDE // layout.chroma_height()) if kind == "yuv" else (1, 1)
        has_alpha = any(component.is_alpha for component in layout.components)
        return cls(kind, layout.components[0].bits, shared, has_alpha)

    def as_video(self) -> "Layout":
        """As players expect it: RGB and gray become 4:2:0."""
        return self if self.kind == "yuv" else Layout("yuv", self.bits, _COARSEST, self.has_alpha)

    def distance(self, source: "Layout") -> tuple[int, ...]:
        """How badly this holds a source: what is lost first, then what is wasted."""
        lost = [max(0, mine - theirs) for mine, theirs in zip(self.shared, source.shared, strict=True)]
        return (
            self.kind != source.kind,
            sum(lost),
            max(0, source.bits - self.bits),
            abs(self.shared[0] - source.shared[0]) + abs(self.shared[1] - source.shared[1]),
            abs(self.bits - source.bits),
        )


def losses(source: Layout, chosen: Layout, name: str) -> list[str]:
    """What of a source its chosen format cannot hold, but for transparency."""
    said = []
    if chosen.bits < source.bits:
        said.append(f"the depth of {source.bits} bits becomes {chosen.bits}: the codec takes {name}")
    if chosen.shared[0] > source.shared[0] or chosen.shared[1] > source.shared[1]:
        said.append(f"colour loses resolution: the codec takes {name}")
    return said
