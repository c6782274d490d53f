"""Masks of every kind for the frames of one video: what counts as masked, and what is said of masks that do not fit."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from make_media import Clip, write_picture, write_video

from vidpc.errors import SourceError
from vidpc.media.masks import MaskSource, open_masks, read_masked
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.types import Closed, Frame, MaskedFrame, Opened, ReadOptions

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A clip of 5 frames of 64x48."""
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", Clip(count=5))


def masked(video, source, options=None):
    """The masks of the video's frames, and its Closed."""
    items = list(read_masked([Source(str(video))], [source], options or ReadOptions()))
    assert isinstance(items[0], Opened)
    assert isinstance(items[-1], Closed)
    return [item.mask for item in items if isinstance(item, MaskedFrame)], items[-1]


def refusal(video, source):
    """What is said of masks that do not fit."""
    _, closed = masked(video, source)
    assert isinstance(closed.error, SourceError)
    return str(closed.error)


def spot(x, y, value=(255, 255, 255), width=WIDTH, height=HEIGHT):
    """A black picture with 4x4 pixels of a colour at (x, y)."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y : y + 4, x : x + 4] = value
    return picture


def corner(mask):
    """Where the masked pixels begin and how many they are."""
    ys, xs = np.nonzero(mask)
    return (int(xs.min()), int(ys.min()), len(xs)) if len(xs) else None


def folder(place, pictures, suffix=".png"):
    place.mkdir()
    for k, picture in enumerate(pictures):
        write_picture(place / f"{k}{suffix}", picture)
    return str(place)


def test_a_folder_gives_a_picture_a_frame_in_the_order_of_their_numbers(tmp_path, video):
    (tmp_path / "m").mkdir()
    for k, name in enumerate(("mask_8", "mask_9", "mask_10", "mask_11", "mask_12")):
        write_picture(tmp_path / "m" / f"{name}.png", spot(4 * k, 8))
    masks, closed = masked(video, MaskSource(str(tmp_path / "m")))
    assert [corner(mask) for mask in masks] == [(4 * k, 8, 16) for k in range(5)]
    assert closed.error is None


def test_in_a_lossless_picture_everything_that_is_not_black_counts(tmp_path, video):
    colours = [(255, 255, 255), (128, 0, 0), (0, 64, 0), (0, 0, 1), (1, 1, 1)]
    masks, _ = masked(video, MaskSource(folder(tmp_path / "m", [spot(8, 8, colour) for colour in colours])))
    assert [corner(mask) for mask in masks] == [(8, 8, 16)] * 5


def test_in_a_video_what_is_brighter_than_a_quarter_counts(tmp_path, video):
    levels = (250, 40, 128, 20, 90)
    pictures = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels]
    made = write_video(tmp_path / "m.mp4", Clip(), pictures)
    masks, closed = masked(video, MaskSource(str(made)))
    assert [mask.mean() for mask in masks] == [1, 0, 1, 0, 1]
    assert closed.error is None


def test_the_noise_of_a_compressed_picture_is_no_mask(tmp_path, video):
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[16:32, 16:48] = 255
    masks, _ = masked(video, MaskSource(str(write_picture(tmp_path / "m.jpg", picture))))
    assert np.array_equal(masks[0], picture[..., 0] > 0)


def test_one_picture_is_the_mask_of_all_frames(tmp_path, video):
    masks, _ = masked(video, MaskSource(str(write_picture(tmp_path / "m.png", spot(60, 44)))))
    assert [corner(mask) for mask in masks] == [(60, 44, 16)] * 5


def test_boxes_are_cut_at_the_border_of_the_picture(video):
    masks, _ = masked(video, MaskSource(boxes_xywh=((-3, 0, 5, 2), (60, 40, 50, 50))))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[0:2, 0:2] = expected[40:48, 60:64] = True
    assert len(masks) == 5
    assert all(np.array_equal(mask, expected) for mask in masks)


def test_a_box_beside_the_picture_is_refused(video):
    assert "the box 64,0,5,5 lies outside" in refusal(video, MaskSource(boxes_xywh=((64, 0, 5, 5),)))


@pytest.mark.parametrize(("count", "kind"), [(3, "folder"), (7, "folder"), (3, "video"), (7, "video")])
def test_another_number_of_masks_is_refused_with_both_numbers(tmp_path, video, count, kind):
    pictures = [spot(8, 8)] * count
    path = folder(tmp_path / "m", pictures) if kind == "folder" else str(write_video(tmp_path / "m.mp4", Clip(), pictures))
    assert re.search(f"holds {count} masks, and the video .* has 5 frames: .*--mask-fit", refusal(video, MaskSource(path)))


@pytest.mark.parametrize(("count", "expected"), [(3, [0, 4, 8, 8, 8]), (7, [0, 4, 8, 12, 16])])
@pytest.mark.parametrize("kind", ["folder", "video"])
def test_mask_fit_holds_the_last_mask_and_ignores_surplus(tmp_path, video, count, expected, kind):
    pictures = [spot(4 * k, 8) for k in range(count)]
    lossless = Clip(codec="ffv1", pixel_format="bgr0")
    path = folder(tmp_path / "m", pictures) if kind == "folder" else str(write_video(tmp_path / "m.mkv", lossless, pictures))
    masks, closed = masked(video, MaskSource(path, fit=True))
    assert [corner(mask) for mask in masks] == [(x, 8, 16) for x in expected]
    assert closed.error is None


def test_masks_of_unknown_number_are_held_against_the_frames_that_come(tmp_path):
    """Neither of two raw streams says how many pictures it holds."""
    raw = {"codec": "libx264", "container_options": {}}
    shorter, longer = (write_video(tmp_path / f"{n}.h264", Clip(count=n, **raw)) for n in (4, 6))
    assert "6 masks" not in refusal(longer, MaskSource(str(shorter)))
    assert re.search(
        "holds 4 masks, and the video .* has more frames: none for frame 4", refusal(longer, MaskSource(str(shorter)))
    )
    assert re.search("holds more than 4 masks, and the video .* has 4 frames", refusal(shorter, MaskSource(str(longer))))


def test_another_size_is_refused_with_both_sizes(tmp_path, video):
    path = folder(tmp_path / "m", [spot(8, 8, width=32, height=24)] * 5)
    assert re.search("is 32x24, and the video .* is 64x48: .*--mask-fit", refusal(video, MaskSource(path)))


def test_mask_fit_takes_the_nearest_pixel(tmp_path, video):
    path = folder(tmp_path / "m", [spot(8, 8, width=32, height=24)] * 5)
    masks, _ = masked(video, MaskSource(path, fit=True))
    assert corner(masks[0]) == (16, 16, 64)


def test_masks_belong_to_the_frames_of_the_whole_video(tmp_path, video):
    path = folder(tmp_path / "m", [spot(4 * k, 8) for k in range(5)])
    part = ReadOptions(start_s=Fraction(2, 25), end_s=Fraction(4, 25))
    masks, closed = masked(video, MaskSource(path), part)
    assert [corner(mask) for mask in masks] == [(8, 8, 16), (12, 8, 16)]
    assert closed.error is None


def test_a_damaged_or_missing_mask_is_an_error_that_names_it(tmp_path, video):
    path = folder(tmp_path / "m", [spot(8, 8)] * 5)
    (tmp_path / "m" / "2.png").write_bytes(b"no picture")
    assert "2.png" in refusal(video, MaskSource(path))
    assert "nowhere.mp4" in refusal(video, MaskSource(str(tmp_path / "nowhere.mp4")))
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in refusal(video, MaskSource(str(tmp_path / "empty")))


def test_masks_without_anything_in_them_are_warned_of(tmp_path, video):
    _, closed = masked(video, MaskSource(str(write_picture(tmp_path / "m.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8)))))
    assert closed.error is None
    assert "nothing is masked" in closed.warnings[-1]


def tracks(*frames, labels=("person", "car"), size=(WIDTH, HEIGHT), count=5):
    """A document with these frames: number -> {id: (label, box)}, 25 a second."""
    return {
        "format": "vidpc-tracks",
        "version": 1,
        "video": {"width": size[0], "height": size[1], "frame_count": count},
        "model": {"labels": list(labels)},
        "frames": [
            {
                "index": index,
                "time_s": index / 25,
                "tracks": [{"id": i, "label": label, "score": 1, "box_xyxy": box} for i, (label, box) in found.items()],
            }
            for index, found in frames
        ],
    }


def write_tracks(path, document):
    if path.suffix == ".jsonl":
        lines = [{**document, "type": "header"}, *({**frame, "type": "frame"} for frame in document["frames"])]
        lines[0].pop("frames")
        path.write_text("\n".join(map(json.dumps, [*lines, {"type": "end"}])) + "\n")
    else:
        path.write_text(json.dumps(document))
    return str(path)


BOTH = {3: ("person", [10, 10, 14, 14]), 7: ("car", [30.4, 20.6, 33.2, 22])}


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_tracks_mark_every_pixel_that_their_boxes_touch(tmp_path, video, suffix):
    path = write_tracks(tmp_path / f"t{suffix}", tracks(*((k, BOTH) for k in range(5))))
    for source, expected in (
        (MaskSource(path, ids=(7,)), [(30, 20, 34, 22)]),
        (MaskSource(path, classes=("person",)), [(10, 10, 14, 14)]),
        (MaskSource(path), [(10, 10, 14, 14), (30, 20, 34, 22)]),
    ):
        wanted = np.zeros((HEIGHT, WIDTH), bool)
        for x1, y1, x2, y2 in expected:
            wanted[y1:y2, x1:x2] = True
        masks, _ = masked(video, source)
        assert all(np.array_equal(mask, wanted) for mask in masks)


def test_a_short_gap_in_a_track_is_bridged_and_a_long_one_is_not(tmp_path):
    video = write_video(tmp_path / "long.mp4", Clip(count=30))
    seen = [(0, [0, 0, 4, 4]), (4, [8, 0, 12, 4]), (24, [40, 0, 44, 4])]
    path = write_tracks(tmp_path / "t.json", tracks(*((k, {1: ("person", box)}) for k, box in seen), count=30))
    masks, _ = masked(video, MaskSource(path))
    found = {k: corner(mask) for k, mask in enumerate(masks)}
    assert [found[k] for k in range(5)] == [(0, 0, 16), (2, 0, 16), (4, 0, 16), (6, 0, 16), (8, 0, 16)]
    assert [found[k] for k in (5, 14, 23, 24, 25)] == [None, None, None, (40, 0, 16), None]


@pytest.mark.parametrize(
    ("document", "choice", "message"),
    [
        (tracks((0, BOTH)), {"ids": (8,)}, "unknown track '8'"),
        (tracks((0, BOTH)), {"classes": ("persons",)}, "unknown class 'persons'; did you mean 'person'"),
        (tracks((0, BOTH), size=(32, 24)), {}, "its size is 32x24, and here it is 64x48"),
        (tracks((0, BOTH), count=9), {}, "its number of frames is 9, and here it is 5"),
        ({"format": "other"}, {}, "as `vidpc track` writes|what `vidpc track` writes"),
        ({**tracks((0, BOTH)), "version": 2}, {}, "expected vidpc-tracks version 1"),
        (tracks((0, {1: ("person", [0, 0, 1])})), {}, "damaged"),
        (tracks((0, {1: ("person", [0, 0, 1, float("nan")])})), {}, "damaged"),
        ([], {}, "damaged"),
    ],
)
def test_tracks_that_do_not_fit_are_refused(tmp_path, video, document, choice, message):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document))
    assert re.search(message, refusal(video, MaskSource(str(path), **choice)))


def test_tracks_of_another_size_are_scaled_under_mask_fit(tmp_path, video):
    path = write_tracks(tmp_path / "t.json", tracks((0, {1: ("person", [2, 2, 4, 4])}), size=(32, 24), count=None))
    masks, _ = masked(video, MaskSource(path, fit=True))
    assert corner(masks[0]) == (4, 4, 16)


def test_bad_masks_end_their_input_alone(tmp_path, video):
    sources = [MaskSource(str(tmp_path / "nowhere")), MaskSource(boxes_xywh=((0, 0, 4, 4),))]
    items = list(read_masked([Source(str(video))] * 2, sources, ReadOptions()))
    closed = [item for item in items if isinstance(item, Closed)]
    assert [item.stream for item in closed] == [0, 1]
    assert isinstance(closed[0].error, SourceError)
    assert closed[1].error is None
    assert sum(isinstance(item, MaskedFrame) for item in items) == 5


def test_a_mask_is_asked_for_frame_by_frame(tmp_path, video):
    """As `vidpc eval video` does."""
    path = folder(tmp_path / "m", [spot(4 * k, 8) for k in range(5)])
    items = list(read_videos([video]))
    frames = [item for item in items if isinstance(item, Frame)]
    with open_masks(MaskSource(path), items[0].info) as masks:
        assert [corner(masks.at(frame)) for frame in frames] == [(4 * k, 8, 16) for k in range(5)]
        masks.end()
