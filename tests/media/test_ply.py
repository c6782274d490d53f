"""PLY files in and out. Files are written byte by byte here; open3d, which reads good files well, is the second opinion."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from scan_bytes import SQUARE, ply

from vidpc.errors import PointCloudError
from vidpc.media import records
from vidpc.media.ply_write import write_any
from vidpc.media.points import Labelling, open_points, write_labelled
from vidpc.types import PointLabels, PointOptions

ENCODINGS = ("ascii", "binary_little_endian", "binary_big_endian")
XYZ = ("float x", "float y", "float z")
RGB = ("uchar red", "uchar green", "uchar blue")
COLOURED = [(*point, 10 * i, 20, 255) for i, point in enumerate(SQUARE)]
FACES = ("face", ("list uchar int vertex_indices",), [((0, 1, 2),), ((0, 1, 2, 3),), ((0, 2, 3),)])
MANY_FACES = (
    "face",
    ("list uchar int vertex_indices", "uchar part"),
    [((0, 1, 2, 3)[: 3 + (i % 97 == 0)], i % 7) for i in range(5000)],
)
PALETTE = {0: (255, 0, 0), 1: (0, 255, 0)}


@pytest.fixture
def scan(tmp_path):
    """Writes bytes to a file and returns its name."""

    def write(raw, name="scan.ply"):
        path = tmp_path / name
        path.write_bytes(raw)
        return path

    return write


def clouds(path, points=3, **options):
    with open_points(path, PointOptions(**options)) as source:
        return list(source.clouds(points))


def joined(path, points=3):
    """All points of a file: xyz, colour, and one column a field."""
    runs = clouds(path, points)
    colour = None if runs[0].colour is None else np.concatenate([run.colour for run in runs])
    fields = {name: np.concatenate([run.fields[name] for run in runs]) for name in runs[0].fields}
    return np.concatenate([run.xyz for run in runs]), colour, fields


def labels_of(count, run=3):
    """Labels 0, 1, 0, 1, … with confidence 0.5, in runs of another length than the reader's."""
    label = np.arange(count) % 2
    for first in range(0, count, run):
        part = label[first : first + run]
        yield PointLabels(0, first, part, np.full(len(part), 0.5, np.float32))


def labelled(path, tmp_path, palette=None, names=("floor", "wall"), **options):
    """The labelled copy of a file and the warnings of writing it."""
    with open_points(path, PointOptions(**options)) as source:
        out = io.BytesIO()
        warnings = write_labelled(source, out, "ply", labels_of(source.info.count), Labelling(names, palette))
    (tmp_path / "out.ply").write_bytes(out.getvalue())
    return tmp_path / "out.ply", warnings


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_points_and_colours_of_every_encoding(scan, encoding, newline):
    path = scan(ply(encoding, [("vertex", XYZ + RGB, COLOURED)], newline=newline))
    xyz, colour, fields = joined(path)
    assert xyz.tolist() == [list(point) for point in SQUARE]
    assert xyz.dtype == np.float64
    assert colour.tolist() == [[0, 20, 255], [10, 20, 255], [20, 20, 255], [30, 20, 255]]
    assert fields == {}


def test_a_text_with_returns_alone_at_its_line_ends(scan):
    path = scan(ply("ascii", [("vertex", XYZ, SQUARE)], newline="\r"))
    assert joined(path)[0].tolist() == [list(point) for point in SQUARE]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_scalar_type_keeps_its_values(scan, encoding):
    types = ("char", "uchar", "short", "ushort", "int", "uint", "float", "double")
    properties = (*XYZ, *(f"{name} v_{name}" for name in types))
    extremes = [
        (0.0, 0.0, 0.0, -128, 0, -32768, 0, -(2**31), 0, -0.5, 1e300),
        (1.0, 2.0, 3.0, 127, 255, 32767, 65535, 2**31 - 1, 2**32 - 1, 0.25, 483210.123456789),
    ]
    fields = joined(scan(ply(encoding, [("vertex", properties, extremes)])))[2]
    assert [fields[f"v_{name}"].tolist() for name in types] == [
        list(column) for column in list(zip(*extremes, strict=True))[3:]
    ]
    assert [fields[f"v_{name}"].dtype.kind + str(fields[f"v_{name}"].dtype.itemsize) for name in types] == [
        "i1",
        "u1",
        "i2",
        "u2",
        "i4",
        "u4",
        "f4",
        "f8",
    ]


