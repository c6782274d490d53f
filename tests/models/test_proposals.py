"""Queries that come from the encoder: which proposals start them, and what their scores become."""

import pytest
import torch

from vidpc.models.transtrack import NOTHING, distinct, doubles, judge

A, NEAR_A, B, BETWEEN = [0.3, 0.5, 0.2, 0.4], [0.31, 0.5, 0.2, 0.4], [0.7, 0.5, 0.2, 0.4], [0.37, 0.5, 0.2, 0.4]


def test_a_double_overlaps_a_better_box():
    # overlaps with A: 0.19 of 0.21 and 0.13 of 0.27 wide, so 0.90 and 0.48; of NEAR_A and BETWEEN: 0.14 of 0.26, 0.54
    assert doubles(torch.tensor([[A, NEAR_A, B, BETWEEN]])).tolist() == [[False, True, False, False]]
    assert doubles(torch.tensor([[NEAR_A, BETWEEN, A, B]])).tolist() == [[False, False, True, False]]


def test_doubles_start_queries_only_where_nothing_else_is_left():
    boxes = torch.tensor([[B, NEAR_A, A]])
    scores = torch.tensor([[0.1, 0.8, 0.9]])
    assert distinct(scores, boxes, 2).tolist() == [[2, 0]]
    assert distinct(scores, boxes, 3).tolist() == [[2, 0, 1]]


def test_pictures_of_a_batch_do_not_mix():
    boxes = torch.tensor([[A, NEAR_A], [A, B]])
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.2]])
    assert distinct(scores, boxes, 2).tolist() == [[0, 1], [1, 0]]
    assert doubles(boxes).tolist() == [[False, True], [False, False]]


def test_logits_are_averaged_with_the_prior_and_doubles_silenced():
    logits, prior = torch.tensor([[[2.0], [3.0], [-1.0]]]), torch.tensor([[[0.0], [1.0], [1.0]]])
    judged = judge(logits, torch.tensor([[A, NEAR_A, B]]), prior)
    assert judged[0, :, 0].tolist() == pytest.approx([NOTHING, 2.0, 0.0])


def test_without_a_prior_the_decoder_speaks_alone():
    logits = torch.tensor([[[2.0], [3.0]]])
    assert judge(logits, torch.tensor([[A, A]]), None) is logits
