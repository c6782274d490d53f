import errno
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import make_media
import numpy as np
import pytest
from make_media import Clip, scene, write_video

from vidpc.errors import OutputError, PresetError
from vidpc.media.clock import tick_for
from vidpc.media.probe import probe
from vidpc.media.read import read_videos
from vidpc.media.video_writer import check_video, open_video
from vidpc.types import ColourCodes, Frame, ReadOptions, VideoFormat


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


def keep(source, target, count=None, **options):
    with open_video(target, probe(source), **options) as sink:
        for frame in frames_of(source)[:count]:
            sink.keep(frame, frame.time_s)
    return sink


EIGHT = [(turn, flip) for turn in (0, 90, 180, 270) for flip in (False, True)]


@pytest.mark.parametrize("way", ["keep", "write"])
@pytest.mark.parametrize(
    ("suffix", "rotation", "flip"),
    [*((".mp4", *row) for row in EIGHT), (".mov", 90, True), (".mkv", 90, True), (".webm", 270, False)],
)
def test_the_orientation_is_kept_as_it_is_said(tmp_path, suffix, rotation, flip, way):
    source = write_video(tmp_path / "a.mp4", Clip(count=1, rotation_deg=rotation, hflip=flip, codec_options={"crf": "5"}))
    with open_video(tmp_path / f"b{suffix}", probe(source)) as sink:
        for frame in frames_of(source):
            sink.keep(frame, frame.time_s) if way == "keep" else sink.write(frame.rgb(), frame.time_s)
    before, after = probe(source), probe(tmp_path / f"b{suffix}")
    for name in ("rotation_deg", "mirrored", "coded_width", "coded_height", "width", "height"):
        assert getattr(after, name) == getattr(before, name)
    (one,), (other,) = frames_of(source), frames_of(tmp_path / f"b{suffix}")
    assert np.abs(one.rgb().astype(int) - other.rgb()).mean() < 5


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "h264"), (".mkv", "h264"), (".mp4", "vp9"), (".mov", "prores"), (".avi", "mjpeg")]
)
def test_the_aspect_of_samples_is_kept(tmp_path, suffix, codec, rotation):
    source = write_video(tmp_path / "a.mp4", Clip(count=2, aspect=Fraction(4, 3), rotation_deg=rotation))
    keep(source, tmp_path / f"b{suffix}", video_format=VideoFormat(codec=codec))
    before, after = probe(source), probe(tmp_path / f"b{suffix}")
    assert (after.width, after.height) == (before.width, before.height)
    if suffix != ".avi" or not rotation:
        assert (after.sample_aspect, after.coded_width) == (Fraction(4, 3), 64)


def test_an_aspect_that_cannot_be_kept_is_made_of_square_pixels(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=2, aspect=Fraction(3, 2)))
    sink = keep(source, tmp_path / "b.webm")
    assert sink.warnings == ["the sample aspect ratio 3/2 cannot be kept: the pictures are stretched to square pixels"]
    info = probe(tmp_path / "b.webm")
    assert (info.width, info.height, info.coded_width, info.sample_aspect) == (96, 48, 96, 1)


@pytest.mark.parametrize(
    ("suffix", "codec", "matrix", "code", "transfer"),
    [
        (".mp4", "h264", "bt709", 1, 1),
        (".mp4", "h264", "bt601", 6, 6),
        (".mp4", "h264", "bt2020", 9, 18),
        (".mp4", "hevc", "bt2020", 9, 16),
        (".mkv", "ffv1", "bt2020", 9, 16),
        (".mov", "prores", "bt2020", 9, 18),
        (".webm", "vp9", "bt601", 6, 6),
    ],
)
def test_colour_tags_are_kept(tmp_path, suffix, codec, matrix, code, transfer):
    clip = Clip(count=2, matrix=matrix, transfer=transfer, primaries=code, full_range=codec != "prores")
    source = write_video(tmp_path / "a.mp4", clip)
    keep(source, tmp_path / f"b{suffix}", video_format=VideoFormat(codec=codec))
    before, after = probe(source), probe(tmp_path / f"b{suffix}")
    assert before.colour_codes == ColourCodes(code, transfer, code)
    assert (after.colour_codes, after.full_range, after.matrix) == (before.colour_codes, before.full_range, matrix)