def test_double_coordinates_keep_their_millimetres(scan):
    rows = [(483210.1234, 5456789.0005, 112.25)]
    path = scan(ply("binary_little_endian", [("vertex", ("double x", "double y", "double z"), rows)]))
    assert joined(path)[0].tolist() == [list(rows[0])]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("place", [0, 1])
def test_other_elements_before_or_after_the_points(scan, encoding, place):
    elements = [("vertex", XYZ + RGB, COLOURED)]
    elements.insert(place, MANY_FACES)
    xyz, colour, _ = joined(scan(ply(encoding, elements)))
    assert xyz.tolist() == [list(point) for point in SQUARE]
    assert colour[:, 0].tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("lengths", [(2, 2, 2, 2), (0, 5, 1, 300)], ids=["alike", "different"])
def test_lists_before_and_between_the_values_of_a_point(scan, encoding, lengths):
    properties = (
        "list ushort short seen",
        "float x",
        "list uchar double w",
        "float y",
        "float z",
        "uchar red",
        "uchar green",
        "uchar blue",
    )
    rows = [
        (list(range(n)), x, [0.5] * (n % 3), y, z, 1, 2, i)
        for i, (n, (x, y, z)) in enumerate(zip(lengths, SQUARE, strict=True))
    ]
    xyz, colour, fields = joined(scan(ply(encoding, [("vertex", properties, rows)])))
    assert xyz.tolist() == [list(point) for point in SQUARE]
    assert colour.tolist() == [[1, 2, i] for i in range(4)]
    assert fields == {}


def test_blank_lines_in_a_text_are_no_rows(scan):
    raw = ply("ascii", [("vertex", XYZ, SQUARE)]).replace(b"1.0 0.0 0.0\n", b"\n1.0 0.0 0.0\n  \n\n")
    assert joined(scan(raw))[0].tolist() == [list(point) for point in SQUARE]


def test_whole_numbers_may_be_written_with_a_point(scan):
    rows = [(0.0, 0.0, 0.0, "255.0", "1.0", 2)]
    assert joined(scan(ply("ascii", [("vertex", XYZ + RGB, rows)])))[1].tolist() == [[255, 1, 2]]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("ushort", 65535, 255),
        ("ushort", 32896, 128),
        ("ushort", 200, 200),
        ("float", 1.0, 255),
        ("float", 0.5, 128),
        ("float", 255.0, 255),
    ],
)
def test_colours_of_other_ranges_become_bytes(scan, kind, value, expected):
    """65535 is 255 * 257, 32896 is 128 * 257; values that never pass 255 are bytes, floats that never pass 1 are shares."""
    brightest = {"ushort": 65535 if value > 255 else 255, "float": 1.0 if value <= 1 else 255.0}[kind]
    properties = (*XYZ, *(f"{kind} {name}" for name in ("red", "green", "blue")))
    rows = [(0.0, 0.0, 0.0, value, 0, 0), (0.0, 0.0, 0.0, brightest, 0, 0)]
    colour = joined(scan(ply("binary_little_endian", [("vertex", properties, rows)])))[1]
    assert colour.tolist() == [[expected, 0, 0], [255, 0, 0]]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_values_that_are_no_numbers_pass_through(scan, encoding):
    rows = [(float("nan"), float("inf"), float("-inf")), (1e38, -1e38, 1e-40), (0.0, 0.0, 0.0)]
    xyz = joined(scan(ply(encoding, [("vertex", XYZ, rows)])))[0]
    assert np.array_equal(xyz, np.array(rows, np.float32).astype(np.float64), equal_nan=True)


