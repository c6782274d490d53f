"""PCD files in and out. Files are written byte by byte here; open3d, which reads good files well, is the second opinion."""

import io
import struct

import numpy as np
import pytest
from scan_bytes import SQUARE, lzf_literals, pcd

from vidpc.errors import PointCloudError
from vidpc.media import records
from vidpc.media.points import Labelling, open_points, write_labelled
from vidpc.types import PointLabels, PointOptions

KINDS = ("ascii", "binary", "binary_compressed")
XYZ = (("x", 4, "F", 1), ("y", 4, "F", 1), ("z", 4, "F", 1))
RGB = ("rgb", 4, "U", 1)
LABELS = (("label", 4, "I", 1), ("scalar_label", 4, "F", 1), ("confidence", 4, "F", 1))
COLOURED = [(*point, (10 * i) << 16 | 20 << 8 | 255) for i, point in enumerate(SQUARE)]
PALETTE = {0: (255, 0, 0), 1: (0, 255, 0)}


@pytest.fixture
def scan(tmp_path):
    """Writes bytes to a file and returns its name."""

    def write(raw, name="scan.pcd"):
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


def labelled(path, palette=None, names=("floor", "wall")):
    """The labelled copy of a file and the warnings of writing it: labels 0, 1, 0, 1, … with confidence 0.5."""
    with open_points(path) as source:
        count, out = source.info.count, io.BytesIO()
        labels = PointLabels(0, 0, np.arange(count) % 2, np.full(count, 0.5, np.float32))
        warnings = write_labelled(source, out, "pcd", [labels], Labelling(names, palette))
    return out.getvalue(), warnings


@pytest.mark.parametrize("kind", KINDS)
def test_points_and_packed_colours_of_every_kind(scan, kind):
    xyz, colour, fields = joined(scan(pcd(kind, (*XYZ, RGB), COLOURED)))
    assert xyz.tolist() == [list(point) for point in SQUARE]
    assert colour.tolist() == [[0, 20, 255], [10, 20, 255], [20, 20, 255], [30, 20, 255]]
    assert fields == {}


@pytest.mark.parametrize("name", ["rgb", "rgba"])
def test_a_colour_packed_into_a_float_is_its_bits(scan, name):
    """4210752.0 has the bits 4A 80 80 80."""
    rows = [(*point, 4210752.0) for point in SQUARE]
    assert joined(scan(pcd("binary", (*XYZ, (name, 4, "F", 1)), rows)))[1].tolist() == [[128, 128, 128]] * 4


@pytest.mark.parametrize(
    ("written", "expected"),
    [("4.210752e+06", [128, 128, 128]), ("4210752", [64, 64, 64]), ("4282384384", [64, 0, 0]), ("1.1754944e-38", [128, 0, 0])],
)
def test_a_packed_colour_in_text_is_a_float_or_the_number_of_its_bits(scan, written, expected):
    """4210752 is 0x404040 and as a float 4A 80 80 80; 4282384384 is 0xFF400000; 1.1754944e-38 is 2 ** -126: 00 80 00 00."""
    rows = [(*point, written) for point in SQUARE]
    assert joined(scan(pcd("ascii", (*XYZ, ("rgb", 4, "F", 1)), rows)))[1].tolist() == [expected] * 4


def test_colours_in_fields_of_their_own(scan):
    fields = (*XYZ, ("r", 1, "U", 1), ("g", 1, "U", 1), ("b", 1, "U", 1))
    assert joined(scan(pcd("binary", fields, [(*SQUARE[0], 1, 2, 3)])))[1].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("kind", KINDS)
def test_fields_of_several_values_and_paddings(scan, kind):
    fields = (
        ("_", 1, "U", 3),
        ("x", 8, "F", 1),
        ("y", 4, "F", 1),
        ("shape", 2, "I", 3),
        ("z", 4, "F", 1),
        ("_", 4, "F", 1),
        ("ring", 2, "U", 1),
    )
    rows = [(9, 9, 9, 483210.1234, 1.5, -1, 0, i, 2.5, 7.0, 40000 + i) for i in range(5)]
    xyz, colour, found = joined(scan(pcd(kind, fields, rows)))
    assert xyz.tolist() == [[483210.1234, 1.5, 2.5]] * 5
    assert colour is None
    assert {name: values.tolist() for name, values in found.items()} == {
        "shape": [[-1, 0, i] for i in range(5)],
        "ring": [40000 + i for i in range(5)],
    }


def test_a_compressed_body_may_leave_out_the_paddings(scan):
    fields = (*XYZ, ("_", 1, "U", 4), ("intensity", 4, "F", 1))
    packed = lzf_literals(b"".join(struct.pack("<f", value) for value in (1, 4, 2, 5, 3, 6, 0.25, 0.75)))
    body = struct.pack("<II", len(packed), 32) + packed
    (cloud,) = clouds(scan(pcd("binary_compressed", fields, [(), ()], body=body)))
    assert cloud.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud.intensity.tolist() == [0.25, 0.75]


