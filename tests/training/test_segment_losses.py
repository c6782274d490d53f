import itertools

import pytest
import torch

from vidpc.training.segment_losses import class_weights, lovasz_softmax, point_losses


def test_a_right_answer_loses_no_overlap():
    label = torch.tensor([0, 1, 2, 1])
    assert float(lovasz_softmax(torch.nn.functional.one_hot(label, 3).float(), label)) == 0


def test_hard_answers_lose_one_minus_iou():
    """On the corners of the cube the extension is the set function itself: the mean of 1 - IoU over the classes present."""
    label = torch.tensor([0, 0, 1, 1])
    for found in itertools.product((0, 1), repeat=4):
        shares = torch.nn.functional.one_hot(torch.tensor(found), 2).float()
        wanted = 0.0
        for index in (0, 1):
            truth, said = label == index, torch.tensor(found) == index
            wanted += 1 - float((truth & said).sum() / (truth | said).sum())
        assert float(lovasz_softmax(shares, label)) == pytest.approx(wanted / 2)


def test_points_without_a_label_count_nowhere():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 1, 2, -1, -1, 1])
    known = label >= 0
    weights = torch.tensor([1.0, 2.0, 0.5])
    all_points = point_losses(logits, label, weights, smoothing=0.1)
    labelled = point_losses(logits[known], label[known], weights, smoothing=0.1)
    assert {name: float(part) for name, part in all_points.items()} == pytest.approx(
        {name: float(part) for name, part in labelled.items()}
    )


def test_a_batch_without_labels_has_no_loss_and_a_gradient():
    logits = torch.randn(3, 2, requires_grad=True)
    total = sum(point_losses(logits, torch.full((3,), -1), torch.ones(2), smoothing=0.0).values())
    assert isinstance(total, torch.Tensor)
    total.backward()
    assert float(total.detach()) == 0
    assert logits.grad is not None


def test_rare_classes_weigh_more_and_the_mean_point_one():
    weights = class_weights(torch.tensor([90.0, 10.0]), 0.5)
    assert float(weights[1] / weights[0]) == pytest.approx(3)  # the root of nine
    assert float(weights @ torch.tensor([0.9, 0.1])) == pytest.approx(1)
    torch.testing.assert_close(class_weights(torch.tensor([90.0, 10.0]), 0.0), torch.ones(2))
