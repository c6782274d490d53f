"""The sound of a generated street: distant traffic, and every step of every walker at its place."""

import numpy as np

from vidpc.types import F32, F64

from .street import Street, Walker

_STEP_S = 0.09


def street_sound(street: Street, *, seconds: float, rate_hz: int = 44_100, seed: int = 0) -> F32:
    """Stereo sound f32[n 2] between -1 and 1."""
    rng = np.random.default_rng([seed, 1])
    count = round(seconds * rate_hz)
    swell = 0.8 + 0.2 * np.sin(2 * np.pi * np.arange(count) / rate_hz / 4.7)
    sound = np.stack([0.16 * _low(rng.standard_normal(count), rate_hz, 220) * swell for _ in range(2)], axis=1)
    for walker in street.walkers:
        for time_s in _steps(walker, seconds):
            _add_step(sound, street, walker, time_s, rate_hz, rng)
    return np.tanh(sound).astype(np.float32)


def _steps(walker: Walker, seconds: float) -> list[float]:
    """When its feet land: twice a cycle."""
    times = np.arange(0, seconds, 0.005)
    half_cycles = np.floor(2 * np.array([walker.phase(t) for t in times]))
    return [float(t) for t in times[1:][np.diff(half_cycles) > 0]]


def _add_step(sound: F64, street: Street, walker: Walker, time_s: float, rate_hz: int, rng: np.random.Generator) -> None:
    right_m, depth_m = walker.place_m(time_s)
    side = float(np.clip(street.ground.place(right_m, depth_m)[0] / street.ground.width, -0.5, 1.5))
    near = 3.0 / depth_m / (1 + 4 * abs(side - float(np.clip(side, 0, 1))))
    start, length = round(time_s * rate_hz), round(_STEP_S * rate_hz)
    length = min(length, len(sound) - start)
    fall = np.exp(-np.arange(length) / (0.016 * rate_hz))
    step = near * fall * _low(rng.standard_normal(length), rate_hz, 900)
    pan = float(np.clip(side, 0, 1))
    sound[start : start + length] += (step[:, None] * np.array([1 - pan, pan])).astype(sound.dtype)


def _low(noise: F64, rate_hz: int, cut_hz: float) -> F64:
    """``noise`` without what is above ``cut_hz``, at a deviation of one."""
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(len(noise), 1 / rate_hz)
    kept = np.fft.irfft(spectrum / (1 + (frequencies / cut_hz) ** 2), len(noise))
    return kept / max(float(kept.std()), 1e-9)
