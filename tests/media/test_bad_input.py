"""Input that no video is, input that lies, and input that wants to reach something else: an error in one line or a warning.

The numbers are those of the list of bad inputs in the project's research notes (video, 1 to 18). Elsewhere: 9 to 13 in
test_read.py, test_picture.py and test_real_media.py; 14 (sound) in test_copied.py; 15 (output = input) and 16 (full disk,
signals, two jobs) in test_video_writer.py and test_picture_folder.py; random damage in test_mutations.py. Not here: constant
memory over length (18) is measured by benchmarks/decode.py.
"""

import os
import re
import socket
import struct
import time
from fractions import Fraction
from pathlib import Path

import pytest
from make_media import Clip, scene, write_picture, write_video

from vidpc.errors import DecodeError, OpenError, SourceError, TruncatedError
from vidpc.media.read import read_videos
from vidpc.media.sources import Source
from vidpc.types import Closed, Frame, ReadOptions

OPTIONS = ReadOptions(timeout_s=0.2)


def outcome(source, options: ReadOptions = OPTIONS) -> tuple[int, Closed]:
    """Number of frames, and how it ended. Every message is one line."""
    source = source if isinstance(source, Source) else Source(str(source))
    items = list(read_videos([source], options))
    closed = items[-1]
    for text in (*closed.warnings, str(closed.error or "")):
        assert text.isprintable()
    return sum(isinstance(item, Frame) for item in items), closed


def error_of(source, options: ReadOptions = OPTIONS) -> SourceError:
    frames, closed = outcome(source, options)
    assert frames == 0
    assert isinstance(closed.error, SourceError)
    return closed.error


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """A copy in which the first ``old`` became ``new``, of equal length."""
    data = path.read_bytes()
    assert old in data
    target = path.with_name(f"patched{path.suffix}")
    target.write_bytes(data.replace(old, new, 1))
    return target


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / "clip.mp4", Clip(count=24))


# 1: what is no file


def test_missing(tmp_path):
    assert "No such file or directory" in str(error_of(tmp_path / "missing.mp4"))


def test_a_folder_as_a_file(tmp_path):
    assert "it is a folder" in str(error_of(tmp_path))


def test_a_named_pipe_without_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    started = time.monotonic()
    assert "nobody wrote to it for 0.2 s" in str(error_of(tmp_path / "pipe.mp4"))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_devices(device):
    assert "it is a device" in str(error_of(device))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden(clip):
    clip.chmod(0)
    assert "Permission denied" in str(error_of(clip))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".jpg", ""])
