"""Names for the outputs of several inputs."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

STEM = "{stem}"


def unique_stems(stems: Sequence[str]) -> list[str]:
    """The stems, a repeated one as stem-2, stem-3 … in the order of the inputs, past names that other inputs have."""
    taken: set[str] = set()
    unique = []
    for stem in stems:
        others = taken.union(stems)
        name = stem if stem not in taken else next(f"{stem}-{k}" for k in count(2) if f"{stem}-{k}" not in others)
        taken.add(name)
        unique.append(name)
    return unique


def output_names(template: str, stems: Sequence[str], folder: Path | None) -> list[str]:
    """``template`` for every stem: ``{stem}`` is filled in, and a relative name lies in ``folder``.

    Raises ``ValueError`` where several inputs would share a name.
    """
    if STEM not in template and len(stems) > 1:
        raise ValueError(f"{template!r} would be written for each of {len(stems)} inputs: put {STEM} into the name")
    names = [template.replace(STEM, stem) for stem in unique_stems(stems)]
    return names if folder is None else [str(folder / name) for name in names]
