"""The seam of scans: which reader a file gets, many inputs as one stream, labels beside points."""

import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scan_bytes import SQUARE, pcd, ply

from vidpc.errors import OpenError, OutputError, PointCloudError, PresetError
from vidpc.media.points import FORMATS, expand_scans, open_points, paired, read_points, recognise, writer_for
from vidpc.types import Closed, Opened, PointCloud, PointLabels, PointOptions

XYZ = ("float x", "float y", "float z")
PLY = ply("binary_little_endian", [("vertex", XYZ, SQUARE)])
PCD = pcd("binary", (("x", 4, "F", 1), ("y", 4, "F", 1), ("z", 4, "F", 1)), SQUARE)
CORNERS = [list(point) for point in SQUARE]


@pytest.fixture
def folder(tmp_path):
    """A folder with scans and other files."""
    for name, raw in (("b10.ply", PLY), ("b9.PLY", PLY), ("a.pcd", PCD), ("readme.txt", b"hello"), ("picture.png", b"png")):
        (tmp_path / name).write_bytes(raw)
    return tmp_path


def corners(path, **options):
    with open_points(path, PointOptions(**options)) as source:
        return source.info.format, np.concatenate([run.xyz for run in source.clouds()]).tolist()


@pytest.mark.parametrize(("name", "raw", "expected"), [
    ("a.ply", PLY, "ply"), ("a.las", PLY, "ply"), ("a", PLY, "ply"), ("a.pcd", PCD, "pcd"), ("a.txt", PCD, "pcd"),
    ("a.bin", PCD, "pcd"),
])  # fmt: skip
def test_content_comes_before_the_name(tmp_path, name, raw, expected):
    (tmp_path / name).write_bytes(raw)
    assert corners(tmp_path / name) == (expected, CORNERS)


@pytest.mark.parametrize(("head", "name", "expected"), [
    (b"LASF\0\0", "x", "las"), (b"\x93NUMPY\1\0", "x", "npy"), (b"PK\3\4", "-", "npz"), (b"PK\5\6", "-", "npz"),
    (b"# a comment\n# .PCD v0.7\n", "-", "pcd"), (b"VERSION .7\nFIELDS x y z\n", "-", "pcd"), (b"ply\r\nformat", "-", "ply"),
    (b"1.5 -2 3e-5\n", "-", "text"), (b"1,2,3,4\n", "-", "text"), (b"x,y,z\n1,2,3\n", "a.CSV", "text"),
    (bytes(16), "a.bin", "kitti"),
    (b"nonsense", "a.ply", "ply"), (b"1 2 3\n", "a.pcd", "pcd"),
])  # fmt: skip
def test_formats_by_their_first_bytes_else_by_the_suffix(head, name, expected):
    assert recognise(head, name) == expected


@pytest.mark.parametrize(
    ("name", "raw"), [("a", b"\x7fELF"), ("-", b"x y z\n"), ("a.mp4", b"12 34\n"), ("a.ply.bak", b"one two three\n")]
)
def test_what_is_no_scan_is_refused_with_the_formats_there_are(name, raw):
    with pytest.raises(OpenError, match="neither its content nor its name is a scan's; formats: ply, pcd, las"):
        recognise(raw, name)


def test_every_format_names_a_reader_and_its_suffixes():
    assert all(
        callable(row.opener()) and all(s == s.lower() and s.startswith(".") for s in row.suffixes) for row in FORMATS.values()
    )


@pytest.mark.parametrize(("name", "message"), [
    ("missing.ply", "No such file"), ("", "it is a folder"), ("https://example.org/a.ply", "download it first"),
    ("/dev/zero", "it is a device"), ("a\0b.ply", "null"), ("x" * 300 + ".ply", "File name too long"),
])  # fmt: skip
def test_what_cannot_be_opened(tmp_path, name, message):
    target = name if name.startswith(("https:", "/dev", "a\0")) else tmp_path / name
    with pytest.raises(OpenError, match=message) as caught, open_points(target):
        pass
    assert str(caught.value).isprintable()


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.ply").touch()
    with pytest.raises(OpenError, match=r"empty\.ply: the file is empty"), open_points(tmp_path / "empty.ply"):
        pass


def test_standard_input_is_kept_in_a_file_and_read_twice(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PLY)))
    with open_points("-") as source:
        passes = [np.concatenate([run.xyz for run in source.clouds(3)]).tolist() for _ in range(2)]
        assert source.info.path == "-"
    assert passes == [CORNERS, CORNERS]


def test_a_pipe_larger_than_allowed_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PLY)))
    with (
        pytest.raises(OpenError, match="standard input: it is larger than 100 bytes"),
        open_points("-", PointOptions(max_spool_bytes=100)),
    ):
        pass


def test_a_named_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(PLY,))
    writer.start()
    assert corners(tmp_path / "pipe") == ("ply", CORNERS)
    writer.join()


def test_a_named_pipe_without_a_writer_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OpenError, match="nobody wrote to it"), open_points(tmp_path / "pipe", PointOptions(timeout_s=0.05)):
        pass


def test_at_least_one_point_may_be_read():
    with pytest.raises(PresetError, match="max_points is 0"):
        PointOptions(max_points=0)


# --- many inputs ---------------------------------------------------------------------------------------------------------


def names(sources):
    return [source.name.rpartition("/")[2] for source in sources]


def test_a_folder_is_its_scans_in_the_order_of_their_numbers(folder):
    assert names(expand_scans([folder])) == ["a.pcd", "b9.PLY", "b10.ply"]


