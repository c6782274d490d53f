"""Filling a clip with a network that paints the number of frames it sees: what is asked of it, and what is held."""

import numpy as np
import pytest
import torch

from vidpc.tasks.sttn_fill import Clip, filled
from vidpc.tasks.sttn_windows import Rule


class Counting:
    """Paints the same grey everywhere, and remembers what it was asked for."""

    def __init__(self, grey=0.0):
        self.grey, self.encoded, self.asked = grey, 0, []

    def parameters(self):
        return iter([torch.zeros(1)])

    def encode(self, frames):
        self.encoded += len(frames)
        self.blank = float(frames.abs().min())
        return frames.mean(dim=(1, 2, 3))[:, None]

    def paint(self, features, holes, painted, rows, columns):
        self.asked.append((tuple(features.shape[:2]), painted, (rows.stop - rows.start, columns.stop - columns.start)))
        height, width = self.asked[-1][2]
        return torch.full((len(features), painted, 3, height, width), self.grey)


def clip(length, holes=lambda index: True):
    """Frames of 8 x 12 of one colour each, with a hole of 3 x 2 in those that ``holes`` names."""
    for index in range(length):
        hole = np.zeros((8, 12), dtype=bool)
        hole[2:5, 6:8] = holes(index)
        yield np.full((8, 12, 3), 10 + index % 200, dtype=np.uint8), hole


@pytest.mark.parametrize("length", [0, 1, 4, 5, 6, 23])
@pytest.mark.parametrize("references", [None, 4])
def test_frames_come_out_one_for_one_with_their_holes_filled(length, references):
    made = list(filled(Counting(), clip(length), Rule(references=references)))
    assert len(made) == length
    for (rgb, hole), filled_rgb in zip(clip(length), made, strict=True):
        assert (filled_rgb[~hole] == rgb[~hole]).all()
        assert (filled_rgb[hole] == 127).all()  # (tanh(0) + 1) / 2 * 255, truncated


def test_every_frame_is_encoded_once_and_its_hole_is_blank():
    network = Counting()
    list(filled(network, clip(40), Rule(references=4)))
    assert network.encoded == 40
    assert network.blank == 0


def test_only_frames_with_holes_are_painted_and_only_around_the_holes():
    network = Counting()
    made = list(filled(network, clip(30, lambda index: index in (12, 13)), Rule(references=0)))
    assert network.asked == [((1, 11), 2, (3, 2)), ((1, 11), 2, (3, 2))]  # the windows around 10 and 15
    assert [index for index, (rgb, _) in enumerate(clip(30)) if (made[index] != rgb).any()] == [12, 13]


def test_a_clip_without_holes_never_reaches_the_network():
    network = Counting()
    made = list(filled(network, clip(12, lambda index: False)))
    assert (network.encoded, network.asked) == (0, [])
    assert all((a == b).all() for a, (b, _) in zip(made, clip(12), strict=True))


def test_windows_of_equal_sizes_go_together():
    network = Counting()
    list(filled(network, clip(60), Rule(references=0, windows_at_once=3)))
    assert [shape for shape, *_ in network.asked] == [(1, 6), (3, 11), (3, 11), (3, 11), (1, 11), (1, 10)]


@pytest.mark.parametrize("length", [200, 2000])
def test_what_is_held_does_not_grow_with_the_clip(length):
    rule = Rule(references=6)
    network, most = Counting(), 0
    held = Clip.forget

    def forget(self, last):
        nonlocal most
        most = max(most, len(self.pictures))
        held(self, last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clip, "forget", forget)
        for _ in filled(network, clip(length), rule):
            pass
    assert most == 11 + 5 + 30 + 3  # neighbours, a step, what is read ahead for three references, three of the past


def test_frames_are_given_out_as_soon_as_no_window_changes_them():
    read = 0

    def counted():
        nonlocal read
        for item in clip(100):
            read += 1
            yield item

    made = filled(Counting(), counted(), Rule(references=2))
    next(made)
    assert read == 5 + 6 + 10  # the second window shows that the first frames are done


def test_where_windows_overlap_halves_are_averaged_in_order():
    """Frame 5 is painted by the windows at 0, 5 and 10: 127, 255, 127: (127 + 255) / 2 = 191, (191 + 127) / 2 = 159."""

    class Changing(Counting):
        def paint(self, *asked):
            self.grey = 100.0 if len(self.asked) == 1 else 0.0
            return super().paint(*asked)

    frames = list(filled(Changing(), clip(20), Rule(references=0)))
    assert frames[5][3, 6].tolist() == [159, 159, 159]
