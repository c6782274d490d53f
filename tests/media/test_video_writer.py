import errno
import os
import resource
import signal
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from make_media import Clip, scene, write_video

from vidpc.errors import OutputError
from vidpc.media.probe import probe
from vidpc.media.read import read_videos
from vidpc.media.video_file import tick_for
from vidpc.media.video_writer import open_video
from vidpc.types import Frame, ReadOptions


def frames_of(path, **options):
    return [item for item in read_videos([path], ReadOptions(**options)) if isinstance(item, Frame)]


def copy(source, target, *, copy_from=None, **span):
    """Reads a video and writes it again."""
    options = {key: value for key, value in span.items() if value is not None}
    with open_video(target, probe(source), copy_from=copy_from, **span) as writer:
        for frame in frames_of(source, **options):
            writer.write(frame.rgb(), frame.time_s)
    return writer


def sound_of(path):
    with av.open(str(path)) as container:
        streams = container.streams.audio
        packets = [p for p in container.demux(streams) if p.size] if streams else []
        return [[(bytes(p), p.pts * p.time_base) for p in packets if p.stream_index == s.index] for s in streams]


UNEVEN = tuple(Fraction(k, 1000) for k in (0, 40, 90, 200, 240, 1000, 1010, 1500))
NTSC = tuple(Fraction(k * 1001, 30000) for k in range(8))
FILM = tuple(Fraction(k * 1001, 24000) for k in range(8))
LATE = tuple(Fraction(25, 3) + Fraction(k, 25) for k in range(8))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("times", "tick"), [(UNEVEN, (1, 1000)), (NTSC, (1, 30000)), (FILM, (1, 24000)), (LATE, (1, 15360)), (UNEVEN, (1, 12800))]
)
def test_every_time_is_kept(tmp_path, times, tick, suffix):
    source = write_video(tmp_path / "a.mp4", Clip(count=8, times_s=times, tick=Fraction(*tick)))
    wanted = [frame.time_s for frame in frames_of(source)]
    copy(source, tmp_path / f"b{suffix}")
    written = [frame.time_s for frame in frames_of(tmp_path / f"b{suffix}")]
    if suffix == ".mkv":  # Matroska counts milliseconds
        assert max(abs(a - b) for a, b in zip(written, wanted, strict=True)) <= Fraction(1, 1000)
    else:
        assert written == wanted


def test_the_tick_holds_the_source_s_and_stays_within_what_files_can_count(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4", Clip(rate_fps=Fraction(30000, 1001), tick=Fraction(1001, 30000))))
    tick = tick_for(info)
    assert (Fraction(1001, 30000) / tick).denominator == 1
    assert tick.denominator <= 10_000_000


@pytest.mark.parametrize("source_suffix", [".mp4", ".mkv", ".ts"])
def test_sound_packets_are_copied_byte_for_byte_at_their_times(tmp_path, source_suffix):
    codec = "mp2" if source_suffix == ".ts" else "aac"
    source = write_video(tmp_path / f"a{source_suffix}", Clip(count=50, sound=codec, sound_streams=2))
    writer = copy(source, tmp_path / "b.mp4", copy_from=source)
    before, after = sound_of(source), sound_of(tmp_path / "b.mp4")
    assert writer.warnings == []
    assert [[data for data, _ in stream] for stream in after] == [[data for data, _ in stream] for stream in before]
    for old, new in zip(before, after, strict=True):
        assert max(abs(a - b) for (_, a), (_, b) in zip(old, new, strict=True)) <= Fraction(1, 44100)


def test_sound_that_the_container_cannot_hold_is_left_out_and_said(tmp_path):
    source = write_video(tmp_path / "a.avi", Clip(codec="mpeg4", sound="pcm_u8"))
    writer = copy(source, tmp_path / "b.mp4", copy_from=source)
    assert writer.warnings == ["sound stream 1 (pcm_u8) is left out: mp4 cannot hold it"]
    assert len(frames_of(tmp_path / "b.mp4")) == 12


def test_copy_from_a_file_that_is_none_is_a_warning(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    writer = copy(source, tmp_path / "b.mp4", copy_from=tmp_path / "missing.mp4")
    assert writer.warnings[0].startswith("the sound is not copied: cannot open")


def test_a_span_begins_at_zero_with_its_own_sound(tmp_path):
    source = write_video(tmp_path / "a.mkv", Clip(count=100, sound="aac"))
    copy(source, tmp_path / "b.mp4", copy_from=source, start_s=Fraction(2), end_s=Fraction(3))
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mp4")] == [Fraction(k, 25) for k in range(25)]
    (sound,) = sound_of(tmp_path / "b.mp4")
    (whole,) = sound_of(source)
    assert [data for data, _ in sound] == [data for data, time_s in whole if 2 <= time_s < 3]
    assert 0 <= sound[0][1] < Fraction(3, 100)


def test_odd_sizes_are_padded_and_said(tmp_path):
    source = write_video(tmp_path / "a.mov", Clip(count=3, width=65, height=49, codec="png", pixel_format="rgb24"))
    writer = copy(source, tmp_path / "b.mp4")
    assert writer.warnings == ["the odd size 65x49 is padded to 66x50"]
    shown = frames_of(tmp_path / "b.mp4")[2].rgb()
    assert shown.shape == (50, 66, 3)
    assert np.abs(shown[:49, :65].astype(int) - scene(2, 65, 49)).mean() < 8


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), "bt601"), ((1280, 720), "bt709")])
def test_colours_survive_and_are_tagged_as_players_assume(tmp_path, size, matrix):
    source = write_video(tmp_path / "a.mov", Clip(count=1, width=size[0], height=size[1], codec="png", pixel_format="rgb24"))
    colours = [(200, 40, 40), (30, 180, 60), (40, 60, 210)]
    with open_video(tmp_path / "b.mp4", probe(source)) as writer:
        for k, colour in enumerate(colours):
            writer.write(np.full((size[1], size[0], 3), colour, np.uint8), Fraction(k))
    info = probe(tmp_path / "b.mp4")
    assert (info.matrix, info.full_range, info.pixel_format) == (matrix, False, "yuv420p")
    with av.open(str(tmp_path / "b.mp4")) as container:
        tagged = next(container.decode(video=0)).colorspace
    assert tagged == {"bt601": 6, "bt709": 1}[matrix]
    for frame, colour in zip(frames_of(tmp_path / "b.mp4"), colours, strict=True):
        assert np.abs(frame.rgb().mean(axis=(0, 1)) - colour).max() < 4


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    with open_video(tmp_path / "b.mp4", probe(source)) as writer:
        writer.write(scene(0, 64, 48), Fraction(0))
        assert "b.mp4" not in listed(tmp_path)
    assert listed(tmp_path) == ["a.mp4", "b.mp4"]


