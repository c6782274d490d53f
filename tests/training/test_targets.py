import pytest
import torch

from vidpc.training.targets import Truth, assign, follow, judged, match, pairwise_iou


def truth_of(*boxes, ids=None, slots=3, ignored=()):
    n = len(boxes)
    padded = torch.full((1, slots, 4), 0.5)
    padded[0, :n] = torch.tensor(boxes).view(n, 4)
    numbers = torch.full((1, slots), -1)
    numbers[0, :n] = torch.tensor(list(range(n)) if ids is None else ids)
    regions = torch.tensor(ignored).reshape(1, -1, 4) if ignored else torch.zeros(1, 1, 4)
    return Truth(padded, torch.arange(slots)[None] < n, numbers, regions)


def test_pairwise_iou_by_hand():
    a, b = torch.tensor([[[0.0, 0.0, 2.0, 2.0]]]), torch.tensor([[[1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 6.0, 2.0]]])
    iou, giou = pairwise_iou(a, b)
    assert iou[0, 0].tolist() == pytest.approx([1 / 7, 0])
    # hulls 9 and 12, unions 7 and 8
    assert giou[0, 0].tolist() == pytest.approx([1 / 7 - 2 / 9, -4 / 12])


def test_every_box_gets_one_query_even_where_two_want_the_same():
    truth = truth_of([0.3, 0.3, 0.2, 0.2], [0.35, 0.3, 0.2, 0.2])
    boxes = torch.tensor([[[0.31, 0.3, 0.2, 0.2], [0.8, 0.8, 0.1, 0.1], [0.5, 0.3, 0.2, 0.2]]])
    matched = match(torch.zeros(1, 3, 1), boxes, truth)
    assert matched.tolist() == [[0, -1, 1]]


def test_padding_matches_nothing():
    boxes = torch.full((1, 4, 4), 0.5)
    assert match(torch.zeros(1, 4, 1), boxes, truth_of()).tolist() == [[-1] * 4]


def test_a_box_goes_to_its_best_aligned_tokens_inside_it():
    truth = truth_of([0.5, 0.5, 0.4, 0.4])
    centres = torch.tensor([[0.5, 0.5], [0.4, 0.5], [0.6, 0.5], [0.9, 0.9]])
    boxes = torch.tensor([[[0.5, 0.5, 0.4, 0.4], [0.5, 0.5, 0.4, 0.2], [0.5, 0.5, 0.1, 0.1], [0.5, 0.5, 0.4, 0.4]]])
    assigned = assign(torch.zeros(1, 4, 1), boxes, centres, torch.full((4, 2), 0.01), truth, count=2)
    assert assigned.label.tolist() == [[0, 0, -1, -1]]  # the last one is perfect, but stands outside
    # the best carries the best overlap, 1; the other 0.5 ** 6 of it
    assert assigned.quality[0].tolist() == pytest.approx([1, 0.5**6, 0, 0], rel=1e-4)


def test_a_token_near_a_box_smaller_than_itself_may_answer_for_it():
    truth = truth_of([0.5, 0.5, 0.02, 0.02])
    centres = torch.tensor([[0.53, 0.5]])
    boxes = torch.tensor([[[0.5, 0.5, 0.02, 0.02]]])
    for reach, label in ((0.05, 0), (0.02, -1)):
        assert assign(torch.zeros(1, 1, 1), boxes, centres, torch.full((1, 2), reach), truth, count=3).label.item() == label


def test_predictions_inside_an_ignored_region_are_not_judged():
    boxes = torch.tensor([[[0.2, 0.2, 0.2, 0.2], [0.3, 0.2, 0.2, 0.2], [0.35, 0.2, 0.2, 0.2]]])  # inside: all, half, a quarter
    ignored = torch.tensor([[[0.1, 0.1, 0.3, 0.3]]])
    assert judged(boxes, ignored).tolist() == [[False, True, True]]
    assert judged(boxes, torch.zeros(1, 0, 4)).all()


@pytest.mark.parametrize(("complete", "known"), [(True, [True, True, True, False]), (False, [True, False, True, False])])
def test_a_query_follows_the_identity_that_it_found(complete, known):
    before = truth_of([0.1] * 4, [0.2] * 4, [0.3] * 4, ids=[7, 8, -1])
    after = truth_of([0.4] * 4, [0.5] * 4, ids=[9, 7])
    matched = torch.tensor([[0, 1, -1, 2]])  # identity 7, 8, nobody, one that was not followed
    row, sure = follow(matched, before, after, complete=torch.tensor([complete]))
    assert row.tolist() == [[1, -1, -1, -1]]
    assert sure.tolist() == [known]