def test_colours_that_a_container_cannot_say_are_said_to_be_lost(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=2, matrix="bt2020", transfer=16, primaries=9))
    sink = keep(source, tmp_path / "b.avi", video_format=VideoFormat(codec="ffv1"))
    assert sink.warnings == [
        "avi cannot say that its colours are bt2020 PQ of limited range: players may show them differently"
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_last_frame_lasts_as_long_as_the_source_s(tmp_path, suffix):
    """The files of reordered frames at uneven times: 0, 40, 90, 200, … ms, the last one 500 ms long."""
    source = write_video(tmp_path / "a.mkv", Clip(count=8, times_s=UNEVEN, tick=Fraction(1, 1000)))
    keep(source, tmp_path / f"b{suffix}")
    expected = 1.5 + float(frames_of(source)[-1].image.duration_s)
    assert float(probe(tmp_path / f"b{suffix}").duration_s) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_length_of_uneven_frames_is_stated_whole(tmp_path, suffix):
    info = probe(write_video(tmp_path / "a.mp4", Clip(count=1)))
    with open_video(tmp_path / f"b{suffix}", info) as sink:
        for k, time_s in enumerate((0, Fraction(1, 25), Fraction(2, 25), Fraction(1, 2), Fraction(3))):
            sink.write(scene(k, 64, 48), Fraction(time_s))
    assert probe(tmp_path / f"b{suffix}").duration_s == Fraction(11, 2)  # the last step once more: 3 + 2.5


def test_a_start_before_zero_becomes_zero_and_is_said(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=3))
    with open_video(tmp_path / "b.mp4", probe(source)) as sink:
        for frame in frames_of(source):
            sink.keep(frame, frame.time_s - Fraction(1, 10))
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mp4")] == [Fraction(k, 25) for k in range(3)]
    assert sink.warnings == ["the first frame is shown at zero instead of -0.100000 s, and so all that follows"]


def test_avi_begins_at_zero_at_a_constant_rate_and_says_so(tmp_path):
    source = write_video(
        tmp_path / "a.mp4", Clip(count=8, times_s=tuple(8 + time_s for time_s in UNEVEN), tick=Fraction(1, 1000))
    )
    sink = keep(source, tmp_path / "b.avi")
    assert sink.warnings[0].startswith("the first frame is shown at zero instead of 8.000")
    assert sink.warnings[1].startswith("avi has a constant rate: frames are moved by up to 0.")
    assert len(frames_of(tmp_path / "b.avi")) == 8


def test_speed_stretches_the_times(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=3))
    keep(source, tmp_path / "b.mp4", speed=Fraction(1, 3))
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mp4")] == [Fraction(3 * k, 25) for k in range(3)]
    assert probe(tmp_path / "b.mp4").duration_s == Fraction(9, 25)


def test_a_new_rate_is_kept_exactly(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=3, rate_fps=Fraction(24000, 1001), tick=Fraction(1, 24000)))
    info = replace(probe(source), rate_fps=Fraction(60000, 1001))
    times = [Fraction(1001 * k, 60000) for k in range(7)]
    with open_video(tmp_path / "b.mp4", info) as sink:
        for k, time_s in enumerate(times):
            sink.write(scene(k, 64, 48), time_s)
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mp4")] == times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_same_frame_may_be_kept_twice(tmp_path, suffix):
    source = write_video(tmp_path / "a.mp4", Clip(count=2))
    first = frames_of(source)[0]
    with open_video(tmp_path / f"b{suffix}", probe(source)) as sink:
        for k in range(3):
            sink.keep(first, Fraction(k))
    assert [frame.time_s for frame in frames_of(tmp_path / f"b{suffix}")] == [0, 1, 2]


