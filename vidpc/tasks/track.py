"""``vidpc track``: frames in, people with lasting identities out.

samples   a frame becomes one array of the model's size (on a CPU), or its untouched planes (for CUDA)
step      a batch of frames, with what the frame before the batch left behind (``TrackCarry``)
results   boxes go back to source pixels; the association of each input is a local of the loop
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidpc.errors import PresetError, SourceError, WeightsError, unknown_name
from vidpc.models.transtrack import Carry, TransTrack, TransTrackConfig
from vidpc.ops import image
from vidpc.ops.boxes import cxcywh_to_xyxy
from vidpc.presets import TrackConfig
from vidpc.tasks import association
from vidpc.types import U8, Aside, Closed, Frame, FrameTracks, ModelInfo, Opened, Planes, Sample, VideoInfo
from vidpc.weights import WeightsFile

FrameItem = Opened[VideoInfo] | Frame | Closed
Output = tuple[Sample, Mapping[str, npt.NDArray[Any]]] | Opened[VideoInfo] | Aside | Closed
_MATRICES = tuple(image.LUMA)
_TRACKS_BYTES = 1 << 12  # a guess at the tracks of one frame
NEAR_HEIGHT = 0.42  # of the picture: the built-in weights learned people of up to 170 px, in pictures of about 360
INSIDE_SHARE = 0.7
LEAST_SIDE = 32  # pixels of the small picture
NEAR_QUERIES = 32  # more people than that do not stand so close
STRETCH = 0.2  # of the close person's height, up and down
PART_HEIGHT = 0.2  # of the close person's height: a box less tall is somebody else


@dataclass(frozen=True, slots=True)
class TrackResult:
    """The tracks of one frame of input number ``stream``; ``frame`` where the task was told to keep it."""

    stream: int
    tracks: FrameTracks
    frame: Frame | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that the result holds in memory, the frame above all."""
        return _TRACKS_BYTES if self.frame is None else self.frame.nbytes