def test_copies_in_a_compressed_body_may_reach_into_themselves(scan):
    """One zero as it is, then 7 + 2 + 38 zeros copied from one byte back: four points at the origin."""
    packed = bytes([0, 0, 7 << 5, 38, 0])
    body = struct.pack("<II", len(packed), 48) + packed
    assert joined(scan(pcd("binary_compressed", XYZ, [()] * 4, body=body)))[0].tolist() == [[0, 0, 0]] * 4


@pytest.mark.parametrize("window_bytes", [64, 1 << 20])
def test_copies_in_a_compressed_body_reach_far_back(scan, monkeypatch, window_bytes):
    """8192 bytes, then 7 + 2 + 7 from 8192 back, the farthest there is: 684 points, wherever the reading of them pauses."""
    monkeypatch.setattr("vidpc.media.lzf._WINDOW_BYTES", window_bytes)
    start = np.random.default_rng(1).normal(size=2048).astype("<f4").tobytes()
    packed = lzf_literals(start) + bytes([7 << 5 | 31, 7, 255])
    body = struct.pack("<II", len(packed), 8208) + packed
    xyz = joined(scan(pcd("binary_compressed", XYZ, [()] * 684, body=body)), 100)[0]
    expected = np.frombuffer(start + start[:16], "<f4").reshape(3, -1).T
    assert np.array_equal(xyz, expected.astype(np.float64))