@pytest.mark.parametrize("data", [b"\0", b"x", b"plain text\n" * 90, bytes(5000), b"\xff" * 5000, b"RIFF\xff\xff\xff\xffAVI "])
def test_files_that_are_no_video(tmp_path, data, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    assert str(error_of(path)).startswith(f"cannot open {path}")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert "the file is empty" in str(error_of(tmp_path / "a.mp4"))


# 2: wrong suffixes


@pytest.mark.parametrize("name", ["a.jpg", "a.mkv", "a.txt", "a", "a.h264", "a%03d.png", "a.m3u8"])
def test_the_content_decides_not_the_suffix(tmp_path, clip, name):
    frames, closed = outcome(clip.rename(tmp_path / name))
    assert (frames, closed.error) == (24, None)


def test_a_picture_named_as_a_video(tmp_path):
    picture = write_picture(tmp_path / "a.png", scene(0, 32, 32)).rename(tmp_path / "a.mp4")
    assert outcome(picture)[0] == 1


# 3: truncated


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_an_mp4_without_its_index_says_what_may_have_happened(clip):
    assert "incomplete" in str(error_of(cut(clip, 0.9)))


CUT = {
    "index in front": ("a.mp4", Clip(count=50, container_options={"movflags": "faststart"}), "declares 50 pictures"),
    "fragmented": ("a.mp4", Clip(count=50, container_options={"movflags": "frag_keyframe+empty_moov"}), "cut off"),
    "matroska": ("a.mkv", Clip(count=50), "declares an end at 2.000 s"),
    "matroska with sound": ("b.mkv", Clip(count=50, sound="aac"), "declares an end at 2.000 s"),
    "avi": ("a.avi", Clip(count=50, codec="mjpeg", pixel_format="yuvj420p"), "declares 50 pictures"),
    "flv": ("a.flv", Clip(count=50), "declares an end at"),
    "transport stream": ("a.ts", Clip(count=50), "ends inside a transport packet"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_truncated_file_gives_what_it_holds_and_says_so(tmp_path, name):
    file, clip, said = CUT[name]
    path = cut(write_video(tmp_path / file, clip), 0.6)
    frames, closed = outcome(path)
    assert 10 < frames < 50
    assert closed.error is None
    assert said in "; ".join(closed.warnings)
    frames, closed = outcome(path, ReadOptions(strict=True))
    assert isinstance(closed.error, TruncatedError)
    assert str(closed.error).endswith("(--strict)")


def test_strict_has_nothing_against_whole_files(tmp_path):
    for file, clip, _ in CUT.values():
        path = write_video(tmp_path / file, clip)
        assert outcome(path, ReadOptions(strict=True))[1] == Closed(0)


# 4: damage in the middle


def test_damage_in_the_middle_is_skipped_counted_and_ends_a_strict_run_there(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=60, width=160, height=120, gop=10))
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 3000] = bytes(3000)
    path.write_bytes(data)
    frames, closed = outcome(path)
    assert 30 < frames <= 60
    assert "damaged" in "; ".join(closed.warnings)
    strict_frames, closed = outcome(path, ReadOptions(strict=True))
    assert strict_frames < frames
    assert isinstance(closed.error, TruncatedError)


# 5: headers that lie


@pytest.mark.parametrize("each", [0, 1, 8])
def test_more_samples_than_the_file_has_bytes_are_refused_before_ffmpeg_makes_room_for_them(clip, each):
    """stsz: one size for all samples (0: a table follows), then their number. FFmpeg would take 24 bytes for each."""
    data = clip.read_bytes()
    at = data.index(b"stsz") + 4
    clip.write_bytes(data[: at + 4] + struct.pack(">II", each, 1 << 30) + data[at + 12 :])
    assert "it declares 1073741824 samples in" in str(error_of(clip))


def test_more_samples_in_a_fragment_than_the_file_has_bytes_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(container_options={"movflags": "frag_keyframe+empty_moov"}))
    data = path.read_bytes()
    at = data.index(b"trun") + 8
    path.write_bytes(data[:at] + struct.pack(">I", 1 << 30) + data[at + 4 :])
    assert "it declares 1073741824 samples in" in str(error_of(path))


def test_chunk_offsets_outside_the_file(clip):
    data = clip.read_bytes()
    at = data.index(b"stco") + 12
    clip.write_bytes(data[:at] + b"\x7f\xff\xff\xff" + data[at + 4 :])
    frames, closed = outcome(clip)
    assert frames < 24
    assert closed.warnings or closed.error


def test_a_box_longer_than_the_file(clip):
    data = clip.read_bytes()
    at = data.index(b"moov") - 4
    clip.write_bytes(data[:at] + b"\x7f\xff\xff\xff" + data[at + 4 :])
    _, closed = outcome(clip)
    assert closed.warnings or closed.error


# 6: streams


def test_sound_only(tmp_path):
    path = write_video(tmp_path / "a.mkv", Clip(sound="aac"))
    data = path.read_bytes()
    # A track of an unknown type in place of the video.
    path.write_bytes(data.replace(b"\x83\x81\x01", b"\x83\x81\x21", 1))
    assert re.search("no video stream, it holds .*audio", str(error_of(path)))


def test_more_streams_than_any_camera_writes(tmp_path):
    """A transport stream may announce thousands; FFmpeg is told to stop at 64."""
    path = write_video(tmp_path / "a.mkv", Clip(count=3, sound="aac", sound_streams=70))
    frames, closed = outcome(path)
    assert frames == 3 or closed.warnings or closed.error


# 8: rates and lengths


def test_a_tick_rate_is_no_frame_rate(tmp_path):
    clip = Clip(count=5, rate_fps=Fraction(90000), times_s=tuple(Fraction(k, 10) for k in range(5)), tick=Fraction(1, 90000))
    frames, closed = outcome(write_video(tmp_path / "a.mkv", clip))
    assert (frames, closed) == (5, Closed(0))


# 10: sizes


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=2, width=640, height=480))
    error = error_of(path, ReadOptions(max_pixels=100_000))
    assert isinstance(error, SourceError)


def test_a_png_that_claims_a_gigantic_size(tmp_path):
    path = write_picture(tmp_path / "a.png", scene(0, 32, 32))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    path.write_bytes(data)
    assert isinstance(error_of(path), (OpenError, DecodeError))


