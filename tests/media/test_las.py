import io
import os
import struct
import time
from pathlib import Path

import laspy
import numpy as np
import pytest
from make_scans import points, write_las

from vidpc.errors import OpenError, OutputError, PointCloudError
from vidpc.media import records
from vidpc.media.las_header import epsg_of
from vidpc.media.points import Labelling, open_points, write_labelled
from vidpc.types import PointLabels

FORMATS = [
    (version, number) for version, last in (("1.1", 1), ("1.2", 3), ("1.3", 5), ("1.4", 10)) for number in range(last + 1)
]
SECONDS_A_FILE = 20
COUNT_AT, WIDE_COUNT_AT, SCALE_AT, OFFSET_AT, RECORDS_AT, PLACE_AT = 107, 247, 131, 155, 100, 96


def read(path, chunk=1 << 18):
    """Every cloud of a scan, what it says of itself, and its notes."""
    with open_points(path) as source:
        return list(source.clouds(chunk)), source.info, source.notes()


def joined(clouds, get):
    return np.concatenate([get(cloud) for cloud in clouds])


def labelled(path, target, labels, labelling=None):
    """Write a scan with labels as the format that the target's suffix says; returns warnings."""
    with open_points(path) as source, target.open("w+b") as file:
        return write_labelled(source, file, target.suffix[1:], labels, labelling or Labelling())


def some_labels(count, classes=3):
    label = np.arange(count) % classes
    return PointLabels(0, 0, label, (label / 4).astype(np.float32))


def patched(path, offset, form, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + form, data, offset, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize(("version", "point_format"), FORMATS)
def test_every_version_and_point_format_reads_as_laspy_reads_it(tmp_path, version, point_format, suffix):
    path = write_las(tmp_path / f"a{suffix}", count=300, version=version, point_format=point_format)
    theirs = laspy.read(path)
    clouds, info, notes = read(path, chunk=128)
    assert (info.count, info.format, info.warnings, notes) == (300, suffix[1:], (), [])
    assert [(cloud.first, len(cloud)) for cloud in clouds] == [(0, 128), (128, 128), (256, 44)]
    np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), theirs.xyz)
    np.testing.assert_array_equal(joined(clouds, lambda c: c.intensity), theirs.intensity)
    np.testing.assert_array_equal(joined(clouds, lambda c: c.label), theirs.classification)
    for name in clouds[0].fields:
        np.testing.assert_array_equal(joined(clouds, lambda c, name=name: c.fields[name]), theirs[name])
    known = {"X", "Y", "Z", "intensity", "classification", "red", "green", "blue"}
    assert set(clouds[0].fields) == set(theirs.point_format.dimension_names) - known


def test_coordinates_keep_their_centimetres_far_from_zero(tmp_path):
    clouds, info, _ = read(write_las(tmp_path / "a.las"))
    assert np.abs(clouds[0].xyz - points()).max() < 1e-6
    np.testing.assert_allclose(info.low_xyz, points().min(axis=0), atol=1e-6)


def test_version_1_0_is_read(tmp_path):
    path = patched(write_las(tmp_path / "a.las", version="1.1", point_format=1), 25, "B", 0)
    assert len(read(path)[0][0]) == 1000