def test_signalling_nans_are_nans(scan):
    body = struct.pack("<III", 0x7F800001, 0x7FA00000, 0xFF800001)
    assert np.isnan(joined(scan(pcd("binary", XYZ, [()], body=body)))[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_no_numbers_pass_through(scan, kind):
    rows = [(float("nan"), float("inf"), float("-inf")), (1e38, -1e38, 1e-40)]
    xyz = joined(scan(pcd(kind, XYZ, rows)))[0]
    assert np.array_equal(xyz, np.array(rows, np.float32).astype(np.float64), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_pass_and_other_runs_give_the_same(scan, kind):
    rows = [(i + 0.5, -i, 2 * i, i) for i in range(1000)]
    with open_points(scan(pcd(kind, (*XYZ, RGB), rows))) as source:
        passes = [list(source.clouds(points)) for points in (7, 7, 100_000)]
    assert all(np.array_equal(np.concatenate([run.xyz for run in runs]), np.array(rows)[:, :3]) for runs in passes)


@pytest.mark.parametrize("kind", KINDS)
def test_no_points_are_no_clouds(scan, kind):
    with open_points(scan(pcd(kind, XYZ, []))) as source:
        assert (source.info.count, list(source.clouds())) == (0, [])


def test_an_organised_cloud_is_width_times_height(scan):
    with open_points(scan(pcd("binary", XYZ, SQUARE, width=2, height=2, viewpoint="1 2 3 1 0 0 0"))) as source:
        assert source.info.count == 4
        assert [(field.name, field.dtype) for field in source.info.fields] == [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]


# --- what is refused -----------------------------------------------------------------------------------------------------

GOOD = pcd("binary", XYZ, SQUARE)
TEXT = pcd("ascii", XYZ, SQUARE)
BILLIONS = {"width": 4_000_000_000, "points": 4_000_000_000}
PACKED = pcd("binary_compressed", XYZ, SQUARE)


def compressed(packed, unpacked, body):
    return pcd("binary_compressed", XYZ, SQUARE, body=struct.pack("<II", packed, unpacked) + body)


REFUSED = {
    "no header": (b"0 0 0\n1 1 1\n", "line 1 of its header: expected a line of a PCD header"),
    "no DATA": (GOOD[: GOOD.index(b"DATA")], "no DATA line: the file ends at byte"),
    "header without end": (b"# .PCD v0.7\n" + b"# padding of a long header\n" * 200_000, "no DATA line within"),
    "other DATA": (GOOD.replace(b"DATA binary", b"DATA bzip2"), "expected DATA with one of ascii, binary, binary_compressed"),
    "no WIDTH": (GOOD.replace(b"WIDTH 4\n", b""), "its header has no WIDTH"),
    "no FIELDS": (GOOD.replace(b"FIELDS x y z\n", b""), "its header has no FIELDS"),
    "a line twice": (GOOD.replace(b"HEIGHT 1\n", b"HEIGHT 1\nHEIGHT 1\n"), "HEIGHT stands there twice"),
    "unknown line": (GOOD.replace(b"HEIGHT", b"HIGHT"), "line 8 of its header: expected a line"),
    "a size less": (GOOD.replace(b"SIZE 4 4 4", b"SIZE 4 4"), "expected 3 values after SIZE, one a field, found 2"),
    "a wrong size": (GOOD.replace(b"SIZE 4 4 4", b"SIZE 4 4 3"), "expected SIZE .* for field z of TYPE F, found '3'"),
    "a wrong type": (GOOD.replace(b"TYPE F F F", b"TYPE F F X"), "expected TYPE F, I or U for field z"),
    "a count of none": (GOOD.replace(b"COUNT 1 1 1", b"COUNT 1 1 0"), "expected COUNT 1 to 1048576 for field z, found '0'"),
    "a count of billions": (GOOD.replace(b"COUNT 1 1 1", b"COUNT 1 1 4000000000"), "for field z, found '4000000000'"),
    "points of gigabytes": (
        pcd("binary", (*XYZ, *((f"f{k}", 8, "F", 1 << 20) for k in range(500))), [], points=1, width=1, body=b""),
        "points of 4194304012 bytes, at most 67108864 are read",
    ),
    "a field twice": (GOOD.replace(b"FIELDS x y z", b"FIELDS x y y"), "names the field y twice"),
    "no z": (GOOD.replace(b"FIELDS x y z", b"FIELDS x y w"), "no field z; it has: x y w"),
    "z is several": (GOOD.replace(b"COUNT 1 1 1", b"COUNT 1 1 2"), "no field z"),
    "width times height": (pcd("binary", XYZ, SQUARE, width=3), "POINTS 4, but WIDTH 3 times HEIGHT 1 is 3"),
    "height of billions": (pcd("binary", XYZ, SQUARE, height=2**40), "contradicts itself"),
    "points of billions": (pcd("binary", XYZ, SQUARE, **BILLIONS), "its table of points is cut: 4000000000 rows of 12 bytes"),
    "text points of billions": (pcd("ascii", XYZ, SQUARE, **BILLIONS), "need 24000000000 bytes or more"),
    "points negative": (pcd("binary", XYZ, SQUARE, width=-4, points=-4), "expected WIDTH and a whole number"),
    "points with a point": (pcd("binary", XYZ, SQUARE, points="4.0"), "expected POINTS and a whole number"),
    "body cut": (GOOD[:-10], r"table of points is cut: 4 rows of 12 bytes from byte \d+ .* in row 3"),
    "text cut": (TEXT[:-12], "its points are cut: the file ends at byte .* after row 3 of 4"),
    "text row of words": (TEXT.replace(b"1.0 1.0 0.0", b"1.0 one 0.0"), r"points, row 2 \(about byte \d+\): expected 3"),
    "compressed without sizes": (PACKED[: PACKED.index(b"compressed\n") + len(b"compressed\n") + 5], "expected 8 bytes"),
    "compressed cut": (PACKED[:-5], "its compressed points are cut"),
    "compressed of another size": (compressed(5, 47, bytes(5)), "declared as 47 bytes .* 4 points of 12 bytes are 48"),
    "compressed to nothing": (compressed(0, 48, b""), "0 bytes at byte .* are said to unpack to 48"),
    "compressed too short": (compressed(5, 48, bytes([3, 1, 2, 3, 4])), "expected 48 bytes, found 4 when unpacked"),
    "compressed too long": (compressed(5, 48, bytes([0, 0, 7 << 5, 200, 0])), "more than the declared 48 bytes"),
    "compressed copy of nothing": (compressed(3, 48, bytes([0, 0, 1 << 5]) + b"\x09"), "end within a code"),
    "compressed copy from before": (compressed(4, 48, bytes([0, 0, 1 << 5, 9])), "refers to what was never unpacked"),
    "compressed bytes missing": (compressed(3, 48, bytes([31, 0, 0])), "end within a code"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said_in_one_line(scan, case):
    raw, message = REFUSED[case]
    with pytest.raises(PointCloudError, match=message) as caught:
        clouds(scan(raw))
    text = str(caught.value)
    assert "scan.pcd" in text
    assert text.isprintable()
    assert len(text) < 500


def test_more_than_may_be_unpacked_is_refused(scan):
    with pytest.raises(PointCloudError, match="unpack to 48 bytes, at most 47"):
        clouds(scan(PACKED), max_spool_bytes=47)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_are_bounded_by_their_bytes(scan, kind, monkeypatch):
    monkeypatch.setattr(records, "_RUN_BYTES", 24)
    with open_points(scan(pcd(kind, XYZ, SQUARE))) as source:
        assert [len(run) for run in source.clouds()] == [2, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_last_point_are_said(scan, kind):
    path = scan(pcd(kind, XYZ, SQUARE) + b"7 7 7\n")
    with open_points(path) as source:
        count = sum(len(run) for run in source.clouds())
        found = [*source.info.warnings, *source.notes()]
    assert count == 4
    assert [text.split(" (")[0] for text in found] == ["6 bytes follow the last point"]
    with pytest.raises(PointCloudError, match="6 bytes follow"):
        clouds(path, strict=True)


# --- labels out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ascii", "binary"])
def test_labels_are_added_and_all_else_stays(scan, kind):
    """The expected file is the input's with three values more a row, written here by hand."""
    fields = (*XYZ, RGB, ("shape", 2, "I", 2), ("_", 1, "U", 2))
    rows = [(*row, -1, i, 5, 6) for i, row in enumerate(COLOURED)]
    facts = {
        "comments": ("# .PCD v0.7", "# made by a scanner"),
        "viewpoint": "1 2 3 1 0 0 0",
        "width": 2,
        "height": 2,
        "points": 4,
    }
    raw, warnings = labelled(scan(pcd(kind, fields, rows, **facts)), names=())
    new = [(*row, i % 2, i % 2, 0.5) for i, row in enumerate(rows)]
    assert raw == pcd(kind, (*fields, *LABELS), new, **facts)
    assert warnings == []


def test_a_compressed_file_comes_out_as_plain_binary(scan):
    raw, warnings = labelled(scan(pcd("binary_compressed", (*XYZ, RGB), COLOURED)), names=())
    new = [(*row, i % 2, i % 2, 0.5) for i, row in enumerate(COLOURED)]
    assert raw == pcd("binary", (*XYZ, RGB, *LABELS), new)
    assert warnings == ["the input is compressed, the output is written as plain binary"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_labels_stand_in_comments(scan, kind):
    raw, _ = labelled(scan(pcd(kind, XYZ, SQUARE)))
    assert b"# vidpc label 0 floor\n# vidpc label 1 wall\nDATA" in raw


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields", [(*XYZ, RGB), (RGB, *XYZ), XYZ, (*XYZ, ("r", 1, "U", 1), ("g", 1, "U", 1), ("b", 1, "U", 1))]
)
def test_a_palette_replaces_or_adds_colours(scan, kind, fields):
    values = {"x": 1.5, "y": 2.5, "z": 3.5, "rgb": 123, "r": 1, "g": 2, "b": 3}
    raw, warnings = labelled(scan(pcd(kind, fields, [tuple(values[name] for name, *_ in fields)] * 4)), PALETTE)
    xyz, colour, _ = joined(scan(raw, "out.pcd"))
    assert colour.tolist() == [[255, 0, 0], [0, 255, 0]] * 2
    assert xyz.tolist() == [[1.5, 2.5, 3.5]] * 4
    assert warnings == (
        ["the input is compressed, the output is written as plain binary"] if kind == "binary_compressed" else []
    )


def test_a_palette_keeps_the_fourth_byte_of_a_packed_colour(scan):
    fields = (*XYZ, ("rgba", 4, "U", 1))
    raw, _ = labelled(scan(pcd("binary", fields, [(*SQUARE[0], 0x7F112233)])), PALETTE, names=())
    assert raw == pcd("binary", (*fields, *LABELS), [(*SQUARE[0], 0x7FFF0000, 0, 0, 0.5)])


@pytest.mark.parametrize("kind", ["ascii", "binary"])
def test_labels_of_an_earlier_run_are_replaced_and_said(scan, kind):
    once, _ = labelled(scan(pcd(kind, (*XYZ, RGB), COLOURED)))
    again, warnings = labelled(scan(once, "again.pcd"))
    assert again == once
    assert warnings == [f"the input's own {name} was replaced" for name in ("label", "scalar_label", "confidence")]


@pytest.mark.parametrize("how", [{"write_ascii": True}, {}, {"compressed": True}], ids=["ascii", "binary", "compressed"])
def test_what_open3d_writes_is_read_and_what_is_written_open3d_reads(scan, tmp_path, how):
    from vidpc.media.raycast import load_open3d

    open3d = load_open3d()
    draw = np.random.default_rng(5)
    xyz = np.round(draw.normal(size=(3000, 3)), 2).astype(np.float32)
    colour = np.repeat(draw.integers(0, 256, (300, 3)), 10, axis=0).astype(np.uint8)
    theirs = open3d.t.geometry.PointCloud(open3d.core.Tensor(xyz))
    theirs.point.colors = open3d.core.Tensor(colour)
    path = tmp_path / "theirs.pcd"
    open3d.t.io.write_point_cloud(str(path), theirs, **how)
    found = joined(path, 777)
    assert np.array_equal(found[0], xyz.astype(np.float64))
    assert np.array_equal(found[1], colour)
    raw, _ = labelled(path)
    read = open3d.t.io.read_point_cloud(str(scan(raw, "ours.pcd")))
    assert np.array_equal(read.point.positions.numpy(), xyz)
    assert np.array_equal(read.point.colors.numpy(), colour)
    assert read.point["label"].numpy()[:4, 0].tolist() == [0, 1, 0, 1]
