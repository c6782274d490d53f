import time

import numpy as np
import pytest
from make_scans import write_las

from vidpc.errors import OutputError, PointCloudError
from vidpc.media import text
from vidpc.media.points import Labelling, open_points, write_labelled
from vidpc.types import PointLabels

SECONDS_A_FILE = 20
LABELS = [PointLabels(0, 0, np.array([2, -1]), np.array([0.5, 0.25], np.float32))]


def read(path, chunk=1 << 18):
    with open_points(path) as source:
        return list(source.clouds(chunk)), source.info


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xyz", "1.5 2 3\n4 5 6e1\n"),
        ("a.xyz", "  1.5   2\t3\r\n4 5 6e1"),
        ("a.txt", "# a comment\n\n1.5\t2\t3\n// another\n4\t5\t6e1\n\n"),
        ("a.csv", "x,y,z\n1.5,2,3\n4,5,6e1\n"),
        ("a.csv", '"X", "Y", "Z"\n1.5, 2, 3\n4, 5, 6e1\n'),
        ("a.csv", "\ufeffz,y,x\n3,2,1.5\n6e1,5,4\n"),
        ("a.asc", "x;y;z\n1,5;2,0;3\n4;5;60,0\n"),
        ("a.csv", "x;y;z\n1.5;2;3\n4;5;60\n"),
        ("a.pts", "2\n1.5 2 3\n4 5 60\n"),
        ("a.xyz", "1.5 2 3\r4 5 60\r"),
        ("a.xyz", "%x y z\n+1.5 2. 3\n4 5 6E+1\n"),
    ],
)
def test_lines_of_any_dialect_are_points(tmp_path, name, content):
    clouds, info = read(written(tmp_path, name, content))
    np.testing.assert_array_equal(np.concatenate([c.xyz for c in clouds]), [[1.5, 2, 3], [4, 5, 60]])
    assert (info.format, info.count) == ("text", 2)


def test_names_say_what_columns_are(tmp_path):
    (cloud,), info = read(written(tmp_path, "a.csv", "//X,Y,Z,R,G,B,Intensity,class,height\n1,2,3,255,0,7,0.5,4,9\n"))
    assert (cloud.colour.tolist(), cloud.intensity.tolist(), cloud.label.tolist()) == ([[255, 0, 7]], [0.5], [4])
    assert cloud.fields["height"].tolist() == [9.0]
    assert info.warnings == ()


def test_columns_without_names_are_guessed_and_said(tmp_path):
    (cloud,), info = read(written(tmp_path, "a.pts", "2\n1 2 3 -700 10 20 30\n4 5 6 800 1 2 3\n"))
    assert (cloud.intensity.tolist(), cloud.colour[0].tolist()) == ([-700.0, 800.0], [10, 20, 30])
    assert info.warnings == ("its columns have no names: they are taken as x y z intensity red green blue",)


def test_a_declared_count_that_is_wrong_is_said(tmp_path):
    assert "declares 5 points, it has 2" in read(written(tmp_path, "a.pts", "5\n1 2 3\n4 5 6\n"))[1].warnings[0]


def test_a_last_line_without_an_end_is_said(tmp_path):
    (cloud,), info = read(written(tmp_path, "a.xyz", "1 2 3\n4 5 6"))  # it may have been 60
    assert cloud.xyz[1].tolist() == [4, 5, 6]
    assert info.warnings == ("its last line has no end: if the file was cut, the last value may be another",)


def test_what_is_no_number_in_coordinates_is_kept(tmp_path):
    (cloud,), _ = read(written(tmp_path, "a.xyz", "1 2 3\nnan 5 inf\n"))
    assert np.isnan(cloud.xyz[1, 0])
    assert np.isinf(cloud.xyz[1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 3\n4 5\n", "line 2: expected 3 numbers, found '4 5'"),
        ("# first\n\n1 2 3\n\n4 x 6\n", "line 5: expected 3 numbers, found '4 x 6'"),
        ("x,y,z\n1,2,3\n4,,6\n", "line 3: expected 3 numbers, found '4,,6'"),
        ("x,y,z,w\n1,2,3\n", "line 1 names 4 columns, line 2 has 3"),
        ("a,b,c\n1,2,3\n", "its columns are a b c, expected x, y and z"),
        ("1 2\n3 4\n", "expected 3 numbers or more, found 2"),
        ("hello\nyou there\n", "found none in its first"),
        ("# nothing\n\n", "found none in its first"),
        ("1 2 3\n\0\0\0\n", "no text"),
        ("9" * 5000 + "\n1 2 3\n", "expected 3 numbers or more, found 1"),
    ],
)
def test_lines_that_are_no_points_are_named(tmp_path, content, message):
    with pytest.raises(PointCloudError, match=message):
        read(written(tmp_path, "a.txt", content))