def test_a_second_pass_gives_the_same(tmp_path):
    with open_points(write_las(tmp_path / "a.laz")) as source:
        first, second = (joined(source.clouds(300), lambda c: c.xyz) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_file_without_points_is_read(tmp_path):
    for suffix in (".las", ".laz"):
        assert read(write_las(tmp_path / f"a{suffix}", count=0))[0] == []


@pytest.mark.parametrize(("largest", "expected"), [(65535, lambda c: c >> 8), (255, lambda c: c), (0, None)])
def test_colours_are_bytes_whatever_they_were_stored_as(tmp_path, largest, expected):
    path = write_las(tmp_path / "a.laz", point_format=7, colour=largest)
    (cloud,), _, _ = read(path)
    if expected is None:
        assert cloud.colour is None
    else:
        np.testing.assert_array_equal(cloud.colour[:, 1], expected(laspy.read(path).green))


def test_colours_that_come_late_in_the_file_are_seen(tmp_path):
    def only_at_the_end(las):
        for name in ("red", "green", "blue"):
            las[name][:60_000] = 0

    path = write_las(tmp_path / "a.las", count=60_100, point_format=2, version="1.2", colour=65535, change=only_at_the_end)
    assert read(path)[0][0].colour[-50:].any()


def test_colours_that_start_inside_a_compressed_chunk_are_said(tmp_path):
    def only_the_last(las):
        for name in ("red", "green", "blue"):
            las[name][:-10] = 0

    path = write_las(tmp_path / "a.laz", count=3000, point_format=2, version="1.2", colour=65535, change=only_the_last)
    clouds, _, notes = read(path)
    assert clouds[0].colour is None
    assert notes == ["10 points have colours, none of those that were looked at first: they are read without"]


def test_extra_values_are_worth_what_their_scale_says(tmp_path):
    params = laspy.ExtraBytesParams("height", "i2", scales=[0.01], offsets=[5.0])
    path = write_las(tmp_path / "a.las", extra=[params], change=lambda las: las.points.array["height"].fill(250))
    clouds, info, _ = read(path)
    np.testing.assert_allclose(clouds[0].fields["height"], 250 * 0.01 + 5.0)
    assert info.fields[-1].name == "height"


def test_extra_values_of_several_numbers_are_several_fields(tmp_path):
    path = write_las(tmp_path / "a.las", extra=[laspy.ExtraBytesParams("normal", "3f4")])
    assert {"normal_0", "normal_1", "normal_2"} <= set(read(path)[0][0].fields)


def test_bytes_that_nothing_describes_are_kept_and_said(tmp_path):
    path = write_las(tmp_path / "a.las", extra=[laspy.ExtraBytesParams("height", "f4")])
    patched(path, 375 + 18, "H", 99)  # the record that described them
    clouds, info, _ = read(path)
    assert "4 bytes of every point are not described" in info.warnings[0]
    assert "height" not in clouds[0].fields
    labelled(path, tmp_path / "b.las", [some_labels(1000)])
    again = laspy.read(tmp_path / "b.las")
    np.testing.assert_array_equal(again["label"], np.arange(1000) % 3)


def test_the_coordinate_system_is_wkt_or_a_number(tmp_path):
    def add_wkt(las):
        las.header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr('PROJCS["here"]'))
        las.header.global_encoding.wkt = True

    assert read(write_las(tmp_path / "a.las", change=add_wkt))[1].crs == 'PROJCS["here"]'
    # version, two revisions, two keys: the plane (3072) and the height (4096)
    assert epsg_of(struct.pack("<12H", 1, 1, 0, 2, 3072, 0, 1, 2154, 4096, 0, 1, 5720)) == "EPSG:2154+5720"
    assert epsg_of(struct.pack("<8H", 1, 1, 0, 1, 3072, 0, 1, 32767)) == ""
    assert epsg_of(b"\1\0\1") == ""


@pytest.mark.parametrize(
    ("offset", "form", "values", "message"),
    [
        (WIDE_COUNT_AT, "Q", (4_000_000_000,), "4000000000 rows of 30 bytes"),
        (WIDE_COUNT_AT, "Q", (1 << 60,), "beyond the limit"),
        (SCALE_AT, "d", (0.0,), "the scale is"),
        (SCALE_AT, "d", (float("nan"),), "the scale is"),
        (OFFSET_AT, "d", (float("inf"),), "the offset is"),
        (RECORDS_AT, "I", (0xFFFFFFFF,), "4294967295 records do not fit"),
        (PLACE_AT, "I", (0xFFFFFFF0,), "the points start at byte 4294967280"),
        (94, "H", (100,), "its size is 100 bytes"),
        (24, "BB", (1, 7), "version 1.7"),
        (104, "B", (33,), "point format 33"),
        (105, "H", (20,), "points of 20 bytes, expected 30"),
        (235, "QI", (10, 1), "extended records from byte 10"),
        (235, "QI", (400, 0xFFFFFFFF), "4294967295 extended records"),
    ],
)
def test_a_header_that_cannot_be_true_is_an_error(tmp_path, offset, form, values, message):
    path = patched(write_las(tmp_path / "a.las", count=20), offset, form, *values)
    with pytest.raises(PointCloudError, match=message):
        read(path)