@dataclass(frozen=True, slots=True)
class TrackCarry:
    """What the last frame of each input of a batch leaves for the next batch; row i of ``rows`` belongs to ``streams[i]``.

    ``near`` is the same of the smaller pictures, where there are any.
    """

    streams: tuple[int, ...]
    rows: Carry
    near: Carry | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What comes back with the output of a frame."""

    frame: Frame | None
    index: int
    time_s: Any
    fit: image.Fit


class TrackTask:
    """TransTrack with an association: ``samples``, ``step`` and ``results`` of ``vidpc track``."""

    def __init__(
        self,
        config: TrackConfig,
        weights: WeightsFile,
        *,
        name: str = "",
        classes: Sequence[str] = (),
        keep_frames: bool = False,
        on_device: bool = False,
    ) -> None:
        """``classes`` keeps tracks of these labels alone; ``on_device`` leaves colour and size to the step.

        Raises ``PresetError`` for a label that the model does not know, ``WeightsError`` for weights of another network.
        """
        header = weights.header
        self.config = config
        self.info = ModelInfo(name or config.weights, header.architecture, weights.sha256, header.licence, header.labels)
        self.model = build_model(weights)
        self._mean, self._std = _normalization(header.input)
        self._columns = _logit_columns(header.metadata, len(header.labels), self.model.config.classes)
        self._wanted = _label_numbers(classes, header.labels)
        self._keep_frames, self._on_device = keep_frames, on_device

    def samples(self, items: Iterable[FrameItem]) -> Iterator[Sample | Opened[VideoInfo] | Closed]:
        """Each frame as one sample, everything else as it is; an input with a frame that cannot be converted ends there."""
        stream, failed = 0, -1
        for item in items:
            if not isinstance(item, Frame):
                stream = item.stream
                if stream != failed:
                    yield item
            elif stream != failed:
                try:
                    sample = self._sample(item, stream)
                except SourceError as error:  # a picture that cannot be converted ends its own input alone
                    failed = stream
                    yield Closed(stream, error=error)
                else:
                    yield sample

    def step(
        self, tensors: Mapping[str, Tensor], streams: Sequence[int], carry: TrackCarry | None
    ) -> tuple[dict[str, Tensor], TrackCarry]:
        """Scores f32[b n], labels i64[b n], boxes and track boxes f32[b n 4] (xyxy in 0..1) of a batch, and the next carry."""
        before = torch.tensor(predecessors(streams, carry.streams if carry else ()))
        last = {stream: row for row, stream in enumerate(streams)}
        rows = torch.tensor(list(last.values()))
        pictures = self._pictures(tensors)
        found, left = self._look(pictures, before, carry.rows if carry else None, None)
        if not self.config.near_scale:
            return found, TrackCarry(tuple(last), left.rows(rows.to(pictures.device, non_blocking=True)))
        height, width = (max(LEAST_SIDE, round(side * self.config.near_scale)) for side in pictures.shape[2:])
        smaller = image.resize_antialiased(pictures, height=height, width=width)
        close, left_near = self._look(smaller, before, carry.near if carry else None, NEAR_QUERIES)
        rows = rows.to(pictures.device, non_blocking=True)
        return with_near(found, close), TrackCarry(tuple(last), left.rows(rows), left_near.rows(rows))

    def _look(self, pictures: Tensor, before: Tensor, carry: Carry | None, most: int | None) -> tuple[dict[str, Tensor], Carry]:
        """What the network finds in pictures u8[b 3 h w] with ``most`` queries, and what it would carry on."""
        images = image.normalize(pictures, mean=self._mean, std=self._std)
        output = self.model(images, before.to(images.device, non_blocking=True), carry, most=most)
        scores, labels = output.logits[..., self._columns].float().sigmoid().max(dim=-1)
        outputs = {
            "scores": scores,
            "labels": labels,
            "boxes": cxcywh_to_xyxy(output.boxes),
            "track_boxes": cxcywh_to_xyxy(output.track_boxes),
        }
        return outputs, output.carry

    def results(self, outputs: Iterable[Output]) -> Iterator[TrackResult | Opened[VideoInfo] | Closed]:
        """The tracks of every frame, each input with an association of its own."""
        states: dict[int, association.TrackState] = {}
        for item in outputs:
            if isinstance(item, tuple):
                sample, arrays = item
                queries = _queries(sample.context, arrays)
                states[sample.stream], tracks = association.step(states[sample.stream], queries, self.config.association)
                yield TrackResult(sample.stream, self._selected(tracks), sample.context.frame)
                continue
            if isinstance(item, Opened):
                states[item.stream] = association.TrackState()
                yield item
            elif isinstance(item, Closed):
                states.pop(item.stream, None)
                yield item

    def _sample(self, frame: Frame, stream: int) -> Sample:
        fit = image.fit(frame.width, frame.height, short_side=self.config.short_side, long_side=self.config.long_side)
        kept = frame if self._keep_frames else None
        return Sample(self._arrays(frame, fit), stream, Context(kept, frame.index, frame.time_s, fit))

    def _arrays(self, frame: Frame, fit: image.Fit) -> dict[str, npt.NDArray[Any]]:
        if self._on_device:
            planes = frame.image.planes()
            if planes is None:
                return {"rgb": frame.rgb()}
            return {"y": planes.y, "u": planes.u, "v": planes.v, "reading": _reading(planes)}
        if self.config.resize == "scaler":
            return {"rgb": frame.rgb(fit.width, fit.height)}
        full = torch.from_numpy(frame.rgb()).permute(2, 0, 1)[None]
        return {"rgb": self._resized(full, fit.height, fit.width)[0].permute(1, 2, 0).numpy()}

    def _pictures(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """u8[b 3 h w] of the model's size from whatever the samples hold."""
        if not self._on_device:
            return tensors["rgb"].permute(0, 3, 1, 2)
        if "rgb" in tensors:
            full = tensors["rgb"].permute(0, 3, 1, 2)
        else:
            matrix, full_range, turns, mirrored = (size - 1 for size in tensors["reading"].shape[1:])
            coded = image.planes_to_rgb(
                tensors["y"], tensors["u"], tensors["v"], matrix=_MATRICES[matrix], full_range=bool(full_range)
            )
            full = image.display(coded, rotation_deg=90 * turns, mirrored=bool(mirrored))
        h, w = full.shape[2:]
        fit = image.fit(w, h, short_side=self.config.short_side, long_side=self.config.long_side)
        return self._resized(full, fit.height, fit.width)

    def _resized(self, pictures: Tensor, height: int, width: int) -> Tensor:
        resize = image.resize_plain if self.config.resize == "plain" else image.resize_antialiased
        return resize(pictures, height=height, width=width)

    def _selected(self, tracks: FrameTracks) -> FrameTracks:
        if self._wanted is None:
            return tracks
        keep = np.isin(tracks.labels, self._wanted)
        return FrameTracks(
            tracks.index, tracks.time_s, tracks.ids[keep], tracks.boxes_xyxy[keep], tracks.scores[keep], tracks.labels[keep]
        )


