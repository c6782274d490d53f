from fractions import Fraction

import av
import pytest
from make_media import Clip, write_video

from vidpc.media.probe import probe
from vidpc.media.read import read_videos
from vidpc.media.video_writer import open_video
from vidpc.types import Frame, ReadOptions


def frames_of(path, **options):
    return [item for item in read_videos([path], ReadOptions(**options)) if isinstance(item, Frame)]


def copy(source, target, *, speed=Fraction(1), **span):
    """What could not be kept when a video is read and written again."""
    options = {key: value for key, value in span.items() if value is not None}
    with open_video(target, probe(source), copy_from=source, speed=speed, **span) as sink:
        for frame in frames_of(source, **options):
            sink.keep(frame, frame.time_s)
    return sink.warnings


def packets_of(path, kind):
    """(bytes, time, duration) of every packet, for each stream of a kind; ends of lines alone are left out."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams) if streams else ():
            if packet.size and bytes(packet) != b"\0\0":
                time_s, lasts_s = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
                found[packet.stream_index].append((bytes(packet), time_s, lasts_s))
        return list(found.values())


def data_of(path, kind):
    return [[data for data, _, _ in stream] for stream in packets_of(path, kind)]


def lines_of(path):
    """(text, time, duration) of subtitles."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        found = []
        for packet in container.demux(stream):
            span = (packet.pts * packet.time_base, packet.duration * packet.time_base) if packet.size else ()
            found += [(line.dialogue.decode(), *span) for line in (packet.decode() if packet.size else ())]
        return [row for row in found if row[0]]


LINES = [(f"line {k}", Fraction(100 + 500 * k, 1000), Fraction(4, 10)) for k in range(3)]


