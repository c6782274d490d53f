import numpy as np
import torch

from vidpc.training.batches import PairBatches, collate, normalised, stack_truth, to_batch
from vidpc.training.pictures import Clip, Marks, Picture
from vidpc.training.scenes import Pair, SceneOptions, Scenes


def marks(boxes, ids, ignored):
    return Marks(np.array(boxes, np.float32).reshape(-1, 4), np.array(ids, np.int64), np.array(ignored, bool))


def test_truth_is_padded_and_ignored_boxes_stand_apart():
    rows = [marks([[0, 0, 20, 10], [50, 0, 100, 50]], [4, 5], [False, True]), marks([], [], [])]
    truth = stack_truth(rows, 100, 50)
    torch.testing.assert_close(truth.boxes[0, 0], torch.tensor([0.1, 0.1, 0.2, 0.2]))
    assert truth.present.tolist() == [[True], [False]]
    assert truth.ids.tolist() == [[4], [-1]]
    assert truth.ignored.tolist() == [[[0.5, 0, 1, 1]], [[0, 0, 0, 0]]]


def test_predecessors_are_partners_or_oneself():
    picture = Picture(np.zeros((8, 8, 3), np.uint8), marks([], [], []))
    items = [collate([Pair(picture, picture, True)] * 3, np.random.default_rng(seed)) for seed in range(30)]
    previous = torch.stack([item["previous"] for item in items])
    order = torch.arange(6)
    assert ((previous == order) | (previous == order ^ 1)).all()
    assert 0.15 < (previous == order).float().mean() < 0.35  # a quarter


def test_pictures_are_normalised_as_the_weights_say():
    images = normalised(torch.tensor([[[[255, 0, 128]]]], dtype=torch.uint8))
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(images[0, :, 0, 0], torch.tensor(expected))


def test_stages_decide_the_size_and_steps_the_content():
    picture = Picture(np.full((60, 60, 3), 50, np.uint8), marks([[10, 10, 30, 50]], [1], [False]))
    scenes = Scenes([Clip("a", (picture,))], {}, SceneOptions())
    batches = PairBatches(scenes, [(0, [(64, 64)]), (2, [(96, 64)])], pairs=1, seed=3)
    assert [tuple(batches[step]["images"].shape) for step in (0, 1, 2, 9)] == [(2, 64, 64, 3)] * 2 + [(2, 64, 96, 3)] * 2
    again = batches[1]
    assert all(torch.equal(batches[1][name], again[name]) for name in again)
    assert not torch.equal(batches[0]["images"], batches[1]["images"])
    assert to_batch(again, torch.device("cpu")).images.shape == (2, 3, 64, 64)
