import random

import numpy as np
import pytest
from make_media import Clip, write_video

from vidpc.errors import DecodeError, OpenError
from vidpc.media.random_access import open_random_access
from vidpc.media.read import read_videos
from vidpc.types import Frame, ReadOptions

CLIPS = {
    "h264 in mp4": ("a.mp4", Clip(count=40, codec_options={"bf": "3"}, gop=8)),
    "open groups of pictures": ("b.mkv", Clip(count=40, codec_options={"x264-params": "open-gop=1:bframes=3"}, gop=8)),
    "mpeg2 in ts": ("c.ts", Clip(count=40, codec="mpeg2video", codec_options={"bf": "2"}, gop=8)),
    "mpeg4 in avi": ("d.avi", Clip(count=40, codec="mpeg4", gop=8)),
    "vp8 in webm": ("e.webm", Clip(count=40, codec="libvpx", codec_options={"cpu-used": "8", "deadline": "realtime"}, gop=8)),
    "one key frame": ("f.mp4", Clip(count=40, gop=1000)),
    "turned": ("g.mp4", Clip(count=40, width=128, height=64, rotation_deg=90)),
    "10 bit": ("h.mp4", Clip(count=40, pixel_format="yuv420p10le")),
}
DECORD = [pytest.param("h264 in mp4"), pytest.param("one key frame"), pytest.param("turned")]


def streamed(path):
    return [item for item in read_videos([path]) if isinstance(item, Frame)]


@pytest.mark.parametrize("name", CLIPS)
def test_any_order_gives_the_frames_of_a_plain_reading(tmp_path, name):
    file, clip = CLIPS[name]
    path = write_video(tmp_path / file, clip)
    expected = streamed(path)
    indices = [random.Random(0).randrange(len(expected)) for _ in range(25)] + [len(expected) - 1, 0, 0]
    with open_random_access(path) as video:
        assert len(video) == len(expected)
        for frame, index in zip(video.frames_at(indices), indices, strict=True):
            assert (frame.index, frame.time_s) == (index, expected[index].time_s)
            assert np.array_equal(frame.rgb(), expected[index].rgb())


@pytest.mark.parametrize("name", DECORD)
def test_decord_gives_the_same_pictures_times_and_sizes(tmp_path, name):
    pytest.importorskip("decord")
    file, clip = CLIPS[name]
    path = write_video(tmp_path / file, clip)
    expected = streamed(path)
    indices = [7, 39, 0, 8, 8, 21]
    with open_random_access(path, ReadOptions(decoder="decord")) as video:
        for frame, index in zip(video.frames_at(indices), indices, strict=True):
            assert (frame.index, frame.time_s) == (index, expected[index].time_s)
            assert frame.rgb().shape == expected[index].rgb().shape
            # Its scaler interpolates chroma otherwise, so that edges of colour differ.
            assert np.abs(frame.rgb().astype(int) - expected[index].rgb()).mean() < 4
            assert frame.rgb(20, 10).shape == (10, 20, 3)


def test_decord_is_imported_only_when_it_is_asked_for(tmp_path):
    import subprocess
    import sys

    path = write_video(tmp_path / "a.mp4")
    code = (
        "import sys; from vidpc.media.random_access import open_random_access\n"
        f"with open_random_access({str(path)!r}) as v: v.frames_at([0])\nsys.exit('decord' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_decord_is_kept_from_formats_that_it_reads_wrongly(tmp_path):
    path = write_video(tmp_path / "a.ts", Clip(codec="mpeg2video"))
    with pytest.raises(OpenError, match="use pyav"), open_random_access(path, ReadOptions(decoder="decord")):
        pass


@pytest.mark.parametrize("index", [-1, 12])
def test_an_index_outside_is_our_own_mistake(tmp_path, index):
    with open_random_access(write_video(tmp_path / "a.mp4")) as video, pytest.raises(IndexError, match="of a video with 12"):
        video.frames_at([index])


def test_a_damaged_frame_is_an_error_and_the_others_are_not(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(gop=1))
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(data)
    with open_random_access(path) as video:
        bad = [index for index in range(len(video)) if not _readable(video, index)]
        assert 0 < len(bad) < 4
        assert _readable(video, len(video) - 1)


def _readable(video, index):
    try:
        return video.frames_at([index])[0].index == index
    except DecodeError:
        return False


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(OpenError, match="No such file"), open_random_access(tmp_path / "missing.mp4"):
        pass
