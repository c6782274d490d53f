"""Raw footage: every frame once, shots apart, splits kept, decoded once."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from make_media import Clip as Video
from make_media import write_video

from vidpc.errors import PresetError
from vidpc.training import shots as subject
from vidpc.training.shots import shots

VIDEO = Video(width=96, height=64, rate_fps=Fraction(10))


def wall(seed):
    """A smooth picture u8[64 192 3]."""
    cells = torch.rand(1, 3, 4, 12, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(cells, scale_factor=16, mode="bicubic").clamp(0, 1)[0]
    return smooth.mul(255).byte().permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Six frames of one wall, the third of them twice, then five of another."""
    one, other = wall(0), wall(1)
    panned = [one[:, 2 * k : 2 * k + 96] for k in (0, 1, 2, 2, 3, 4, 5)] + [other[:, 2 * k : 2 * k + 96] for k in range(5)]
    return write_video(tmp_path_factory.mktemp("raw") / "clip.mp4", VIDEO, [np.ascontiguousarray(x) for x in panned])


def test_repeats_go_and_cuts_part(video, tmp_path):
    found = shots([video], "all", tmp_path, short_side=64, least=3)
    assert [len(shot) for shot in found] == [6, 5]
    middle = found[0].frames[3].astype(int)
    assert np.abs(middle - wall(0)[:, 6:102]).mean() < 6  # the frame after the repeated one, as far as coding left it


def test_short_shots_are_left_out_and_large_pictures_shrink(video, tmp_path):
    (found,) = shots([video], "all", tmp_path, short_side=32, least=6)
    assert found.frames.shape == (6, 32, 48, 3)


def test_footage_is_decoded_once(video, tmp_path, monkeypatch):
    before = shots([video], "all", tmp_path, short_side=64, least=3)
    monkeypatch.setattr(subject, "read_videos", None)
    again = shots([video], "all", tmp_path, short_side=64, least=3)
    assert all(np.array_equal(one.frames, other.frames) for one, other in zip(before, again, strict=True))


def test_a_table_tells_what_is_learnt_from(video, tmp_path):
    table = tmp_path / "index.csv"
    table.write_text(f"file,split\n{video},train\n")
    assert len(shots([table], "train", tmp_path, short_side=64, least=3)) == 2
    with pytest.raises(PresetError, match="split is val"):
        shots([table], "val", tmp_path, short_side=64, least=3)


def test_footage_without_a_long_shot_is_refused(video, tmp_path):
    with pytest.raises(PresetError, match="at least 50 frames"):
        shots([video], "all", tmp_path, short_side=64, least=50)
