"""Names for columns of numbers that have none, from how many there are and what is in them."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_COLOUR = ("red", "green", "blue")
_NORMAL = ("nx", "ny", "nz")
_FULL_COLOUR = 65535


def names_of_columns(sample: Array) -> tuple[str, ...]:
    """Names for the columns of ``sample`` f[n k], k of at least 3, the first three x, y and z.

    x y z | x y z intensity | x y z red green blue [label] | x y z intensity red green blue | x y z nx ny nz; else column_3, …
    """
    k = sample.shape[1]
    rest: tuple[str, ...] = tuple(f"column_{i}" for i in range(3, k))
    if k == 4:
        rest = ("intensity",)
    elif k == 7 and not _are_colours(sample[:, 3:6]) and _are_colours(sample[:, 4:7]):
        rest = ("intensity", *_COLOUR)
    elif k >= 6 and _are_colours(sample[:, 3:6]):
        rest = (*_COLOUR, *rest[3:])
        if k == 7 and _are_whole(sample[:, 6]):
            rest = (*_COLOUR, "label")
    elif k >= 6 and _are_directions(sample[:, 3:6]):
        rest = (*_NORMAL, *rest[3:])
    return ("x", "y", "z", *rest)


def _are_whole(values: Array) -> bool:
    with np.errstate(invalid="ignore"):  # a NaN may signal
        return bool((values == np.rint(values)).all())


def _are_colours(values: Array) -> bool:
    """Whether three columns are none of them negative, and whole numbers or all up to 1."""
    finite = values[np.isfinite(values).all(axis=1)]
    if not len(finite) or finite.min() < 0 or finite.max() > _FULL_COLOUR:
        return False
    return _are_whole(finite) or bool(finite.max() <= 1 and not _are_directions(finite))


def _are_directions(values: Array) -> bool:
    """Whether nearly all rows have length 1 or 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(values.astype(np.float64), axis=1)
    is_unit = (np.abs(length - 1) < 0.02) | (length == 0)
    return bool(is_unit.mean() > 0.95 and length.any())