def test_intensity_and_label_are_found_by_name(scan):
    properties = (*XYZ, "ushort Intensity", "uchar classification", "float nx")
    path = scan(ply("binary_little_endian", [("vertex", properties, [(0.0, 0.0, 0.0, 4000, 6, 0.5)])]))
    (cloud,) = clouds(path)
    assert (cloud.intensity.tolist(), cloud.label.tolist(), cloud.colour) == ([4000.0], [6], None)
    assert {name: values.tolist() for name, values in cloud.fields.items()} == {"nx": [0.5]}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_points_are_no_clouds(scan, encoding):
    with open_points(scan(ply(encoding, [("vertex", XYZ, [])]))) as source:
        assert (source.info.count, list(source.clouds())) == (0, [])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_second_pass_and_other_runs_give_the_same(scan, encoding):
    rows = [(i + 0.5, -i, 2 * i) for i in range(1000)]
    with open_points(scan(ply(encoding, [("vertex", XYZ, rows)]))) as source:
        passes = [list(source.clouds(points)) for points in (7, 7, 1000, 100_000)]
    assert [[run.first for run in runs][:3] for runs in passes] == [[0, 7, 14], [0, 7, 14], [0], [0]]
    whole = np.array(rows)
    assert all(np.array_equal(np.concatenate([run.xyz for run in runs]), whole) for runs in passes)


def test_what_the_header_says(scan):
    path = scan(ply("binary_big_endian", [("vertex", (*XYZ, "list uchar int seen"), [(*SQUARE[0], ())])]))
    with open_points(path) as source:
        info = source.info
    assert (info.format, info.count, info.warnings) == ("ply", 1, ())
    assert [(field.name, field.dtype) for field in info.fields] == [
        ("x", ">f4"),
        ("y", ">f4"),
        ("z", ">f4"),
        ("seen", "list of i4"),
    ]


# --- what is refused -----------------------------------------------------------------------------------------------------

GOOD = ply("binary_little_endian", [("vertex", XYZ, SQUARE)])
TEXT = ply("ascii", [("vertex", XYZ, SQUARE)])
BODY = len(GOOD) - 48  # four points of twelve bytes


def header(*lines):
    return "".join(f"{line}\n" for line in ("ply", "format binary_little_endian 1.0", *lines, "end_header")).encode()


