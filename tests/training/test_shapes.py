"""Labelled objects from folders, tables and archives."""

import numpy as np
import pytest
from tiny_objects import LABELS, shape, write_xyz

from vidpc.errors import PointCloudError, PresetError
from vidpc.training.shapes import Shapes, hold_out, load


def test_a_folder_a_label(tmp_path):
    for label in LABELS:
        for seed in (0, 1):
            write_xyz(tmp_path / label / f"{seed}.xyz", shape(label, seed=seed))
    (tmp_path / "notes.txt").write_text("not a scan")
    found = load(tmp_path, "train")
    assert found.classes == ("ball", "plate", "pole")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.ptp(found.clouds[4], axis=0).argmax() == 2  # the pole stands
    assert np.linalg.norm(found.clouds[0], axis=1).max() == pytest.approx(1, abs=1e-6)


def test_a_table_of_files_with_and_without_a_split(tmp_path):
    for label in LABELS:
        write_xyz(tmp_path / f"{label}.xyz", shape(label))
    table = tmp_path / "objects.csv"
    table.write_text("file,label,split\npole.xyz,tall,train\nplate.xyz,flat,val\nball.xyz,tall,train\n")
    assert (load(table, "train").classes, len(load(table, "train")), len(load(table, "val"))) == (("tall",), 2, 1)
    table.write_text("label,file\ntall,pole.xyz\nflat,plate.xyz\n")
    assert load(table, "train").labels.tolist() == load(table, "val").labels.tolist() == [1, 0]


def test_an_archive_of_whole_numbers_or_of_coordinates(tmp_path):
    xyz = np.stack([shape(label, count=300) for label in LABELS]).astype(np.float32)
    q = np.rint(xyz.transpose(0, 2, 1) * 1000).astype(np.int16)
    common = {"label": np.array([2, 0, 1]), "classes": np.array(["a", "b", "c"]), "split": np.array([0, 1, 0])}
    np.savez(tmp_path / "q.npz", q=q, scale=np.float32(0.001), **common)
    np.savez(tmp_path / "xyz.npz", xyz=xyz, **common)
    for name in ("q.npz", "xyz.npz"):
        train, val = (load(tmp_path / name, split) for split in ("train", "val"))
        assert (train.labels.tolist(), val.labels.tolist(), train.classes) == ([2, 1], [0], ("a", "b", "c"))
        assert np.ptp(train.clouds[0], axis=0).argmax() == 2
        assert np.ptp(val.clouds[0], axis=0).argmin() == 2


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"xyz": np.zeros((2, 9, 3))}, "label"),
        ({"xyz": np.zeros((2, 9, 3)), "label": [0, 5], "classes": ["a"]}, "into 1 classes"),
        ({"xyz": np.zeros((2, 3, 9)), "label": [0, 0], "classes": ["a"]}, r"objects \(2, 3, 9\)"),
        ({"xyz": np.array([{}]), "label": [0], "classes": ["a"]}, "pickle"),
    ],
)
def test_archives_that_are_none_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(PresetError, match=f"not an archive of labelled objects: .*{reason}"):
        load(tmp_path / "a.npz", "train")


def test_bad_tables_folders_and_scans_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("path,label\nx,y\n")
    with pytest.raises(PresetError, match=r"t\.csv: columns path, label, expected file and label"):
        load(tmp_path / "t.csv", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PresetError, match="no labelled object in it"):
        load(tmp_path / "empty", "train")
    with pytest.raises(PresetError, match=r"no folder, \.csv or \.npz"):
        load(tmp_path / "nothing", "train")
    write_xyz(tmp_path / "few" / "ball" / "1.xyz", shape("ball")[:50])
    with pytest.raises(PointCloudError, match=r"1\.xyz: 50 points with finite coordinates, expected at least 256"):
        load(tmp_path / "few", "train")


def test_a_share_of_every_class_is_held_out_once_and_for_all():
    labels = np.repeat([0, 1], [20, 10])
    shapes = Shapes(tuple(np.full((1, 3), i, np.float32) for i in range(30)), labels, ("a", "b"))
    rest, held = hold_out(shapes, 0.3, seed=1)
    assert (np.bincount(rest.labels).tolist(), np.bincount(held.labels).tolist()) == ([14, 7], [6, 3])
    assert sorted(float(c[0, 0]) for c in (*rest.clouds, *held.clouds)) == list(range(30))
    assert [c[0, 0] for c in hold_out(shapes, 0.3, seed=1)[1].clouds] == [c[0, 0] for c in held.clouds]
