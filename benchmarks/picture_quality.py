"""PSNR and SSIM of single pictures, for benchmarks of what networks draw."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from vidpc.evaluation.video_quality import Pair, judge
from vidpc.types import U8, Bool


def quality(truth: U8, made: U8, mask: Bool | None = None) -> tuple[float, float]:
    """PSNR in dB and SSIM of ``made``, where ``mask`` is given of what is under it. Equal pictures count as 100 dB."""
    (found,) = judge([Pair(truth.astype(np.float64), made.astype(np.float64), mask, 0, Fraction(0))])
    return min(found.sums.psnr_db or 0.0, 100.0), found.sums.ssim or 0.0


def means(clips: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """The mean PSNR and SSIM over clips, for every way."""
    ways = next(iter(clips.values()))
    return {name: [round(float(x), 4) for x in np.mean([clip[name][:2] for clip in clips.values()], axis=0)] for name in ways}