def build_model(weights: WeightsFile) -> TransTrack:
    """The network that ``weights`` describe, in float32, with their values. Raises ``WeightsError``."""
    if weights.header.architecture != "transtrack":
        raise WeightsError(f"{weights.header.path}: weights of {weights.header.architecture!r}, expected 'transtrack'")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in weights.header.config.items()
    }
    try:
        model = TransTrack(TransTrackConfig(**fields))
        model.load_state_dict({name: tensor.float() for name, tensor in weights.tensors.items()})
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{weights.header.path}: does not fit the network: {reason}") from error
    return model.eval()


def predecessors(streams: Sequence[int], carried: Sequence[int]) -> list[int]:
    """For each frame of a batch the row of the frame before it, counted through the carried rows and then the batch.

    The first frame of an input is its own predecessor, as in the authors' code.
    """
    last = {stream: row for row, stream in enumerate(carried)}
    rows = []
    for i, stream in enumerate(streams):
        own = len(carried) + i
        rows.append(last.get(stream, own))
        last[stream] = own
    return rows


def with_near(far: Mapping[str, Tensor], near: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The queries of a picture and then those of the same picture made small, each with the scores of what it is there for.

    The small picture answers for boxes taller than ``NEAR_HEIGHT`` of it, which the network sees there at a size that it knows.
    What the large picture says of the same place is silenced: a box of which most lies in such an answer with a better score,
    stretched because those often end above the feet, and that is no small person before or behind it.
    """
    tall = near["boxes"][..., 3] - near["boxes"][..., 1]
    close = near["scores"] * (tall > NEAR_HEIGHT)
    stretch = torch.stack([torch.zeros_like(tall), STRETCH * tall], dim=-1)
    low = torch.maximum(far["boxes"][:, :, None, :2], (near["boxes"][..., :2] - stretch)[:, None])
    high = torch.minimum(far["boxes"][:, :, None, 2:], (near["boxes"][..., 2:] + stretch)[:, None])
    shared = (high - low).clamp(min=0).prod(dim=-1)  # [b far near]
    sides = far["boxes"][..., 2:] - far["boxes"][..., :2]
    inside = shared > INSIDE_SHARE * sides.prod(dim=-1)[..., None]
    part = sides[..., 1, None] > PART_HEIGHT * tall[:, None]
    better = close[:, None] >= far["scores"][..., None]
    silenced = (inside & part & better & (close[:, None] > 0)).any(dim=-1)
    joined = {name: torch.cat([far[name], near[name]], dim=1) for name in far}
    return {**joined, "scores": torch.cat([far["scores"] * ~silenced, close], dim=1)}


def _reading(planes: Planes) -> U8:
    """How planes are to be read, as the shape of an array: only planes that are read alike share a batch then."""
    marks = (_MATRICES.index(planes.matrix), int(planes.full_range), planes.rotation_deg // 90, int(planes.mirrored))
    return np.zeros([mark + 1 for mark in marks], dtype=np.uint8)


def _queries(context: Context, arrays: Mapping[str, npt.NDArray[Any]]) -> association.Queries:
    return association.Queries(
        index=context.index,
        time_s=context.time_s,
        scores=arrays["scores"],
        labels=arrays["labels"],
        boxes_xyxy=context.fit.undo(arrays["boxes"]),
        track_boxes_xyxy=context.fit.undo(arrays["track_boxes"]),
    )


def _normalization(rules: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    try:
        mean, std = [float(x) for x in rules["mean"]], [float(x) for x in rules["std"]]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError("the weights do not say how pictures are normalised (input: mean, std)") from error
    if len(mean) != 3 or len(std) != 3 or 0 in std or rules.get("order", "rgb") != "rgb":
        raise WeightsError(f"the weights ask for an input that vidpc track does not make: {dict(rules)}")
    return mean, std


def _logit_columns(metadata: Mapping[str, str], labels: int, classes: int) -> list[int]:
    """The logit of each label. Released TransTrack weights have 20 logits, of which number 1 is a person."""
    columns = json.loads(metadata.get("logits", json.dumps(list(range(labels)))))
    if len(columns) != labels or not all(isinstance(c, int) and 0 <= c < classes for c in columns):
        raise WeightsError(f"the weights name {labels} labels and the logits {columns} of {classes}")
    return list(columns)


def _label_numbers(classes: Sequence[str], labels: Sequence[str]) -> list[int] | None:
    for name in classes:
        if name not in labels:
            raise PresetError(unknown_name("class", name, labels))
    return [labels.index(name) for name in classes] or None