def test_a_size_beyond_the_limit_in_the_middle_is_skipped(tmp_path):
    parts = [write_video(tmp_path / f"{w}.ts", Clip(count=25, width=w, height=h)) for w, h in ((64, 48), (640, 480))]
    joined = tmp_path / "a.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, closed = outcome(joined, ReadOptions(max_pixels=64 * 48 * 4))
    assert 20 <= frames <= 26
    assert "damaged packets skipped" in "; ".join(closed.warnings)


# 13: key frames


def test_a_stream_that_begins_without_a_key_frame(tmp_path):
    path = write_video(tmp_path / "a.ts", Clip(count=50, gop=20, codec_options={"bf": "0"}))
    packets = [path.read_bytes()[k : k + 188] for k in range(0, path.stat().st_size, 188)]
    path.write_bytes(b"".join([*packets[:3], *packets[len(packets) // 5 :]]))
    frames, closed = outcome(path)
    assert 20 <= frames < 50
    assert closed.warnings


# 15: names, and files that name others


@pytest.mark.parametrize(
    "name",
    [
        "-rf.mp4",
        "a\nb.mp4",
        "a b'\".mp4",
        "überß視頻.mp4",
        "100%.mp4",
        "a:b.mp4",
        "concat:a.mp4",
        "@list.mp4",
        "a|b.mp4",
        "x" * 250,
    ],
)
def test_names_that_look_like_something_else(tmp_path, monkeypatch, clip, name):
    clip.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert outcome(name)[0] == 24


def test_a_name_that_is_no_text(tmp_path, clip):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4")
    os.rename(clip, name)  # noqa: PTH104 - the name is bytes
    assert outcome(name)[0] == 24


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.mp4"])
def test_names_that_cannot_be(name):
    assert isinstance(error_of(name), OpenError)


def test_a_loop_of_links(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    assert "symbolic links" in str(error_of(tmp_path / "a.mp4"))


def test_arguments_that_ffmpeg_would_take_for_protocols(tmp_path, monkeypatch, clip):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:clip.mp4|clip.mp4", "subfile,,start,0,end,0,,:clip.mp4", "cache:clip.mp4", "file:clip.mp4", "data:,x"):
        assert "No such file" in str(error_of(name))


def test_playlists_reach_nothing(tmp_path, clip):
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n"
    listing = f"ffconcat version 1.0\nfile {clip.name}\n"
    sdp = "v=0\nm=video 5000 RTP/AVP 96\nc=IN IP4 127.0.0.1\n"
    dash = f'<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{clip}</BaseURL></AdaptationSet></Period></MPD>'
    for text in (hls, listing, sdp, dash):
        for suffix in (".m3u8", ".mp4", ".ffconcat", ".sdp", ".mpd", ".txt"):
            path = tmp_path / f"list{suffix}"
            path.write_text(text)
            assert isinstance(error_of(path), OpenError)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.mp4", "https://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1:9/a"])
def test_addresses_need_permission(address):
    source = Source(address, "url")
    assert "only with --allow-url" in str(error_of(source))
    assert str(error_of(source, ReadOptions(allow_url=True, timeout_s=2))).startswith(f"cannot open {address}")


@pytest.mark.parametrize("address", ["ftp://host/a.mp4", "file:///etc/passwd", "concat://a", "udp://1.2.3.4:5"])
def test_addresses_of_other_kinds_are_refused_even_with_permission(address):
    assert "expected http, https or rtsp" in str(error_of(Source(address, "url"), ReadOptions(allow_url=True)))


# 17: files that change, networks that stall


def test_a_server_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        started = time.monotonic()
        error_of(Source(address, "url"), ReadOptions(allow_url=True, timeout_s=0.5))
        assert time.monotonic() - started < 10


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=300, width=320, height=240, codec_options={"crf": "1"}))
    items = read_videos([path])
    seen = [next(items) for _ in range(5)]
    os.truncate(path, path.stat().st_size // 2)
    seen += list(items)
    closed = seen[-1]
    assert sum(isinstance(item, Frame) for item in seen) < 300
    assert closed.warnings or closed.error


# 18: extremes


def test_a_video_without_a_single_frame(tmp_path):
    path = write_video(tmp_path / "a.mkv", Clip(count=12, sound="aac"), pictures=[])
    assert isinstance(error_of(path), SourceError)


def test_many_tiny_files_leave_no_descriptor_open(tmp_path):
    path = write_video(tmp_path / "a.mp4", Clip(count=1))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for item in read_videos([path] * 300):
        assert not getattr(item, "error", None)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
