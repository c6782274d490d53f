import pytest
import torch

from vidpc.models.transtrack import Queries, TransTrack
from vidpc.training.losses import (
    Batch,
    TrainingHeads,
    aligned_iou,
    class_loss,
    loss_parts,
    make_noise,
    set_loss,
    with_noise,
)
from vidpc.training.recipe import Recipe
from vidpc.training.targets import Truth

SMALL = Recipe(stem=8, width=32, heads=2, decoder_layers=2, feedforward=32, queries=12)


def truth_of(boxes, present, ids=None):
    boxes, present = torch.tensor(boxes), torch.tensor(present)
    ids = torch.arange(boxes.shape[1]).expand(boxes.shape[:2]).clone() if ids is None else torch.tensor(ids)
    return Truth(boxes, present, ids, torch.zeros(len(boxes), 1, 4))


def test_aligned_iou_by_hand():
    a, b = torch.tensor([[1.0, 1.0, 2.0, 2.0]]), torch.tensor([[2.0, 2.0, 2.0, 2.0]])
    iou, giou = aligned_iou(a, b)
    assert iou.item() == pytest.approx(1 / 7)
    assert giou.item() == pytest.approx(1 / 7 - 2 / 9)


def test_class_loss_weighs_positives_by_quality_and_background_by_its_score():
    # logit 0 is p = 1/2, cross-entropy ln 2 whatever the target; background weighs 0.75 / 4
    logits, ln2 = torch.zeros(1, 2), 0.6931472
    loss = class_loss(logits, torch.tensor([[0.8, 0.0]]), torch.tensor([[True, True]]))
    assert loss.item() == pytest.approx(0.8 * ln2 + 0.1875 * ln2)
    assert class_loss(logits, torch.tensor([[0.8, 0.0]]), torch.tensor([[True, False]])).item() == pytest.approx(0.8 * ln2)


def test_a_perfect_box_costs_its_class_alone():
    truth = truth_of([[[0.5, 0.5, 0.2, 0.4]]], [[True]])
    logits, label, counted = torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool)
    loss = set_loss(logits, truth.boxes, label, counted, truth)
    assert loss.item() == pytest.approx(0.6931472, abs=1e-5)
    # half as wide: IoU and GIoU 1/2, class target 1/2, L1 of 0.1
    narrow = torch.tensor([[[0.5, 0.5, 0.1, 0.4]]])
    assert set_loss(logits, narrow, label, counted, truth).item() == pytest.approx(
        0.5 * 0.6931472 + 5 * 0.1 + 2 * 0.5, abs=1e-5
    )


def test_noise_keeps_near_copies_and_marks_decoys():
    truth = truth_of([[[0.5, 0.5, 0.2, 0.4], [0.5] * 4]], [[True, False]])
    noise = make_noise(truth, torch.Generator().manual_seed(0))
    assert noise.boxes.shape == (1, 72, 4)  # 18 groups of two copies and two decoys
    label = noise.label[0].view(18, 2, 2)
    assert label[0].tolist() == [[0, -1], [-1, -1]]
    assert noise.counted[0].view(18, 2, 2)[3].tolist() == [[True, False], [True, False]]
    # in shares of the box: centres at most 0.2 and sides 0.4 off, decoys as much more
    shift = (noise.boxes - truth.boxes[:, :1]).abs()[0].view(18, 2, 2, 4)[:, :, 0] / torch.tensor([0.2, 0.4, 0.2, 0.4])
    assert shift[:, 0, :2].max() <= 0.2 + 1e-6
    assert shift[:, 1, :2].min() >= 0.2 - 1e-6
    assert shift[:, 1, 2:].min() >= 0.4 - 1e-6


def test_no_query_looks_at_anothers_noise():
    model, heads = TransTrack(SMALL.model()), TrainingHeads(32)
    noise = make_noise(truth_of([[[0.5, 0.5, 0.2, 0.4]] * 18], [[True] * 18]), torch.Generator())  # 2 groups of 36
    queries, allowed = with_noise(model, heads, Queries(torch.zeros(1, 12, 32), torch.full((1, 12, 4), 0.5)), noise)
    assert queries.content.shape == (1, 84, 32)
    assert allowed[:12].sum(1).tolist() == [12] * 12
    assert allowed[12:48, 12:48].all()
    assert allowed[48:, 48:].all()
    assert allowed.sum() == 12**2 + 2 * 36**2


def test_detections_do_not_depend_on_the_noise_beside_them():
    torch.manual_seed(0)
    model, heads = TransTrack(SMALL.model()).eval(), TrainingHeads(32)
    levels = model.levels(torch.rand(1, 3, 64, 96))
    memory = model.encode(levels, levels)
    plain = model.queries(memory)
    noise = make_noise(truth_of([[[0.5, 0.5, 0.2, 0.4]]], [[True]]), torch.Generator())
    alone, beside = model.detect(memory, plain), model.detect(memory, *with_noise(model, heads, plain, noise))
    torch.testing.assert_close(beside.boxes[-1][:, : plain.content.shape[1]], alone.boxes[-1], rtol=1e-4, atol=1e-5)


def test_every_part_of_the_loss_reaches_its_network():
    torch.manual_seed(0)
    model, heads = TransTrack(SMALL.model()), TrainingHeads(32)
    truth = truth_of([[[0.5, 0.5, 0.2, 0.4]], [[0.55, 0.5, 0.2, 0.4]]], [[True], [True]])
    batch = Batch(torch.rand(2, 3, 64, 96), torch.tensor([1, 0]), truth, torch.tensor([True, True]))
    parts = loss_parts(model, heads, batch, torch.Generator().manual_seed(1))
    assert parts.keys() == {"proposal", "dense", "detect", "noise", "track"}
    torch.stack(list(parts.values())).sum().backward()
    silent = [name for module in (model, heads) for name, p in module.named_parameters() if p.grad is None]
    assert silent == []


def test_nobody_in_sight_is_a_finite_loss():
    model, heads = TransTrack(SMALL.model()), TrainingHeads(32)
    truth = truth_of([[[0.5] * 4], [[0.5] * 4]], [[False], [False]], ids=[[-1], [-1]])
    batch = Batch(torch.rand(2, 3, 64, 96), torch.tensor([0, 0]), truth, torch.tensor([True, True]))
    assert all(part.isfinite() for part in loss_parts(model, heads, batch, torch.Generator()).values())
