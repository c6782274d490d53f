"""How near one video is to another, frame by frame and in all: PSNR, SSIM, and how steadily it stays so.

Colours are RGB in grey levels 0..255, also of videos of more than 8 bits. Where a mask is given, only its pixels are judged.

psnr      10 log10(255^2 / mean squared error) over the three colours together
ssim      Wang et al. 2004: Gaussian windows of 11 x 11, sigma 1.5, K 0.01 and 0.03, of each colour, averaged over the colours
          and over all windows that lie within the picture (with a mask: over those whose middle it holds)
temporal  root of the mean square of (p_t - p_t-1) - (g_t - g_t-1), in grey levels: what flickers or sticks in p and does not in
          g. The measure dtSSD of Erofeev et al. 2015 (BMVC, "Perceptually Motivated Benchmark for Video Matting"), for colours;
          it needs no optical flow. With a mask: of the pixels that it holds in one of both frames
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import correlate1d

from vidpc.types import F64, Bool

PEAK = 255.0
_RADIUS, _SIGMA = 5, 1.5
_STEADY = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2  # keep quotients of small numbers in bounds

_weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
_WINDOW = _weights / _weights.sum()


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame of the truth and the one that is judged, f64[h w 3] in grey levels, and what of them counts (None: all)."""

    truth: F64
    judged: F64
    mask: Bool | None
    index: int
    time_s: Fraction


@dataclass(frozen=True, slots=True)
class Sums:
    """Squared errors, SSIM of windows and squared errors of changes, each added up, with how many of them there were."""

    values: int = 0
    squares: float = 0.0
    windows: int = 0
    similarity: float = 0.0
    changes: int = 0
    change_squares: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.values + other.values,
            self.squares + other.squares,
            self.windows + other.windows,
            self.similarity + other.similarity,
            self.changes + other.changes,
            self.change_squares + other.change_squares,
        )

    @property
    def psnr_db(self) -> float | None:
        """Infinite where both are equal; None where nothing was judged."""
        if not self.values:
            return None
        return 10 * math.log10(PEAK**2 * self.values / self.squares) if self.squares else math.inf

    @property
    def ssim(self) -> float | None:
        """None where no window was judged."""
        return self.similarity / self.windows if self.windows else None

    @property
    def temporal(self) -> float | None:
        """In grey levels; None for a first frame."""
        return math.sqrt(self.change_squares / self.changes) if self.changes else None


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """The figures of one frame."""

    index: int
    time_s: Fraction
    sums: Sums


def judge(pairs: Iterable[Pair]) -> Iterator[FrameQuality]:
    """The figures of every pair, in order; only the pair before is held."""
    before: Pair | None = None
    for pair in pairs:
        yield FrameQuality(pair.index, pair.time_s, _sums(pair, before))
        before = pair


def _sums(pair: Pair, before: Pair | None) -> Sums:
    error = pair.judged - pair.truth
    own = error if pair.mask is None else error[pair.mask]
    similar = _similarity(pair)
    change = _change(pair, before, error) if before else np.empty(0)
    return Sums(own.size, float((own**2).sum()), similar.size, float(similar.sum()), change.size, float((change**2).sum()))


def _change(pair: Pair, before: Pair, error: F64) -> F64:
    """How the error changed, f64[k 3], of the pixels that count."""
    change: F64 = error - (before.judged - before.truth)
    if pair.mask is None or before.mask is None:
        return change
    return change[pair.mask | before.mask]


def _similarity(pair: Pair) -> F64:
    """SSIM of every window that counts, f64[k 3]."""
    inner = (slice(_RADIUS, -_RADIUS),) * 2
    if pair.mask is None:
        return similarity(pair.truth, pair.judged)[inner]
    rows, columns = (np.flatnonzero(pair.mask[inner].any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.empty(0)
    middles = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    around = tuple(slice(s.start, s.stop + 2 * _RADIUS) for s in middles)
    found: F64 = similarity(pair.truth[around], pair.judged[around])[inner][pair.mask[inner][middles]]
    return found


def similarity(first: F64, second: F64) -> F64:
    """SSIM f64[h w c] of the window around each pixel; windows that reach over the border see the picture mirrored there."""
    mean_1, mean_2 = _blurred(first), _blurred(second)
    spread_1, spread_2 = _blurred(first * first) - mean_1**2, _blurred(second * second) - mean_2**2
    together = _blurred(first * second) - mean_1 * mean_2
    of_means = (2 * mean_1 * mean_2 + _STEADY[0]) / (mean_1**2 + mean_2**2 + _STEADY[0])
    found: F64 = of_means * (2 * together + _STEADY[1]) / (spread_1 + spread_2 + _STEADY[1])
    return found


def _blurred(picture: F64) -> F64:
    blurred: F64 = correlate1d(correlate1d(picture, _WINDOW, axis=0), _WINDOW, axis=1)
    return blurred


@dataclass(slots=True)
class VideoQuality:
    """The figures of a whole video, from those of its frames."""

    frames: int = 0
    equal_frames: int = 0
    unjudged_frames: int = 0  # in which the mask holds nothing
    pooled: Sums = Sums()
    _psnr_db: float = 0.0
    _ssim: float = 0.0
    _similar_frames: int = 0

    def add(self, frame: FrameQuality) -> None:
        """Takes in one more frame."""
        self.frames += 1
        self.pooled += frame.sums
        psnr_db, ssim = frame.sums.psnr_db, frame.sums.ssim
        if psnr_db is None:
            self.unjudged_frames += 1
        elif psnr_db == math.inf:
            self.equal_frames += 1
        else:
            self._psnr_db += psnr_db
        if ssim is not None:
            self._ssim += ssim
            self._similar_frames += 1

    def figures(self) -> dict[str, float | int | None]:
        """``psnr_db`` and ``ssim`` are means over frames; equal frames, whose PSNR is infinite, are left out of the former.

        ``psnr_pooled_db`` and ``temporal`` are of all pixels of all frames together. None: infinite, or nothing was judged.
        """
        differing = self.frames - self.equal_frames - self.unjudged_frames
        pooled = self.pooled.psnr_db
        return {
            "frames": self.frames,
            "equal_frames": self.equal_frames,
            "unjudged_frames": self.unjudged_frames,
            "psnr_db": self._psnr_db / differing if differing else None,
            "psnr_pooled_db": None if pooled == math.inf else pooled,
            "ssim": self._ssim / self._similar_frames if self._similar_frames else None,
            "temporal": self.pooled.temporal,
        }
