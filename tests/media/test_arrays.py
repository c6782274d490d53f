import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from make_scans import write_las, write_npz

from vidpc.errors import OutputError, PointCloudError
from vidpc.media import records
from vidpc.media.points import Labelling, open_points, write_labelled
from vidpc.types import PointLabels, PointOptions

XYZ = np.arange(30, dtype=np.float64).reshape(10, 3) / 7 + 500_000


def read(path, chunk=4, options=None):
    """Every cloud of a scan, and what it says of itself."""
    with open_points(path, options) as source:
        return list(source.clouds(chunk)), source.info


def joined(clouds, get):
    return np.concatenate([get(cloud) for cloud in clouds])


def labelled(path, target, labels, labelling=None):
    with open_points(path) as source, target.open("w+b") as file:
        return write_labelled(source, file, "npz", labels, labelling or Labelling())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<i4"])
def test_rows_of_an_npy_file_are_points(tmp_path, order, dtype):
    np.save(tmp_path / "a.npy", np.array(XYZ, dtype, order=order))
    clouds, info = read(tmp_path / "a.npy")
    assert (info.format, info.count, [len(cloud) for cloud in clouds]) == ("npy", 10, [4, 4, 2])
    np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), XYZ.astype(dtype).astype(np.float64))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["xyz", "points", "coord", "pos", "anything"])
def test_arrays_of_an_npz_file_are_found_by_their_names(tmp_path, save, name, order):
    rgb, label = np.arange(30, dtype=np.uint8).reshape(10, 3), np.arange(10) % 3
    save(
        tmp_path / "a.npz",
        **{name: np.array(XYZ, order=order)},
        colors=np.array(rgb, order=order),
        segment=label,
        names=["a", "b"],
    )
    clouds, info = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), XYZ)
    np.testing.assert_array_equal(joined(clouds, lambda c: c.colour), rgb)
    np.testing.assert_array_equal(joined(clouds, lambda c: c.label), label)
    assert [field.name for field in info.fields] == ["x", "y", "z", "red", "green", "blue", "label"]


def test_named_fields_of_rows_are_read(tmp_path):
    rows = np.zeros(
        10, [("X", "<f8"), ("Y", "<f4"), ("Z", "<i4"), ("Intensity", "u2"), ("Classification", "u1"), ("time", "<f8")]
    )
    rows["X"], rows["Intensity"], rows["Classification"], rows["time"] = XYZ[:, 0], 300, 6, 1.5
    np.save(tmp_path / "a.npy", rows)
    (cloud, *_), _ = read(tmp_path / "a.npy", chunk=100)
    np.testing.assert_array_equal(cloud.xyz[:, 0], XYZ[:, 0])
    assert (cloud.intensity[0], cloud.label[0], cloud.fields["time"][0]) == (300.0, 6, 1.5)


def test_three_arrays_of_coordinates_are_points(tmp_path):
    np.savez(tmp_path / "a.npz", x=XYZ[:, 0], y=XYZ[:, 1], z=XYZ[:, 2], remission=np.full(10, 0.5))
    clouds, _ = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), XYZ)
    assert clouds[0].intensity[0] == 0.5


@pytest.mark.parametrize(
    ("more", "names"),
    [
        (np.full((10, 1), 7.0), ["intensity"]),
        (np.arange(30).reshape(10, 3), ["red", "green", "blue"]),
        (np.arange(40).reshape(10, 4), ["red", "green", "blue", "label"]),
        (np.tile([[0.6, 0.0, -0.8]], (10, 1)), ["nx", "ny", "nz"]),
        (np.full((10, 2), -3.5), ["column_3", "column_4"]),
    ],
)
def test_columns_without_names_go_by_their_number_and_content(tmp_path, more, names):
    np.save(tmp_path / "a.npy", np.hstack([XYZ, more]))
    assert [field.name for field in read(tmp_path / "a.npy")[1].fields] == ["x", "y", "z", *names]


def test_fields_keep_every_further_array(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, normal=XYZ, instance=np.arange(10), mesh=np.zeros((3, 3)))
    (cloud,), _ = read(tmp_path / "a.npz", chunk=10)
    assert set(cloud.fields) == {"normal_0", "normal_1", "normal_2", "instance"}


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object))
    np.savez(tmp_path / "b.npz", xyz=XYZ, extra=np.array([print], object))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(PointCloudError, match="Python objects"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 100)), "shape .3, 100., expected"),
        (np.zeros(9), "shape .9,., expected"),
        (np.zeros((4, 3, 3)), "shape .4, 3, 3., expected"),
        (np.zeros((10, 2)), "shape .10, 2., expected"),
        (np.zeros(10, [("x", "f4"), ("y", "f4")]), "no coordinates"),
    ],
)
def test_arrays_that_are_no_points_are_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(PointCloudError, match=message):
        read(tmp_path / "a.npy")


def test_labels_of_another_length_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, label=np.zeros(9))
    with pytest.raises(PointCloudError, match=r"label has shape \(9,\), and xyz has 10 points"):
        read(tmp_path / "a.npz")


def test_labels_that_are_words_are_said_to_be_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, label=np.array(["wall"] * len(XYZ)))
    (cloud,), info = read(tmp_path / "a.npz", chunk=10)
    assert cloud.label is None
    assert info.warnings == ("label is not read: shape (10,) of <U4 holds no numbers of points",)


