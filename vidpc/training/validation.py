"""Person AP50 of a model on labelled pictures, in all and by set."""

import numpy as np
import torch

from vidpc.evaluation.detection import LabelledBoxes, average_precision
from vidpc.models.transtrack import TransTrack
from vidpc.ops.boxes import cxcywh_to_xyxy
from vidpc.training.batches import normalised
from vidpc.training.pictures import Clip, Picture
from vidpc.training.views import resized
from vidpc.types import U8, Boxes

LONG_SIDE = 640


def fitted(pixels: U8, long_side: int = LONG_SIDE) -> U8:
    """The picture shrunk to ``long_side``, never enlarged: what the built-in weights are made for."""
    height, width = pixels.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    return resized(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


@torch.inference_mode()
def detect(model: TransTrack, pixels: U8) -> Boxes:
    """All queries of one picture as detections in its own pixels."""
    images = normalised(torch.from_numpy(fitted(pixels))[None])
    output = model(images, torch.zeros(1, dtype=torch.long))
    height, width = pixels.shape[:2]
    boxes = cxcywh_to_xyxy(output.boxes[0]).double().numpy() * np.array([width, height] * 2)
    scores = output.logits[0, :, 0].double().sigmoid().numpy()
    return Boxes(boxes, scores, np.zeros(len(scores), np.int64))


def labelled(picture: Picture) -> LabelledBoxes:
    """A picture's marks as the measure wants them."""
    marks = picture.marks
    return LabelledBoxes(marks.boxes_xyxy.astype(np.float64), np.zeros(len(marks), np.int64), marks.ignored)


def validate(model: TransTrack, clips: list[Clip]) -> dict[str, dict[str, float]]:
    """AP50, AP and the count of pictures, under ``all`` and under each set's name."""
    training = model.training
    model.eval()
    named = [(clip.name, picture) for clip in clips for picture in clip.pictures]
    found = [detect(model, picture.pixels) for _, picture in named]
    model.train(training)
    scores = {}
    for name in ["all", *sorted({name for name, _ in named})]:
        rows = [row for row, (own, _) in enumerate(named) if name in ("all", own)]
        result = average_precision([found[row] for row in rows], [labelled(named[row][1]) for row in rows])
        scores[name] = {"ap50": _figure(result.ap50), "ap": _figure(result.ap), "pictures": len(rows)}
    return scores


def _figure(share: float) -> float:
    """Four decimals; 0 where there was nobody to find, which JSON could not say otherwise."""
    return round(share, 4) if np.isfinite(share) else 0.0