def test_counts_that_differ_are_said(tmp_path):
    path = write_las(tmp_path / "a.las", point_format=1)
    assert "twice and differently: 1000 are read, not 999" in read(patched(path, COUNT_AT, "I", 999))[1].warnings[0]
    path = patched(write_las(tmp_path / "b.las", point_format=1), WIDE_COUNT_AT, "Q", 0)
    _, info, _ = read(patched(path, COUNT_AT, "I", 1000))
    assert (info.count, info.warnings[0]) == (1000, "only the old count of points is set: 1000 are read")


def test_points_that_the_header_does_not_count_are_said(tmp_path):
    path = patched(write_las(tmp_path / "a.las"), WIDE_COUNT_AT, "Q", 990)
    assert any("room for 10 points more" in warning for warning in read(path)[1].warnings)


def test_points_outside_the_header_s_bounds_are_counted(tmp_path):
    path = write_las(tmp_path / "a.las")
    patched(path, 179, "d", 770_510.0)  # the largest x
    expected = (points()[:, 0] > 770_510.02).sum()
    assert read(path)[2] == [f"{expected} points lie outside the bounds in the header"]


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.999])
def test_a_file_that_was_cut_is_an_error(tmp_path, suffix, share):
    path = write_las(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[: max(1, int(path.stat().st_size * share))])
    with pytest.raises(PointCloudError, match=r"cut|header|damaged|start with LASF"):
        read(path)


def test_a_damaged_chunk_names_its_points(tmp_path):
    path = write_las(tmp_path / "a.laz", count=120_000)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, PLACE_AT)
    (end,) = struct.unpack_from("<q", data, start)
    data[start + 8 + 40 : end] = b"\xff" * (end - start - 48)
    path.write_bytes(data)
    with pytest.raises(PointCloudError, match=r"points 0 to 49999 of 120000: damaged"):
        read(path, chunk=50_000)


def test_a_chunk_table_far_away_or_huge_is_an_error(tmp_path):
    path = write_las(tmp_path / "a.laz")
    data = path.read_bytes()
    (start,) = struct.unpack_from("<I", data, PLACE_AT)
    (table,) = struct.unpack_from("<q", data, start)
    with pytest.raises(PointCloudError, match="table of its chunks is said to start at byte 9999999999"):
        read(patched(path, start, "q", 9_999_999_999))
    path.write_bytes(data)
    with pytest.raises(PointCloudError, match="4294967295 chunks"):
        read(patched(path, table + 4, "I", 0xFFFFFFFF))


def test_other_files_called_las_are_refused(tmp_path):
    path = tmp_path / "a.las"
    path.write_bytes(b"hello, this is no scan" * 40)
    with pytest.raises(PointCloudError, match="start with LASF"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(OpenError, match="empty"):
        read(path)


@pytest.mark.parametrize("target", ["b.las", "b.laz"])
@pytest.mark.parametrize("source", ["a.las", "a.laz"])
def test_labels_are_added_and_all_else_is_kept(tmp_path, source, target):
    def add_record(las):
        las.header.vlrs.append(laspy.VLR("mine", 7, "what I know", b"\1\2\3"))
        las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("mine", 8, "more", bytes(70_000))])

    extra = [laspy.ExtraBytesParams("height", "f4"), laspy.ExtraBytesParams("echo", "u1")]
    path = write_las(tmp_path / source, point_format=7, colour=65535, extra=extra, change=add_record)
    assert labelled(path, tmp_path / target, [some_labels(1000)]) == []
    before, after = laspy.read(path), laspy.read(tmp_path / target)
    for name in before.point_format.dimension_names:
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_array_equal(after["label"], np.arange(1000) % 3)
    np.testing.assert_allclose(after["confidence"], (np.arange(1000) % 3) / 4, atol=0.002)
    assert (before.header.version, before.header.uuid) == (after.header.version, after.header.uuid)
    assert list(before.header.scales) + list(before.header.offsets) == list(after.header.scales) + list(after.header.offsets)
    own = [(v.user_id, v.record_id, v.description, v.record_data_bytes()) for v in before.vlrs if v.user_id == "mine"]
    assert own == [(v.user_id, v.record_id, v.description, v.record_data_bytes()) for v in after.vlrs if v.user_id == "mine"]
    assert [v.record_data_bytes() for v in after.evlrs] == [bytes(70_000)]
    assert after.header.are_points_compressed == target.endswith(".laz")


