"""PSNR, SSIM and the temporal error: by hand, and against scikit-image."""

import math
from fractions import Fraction

import fill
import numpy as np
import pytest

from vidpc.evaluation.video_quality import Pair, VideoQuality, judge

SAME_SUMS = 1e-9  # float64, the order of additions apart
# scikit-image 0.26.0: peak_signal_noise_ratio, and structural_similarity with gaussian_weights, sigma 1.5, population
# covariance and full, averaged as its own mean is: over pixels at least 5 from the border.
SKIMAGE_PSNR, SKIMAGE_SSIM = 28.859650367574265, 0.8886119414003586
SKIMAGE_PSNR_MASKED, SKIMAGE_SSIM_MASKED = 27.586433940298797, 0.9356357052570291


def pictures():
    """Two pictures of 40 x 50 that are alike."""
    truth, other = (fill.video(f"quality.{name}", 1, 40, 50, 0)[0] for name in ("truth", "judged"))
    return truth, ((truth.astype(int) * 3 + other) // 4).astype(np.uint8)


def a_mask():
    mask = np.zeros((40, 50), dtype=bool)
    mask[3:20, 30:48] = True
    return mask


def judged(*pairs, mask=None):
    return list(
        judge(
            Pair(truth.astype(float), other.astype(float), mask, index, Fraction(index, 25))
            for index, (truth, other) in enumerate(pairs)
        )
    )


def flat(level, side=12):
    return np.full((side, side, 3), float(level))


def test_figures_are_those_of_scikit_image():
    (frame,) = judged(pictures())
    assert frame.sums.psnr_db == pytest.approx(SKIMAGE_PSNR, abs=SAME_SUMS)
    assert frame.sums.ssim == pytest.approx(SKIMAGE_SSIM, abs=SAME_SUMS)
    (frame,) = judged(pictures(), mask=a_mask())
    assert frame.sums.psnr_db == pytest.approx(SKIMAGE_PSNR_MASKED, abs=SAME_SUMS)
    assert frame.sums.ssim == pytest.approx(SKIMAGE_SSIM_MASKED, abs=SAME_SUMS)


def test_figures_are_those_of_the_scikit_image_that_is_here():
    metrics = pytest.importorskip("skimage.metrics")
    truth, other = pictures()
    rules = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    (frame,) = judged((truth, other))
    assert frame.sums.ssim == pytest.approx(metrics.structural_similarity(truth, other, **rules), abs=SAME_SUMS)
    assert frame.sums.psnr_db == pytest.approx(metrics.peak_signal_noise_ratio(truth, other, data_range=255), abs=SAME_SUMS)


def test_psnr_of_an_error_of_one_level_everywhere():
    (frame,) = judged((flat(100), flat(101)))
    assert frame.sums.psnr_db == pytest.approx(48.1308036)  # 20 log10(255)


def test_ssim_of_flat_pictures_is_that_of_their_means():
    (frame,) = judged((flat(100), flat(50)))
    assert frame.sums.ssim == pytest.approx((2 * 100 * 50 + 6.5025) / (100**2 + 50**2 + 6.5025))


def test_a_mask_of_everything_changes_nothing():
    (whole,), (masked,) = judged(pictures()), judged(pictures(), mask=np.ones((40, 50), dtype=bool))
    assert masked.sums.psnr_db == pytest.approx(whole.sums.psnr_db)
    assert masked.sums.ssim == pytest.approx(whole.sums.ssim)


def test_an_error_outside_the_mask_is_not_seen():
    truth, mask = flat(100, 40), np.zeros((40, 40), dtype=bool)
    mask[:10] = True
    other = truth.copy()
    other[30:] = 0
    (frame,) = judged((truth, other), mask=mask)
    assert (frame.sums.psnr_db, frame.sums.ssim) == (math.inf, 1)


def test_temporal_error_is_what_changes_otherwise_than_the_truth():
    """A fill that is always 7 too bright is steady; one that is 3 too bright, then 4 too dark, is not."""
    steady = judged((flat(10), flat(17)), (flat(20), flat(27)))
    assert [frame.sums.temporal for frame in steady] == [None, 0]
    flickering = judged((flat(10), flat(13)), (flat(20), flat(16)))
    assert flickering[1].sums.temporal == pytest.approx(7)


def test_temporal_error_with_a_mask_is_of_pixels_masked_in_one_of_both_frames():
    masks = np.zeros((2, 12, 12), dtype=bool)
    masks[0, 0, 0] = masks[1, 0, 1] = True
    others = flat(10), flat(10)
    others[0][0, 0], others[1][0, 1] = 13, 14  # each frame is wrong where it was filled: changes by -3 and by 4
    pairs = (Pair(flat(10), other, mask, i, Fraction(i)) for i, (other, mask) in enumerate(zip(others, masks, strict=True)))
    assert list(judge(pairs))[1].sums.temporal == pytest.approx(math.sqrt((9 + 16) / 2))


def test_a_frame_in_which_nothing_is_masked_has_no_figures():
    quality = VideoQuality()
    for frame in judged((flat(10), flat(20)), mask=np.zeros((12, 12), dtype=bool)):
        quality.add(frame)
    assert quality.figures() == {
        "frames": 1,
        "equal_frames": 0,
        "unjudged_frames": 1,
        "psnr_db": None,
        "psnr_pooled_db": None,
        "ssim": None,
        "temporal": None,
    }


def test_figures_of_a_video_are_means_over_frames_and_of_all_pixels():
    quality = VideoQuality()
    for frame in judged((flat(100), flat(101)), (flat(100), flat(110)), (flat(100), flat(100))):
        quality.add(frame)
    figures = quality.figures()
    assert (figures["frames"], figures["equal_frames"]) == (3, 1)
    assert figures["psnr_db"] == pytest.approx((48.1308036 + 28.1308036) / 2)  # without the equal frame
    assert figures["psnr_pooled_db"] == pytest.approx(10 * math.log10(255**2 / ((1 + 100 + 0) / 3)))
    assert figures["temporal"] == pytest.approx(math.sqrt((9**2 + 10**2) / 2))


def test_equal_videos_have_no_finite_psnr():
    quality = VideoQuality()
    for frame in judged((flat(1), flat(1)), (flat(2), flat(2))):
        quality.add(frame)
    figures = quality.figures()
    assert (figures["psnr_db"], figures["psnr_pooled_db"], figures["ssim"], figures["temporal"]) == (None, None, 1, 0)
    assert figures["equal_frames"] == 2
