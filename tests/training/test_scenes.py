import numpy as np
import pytest

from vidpc.training.cutouts import cut, cut_people, overlap_shares, paste, soft_edge
from vidpc.training.pictures import UNLINKED, Clip, Marks, Picture
from vidpc.training.scenes import SceneOptions, Scenes


def marks(*boxes, ids=None):
    n = len(boxes)
    numbers = np.arange(n) if ids is None else np.array(ids)
    return Marks(np.array(boxes, np.float32).reshape(-1, 4), numbers, np.zeros(n, bool))


def person_on_grey(left=60, shade=255, ids=(5,)):
    pixels = np.full((160, 200, 3), 90, np.uint8)
    pixels[40:120, left : left + 30] = shade
    return Picture(pixels, marks([left, 40, left + 30, 120], ids=ids))


def test_soft_edges_fall_from_one_to_nothing():
    cover = soft_edge(100, 50)
    assert cover.shape == (100, 50)
    assert cover[50, 25] == pytest.approx(1)
    assert cover[0].max() < 0.05
    assert cover[:, 0].max() < 0.05
    assert np.all(np.diff(cover[50, :10]) >= 0)


def test_shares_of_boxes_inside_another():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert overlap_shares(boxes, np.array([0.0, 0.0, 10.0, 10.0])).tolist() == [1, 0.5, 0]


def test_only_whole_people_who_stand_alone_are_cut_out():
    picture = Picture(
        np.zeros((200, 300, 3), np.uint8),
        marks([10, 10, 50, 130], [100, 10, 140, 130], [120, 10, 160, 130], [200, 100, 240, 200], [250, 10, 270, 40]),
    )
    assert len(cut_people(picture)) == 1  # two overlap, one touches the border, one is small


def test_a_pasted_person_lies_where_its_box_says():
    piece = cut(person_on_grey().pixels, np.array([60.0, 40.0, 90.0, 120.0]), is_person=True)
    pasted = paste(Picture(np.zeros((100, 100, 3), np.uint8), marks()), piece, 50, 90, 0.5, identity=9)
    left, top, right, bottom = pasted.marks.boxes_xyxy[0]
    assert pasted.marks.ids.tolist() == [9]
    assert (right - left, bottom - top) == pytest.approx((15, 40), abs=1)
    assert (left + right) / 2 == pytest.approx(50, abs=1)
    bright = np.argwhere(pasted.pixels[..., 0] > 200)
    assert bright[:, 1].min() >= left - 1
    assert bright[:, 1].max() <= right + 1
    assert bright[:, 0].max() <= bottom + 1


def test_whom_a_pasted_person_hides_is_ignored():
    piece = cut(person_on_grey().pixels, np.array([60.0, 40.0, 90.0, 120.0]), is_person=True)
    crowd = Picture(np.zeros((100, 100, 3), np.uint8), marks([46, 60, 54, 85], [70, 60, 80, 85]))
    pasted = paste(crowd, piece, 50, 90, 0.5, identity=9)
    assert pasted.marks.ignored.tolist() == [True, False, False]


def scenes(**options):
    clips = [
        Clip("pair", (person_on_grey(60), person_on_grey(66))),
        Clip("alone", (person_on_grey(100, shade=30, ids=(UNLINKED,)),)),
        Clip("empty", (Picture(np.full((160, 200, 3), 120, np.uint8), marks()),)),
    ]
    return Scenes(clips, {}, SceneOptions(**options))


def test_equal_generators_draw_equal_pairs():
    drawer = scenes()
    for seed in range(12):
        first, second = (drawer.draw(np.random.default_rng(seed), 128, 96) for _ in range(2))
        assert (first.after.pixels == second.after.pixels).all()
        np.testing.assert_array_equal(first.after.marks.boxes_xyxy, second.after.marks.boxes_xyxy)


def test_pairs_have_the_asked_size_and_boxes_inside_it():
    drawer = scenes(empty=0.3)
    for seed in range(40):
        pair = drawer.draw(np.random.default_rng(seed), 128, 96)
        for picture in (pair.before, pair.after):
            assert picture.pixels.shape == (96, 128, 3)
            boxes = picture.marks.boxes_xyxy
            assert ((boxes >= 0) & (boxes <= [128, 96, 128, 96])).all()
            followed = picture.marks.ids[picture.marks.ids != UNLINKED]
            assert len(set(followed)) == len(followed)


def test_identities_are_shared_by_both_moments():
    drawer = scenes(empty=0.0)
    shared = [
        len(np.intersect1d(pair.before.marks.ids, pair.after.marks.ids))
        for pair in (drawer.draw(np.random.default_rng(seed), 200, 160) for seed in range(20))
        if len(pair.before.marks)
    ]
    assert np.mean(np.array(shared) > 0) > 0.8


def test_people_close_to_the_camera_fill_the_picture():
    drawer = scenes(paste=1.0, empty=0.0, near=1.0)
    tallest = []
    for seed in range(20):
        pair = drawer.draw(np.random.default_rng(seed), 200, 160)
        boxes = pair.after.marks.boxes_xyxy
        tallest.append((boxes[:, 3] - boxes[:, 1]).max(initial=0))
    assert np.mean(np.array(tallest) > 70) > 0.8  # of 160


def test_weights_decide_which_set_is_drawn():
    drawer = scenes()
    assert drawer.share.tolist() == [0.5, 1.0]
    weighted = Scenes([*drawer.clips, *drawer.empty], {"pair": 3.0}, SceneOptions())
    assert weighted.share.tolist() == [0.75, 1.0]
