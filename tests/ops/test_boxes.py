import torch

from vidpc.ops import boxes


def test_conversions_undo_each_other():
    xyxy = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(boxes.xyxy_to_cxcywh(xyxy)[0], torch.tensor([20.0, 40.0, 20.0, 40.0]))
    torch.testing.assert_close(boxes.cxcywh_to_xyxy(boxes.xyxy_to_cxcywh(xyxy)), xyxy)


def test_overlaps_worked_by_hand():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 2.0], [4.0, 0.0, 6.0, 2.0]])
    # Common 1, union 7, hull 9; equal; apart by 2: union 8, hull 12.
    torch.testing.assert_close(boxes.iou(a, b), torch.tensor([[1 / 7, 1.0, 0.0]]))
    torch.testing.assert_close(boxes.generalized_iou(a, b), torch.tensor([[1 / 7 - 2 / 9, 1.0, -4 / 12]]))


def test_empty_boxes_overlap_nothing_and_divide_by_nothing():
    empty = torch.zeros(1, 4)
    assert boxes.iou(empty, empty).item() == 0
    assert boxes.area(torch.tensor([[3.0, 3.0, 1.0, 5.0]])).item() == 0


def test_inverse_sigmoid_undoes_the_sigmoid_and_stops_at_its_eps():
    x = torch.tensor([-3.0, 0.0, 2.5])
    torch.testing.assert_close(boxes.inverse_sigmoid(x.sigmoid()), x)
    low, high = boxes.inverse_sigmoid(torch.tensor([0.0, 1.0])).tolist()
    assert low == -high
    assert abs(low - torch.logit(torch.tensor(1e-5)).item()) < 1e-4