REFUSED = {
    "empty": (b"", "is empty"),
    "another text": (b"hello\nworld\n", "not a PLY file"),
    "zeros": (bytes(1000), "not a PLY file"),
    "no end_header": (GOOD[: BODY - 11], "no end_header: the file ends at byte"),
    "header without end": (
        b"ply\nformat ascii 1.0\n" + b"comment padding of a long header\n" * 200_000,
        "no end_header within",
    ),
    "no format": (
        b"ply\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\nend_header\n",
        "no format line",
    ),
    "other format": (GOOD.replace(b"binary_little_endian", b"binary_middle_endian"), "line 2 of its header"),
    "other version": (GOOD.replace(b"1.0\n", b"7.0\n", 1), "line 2 of its header"),
    "count too large": (GOOD.replace(b"vertex 4", b"vertex 5"), "which need 60 bytes or more .* has 48 bytes after its header"),
    "count of billions": (GOOD.replace(b"vertex 4", b"vertex 4000000000"), "need 48000000000 bytes"),
    "count over 64 bits": (GOOD.replace(b"vertex 4", b"vertex 99999999999999999999"), "a whole number from 0"),
    "count negative": (GOOD.replace(b"vertex 4", b"vertex -4"), "a whole number from 0"),
    "count with a point": (GOOD.replace(b"vertex 4", b"vertex 4.0"), "a whole number from 0"),
    "count missing": (GOOD.replace(b"vertex 4", b"vertex"), "line 3 of its header"),
    "text count too large": (TEXT.replace(b"vertex 4", b"vertex 40"), "need 240 bytes or more"),
    "text count of billions": (TEXT.replace(b"vertex 4", b"vertex 4000000000"), "need 24000000000 bytes or more"),
    "body cut": (GOOD[:-10], "has 38 bytes after its header"),
    "text cut": (TEXT[:-12], "element vertex is cut: the file ends at byte .* after row 3 of 4"),
    "text cut in a row": (TEXT[:-16], r"row 2 \(about byte \d+\): expected 3 numbers .* found '1.0 1.0'"),
    "text row short": (
        TEXT.replace(b"1.0 1.0 0.0", b"1.0 1.0    "),
        r"row 2 \(about byte \d+\): expected 3 numbers \(x y z\), found '1.0 1.0'",
    ),
    "text row long": (TEXT.replace(b"1.0 1.0 0.0", b"1.0 1.0 0.0 9"), "row 2 .* found '1.0 1.0 0.0 9'"),
    "text row of words": (TEXT.replace(b"1.0 1.0 0.0", b"1.0 one 0.0"), "row 2 .* found '1.0 one 0.0'"),
    "text row of other blanks": (TEXT.replace(b"1.0 1.0 0.0", b"1.0 1.0\x850.0"), "row 2 .* expected 3 numbers"),
    "text row of a form feed": (TEXT.replace(b"1.0 1.0 0.0", b"\x0c"), "row 2 .* expected 3 numbers"),
    "text number too large": (ply("ascii", [("vertex", XYZ + RGB, [(0, 0, 0, 1, 2, 256)])]), "row 0 .* found '0 0 0 1 2 256'"),
    "no x": (GOOD.replace(b"float x", b"float u"), "no x; it has: u, y, z"),
    "x is a list": (
        ply("binary_little_endian", [("vertex", ("list uchar float x", "float y", "float z"), [((), 0, 0)] * 4)]),
        "no x",
    ),
    "no vertex": (GOOD.replace(b"vertex", b"points"), "no element vertex; it has: points"),
    "two vertex": (header("element vertex 0", *(f"property {p}" for p in XYZ), "element vertex 0"), "each element once"),
    "property twice": (GOOD.replace(b"float z", b"float y"), "each property of vertex once"),
    "unknown type": (GOOD.replace(b"float z", b"flaot z"), "unknown type 'flaot'; did you mean 'float'"),
    "property first": (header("property float x"), "an element before its properties"),
    "list of float length": (GOOD.replace(b"float z", b"list float int z"), "length is a whole number"),
    "unknown line": (
        GOOD.replace(b"element vertex", b"elemnet vertex"),
        "line 3 of its header: expected a line of a PLY header",
    ),
    "list bomb": (
        header("element vertex 1", "property list uint float seen", *(f"property {p}" for p in XYZ))
        + struct.pack("<I", 4_000_000_000)
        + bytes(60),
        "element vertex, row 0 of 1 at byte .*needs 16000000016 bytes",
    ),
    "list of negative length": (
        header("element face 1", "property list char int ids", "element vertex 0", *(f"property {p}" for p in XYZ))
        + b"\xff"
        + bytes(60),
        "a list of -1 values",
    ),
    "faces cut before points": (
        header("element face 2", "property list uchar int ids", "element vertex 0", *(f"property {p}" for p in XYZ))
        + b"\x01abcd\x09ab",
        "element face, row 1 of 2 at byte",
    ),
    "ten thousand elements": (
        header(*(f"element e{k} 0" for k in range(10_000)), "element vertex 0", *(f"property {p}" for p in XYZ)),
        "expected at most 256 elements",
    ),
    "ten thousand properties": (
        header("element vertex 0", *(f"property float p{k}" for k in range(10_000))),
        "expected at most 4096 properties",
    ),
    "lists longer than the file": (
        header("element vertex 9", "property list uchar float seen", *(f"property {p}" for p in XYZ)) + bytes(9 * 13 - 1),
        "need 117 bytes or more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said_in_one_line(scan, case):
    raw, message = REFUSED[case]
    with pytest.raises(Exception, match=message) as caught:
        clouds(scan(raw))
    text = str(caught.value)
    assert type(caught.value).__name__ in ("PointCloudError", "OpenError")
    assert "scan.ply" in text
    assert text.isprintable()
    assert len(text) < 500


def test_more_points_than_wanted_are_refused(scan):
    with pytest.raises(PointCloudError, match="at most 3 points"):
        clouds(scan(GOOD), max_points=3)


def test_a_header_of_a_megabyte_is_read(scan):
    long = [f"comment {'x' * 1000}"] * 1000
    assert len(joined(scan(ply("binary_little_endian", [("vertex", XYZ, SQUARE)], after_format=long)))[0]) == 4


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_after_the_last_element_are_said(scan, encoding):
    path = scan(ply(encoding, [("vertex", XYZ, SQUARE)]) + b"7 7 7\n")
    with open_points(path) as source:
        xyz = np.concatenate([run.xyz for run in source.clouds()])
        found = [*source.info.warnings, *source.notes()]
    assert xyz.tolist() == [list(point) for point in SQUARE]
    assert [text.split(" (")[0] for text in found] == ["6 bytes follow the last element"]
    with pytest.raises(PointCloudError, match="6 bytes follow"):
        clouds(path, strict=True)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_faces_that_are_cut_cost_no_points(scan, encoding):
    path = scan(ply(encoding, [("vertex", XYZ, SQUARE), FACES])[:-9])
    with open_points(path) as source:
        count = sum(len(run) for run in source.clouds())
        found = [*source.info.warnings, *source.notes()]
    assert count == 4
    assert len(found) == 1
    assert found[0].startswith("damaged after the points: element face")
    with pytest.raises(PointCloudError, match="damaged after the points"):
        clouds(path, strict=True)


def test_a_thousand_million_points_are_read_run_by_run(scan):
    path = scan(header("element vertex 1000000000", *(f"property {p}" for p in XYZ)))
    with path.open("ab") as file:
        file.truncate(file.tell() + 12 * 10**9)  # a hole, which takes no room on the disk
    with open_points(path) as source:
        runs = source.clouds()
        assert [len(next(runs)) for _ in range(3)] == [1 << 18] * 3
        assert source.info.count == 10**9


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_runs_are_bounded_by_their_bytes(scan, encoding, monkeypatch):
    monkeypatch.setattr(records, "_RUN_BYTES", 24)
    assert [len(run) for run in clouds(scan(ply(encoding, [("vertex", XYZ, SQUARE)])), 4)] == [2, 2]


def test_a_file_that_shrinks_while_it_is_read_is_an_error(scan):
    path = scan(GOOD)
    with open_points(path) as source:
        path.write_bytes(GOOD[:-20])
        with pytest.raises(PointCloudError, match="the file ends or was cut"):
            list(source.clouds())


# --- labels out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_labels_are_added_and_all_else_stays(scan, tmp_path, encoding, newline):
    """The expected file is the input's with three values more a row, written here by hand."""
    properties = (*XYZ, "ushort rank", *RGB)
    rows = [(*point, 60000 + i, 1, 2, 3) for i, point in enumerate(SQUARE)]
    said = ["comment made by a scanner", "obj_info 7"]
    part = ("part", ("uchar id", "double mass"), [(1, 0.25), (2, 0.5)])
    path = scan(ply(encoding, [part, ("vertex", properties, rows), FACES], newline=newline, after_format=said))
    out, warnings = labelled(path, tmp_path)
    new = [(*row, i % 2, float(i % 2) if encoding != "ascii" else i % 2, 0.5) for i, row in enumerate(rows)]
    new_properties = (*properties, "int label", "float scalar_label", "float confidence")
    names = ["comment vidpc label 0 floor", "comment vidpc label 1 wall"]
    expected = ply(
        encoding, [part, ("vertex", new_properties, new), FACES], newline=newline, after_format=said, after_elements=names
    )
    assert out.read_bytes() == expected
    assert warnings == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_palette_replaces_the_colours_where_they_stand(scan, tmp_path, encoding):
    properties = (*RGB, *XYZ)
    path = scan(ply(encoding, [("vertex", properties, [(9, 9, 9, *point) for point in SQUARE])]))
    out, warnings = labelled(path, tmp_path, PALETTE, names=())
    rows = [(*PALETTE[i % 2], *point, i % 2, i % 2, 0.5) for i, point in enumerate(SQUARE)]
    assert out.read_bytes() == ply(
        encoding, [("vertex", (*properties, "int label", "float scalar_label", "float confidence"), rows)]
    )
    assert warnings == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_palette_adds_colours_where_there_are_none(scan, tmp_path, encoding):
    out, _ = labelled(scan(ply(encoding, [("vertex", XYZ, SQUARE)])), tmp_path, PALETTE)
    assert joined(out)[1].tolist() == [[255, 0, 0], [0, 255, 0]] * 2


def test_a_palette_in_the_file_s_own_range(scan, tmp_path):
    properties = (*XYZ, "float red", "float green", "float blue")
    path = scan(ply("binary_little_endian", [("vertex", properties, [(*point, 1.0, 0.5, 0.0) for point in SQUARE])]))
    out, _ = labelled(path, tmp_path, {0: (255, 0, 51)}, names=())
    first = struct.unpack_from("<fff", out.read_bytes(), out.read_bytes().index(b"end_header\n") + len(b"end_header\n") + 12)
    assert first == pytest.approx((1.0, 0.0, 0.2))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_labels_of_an_earlier_run_are_replaced_and_said(scan, tmp_path, encoding):
    once, _ = labelled(scan(ply(encoding, [("vertex", XYZ + RGB, COLOURED), FACES])), tmp_path)
    raw = once.read_bytes()
    again, warnings = labelled(scan(raw, "again.ply"), tmp_path)
    assert again.read_bytes() == raw
    assert warnings == [f"the input's own {name} was replaced" for name in ("label", "scalar_label", "confidence")]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_points_with_lists_keep_them(scan, tmp_path, encoding):
    properties = ("list uchar short seen", "float label", *XYZ, *RGB)
    rows = [((1, 2)[: i % 3], 7.0, *row) for i, row in enumerate(COLOURED)]
    out, warnings = labelled(scan(ply(encoding, [("vertex", properties, rows)])), tmp_path, PALETTE, names=())
    new = [(row[0], *row[2:5], *PALETTE[i % 2], i % 2, i % 2, 0.5) for i, row in enumerate(rows)]
    kept = (properties[0], *properties[2:], "int label", "float scalar_label", "float confidence")
    assert out.read_bytes() == ply(encoding, [("vertex", kept, new)])
    assert warnings == ["the input's own label was replaced"]


def test_damage_after_the_points_is_kept_as_it_is(scan, tmp_path):
    raw = ply("binary_little_endian", [("vertex", XYZ, SQUARE), FACES])[:-3]
    out, _ = labelled(scan(raw), tmp_path)
    faces = raw[raw.index(b"end_header\n") + len(b"end_header\n") + 48 :]
    assert out.read_bytes().endswith(faces)


def test_any_scan_becomes_ply_in_double_precision(scan, tmp_path):
    properties = ("double x", "double y", "double z", *RGB, "ushort intensity", "uchar class", "float nx", "int gps_week")
    rows = [(483210.1234, 5456789.0005, 1.5, 1, 2, 3, 700, 4, 0.5, -9), (483211.0, 5456790.0, 2.5, 4, 5, 6, 800, 5, -0.5, 9)]
    with open_points(scan(ply("binary_big_endian", [("vertex", properties, rows)]))) as source:
        out = io.BytesIO()
        assert write_any(source, out, labels_of(2, run=1), Labelling(comments=("model tiny",))) == []
    assert b"comment vidpc model tiny\n" in out.getvalue()
    (cloud,) = clouds(scan(out.getvalue(), "any.ply"))
    assert cloud.xyz.tolist() == [list(row[:3]) for row in rows]
    assert cloud.colour.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (cloud.intensity.tolist(), cloud.label.tolist()) == ([700.0, 800.0], [0, 1])
    fields = {name: values.tolist() for name, values in cloud.fields.items()}
    assert fields == {
        "input_label": [4, 5],
        "nx": [0.5, -0.5],
        "gps_week": [-9, 9],
        "scalar_label": [0, 1],
        "confidence": [0.5, 0.5],
    }


def test_labels_of_an_earlier_run_are_kept_under_another_name_in_a_new_file(scan, tmp_path):
    once, _ = labelled(scan(ply("ascii", [("vertex", XYZ, SQUARE[:1])])), tmp_path)
    with open_points(once) as source:
        out = io.BytesIO()
        write_any(source, out, [PointLabels(0, 0, np.array([7]), np.array([0.25], np.float32))], Labelling())
    (cloud,) = clouds(scan(out.getvalue(), "any.ply"))
    fields = {name: values.tolist() for name, values in cloud.fields.items()}
    assert cloud.label.tolist() == [7]
    assert fields == {
        "input_label": [0],
        "input_scalar_label": [0],
        "input_confidence": [0.5],
        "scalar_label": [7],
        "confidence": [0.25],
    }


def test_no_points_become_ply_with_no_points(scan, tmp_path):
    with open_points(scan(ply("ascii", [("vertex", XYZ, [])]))) as source:
        out = io.BytesIO()
        write_any(source, out, [], Labelling())
    with open_points(scan(out.getvalue(), "none.ply")) as source:
        assert [field.name for field in source.info.fields] == ["x", "y", "z", "label", "scalar_label", "confidence"]
        assert source.info.count == 0


def test_open3d_reads_the_same_from_a_good_file_and_from_its_labelled_copy(scan, tmp_path):
    from vidpc.media.raycast import load_open3d

    io3d = load_open3d().t.io
    draw = np.random.default_rng(5)
    rows = [
        (*point, *colour)
        for point, colour in zip(draw.normal(size=(500, 3)).tolist(), draw.integers(0, 256, (500, 3)).tolist(), strict=True)
    ]
    path = scan(ply("binary_little_endian", [("vertex", XYZ + RGB, rows), FACES]))
    out, _ = labelled(path, tmp_path)
    for file in (path, out):
        theirs = io3d.read_point_cloud(str(file))
        xyz, colour, _ = joined(file, 77)
        assert np.array_equal(theirs.point.positions.numpy(), xyz.astype(np.float32))
        assert np.array_equal(theirs.point.colors.numpy(), colour)
    assert theirs.point["label"].numpy()[:4, 0].tolist() == [0, 1, 0, 1]


@pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA names no folder with real scans")
@pytest.mark.parametrize(("name", "count"), [("unlabelled_apartment.ply", 40684), ("unlabelled_laser_room.ply", 76738)])
def test_real_rooms_and_their_labelled_copies(tmp_path, name, count):
    """The counts are those of the headers; every byte of a copy's rows but the last twelve is the input's."""
    path = Path(os.environ["VIDPC_DATA"]) / "rooms" / name
    xyz, colour, _ = joined(path, 10_000)
    assert xyz.shape == colour.shape == (count, 3)
    assert np.isfinite(xyz).all()
    out, _ = labelled(path, tmp_path)
    rows = [np.frombuffer(file.read_bytes().partition(b"end_header\n")[2], np.uint8).reshape(count, -1) for file in (path, out)]
    assert [table.shape[1] for table in rows] == [15, 27]
    assert np.array_equal(rows[0], rows[1][:, :15])