PLACES = {*range(96, 107), *range(235, 247)}  # bytes of the header that say where things are, and how large


def raw_rows(path):
    """The points of a file as bytes u8[n k]."""
    array = laspy.read(path).points.array
    return array.view(np.uint8).reshape(len(array), -1)


@pytest.mark.parametrize("suffix", [".las", ".laz"])
@pytest.mark.parametrize(("version", "point_format"), FORMATS)
def test_a_labelled_copy_differs_in_places_and_labels_alone(tmp_path, version, point_format, suffix):
    path = write_las(tmp_path / f"a{suffix}", count=100, version=version, point_format=point_format)
    data = bytearray(path.read_bytes())
    for start, end in ((4, 6), (8, 24), (26, 94)):  # file source; GUID; system, software and day
        data[start:end] = bytes(range(start, end))
    path.write_bytes(data)
    assert labelled(path, tmp_path / f"b{suffix}", [some_labels(100)]) == []
    after = (tmp_path / f"b{suffix}").read_bytes()
    (head_bytes,) = struct.unpack_from("<H", data, 94)
    assert [k for k in range(head_bytes) if data[k] != after[k] and k not in PLACES] == []
    rows = raw_rows(path)
    np.testing.assert_array_equal(raw_rows(tmp_path / f"b{suffix}")[:, : rows.shape[1]], rows)


def with_waveforms(path, version, point_format):
    """A file whose points have waveforms, which stand in an extended record behind them."""
    write_las(path, count=50, version=version, point_format=point_format)
    data = bytearray(path.read_bytes())
    data[6] |= 0x02  # waveforms are inside
    struct.pack_into("<Q", data, 227, len(data))
    if version == "1.4":
        struct.pack_into("<QI", data, 235, len(data), 1)
    data += struct.pack("<2x16sHQ32s", b"LASF_Spec", 65535, 500, b"waveforms") + bytes(range(250)) * 2
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("target", ["b.las", "b.laz"])
@pytest.mark.parametrize(("version", "point_format"), [("1.3", 4), ("1.3", 5), ("1.4", 9), ("1.4", 10)])
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_waveforms_stand_behind_the_points_again(tmp_path, version, point_format, suffix, target):
    path = with_waveforms(tmp_path / f"a{suffix}", version, point_format)
    assert labelled(path, tmp_path / target, [some_labels(50)]) == []
    data = (tmp_path / target).read_bytes()
    (start,) = struct.unpack_from("<Q", data, 227)
    assert data[start + 60 :] == bytes(range(250)) * 2
    if version == "1.4":
        assert struct.unpack_from("<QI", data, 235) == (start, 1)
    before, after = raw_rows(path), raw_rows(tmp_path / target)
    np.testing.assert_array_equal(after[:, : before.shape[1]], before)


def test_waveforms_that_are_not_where_they_should_be_are_said(tmp_path):
    path = with_waveforms(tmp_path / "a.las", "1.4", 9)
    start = struct.unpack_from("<Q", path.read_bytes(), 227)[0]
    patched(path, 227, "Q", start + 1)
    (warning,) = labelled(path, tmp_path / "b.las", [some_labels(50)])
    assert f"no extended record starts at byte {start + 1}" in warning
    assert struct.unpack_from("<Q", (tmp_path / "b.las").read_bytes(), 227) == (0,)


def test_a_record_for_each_extra_value_is_one_record_again(tmp_path):
    extra = [laspy.ExtraBytesParams("height", "f4"), laspy.ExtraBytesParams("echo", "u1")]
    path = write_las(tmp_path / "a.las", extra=extra, change=lambda las: las["echo"].fill(7))
    data = bytearray(path.read_bytes())
    head, first, second = data[375:429], data[429:621], data[621:813]
    struct.pack_into("<H", head, 20, 192)
    struct.pack_into("<II", data, PLACE_AT, 375 + 2 * 246, 2)
    path.write_bytes(data[:375] + head + first + head + second + data[813:])
    assert set(read(path)[0][0].fields["echo"]) == {7}
    assert labelled(path, tmp_path / "b.las", [some_labels(1000)]) == []
    assert set(laspy.read(tmp_path / "b.las")["echo"]) == {7}


