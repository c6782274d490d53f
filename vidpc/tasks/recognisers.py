"""Networks that say what clips show: which there are, and those of a run, each with its own way to be asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from vidpc.errors import PresetError, WeightsError, unknown_name
from vidpc.models.motion_timesformer import MotionTimeSformer, MotionTimeSformerConfig
from vidpc.models.timesformer import TimeSformer, TimeSformerConfig
from vidpc.models.torchvision_video import MViT, MViTConfig, Swin3D, Swin3DConfig
from vidpc.models.vidtr import CompactVidTr, CompactVidTrConfig, VidTr, VidTrConfig
from vidpc.ops import clip
from vidpc.presets import RecognizeConfig
from vidpc.tasks.action_segments import Thresholds
from vidpc.tasks.look import Look
from vidpc.tasks.network import build
from vidpc.types import F64, ModelInfo
from vidpc.weights import WeightsFile

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


def check_names(names: Mapping[str, str], weights: Sequence[WeightsFile]) -> None:
    known = [label for file in weights for label in file.header.labels]
    for name in names:
        if name not in known:
            raise PresetError(unknown_name("label", name, known))


def _check_told(names: Mapping[str, str], labels: Sequence[str]) -> None:
    for name in names.values():
        if labels.count(name) > 1:
            raise PresetError(f"two labels would be told as {name!r}: give each a name of its own")


def check_shared(found: Sequence[Recogniser]) -> None:
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


def logits_of(recogniser: Recogniser, clips: Tensor, seen: dict[Any, Any]) -> Tensor:
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


def _softmax(logits: F64) -> F64:
    exponents: F64 = np.exp(logits - logits.max())
    return np.asarray(exponents / exponents.sum())
