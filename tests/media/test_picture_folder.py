import csv
from fractions import Fraction

import av
import numpy as np
import pytest
from make_media import Clip, scene, write_picture, write_video

from vidpc.errors import OutputError
from vidpc.media.probe import probe
from vidpc.media.read import read_videos
from vidpc.media.sources import expand
from vidpc.media.video_writer import open_video
from vidpc.types import Frame, ReadOptions


def frames_of(path, **options):
    return [item for item in read_videos([path], ReadOptions(**options)) if isinstance(item, Frame)]


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def png(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def keep(source, target, count=None, **options):
    with open_video(target, probe(source), **options) as sink:
        for frame in frames_of(source)[:count]:
            sink.keep(frame, frame.time_s)
    return sink


@pytest.mark.parametrize("name", ["frames", "frames/"])
def test_a_folder_gets_numbered_pictures_and_their_times(tmp_path, name):
    times = (Fraction(0), Fraction(1, 25), Fraction(1, 2))
    source = write_video(tmp_path / "a.mkv", Clip(count=3, codec="ffv1", times_s=times, tick=Fraction(1, 1000)))
    keep(source, f"{tmp_path}/{name}")
    assert listed(tmp_path) == ["a.mkv", "frames"]
    assert listed(tmp_path / "frames") == ["000000.png", "000001.png", "000002.png", "times.csv"]
    with (tmp_path / "frames" / "times.csv").open() as file:
        assert [(int(row["index"]), float(row["time_s"])) for row in csv.DictReader(file)] == [(0, 0), (1, 0.04), (2, 0.5)]
    for k, frame in enumerate(frames_of(source)):
        assert np.array_equal(png(tmp_path / "frames" / f"{k:06d}.png").to_ndarray(format="rgb24"), frame.rgb())


def test_pictures_are_upright_with_square_pixels(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=1, rotation_deg=90, aspect=Fraction(3, 2)))
    keep(source, tmp_path / "frames")
    info = probe(source)
    picture = png(tmp_path / "frames" / "000000.png")
    assert (picture.width, picture.height) == (info.width, info.height) == (48, 96)


def test_deep_pictures_have_16_bits(tmp_path):
    source = write_video(tmp_path / "a.mkv", Clip(count=1, codec="ffv1", pixel_format="yuv420p10le"))
    keep(source, tmp_path / "frames")
    picture = png(tmp_path / "frames" / "000000.png")
    assert picture.format.name == "rgb48be"
    assert np.array_equal(frames_of(tmp_path / "frames" / "000000.png")[0].pixels(), frames_of(source)[0].pixels())


def test_a_patch_shows_its_pixels_inside_the_mask_alone(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=1))
    (frame,) = frames_of(source)
    mask = np.zeros((48, 64), bool)
    mask[3:5, 7:8] = True
    with open_video(tmp_path / "frames", probe(source)) as sink:
        sink.patch(frame, np.full((48, 64, 3), 9, np.uint8), mask, Fraction(0))
    found = png(tmp_path / "frames" / "000000.png").to_ndarray(format="rgb24")
    assert (found[mask] == 9).all()
    assert np.array_equal(found[~mask], frame.rgb()[~mask])


def test_the_folder_appears_only_when_it_is_complete(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    with open_video(tmp_path / "frames", probe(source)) as sink:
        sink.write(scene(0, 64, 48), Fraction(0))
        assert "frames" not in listed(tmp_path)
    assert listed(tmp_path) == ["a.mp4", "frames"]


def test_an_error_leaves_no_folder_and_an_interrupt_one_that_says_so(tmp_path, caplog):
    source = write_video(tmp_path / "a.mp4")

    def stop(error):
        with open_video(tmp_path / "frames", probe(source)) as sink:
            sink.write(scene(0, 64, 48), Fraction(0))
            raise error

    with pytest.raises(RuntimeError):
        stop(RuntimeError())
    assert listed(tmp_path) == ["a.mp4"]
    with pytest.raises(KeyboardInterrupt):
        stop(KeyboardInterrupt())
    assert listed(tmp_path) == ["a.mp4", "frames.partial"]
    assert listed(tmp_path / "frames.partial") == ["000000.png", "times.csv"]
    assert "interrupted: what was written" in caplog.text


def test_a_folder_with_something_in_it_is_refused_and_an_empty_one_is_taken(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    (tmp_path / "frames").mkdir()
    keep(source, tmp_path / "frames", count=2)
    with pytest.raises(OutputError, match="the folder holds 3 files; use --overwrite"):
        open_video(tmp_path / "frames", probe(source))


def test_overwrite_replaces_an_earlier_run_and_nothing_else(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    keep(source, tmp_path / "frames", count=5)
    keep(source, tmp_path / "frames", count=2, overwrite=True)
    assert listed(tmp_path / "frames") == ["000000.png", "000001.png", "times.csv"]
    (tmp_path / "frames" / "holiday.jpg").touch()
    with pytest.raises(OutputError, match=r"holds holiday\.jpg, which is not of an earlier run"):
        open_video(tmp_path / "frames", probe(source), overwrite=True)
    assert listed(tmp_path) == ["a.mp4", "frames"]


@pytest.mark.parametrize("pattern", ["", "/%04d.png", "/*.png"])
def test_the_folder_of_the_input_s_pictures_is_refused(tmp_path, pattern):
    (tmp_path / "in").mkdir()
    for k in range(2):
        write_picture(tmp_path / "in" / f"{k:04d}.png", scene(k, 64, 48))
    (source,) = expand([f"{tmp_path}/in{pattern}"], ReadOptions(input_fps=Fraction(5)))
    info = probe(source, ReadOptions(input_fps=Fraction(5)))
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for target in ("in", "link"):
        with pytest.raises(OutputError, match="it is the input"):
            open_video(tmp_path / target, info, overwrite=True)


def test_pictures_with_a_gap_in_their_numbers_become_a_video_with_that_gap(tmp_path):
    (tmp_path / "in").mkdir()
    for k in (7, 8, 10):
        write_picture(tmp_path / "in" / f"{k:04d}.png", scene(k, 64, 48))
    options = ReadOptions(input_fps=Fraction(10))
    (source,) = expand([f"{tmp_path}/in/%04d.png"], options)
    with open_video(tmp_path / "b.mkv", probe(source, options)) as sink:
        for item in read_videos([source], options):
            if isinstance(item, Frame):
                sink.keep(item, item.time_s)
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mkv")] == [0, Fraction(1, 10), Fraction(3, 10)]


def test_what_was_written_can_be_read_as_a_video_again(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=3))
    keep(source, tmp_path / "frames")
    again = frames_of(tmp_path / "frames", input_fps=Fraction(25))
    assert all(np.array_equal(a.rgb(), b.rgb()) for a, b in zip(again, frames_of(source), strict=True))
    assert [frame.time_s for frame in again] == [frame.time_s for frame in frames_of(source)]


def test_a_file_with_the_name_of_the_folder_is_refused(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    (tmp_path / "frames").touch()
    with pytest.raises(OutputError, match="it is a file; give a file name with a suffix, or a folder for pictures"):
        open_video(tmp_path / "frames", probe(source))