def test_texts_of_a_folder_count_where_there_is_nothing_else(tmp_path):
    for name in ("b.txt", "a.csv", "notes.md"):
        (tmp_path / name).write_text("1 2 3\n")
    assert names(expand_scans([tmp_path])) == ["a.csv", "b.txt"]


def test_globs_lists_and_names(folder):
    (folder / "list.txt").write_text(f"# two\n{folder / 'a.pcd'}\n\n{folder / 'b*.ply'}\n")
    given = [folder / "*.p[lc]*", f"@{folder / 'list.txt'}", "-", folder / "missing.ply", "https://example.org/x?.ply"]
    expected = ["a.pcd", "b10.ply", "a.pcd", "b10.ply", "-", "missing.ply", "x?.ply"]
    assert names(expand_scans(given)) == expected


def test_a_name_with_brackets_that_exists_is_no_glob(tmp_path):
    (tmp_path / "scan[1].ply").write_bytes(PLY)
    assert names(expand_scans([tmp_path / "scan[1].ply"])) == ["scan[1].ply"]


@pytest.mark.parametrize(
    ("argument", "message"), [("", "holds no scan"), ("*.las", "no file matches"), ("@list", "cannot read the list")]
)
def test_arguments_that_name_nothing(tmp_path, argument, message):
    with pytest.raises(OpenError, match=message):
        expand_scans([argument if argument.startswith("@") else tmp_path / argument])


def test_one_bad_input_does_not_end_the_others(folder):
    (folder / "b9.PLY").write_bytes(PLY[:-1])
    (folder / "c.pcd").write_bytes(PCD + b"!")
    items = list(read_points([folder, folder / "missing.ply"], points=3))
    kinds = [(type(item).__name__, getattr(item, "stream", None)) for item in items]
    cloud = ("PointCloud", None)
    assert kinds == [("Opened", 0), cloud, cloud, ("Closed", 0), ("Closed", 1), *[("Opened", 2), cloud, cloud, ("Closed", 2)],
                     *[("Opened", 3), cloud, cloud, ("Closed", 3)], ("Closed", 4)]  # fmt: skip
    errors = [item.error for item in items if isinstance(item, Closed)]
    assert [type(error) for error in errors] == [type(None), PointCloudError, type(None), type(None), OpenError]
    opened = [item.info for item in items if isinstance(item, Opened)]
    assert [len(info.warnings) for info in opened] == [0, 0, 1]
    assert [item.first for item in items if isinstance(item, PointCloud)] == [0, 3] * 3


def test_damage_met_on_the_way_stands_in_closed(tmp_path):
    rows = [(i, i, i) for i in range(1000)]
    raw = ply("ascii", [("vertex", XYZ, rows)]).replace(b"\n900 900", b"\n900 nine")
    (tmp_path / "a.ply").write_bytes(raw)
    items = list(read_points([tmp_path / "a.ply"], points=300))
    assert [getattr(item, "first", None) for item in items] == [None, 0, 300, 600, None]
    assert "row 900" in str(items[-1].error)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closing_the_stream_closes_the_file(tmp_path):
    (tmp_path / "a.ply").write_bytes(PLY)
    before = open_files()
    stream = read_points([tmp_path / "a.ply"])
    next(stream)
    assert open_files() == before + 1
    stream.close()
    assert open_files() == before


# --- labels --------------------------------------------------------------------------------------------------------------


def cloud(first, count):
    return PointCloud(first, np.zeros((count, 3)))


def labels(first, *values):
    return PointLabels(0, first, np.array(values, np.int64), np.array(values, np.float32) / 10)


def test_labels_come_in_runs_of_any_length():
    runs = [labels(0, 1, 2), labels(2, 3), labels(3, 4, 5, 6, 7)]
    found = [
        (run.first, label.tolist(), confidence.round(1).tolist())
        for run, label, confidence in paired(iter([cloud(0, 3), cloud(3, 4)]), runs)
    ]
    assert found == [(0, [1, 2, 3], pytest.approx([0.1, 0.2, 0.3])), (3, [4, 5, 6, 7], pytest.approx([0.4, 0.5, 0.6, 0.7]))]


@pytest.mark.parametrize(("runs", "error", "message"), [
    ([labels(0, 1, 2)], OutputError, "labels end at point 2, the scan goes on"),
    ([labels(0, 1, 2, 3, 4)], OutputError, "more labels than points"),
    ([labels(0, 1, 2, 3), labels(3, 4)], OutputError, "more labels than points"),
    ([labels(0, 1), labels(2, 3, 4)], ValueError, "labels of point 2 came where those of 1 were due"),
])  # fmt: skip
def test_labels_that_do_not_fit_the_points(runs, error, message):
    with pytest.raises(error, match=message):
        list(paired(iter([cloud(0, 3)]), runs))


@pytest.mark.parametrize(("source", "target", "possible"), [
    ("ply", "pcd", "ply, npz, text"), ("pcd", "las", "ply, pcd, npz, text"), ("las", "pcd", "ply, las, laz, npz, text"),
    ("ply", "kitti", "ply, npz, text"),
])  # fmt: skip
def test_formats_that_cannot_be_written_from_others(source, target, possible):
    with pytest.raises(OutputError, match=f"read from {source} cannot be written as {target}; possible: {possible}$"):
        writer_for(source, target)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", ["ply", "npz", "text"])
def test_every_scan_can_be_written_as_ply_arrays_and_text(source, target):
    assert callable(writer_for(source, target))