def test_runs_are_bounded_by_the_bytes_of_all_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_RUN_BYTES", 100)
    np.savez(tmp_path / "a.npz", xyz=XYZ, label=np.arange(10))  # 32 bytes a point
    clouds, _ = read(tmp_path / "a.npz")
    assert [len(cloud) for cloud in clouds] == [3, 3, 3, 1]


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("shape", [b"(99, 3)", b"(9, 3 )", b"(-1, 3)"])
def test_a_shape_that_the_bytes_do_not_have_is_refused(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(npy_bytes(XYZ).replace(b"(10, 3)", shape))
    with pytest.raises(PointCloudError, match=r"bytes, found 240|a shape|is no array"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("old", "new"), [(b"), }", b"), I"), (b"descr", b"desc\xe0"), (b"'<f8'", b"'<f\0'"), (b"'<f8'", b"[[]] ")]
)
def test_a_header_that_cannot_be_parsed_is_an_error(tmp_path, old, new):
    (tmp_path / "a.npy").write_bytes(npy_bytes(XYZ).replace(old, new))
    with pytest.raises(PointCloudError, match=r"cannot read .*a\.npy"):
        read(tmp_path / "a.npy")


def test_a_shape_beyond_all_memory_is_refused_before_anything_is_read(tmp_path):
    data = npy_bytes(XYZ)
    (tmp_path / "a.npy").write_bytes(data.replace(b"(10, 3), }" + b" " * 12, b"(4000000000000, 3), }" + b" "))
    with pytest.raises(PointCloudError, match="96000000000000 bytes"):
        read(tmp_path / "a.npy")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", xyz=np.zeros((1 << 18, 3)))
    with pytest.raises(PointCloudError, match="its members have 6291584 bytes, the limit is 1000000"):
        read(tmp_path / "a.npz", options=PointOptions(max_spool_bytes=1_000_000))


def test_a_member_larger_than_it_declares_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("xyz.npy", npy_bytes(XYZ) + bytes(1000))
    with pytest.raises(PointCloudError, match=r"xyz\.npy: cut off or damaged"):
        read(tmp_path / "a.npz")


def test_a_damaged_member_is_an_error(tmp_path):
    path = write_npz(tmp_path / "a.npz")
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(PointCloudError, match=r"CRC|decompress|damaged"):
        read(path)


def test_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("xyz.npy", npy_bytes(XYZ))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("xyz.npy", npy_bytes(XYZ))
    with pytest.raises(PointCloudError, match="twice"):
        read(tmp_path / "a.npz")


def test_no_points_are_no_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 3)))
    assert read(tmp_path / "a.npy")[0] == []
    np.savez(tmp_path / "a.npz", xyz=np.zeros((0, 3)), label=np.zeros(0, int))
    assert read(tmp_path / "a.npz")[0] == []


def test_labels_stand_beside_every_array_of_the_input(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ, label=np.full(10, 9), names=["a"], mesh=np.eye(3))
    labels = [
        PointLabels(0, 0, np.arange(6), np.full(6, 0.25, np.float32)),
        PointLabels(0, 6, np.arange(4), np.ones(4, np.float32)),
    ]
    warnings = labelled(tmp_path / "a.npz", tmp_path / "b.npz", labels, Labelling(names=("floor", "wall")))
    assert warnings == ["the input has an array 'label.npy' already: it is kept as 'input_label.npy'"]
    with np.load(tmp_path / "b.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["label"], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
        np.testing.assert_array_equal(found["confidence"], [0.25] * 6 + [1.0] * 4)
        np.testing.assert_array_equal(found["xyz"], XYZ)
        np.testing.assert_array_equal(found["mesh"], np.eye(3))
        assert (found["input_label"][0], list(found["names"]), list(found["label_names"])) == (9, ["a"], ["floor", "wall"])


def test_any_scan_becomes_an_npz_file(tmp_path):
    path = write_las(tmp_path / "a.las", point_format=7, colour=65535)
    labelled(path, tmp_path / "b.npz", [PointLabels(0, 0, np.arange(1000) % 3, np.ones(1000, np.float32))])
    with open_points(path) as source:
        (cloud,) = source.clouds()
    with np.load(tmp_path / "b.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["xyz"], cloud.xyz)
        np.testing.assert_array_equal(found["rgb"], cloud.colour)
        np.testing.assert_array_equal(found["input_label"], cloud.label)
        np.testing.assert_array_equal(found["gps_time"], cloud.fields["gps_time"])
        np.testing.assert_array_equal(found["label"], np.arange(1000) % 3)


def test_labels_of_another_count_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=XYZ)
    with pytest.raises(OutputError, match="labels end at point 9"):
        labelled(tmp_path / "a.npz", tmp_path / "b.npz", [PointLabels(0, 0, np.zeros(9, int), np.zeros(9, np.float32))])


@pytest.mark.skipif("VIDPC_DATA" not in os.environ, reason="VIDPC_DATA is not set")
def test_real_rooms_are_read():
    folder = Path(os.environ["VIDPC_DATA"]) / "rooms"
    for path in sorted(folder.glob("*.npz")):
        clouds, _ = read(path, chunk=50_000)
        with np.load(path) as stored:
            np.testing.assert_array_equal(joined(clouds, lambda c: c.xyz), stored["xyz"].astype(np.float64))
            np.testing.assert_array_equal(joined(clouds, lambda c: c.label), stored["label"])
            if "rgb" in stored:
                np.testing.assert_array_equal(joined(clouds, lambda c: c.colour), stored["rgb"])