def near(found, expected, within=Fraction(1, 1000)):
    assert [text for text, _, _ in found] == [text for text, _, _ in expected]
    times, wanted = ([time_s for row in rows for time_s in row[1:]] for rows in (found, expected))
    assert max(abs(a - b) for a, b in zip(times, wanted, strict=True)) <= within


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_eight_sound_streams_are_copied_packet_for_packet_with_their_language(tmp_path, suffix):
    source = write_video(tmp_path / "a.mp4", Clip(count=25, sound="aac", sound_streams=8, sound_language="fra"))
    assert copy(source, tmp_path / f"b{suffix}") == []
    before, after = (packets_of(path, "audio") for path in (source, tmp_path / f"b{suffix}"))
    assert [[row[0] for row in stream] for stream in after] == [[row[0] for row in stream] for stream in before]
    for one, other in zip(before, after, strict=True):
        assert max(abs(a[1] - b[1]) for a, b in zip(one, other, strict=True)) <= Fraction(1, 1000)
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        assert {stream.language for stream in container.streams.audio} == {"fra"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_sound_that_is_shorter_or_longer_than_the_pictures_is_whole(tmp_path, seconds, suffix):
    source = write_video(tmp_path / "a.mkv", Clip(count=25, sound="aac", sound_s=seconds))
    assert copy(source, tmp_path / f"b{suffix}") == []
    assert data_of(tmp_path / f"b{suffix}", "audio") == data_of(source, "audio")
    assert [frame.time_s for frame in frames_of(tmp_path / f"b{suffix}")] == [Fraction(k, 25) for k in range(25)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_that_begins_before_the_pictures_does_not_move_them(tmp_path, suffix):
    """Of AAC the first packet only warms the decoder up: it lies before zero."""
    source = write_video(tmp_path / "a.mp4", Clip(count=5, sound="aac"))
    assert packets_of(source, "audio")[0][0][1] < 0
    copy(source, tmp_path / f"b{suffix}")
    assert [frame.time_s for frame in frames_of(tmp_path / f"b{suffix}")] == [Fraction(k, 25) for k in range(5)]
    assert abs(packets_of(tmp_path / f"b{suffix}", "audio")[0][0][1] - packets_of(source, "audio")[0][0][1]) < Fraction(1, 1000)


@pytest.mark.parametrize("codec", ["subrip", "ass"])
def test_subtitles_are_copied_packet_for_packet(tmp_path, codec):
    source = write_video(tmp_path / "a.mkv", Clip(count=50, texts=(codec,)))
    assert copy(source, tmp_path / "b.mkv") == []
    assert packets_of(tmp_path / "b.mkv", "subtitle") == packets_of(source, "subtitle")
    near(lines_of(tmp_path / "b.mkv"), LINES)


def test_subtitles_of_mp4_stay_as_they_are_in_mp4(tmp_path):
    source = write_video(tmp_path / "a.mp4", Clip(count=50, texts=("mov_text",)))
    assert copy(source, tmp_path / "b.mp4") == []
    assert packets_of(tmp_path / "b.mp4", "subtitle") == packets_of(source, "subtitle")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.subtitles[0].language == "ger"


@pytest.mark.parametrize(("codec", "before", "after"), [
    ("subrip", ".mkv", ".mp4"), ("ass", ".mkv", ".mov"), ("mov_text", ".mp4", ".mkv"), ("mov_text", ".mp4", ".webm"),
])  # fmt: skip
def test_text_is_rewritten_for_containers_that_write_it_otherwise(tmp_path, codec, before, after):
    source = write_video(tmp_path / f"a{before}", Clip(count=50, texts=(codec,)))
    assert copy(source, tmp_path / f"b{after}") == []
    near(lines_of(tmp_path / f"b{after}"), LINES)
    with av.open(str(tmp_path / f"b{after}")) as container:
        assert container.streams.subtitles[0].language == "ger"


def test_what_a_container_cannot_hold_is_left_out_and_said(tmp_path):
    source = write_video(tmp_path / "a.mkv", Clip(count=5, codec="libx264", texts=("subrip",), sound="aac"))
    said = copy(source, tmp_path / "b.avi")
    assert said == ["subtitle stream 2 (srt) is left out: avi cannot hold it"]
    assert len(packets_of(tmp_path / "b.avi", "audio")) == 1


def test_a_span_keeps_its_own_sound_text_and_chapters_from_zero_on(tmp_path):
    source = write_video(tmp_path / "a.mkv", Clip(count=50, sound="aac", texts=("subrip",), chapters=True))
    copy(source, tmp_path / "b.mkv", start_s=Fraction(1, 2), end_s=Fraction(3, 2))
    near(
        lines_of(tmp_path / "b.mkv"),
        [("line 1", Fraction(1, 10), Fraction(4, 10)), ("line 2", Fraction(6, 10), Fraction(4, 10))],
    )
    with av.open(str(tmp_path / "b.mkv")) as container:
        spans = [(c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
    assert spans == [(0, Fraction(1, 2), "One"), (Fraction(1, 2), 1, "Two")]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_titles_and_chapters_are_copied(tmp_path, suffix):
    source = write_video(tmp_path / f"a{suffix}", Clip(count=50, chapters=True, title="A street"))
    assert copy(source, tmp_path / f"b{suffix}") == []
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        assert container.metadata["title"] == "A street"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]


def test_slow_motion_stretches_text_and_chapters_and_leaves_out_sound(tmp_path):
    source = write_video(tmp_path / "a.mkv", Clip(count=50, sound="aac", texts=("subrip",), chapters=True))
    said = copy(source, tmp_path / "b.mkv", speed=Fraction(1, 4))
    assert said == ["sound stream 1 is left out: it cannot be made slower or faster"]
    near(lines_of(tmp_path / "b.mkv"), [(text, 4 * at, 4 * lasts) for text, at, lasts in LINES])
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert [chapter["end"] * chapter["time_base"] for chapter in container.chapters()] == [4, 8]
    assert [frame.time_s for frame in frames_of(tmp_path / "b.mkv")] == [Fraction(4 * k, 25) for k in range(50)]
