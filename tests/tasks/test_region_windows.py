"""Windows around regions: geometry that can be worked out by hand."""

from vidpc.tasks.region_windows import Window, WindowRule, choose

RULE = WindowRule(1000, 500, 2.0)


def test_a_window_has_the_aspect_and_room_on_every_side():
    window = WindowRule(10_000, 5_000, 2.0).window((4000, 2000, 6000, 2400))
    assert window == Window(2000, 700, 8000, 3700)  # three times 2000 wide, half of that high, around (5000, 2200)


def test_a_window_is_no_smaller_than_half_the_picture_and_lies_inside_of_it():
    assert RULE.window((500, 250, 510, 260)) == Window(255, 130, 755, 380)
    assert RULE.window((0, 490, 10, 500)) == Window(0, 250, 500, 500)


def test_a_region_as_large_as_the_picture_gets_all_of_it():
    assert RULE.window((0, 0, 1000, 500)) == Window(0, 0, 1000, 500)
    assert WindowRule(500, 1000, 2.0).window((0, 0, 500, 1000)) == Window(0, 0, 500, 250 * 4)


def test_a_window_stays_while_its_region_lies_well_inside():
    first = choose(RULE, (), [(500, 250, 540, 290)], ())[0].window
    assert choose(RULE, (first,), [(600, 260, 640, 300)], ())[0].window == first
    moved = choose(RULE, (first,), [(740, 260, 780, 300)], ())[0].window
    assert moved != first
    assert moved.holds((740, 260, 780, 300))


def test_a_new_window_is_made_for_where_its_region_is_going_to_be():
    coming = [[(500 + 10 * k, 250, 540 + 10 * k, 290)] for k in range(1, 13)]
    window = choose(RULE, (), [(500, 250, 540, 290)], coming)[0].window
    assert all(RULE.keeps(window, box) for boxes in coming for box in boxes)


def test_regions_share_a_window_where_theirs_would_overlap_and_have_their_own_else():
    near = choose(RULE, (), [(100, 100, 120, 120), (200, 150, 220, 170)], ())
    assert [len(patch.boxes) for patch in near] == [2]
    assert all(near[0].window.holds(box) for box in near[0].boxes)
    far = choose(RULE, (), [(10, 10, 30, 30), (960, 460, 980, 480)], ())
    assert [len(patch.boxes) for patch in far] == [1, 1]
    assert far[0].window.shared(far[1].window) == 0
