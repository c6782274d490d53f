import numpy as np
import pytest
import torch

from vidpc.models.transtrack import Carry, Output
from vidpc.training.generated import street_clips
from vidpc.training.pictures import Clip, Marks, Picture
from vidpc.training.validation import fitted, validate


class Oracle(torch.nn.Module):
    """Finds the box (10, 10, 30, 50) of a picture of 60 x 80, and a false one that it trusts less."""

    def forward(self, images, previous):
        boxes = torch.tensor([[[20 / 60, 30 / 80, 20 / 60, 40 / 80], [0.9, 0.9, 0.1, 0.1]]])
        logits = torch.tensor([[[2.0], [-2.0]]])
        return Output(logits, boxes, logits, boxes, Carry((), boxes, boxes))


def clip(name, *boxes):
    marks = Marks(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.int64), np.zeros(len(boxes), bool))
    return Clip(name, (Picture(np.zeros((80, 60, 3), np.uint8), marks),))


def test_precision_is_given_for_all_and_for_each_set():
    scores = validate(Oracle(), [clip("a", [10, 10, 30, 50]), clip("b", [40, 10, 50, 50]), clip("c")])
    assert {name: (score["ap50"], score["pictures"]) for name, score in scores.items() if name != "all"} == {
        "a": (1.0, 1),
        "b": (0.0, 1),
        "c": (0.0, 1),
    }
    # one of two people found; of detections trusted alike the earlier comes first: precision 1 at the recalls 0 to 0.5
    assert scores["all"]["ap50"] == pytest.approx(51 / 101, abs=1e-4)


def test_pictures_are_shrunk_to_the_long_side_and_never_enlarged():
    assert fitted(np.zeros((720, 1280, 3), np.uint8)).shape == (360, 640, 3)
    assert fitted(np.zeros((100, 50, 3), np.uint8)).shape == (100, 50, 3)


def test_streets_are_clips_with_known_identities():
    (street,) = street_clips(1, seed=0)
    assert street.name == "street"
    assert len(street.pictures) == 3
    first, second = street.pictures[0].marks, street.pictures[1].marks
    assert len(np.intersect1d(first.ids, second.ids)) >= 2
    assert not (street.pictures[0].pixels == street.pictures[1].pixels).all()
