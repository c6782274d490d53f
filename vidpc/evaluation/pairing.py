"""Which result belongs to which ground truth, when both are files or folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidpc.errors import OpenError, PresetError

_RESULT_SUFFIXES = (".txt", ".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Pair:
    """One sequence: its name, its ground truth, its result."""

    name: str
    truth: Path
    predicted: Path


def pair_up(truths: Sequence[Path], predictions: Sequence[Path]) -> tuple[list[Pair], list[Path]]:
    """The pairs, and the results that no ground truth asks for.

    Files alone are paired in order. With a folder on either side they are paired by name: a ground truth is named like its
    file, or like the folder of its ``gt.txt`` or ``gt/gt.txt``; a result like its file.
    """
    named_truths = [named for path in truths for named in _truths(path)]
    named_results = [named for path in predictions for named in _results(path)]
    if any(path.is_dir() for path in (*truths, *predictions)):
        return _by_name(named_truths, named_results)
    if len(truths) != len(predictions):
        raise PresetError(f"{len(truths)} files of ground truth, but {len(predictions)} results: files are paired in order")
    return [Pair(name, truth, result) for (name, truth), (_, result) in zip(named_truths, named_results, strict=True)], []


def _by_name(truths: list[tuple[str, Path]], results: list[tuple[str, Path]]) -> tuple[list[Pair], list[Path]]:
    known: dict[str, Path] = {}
    for name, path in results:
        if name in known:
            raise PresetError(f"two results are named {name}: {known[name]} and {path}")
        known[name] = path
    pairs = []
    for name, path in truths:
        if name not in known:
            raise OpenError(f"no result for {path}: expected {name}.txt, .json or .jsonl, found {', '.join(known) or 'none'}")
        pairs.append(Pair(name, path, known.pop(name)))
    return pairs, list(known.values())


def _truths(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [(_sequence_name(path), path)]
    own = [path / "gt.txt", path / "gt" / "gt.txt"]
    found = [file for file in own if file.is_file()] or sorted([*path.glob("*/gt.txt"), *path.glob("*/gt/gt.txt")])
    found = found or sorted(path.glob("*.txt"))
    if not found:
        raise OpenError(f"no ground truth in {path}: expected gt.txt, NAME/gt.txt, NAME/gt/gt.txt or NAME.txt")
    return [(_sequence_name(file), file) for file in found]


def _results(path: Path) -> list[tuple[str, Path]]:
    if not path.is_dir():
        return [(path.stem, path)]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _RESULT_SUFFIXES)
    if not found:
        raise OpenError(f"no results in {path}: expected files named *{', *'.join(_RESULT_SUFFIXES)}")
    return [(file.stem, file) for file in found]


def _sequence_name(path: Path) -> str:
    if path.name != "gt.txt":
        return path.stem
    folder = path.resolve().parent
    return folder.parent.name if folder.name == "gt" else folder.name