def test_a_failure_leaves_nothing_and_an_old_file_as_it_was(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"old")

    def failing():
        with open_video(tmp_path / "b.mp4", probe(source), copy_from=source, overwrite=True) as writer:
            writer.write(scene(0, 64, 48), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert listed(tmp_path) == ["a.mp4", "b.mp4"]
    assert (tmp_path / "b.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("link", [False, True])
def test_the_input_is_never_overwritten(tmp_path, link):
    source = write_video(tmp_path / "a.mp4")
    target = tmp_path / "b.mp4"
    target.symlink_to(source) if link else (target := source)
    with pytest.raises(OutputError, match="it is the input"):
        open_video(target, probe(source))


def test_names_that_no_container_fits_are_refused(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4"))
    with pytest.raises(
        OutputError, match=r"expected a name that ends in \.avi, \.m4v, \.mkv, \.mov, \.mp4, \.webm, or a folder"
    ):
        open_video(tmp_path / "b.gif", info)


def test_a_folder_that_does_not_exist_is_an_output_error(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4"))
    with pytest.raises(OutputError, match=r"the folder .*no does not exist"), open_video(tmp_path / "no" / "b.mp4", info):
        pass


def test_frames_of_the_wrong_size_or_order_are_our_own_mistake(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4"))
    with pytest.raises(ValueError, match="shape"), open_video(tmp_path / "b.mp4", info) as writer:
        writer.write(np.zeros((10, 10, 3), np.uint8), Fraction(0))
    with open_video(tmp_path / "b.mp4", info) as writer:
        writer.write(scene(0, 64, 48), Fraction(1))
        with pytest.raises(ValueError, match="does not come after"):
            writer.write(scene(0, 64, 48), Fraction(1))


FULL_DISK = """
import sys
import numpy as np
from fractions import Fraction
from vidpc.errors import OutputError
from vidpc.media.video_writer import open_video
from vidpc.media.probe import probe
noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
try:
    with open_video(sys.argv[2], probe(sys.argv[1])) as writer:
        for k in range(int(sys.argv[3])):
            writer.write(np.roll(noise, 5 * k, axis=1), Fraction(k, 25))
except OutputError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("count", [3, 400])
def test_a_full_disk_is_an_output_error_and_leaves_no_file(tmp_path, count):
    """The kernel's limit on the size of files stands in for a full disk: in the middle, or only at the trailer."""
    source = write_video(tmp_path / "a.mp4")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(source), str(tmp_path / "b.mp4"), str(count)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=True,
    )
    assert done.stdout == f"cannot write {tmp_path / 'b.mp4'}: {os.strerror(errno.EFBIG)}"
    assert listed(tmp_path) == ["a.mp4"]
