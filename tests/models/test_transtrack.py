"""A run of frames as one batch against frame by frame, and the parts that published weights do not reach."""

import pytest
import torch

from vidpc.models.transtrack import Carry, TransTrack, TransTrackConfig, sine_positions, token_anchors, valid_ratio

REORDERED_SUMS = 1e-4  # float32 through some ten layers, other batch sizes take other kernels


def small(query_source, levels=4):
    torch.manual_seed(0)
    config = TransTrackConfig(
        block="basic",
        depths=(1, 1, 1, 1),
        stem=8,
        width=64,
        heads=2,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=32,
        levels=levels,
        points=2,
        queries=12,
        classes=3,
        query_source=query_source,
    )
    model = TransTrack(config).eval()
    for head in model.bbox_embed:  # zero at the start: boxes would not depend on anything
        torch.nn.init.normal_(head.layers[-1].weight, std=0.3)
    return model


def joined(carries):
    return Carry(
        tuple(torch.cat(level) for level in zip(*(c.levels for c in carries), strict=True)),
        torch.cat([c.hidden for c in carries]),
        torch.cat([c.boxes for c in carries]),
    )


@torch.inference_mode()
def frame_by_frame(model, video):
    outputs, carry = [], None
    for frame in video:
        output = model(frame[None], torch.tensor([0]), carry)
        outputs.append(output)
        carry = output.carry
    return [torch.cat(column) for column in list(zip(*outputs, strict=True))[:4]]


@pytest.mark.parametrize("query_source", ["learned", "encoder"])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_batches_of_any_size_equal_frame_by_frame(query_source, size):
    model = small(query_source)
    video = torch.randn(7, 3, 64, 96)
    expected = frame_by_frame(model, video)
    chunks, carry = [], None
    with torch.inference_mode():
        for start in range(0, 7, size):
            run = video[start : start + size]
            first = 0 if carry is None else 1  # rows are counted through the carry first
            previous = torch.tensor([0, *range(first, first + len(run) - 1)])
            output = model(run, previous, carry)
            carry = output.carry.rows(torch.tensor([len(run) - 1]))
            chunks.append(output[:4])
    for ours, reference in zip([torch.cat(c) for c in zip(*chunks, strict=True)], expected, strict=True):
        torch.testing.assert_close(ours, reference, atol=REORDERED_SUMS, rtol=0)


def test_two_videos_in_one_batch_do_not_see_each_other():
    model = small("encoder")
    one, two = torch.randn(4, 3, 64, 96), torch.randn(4, 3, 64, 96)
    expected = [torch.cat(pair) for pair in zip(frame_by_frame(model, one), frame_by_frame(model, two), strict=True)]
    with torch.inference_mode():
        head = model(torch.cat([one[:2], two[:2]]), torch.tensor([0, 0, 2, 2]))
        carry = joined([head.carry.rows(torch.tensor([1])), head.carry.rows(torch.tensor([3]))])
        tail = model(torch.cat([one[2:], two[2:]]), torch.tensor([0, 2, 1, 4]), carry)
    for column, reference in enumerate(expected):
        rows = torch.cat([head[column][:2], tail[column][:2], head[column][2:], tail[column][2:]])
        torch.testing.assert_close(rows, reference, atol=REORDERED_SUMS, rtol=0)


def test_a_frame_depends_on_the_one_before():
    model = small("learned")
    a, b, c = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        after_b = model(torch.stack([b, c]), torch.tensor([0, 0]))
        after_a = model(torch.stack([a, c]), torch.tensor([0, 0]))
    assert (after_b.boxes[1] - after_a.boxes[1]).abs().max() > 1e-4
    assert (after_b.track_boxes[1] - after_a.track_boxes[1]).abs().max() > 1e-4


def test_padding_leaves_boxes_where_they_are():
    model = small("encoder")
    picture = torch.randn(1, 3, 64, 96)
    canvas = torch.zeros(1, 3, 128, 128)
    canvas[:, :, :64, :96] = picture
    padding = torch.ones(1, 128, 128, dtype=torch.bool)
    padding[:, :64, :96] = False
    with torch.inference_mode():
        levels = model.levels(canvas)
        memory = model.encode(levels, levels, padding)
        proposals = model.propose(memory)
    assert proposals.logits[memory.hidden].max() < -1e30  # padding proposes nothing
    inside = token_anchors(memory)[0, ~memory.hidden[0]]
    finest = inside[: 8 * 12]  # level 0 of the picture alone: 64/8 x 96/8
    torch.testing.assert_close(finest[:, 0].unique(), (torch.arange(12) + 0.5) / 12)
    torch.testing.assert_close(finest[:, 1].unique(), (torch.arange(8) + 0.5) / 8)


def test_valid_ratio_is_the_share_of_the_picture():
    mask = torch.ones(1, 4, 10, dtype=torch.bool)
    mask[:, :3, :5] = False
    assert valid_ratio(mask).tolist() == [[0.5, 0.75]]


def test_sine_positions_follow_the_formula():
    mask = torch.zeros(1, 2, 3, dtype=torch.bool)
    codes = sine_positions(mask, 4)
    # x of the last column: (3 - 0.5) / (3 + 1e-6) * 2 pi; frequencies 1 and 1/100; then sin, cos.
    angle = 2.5 / (3 + 1e-6) * 2 * torch.pi
    expected = torch.tensor([angle, angle, angle / 100, angle / 100])
    expected[0::2], expected[1::2] = expected[0::2].sin(), expected[1::2].cos()
    torch.testing.assert_close(codes[0, 1, 2, 4:], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_any_number_of_levels(levels):
    model = small("learned", levels)
    with torch.inference_mode():
        output = model(torch.randn(1, 3, 64, 64), torch.tensor([0]))
    assert [tuple(level.shape[2:]) for level in output.carry.levels] == [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)][:levels]