def test_many_columns_of_one_name_take_no_time(tmp_path):
    names, numbers = ",".join(["x", "y", "z", *["a"] * 10_000]), ",".join(["1"] * 10_003)
    started = time.process_time()
    (cloud,), _ = read(written(tmp_path, "a.csv", f"{names}\n{numbers}\n"))
    assert time.process_time() - started < SECONDS_A_FILE
    assert {"a", "a_2", "a_10000"} <= set(cloud.fields)


def test_a_line_is_named_behind_the_first_window(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_WINDOW_BYTES", 64)
    path = written(tmp_path, "a.xyz", "1 2 3\n" * 5000 + "# c\n1 2\n" + "1 2 3\n" * 5000)
    with pytest.raises(PointCloudError, match="line 5002: expected 3 numbers"):
        read(path)


def test_windows_give_every_point_once_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_WINDOW_BYTES", 100)
    path = written(tmp_path, "a.xyz", "".join(f"{k} {k + 1} {k + 2}\n" for k in range(1000)))
    clouds, info = read(path, chunk=7)
    assert max(len(cloud) for cloud in clouds) <= 7
    np.testing.assert_array_equal(np.concatenate([c.xyz for c in clouds])[:, 0], np.arange(1000))
    assert [c.first for c in clouds] == np.cumsum([0, *(len(c) for c in clouds)]).tolist()[:-1]
    assert info.count == 1000


def labelled(path, target, labels=LABELS, labelling=None):
    with open_points(path) as source, target.open("w+b") as file:
        warnings = write_labelled(source, file, "text", labels, labelling or Labelling())
    return target.read_bytes().decode(), warnings


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x,y,z\n1.50,2,3\n4,5,6\n", "x,y,z,label,confidence\n1.50,2,3,2,0.5000\n4,5,6,-1,0.2500\n"),
        ("# mine\n1 2 3\n\n# yours\n4 5 6", "# mine\n1 2 3 2 0.5000\n\n# yours\n4 5 6 -1 0.2500\n"),
        ("//X Y Z\r\n1 2 3\r\n4 5 6\r\n", "//X Y Z label confidence\r\n1 2 3 2 0.5000\r\n4 5 6 -1 0.2500\r\n"),
        ("x;y;z\n1,5;2;3\n4;5;6\n", "x;y;z;label;confidence\n1,5;2;3;2;0,5000\n4;5;6;-1;0,2500\n"),
    ],
)
def test_lines_stay_as_they_are_and_get_labels_at_their_ends(tmp_path, content, expected):
    assert labelled(written(tmp_path, "a.txt", content), tmp_path / "b.txt") == (expected, [])


def test_a_column_called_label_keeps_its_name(tmp_path):
    found, warnings = labelled(written(tmp_path, "a.csv", "x,y,z,label\n1,2,3,7\n4,5,6,8\n"), tmp_path / "b.csv")
    assert found.splitlines()[:2] == ["x,y,z,label,vidpc_label,confidence", "1,2,3,7,2,0.5000"]
    assert warnings == ["the input has a column 'label' already: ours is called 'vidpc_label'"]


@pytest.mark.parametrize(("count", "message"), [(1, "fewer labels than points"), (3, "more labels than points")])
def test_labels_of_another_count_are_refused(tmp_path, count, message):
    labels = [PointLabels(0, 0, np.zeros(count, int), np.zeros(count, np.float32))]
    with pytest.raises(OutputError, match=message):
        labelled(written(tmp_path, "a.xyz", "1 2 3\n4 5 6\n"), tmp_path / "b.xyz", labels)


def test_any_scan_becomes_csv_that_reads_as_the_same(tmp_path):
    path = write_las(tmp_path / "a.las", point_format=7, colour=65535, count=50)
    labels = [PointLabels(0, 0, np.arange(50) % 3, np.full(50, 0.5, np.float32))]
    labelled(path, tmp_path / "b.csv", labels)
    (before,), _ = read(path)
    (after,), _ = read(tmp_path / "b.csv")
    np.testing.assert_allclose(after.xyz, before.xyz, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(after.colour, before.colour)
    np.testing.assert_array_equal(after.intensity, before.intensity)
    np.testing.assert_array_equal(after.fields["input_label"], before.label)
    np.testing.assert_array_equal(after.fields["return_number"], before.fields["return_number"])
    np.testing.assert_array_equal(after.label, np.arange(50) % 3)
    header = (tmp_path / "b.csv").read_text().splitlines()[0]
    assert header.startswith("x,y,z,red,green,blue,intensity,return_number,")
    assert header.endswith(",input_label,label,confidence")
