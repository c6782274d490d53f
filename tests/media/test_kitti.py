import numpy as np
import pytest

from vidpc.errors import PointCloudError
from vidpc.media.points import open_points


def read(path, chunk=1 << 18):
    with open_points(path) as source:
        return list(source.clouds(chunk)), source.info


def test_four_numbers_are_a_point(tmp_path):
    rows = np.arange(40, dtype="<f4").reshape(10, 4) / 8
    rows.tofile(tmp_path / "000000.bin")
    clouds, info = read(tmp_path / "000000.bin", chunk=4)
    assert (info.format, info.count, [len(cloud) for cloud in clouds]) == ("kitti", 10, [4, 4, 2])
    np.testing.assert_array_equal(np.concatenate([c.xyz for c in clouds]), rows[:, :3])
    np.testing.assert_array_equal(np.concatenate([c.intensity for c in clouds]), rows[:, 3])


@pytest.mark.parametrize("size", [1, 15, 17, 159])
def test_a_size_that_is_no_whole_number_of_points_is_an_error(tmp_path, size):
    (tmp_path / "a.bin").write_bytes(bytes(size))
    with pytest.raises(PointCloudError, match=f"{size} bytes are no whole number of points"):
        read(tmp_path / "a.bin")


def test_other_binary_files_are_refused(tmp_path):
    np.random.default_rng(0).integers(0, 256, 1600, np.uint8).tofile(tmp_path / "a.bin")
    with pytest.raises(PointCloudError, match="no coordinates of a KITTI scan"):
        read(tmp_path / "a.bin")


def test_points_that_are_no_numbers_are_kept(tmp_path):
    rows = np.ones((10, 4), "<f4")
    rows[3, 1] = np.nan
    rows.tofile(tmp_path / "a.bin")
    assert np.isnan(read(tmp_path / "a.bin")[0][0].xyz[3, 1])