def test_returns_that_the_header_counts_otherwise_are_said(tmp_path):
    path = write_las(tmp_path / "a.las")
    (start,) = struct.unpack_from("<I", path.read_bytes(), PLACE_AT)
    patched(path, start + 14, "B", 0x33)  # the third return of three, which no point of the file is
    (note,) = read(path)[2]
    assert "by their return are not those in the header" in note


def test_many_extra_values_of_one_name_take_no_time(tmp_path):
    count = 20_000
    data = bytearray(write_las(tmp_path / "a.las", count=2).read_bytes()[:375])
    records = b""
    for done in range(0, count, 341):
        entries = struct.pack("<2xBB32s156x", 1, 0, b"a") * min(341, count - done)
        records += struct.pack("<2x16sHH32s", b"LASF_Spec", 4, len(entries), b"") + entries
    struct.pack_into("<II", data, PLACE_AT, 375 + len(records), -(-count // 341))
    struct.pack_into("<H", data, 105, 30 + count)
    (tmp_path / "b.las").write_bytes(bytes(data) + records + bytes(2 * (30 + count)))
    started = time.process_time()
    (cloud,), info, _ = read(tmp_path / "b.las")
    assert time.process_time() - started < SECONDS_A_FILE
    assert {"a", "a_2", "a_4096"} <= set(cloud.fields)
    assert "beyond 4096" in info.warnings[0]


def test_runs_are_bounded_by_their_bytes(tmp_path, monkeypatch):
    """A megabyte of compressed points may unpack to thousands."""
    monkeypatch.setattr(records, "_RUN_BYTES", 3000)
    clouds, _, _ = read(write_las(tmp_path / "a.laz"))
    assert {len(cloud) for cloud in clouds} == {100}
    assert sum(map(len, clouds)) == 1000


@pytest.mark.parametrize(("version", "point_format"), [("1.2", 1), ("1.4", 6)])
def test_classes_go_into_the_classification_where_they_map_to_codes(tmp_path, version, point_format):
    def flag(las):
        las.withheld[:] = 1

    path = write_las(tmp_path / "a.laz", version=version, point_format=point_format, change=flag)
    label = np.arange(1000) % 3 - 1
    labels = PointLabels(0, 0, label, np.ones(1000, np.float32))
    labelled(path, tmp_path / "b.laz", [labels], Labelling(classification={0: 2, 1: 6}))
    after = laspy.read(tmp_path / "b.laz")
    np.testing.assert_array_equal(after.classification, np.array([2, 6, 1])[label])  # 1: processed, and of no class
    assert np.asarray(after.withheld).all()
    assert "label" not in after.point_format.dimension_names
    assert after["confidence"][0] == pytest.approx(1.0)


def test_a_code_that_the_point_format_cannot_hold_is_refused(tmp_path):
    path = write_las(tmp_path / "a.las", version="1.2", point_format=1)
    with pytest.raises(OutputError, match="code 64, and point format 1 holds 0 to 31"):
        labelled(path, tmp_path / "b.las", [some_labels(1000)], Labelling(classification={0: 64}))


def test_values_of_the_input_that_are_called_as_ours_get_other_names(tmp_path):
    path = write_las(tmp_path / "a.las", extra=[laspy.ExtraBytesParams("label", "u1")], change=lambda las: las["label"].fill(9))
    warnings = labelled(path, tmp_path / "b.las", [some_labels(1000)])
    assert warnings == ["the input has a value 'label' already: it is kept as 'input_label'"]
    after = laspy.read(tmp_path / "b.las")
    assert (set(after["input_label"]), set(after["label"])) == ({9}, {0, 1, 2})


def test_the_palette_colours_points_that_can_have_colours(tmp_path):
    palette = {0: (255, 0, 0), 1: (0, 128, 0), 2: (0, 0, 1)}
    path = write_las(tmp_path / "a.laz", point_format=2, version="1.2")
    assert labelled(path, tmp_path / "b.laz", [some_labels(1000)], Labelling(palette=palette)) == []
    after = laspy.read(tmp_path / "b.laz")
    assert [int(after.red[0]), int(after.green[1]), int(after.blue[2])] == [65535, 128 * 257, 257]
    path = write_las(tmp_path / "c.laz", point_format=6)
    (warning,) = labelled(path, tmp_path / "d.laz", [some_labels(1000)], Labelling(palette=palette))
    assert "no colours" in warning


def test_labels_may_come_in_runs_of_any_length(tmp_path):
    path = write_las(tmp_path / "a.las")
    runs = [
        PointLabels(0, k, np.full(min(77, 1000 - k), k), np.zeros(min(77, 1000 - k), np.float32)) for k in range(0, 1000, 77)
    ]
    labelled(path, tmp_path / "b.las", runs)
    np.testing.assert_array_equal(laspy.read(tmp_path / "b.las")["label"], np.arange(1000) // 77 * 77)


def test_only_what_was_las_is_written_as_las(tmp_path):
    (tmp_path / "a.xyz").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(OutputError, match="cannot be written as laz; possible: ply, npz, text"):
        labelled(tmp_path / "a.xyz", tmp_path / "b.laz", [])


def copc(path):
    """A LAZ file with the records of a COPC file: chunks of their own sizes, and an octree in an extended record."""
    las = laspy.read(write_las(path, count=900))
    las.header.vlrs.insert(0, laspy.VLR("copc", 1, "copc info", bytes(160)))
    las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("copc", 1000, "EPT Hierarchy", bytes(32))])
    las.write(str(path), do_compress=True)
    return path


def test_a_cloud_optimised_file_is_written_as_a_plain_one(tmp_path):
    path = copc(tmp_path / "a.copc.laz")
    assert read(path)[1].count == 900
    (warning,) = labelled(path, tmp_path / "b.laz", [some_labels(900)])
    assert "COPC" in warning
    after = laspy.read(tmp_path / "b.laz")
    assert [v for v in (*after.vlrs, *(after.evlrs or [])) if v.user_id == "copc"] == []
    np.testing.assert_array_equal(after.xyz, laspy.read(path).xyz)


def test_chunks_of_different_sizes_are_read_in_order(tmp_path):
    import lazrs

    las = laspy.read(write_las(tmp_path / "a.las", count=900))
    raw = las.points.array.view(np.uint8)
    record = bytearray(lazrs.LazVlr.new_for_compression(6, 0).record_data())
    struct.pack_into("<I", record, 12, 0xFFFFFFFF)
    body = io.BytesIO()
    compressor = lazrs.LasZipCompressor(body, lazrs.LazVlr(bytes(record)))
    for start, end in ((0, 100), (100, 700), (700, 900)):
        compressor.compress_many(raw[start * 30 : end * 30])
        compressor.finish_current_chunk()
    compressor.done()
    head = bytearray((tmp_path / "a.las").read_bytes()[:375])
    vlr = struct.pack("<2x16sHH32s", b"laszip encoded", 22204, len(record), b"") + record
    struct.pack_into("<II", head, PLACE_AT, 375 + len(vlr), 1)
    head[104] |= 0x80
    packed = bytearray(body.getvalue())
    struct.pack_into("<q", packed, 0, struct.unpack_from("<q", packed)[0] + 375 + len(vlr))
    (tmp_path / "b.laz").write_bytes(bytes(head) + vlr + packed)
    clouds, info, _ = read(tmp_path / "b.laz", chunk=256)
    assert info.warnings == ()
    np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), las.xyz)


@pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA is not set")
@pytest.mark.parametrize("name", ["city_a_77050_627755", "meadow_d_949361_6715402", "town_b_0382_6565_north"])
def test_a_survey_comes_out_as_it_went_in(tmp_path, name):
    path = Path(os.environ["VIDPC_DATA"]) / "lidar" / f"{name}.laz"
    before = laspy.read(path)
    count = len(before.points)
    assert labelled(path, tmp_path / "b.laz", [some_labels(count)]) == []
    after = laspy.read(tmp_path / "b.laz")
    for dimension in before.point_format.dimension_names:
        np.testing.assert_array_equal(before[dimension], after[dimension])
    np.testing.assert_array_equal(after["label"], np.arange(count) % 3)
    for vlr in before.vlrs:
        if vlr.record_id not in (4, 22204):
            assert vlr.record_data_bytes() in [other.record_data_bytes() for other in after.vlrs]