def test_a_device_and_standard_output_are_refused(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4"))
    (tmp_path / "full.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="it is a device"):
        open_video(tmp_path / "full.mp4", info, overwrite=True)
    with pytest.raises(OutputError, match="to standard output: name a file"):
        open_video("-", info)


def test_a_link_is_followed(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=2))
    (tmp_path / "there").mkdir()
    (tmp_path / "b.mp4").symlink_to(tmp_path / "there" / "c.mp4")
    keep(source, tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").is_symlink()
    assert listed(tmp_path / "there") == ["c.mp4"]


def test_of_two_jobs_the_first_to_end_has_the_name(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=2))
    info = probe(source)

    def late():
        with open_video(tmp_path / "b.mp4", info) as sink:
            sink.write(scene(0, 64, 48), Fraction(0))
            keep(source, tmp_path / "b.mp4")

    with pytest.raises(OutputError, match="was written by another job meanwhile: nothing was replaced"):
        late()
    assert listed(tmp_path) == ["a.mp4", "b.mp4"]
    assert len(frames_of(tmp_path / "b.mp4")) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_an_interrupted_video_plays_and_has_a_name_that_says_so(tmp_path, suffix, error, caplog):
    source = write_video(tmp_path / "a.mp4", Clip(count=10, sound="aac"))

    def interrupted():
        with open_video(tmp_path / f"b{suffix}", probe(source), copy_from=source) as sink:
            for frame in frames_of(source)[:6]:
                sink.keep(frame, frame.time_s)
            raise error

    for _ in range(2):
        with pytest.raises(type(error)):
            interrupted()
    assert listed(tmp_path) == ["a.mp4", f"b.partial-2{suffix}", f"b.partial{suffix}"]
    assert [frame.time_s for frame in frames_of(tmp_path / f"b.partial{suffix}")] == [Fraction(k, 25) for k in range(6)]
    assert float(sound_of(tmp_path / f"b.partial{suffix}")[0][-1][1]) < 0.25
    assert f"b.partial{suffix}" in caplog.text


def test_an_interrupt_before_the_first_frame_leaves_nothing(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    with pytest.raises(KeyboardInterrupt), open_video(tmp_path / "b.mp4", probe(source)):
        raise KeyboardInterrupt
    assert listed(tmp_path) == ["a.mp4"]


ENDLESS = """
import signal
import sys
from fractions import Fraction
from make_media import scene
from vidpc.media.probe import probe
from vidpc.media.video_writer import open_video
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have been told to ignore it
with open_video(sys.argv[2], probe(sys.argv[1])) as sink:
    for k in range(10**9):
        sink.write(scene(k, 64, 48), Fraction(k, 25))
        if k == 200:
            print("there", flush=True)
"""


@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, ["b.partial.mp4"]), (signal.SIGKILL, [])])
def test_what_ends_a_program_never_leaves_a_file_of_the_final_name(tmp_path, number, left):
    source = write_video(tmp_path / "a.mp4")
    program = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(source), str(tmp_path / "b.mp4")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(make_media.__file__).parent)},
    )
    assert program.stdout.readline() == b"there\n"
    program.send_signal(number)
    program.communicate(timeout=60)
    assert [name for name in listed(tmp_path) if not name.startswith(".")] == ["a.mp4", *left]
    assert all(len(frames_of(tmp_path / name)) > 100 for name in left)


def test_what_cannot_be_is_refused_before_any_work(tmp_path):
    source = write_video(tmp_path / "a.mp4")
    (tmp_path / "masks").mkdir()
    check_video(tmp_path / "b.mp4", inputs=[source])
    for target in (source, tmp_path / "masks"):
        with pytest.raises(OutputError, match="it is the input"):
            check_video(target, inputs=[source, tmp_path / "masks"], overwrite=True)
    with pytest.raises(PresetError, match="unknown codec"):
        check_video(tmp_path / "b.mp4", inputs=[source], video_format=VideoFormat(codec="nothing"))
    assert listed(tmp_path) == ["a.mp4", "masks"]


def test_memory_does_not_grow_with_sound_that_runs_ahead(tmp_path):
    """Sound is handed out only as far as the pictures have come, however much there is."""
    source = write_video(tmp_path / "a.mkv", Clip(count=10, sound="pcm_s16le", sound_s=60.0))
    with open_video(tmp_path / "b.mkv", probe(source), copy_from=source) as sink:
        for frame in frames_of(source)[:5]:
            sink.keep(frame, frame.time_s)
        (part,) = [path for path in tmp_path.iterdir() if path.name.startswith(".b.mkv.part")]
        assert part.stat().st_size < 500_000  # of 5.3 MB
    assert (tmp_path / "b.mkv").stat().st_size > 5_000_000
