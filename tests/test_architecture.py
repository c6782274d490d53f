"""Who may import whom. The tables below are the documentation; the syntax tree of every file is held against them."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_VALUES = {"errors", "types"}
_LIBRARY = {"presets", "ops", "stream", "media", "models", "weights", "engine", "tasks", "outputs", "evaluation"} | _VALUES

# room -> rooms of vidpc that it may import, besides itself. "media.probe" allows that one module.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "types": {"errors"},
    "presets": _VALUES,
    "ops": {"errors"},
    "stream": _VALUES,
    "media": _VALUES,
    "models": {"errors", "ops"},
    "weights": {"errors"},
    "engine": {"stream"} | _VALUES,
    "tasks": {"presets", "ops", "stream", "models", "weights"} | _VALUES,
    "outputs": {"media"} | _VALUES,
    "evaluation": {"ops", "media"} | _VALUES,  # labels are read from scans of any format
    "synthetic": _VALUES,  # generated pictures: for the demo and for training
    "training": {"presets", "ops", "stream", "media", "models", "weights", "tasks", "evaluation", "synthetic"} | _VALUES,
    "pipeline": _LIBRARY,
    "demo": {"synthetic", "media", "outputs"} | _VALUES,
    "cli": {"presets", "pipeline", "demo", "media.probe", "media.masks", "weights", "evaluation", "training"} | _VALUES,
    "configs": set(),
}

# package -> rooms, or single files, that may import it. Nothing outside this table and the standard library is imported.
HOMES: dict[str, set[str]] = {
    "av": {"media"},
    "decord": {"media"},
    "open3d": {"media"},
    "libusb_package": {"media"},
    "laspy": {"media"},
    "lazrs": {"media"},
    "click": {"cli"},
    "PIL": {"outputs"},  # text on pictures
    "safetensors": {"weights"},
    "torch": {"ops", "vidpc/stream/batch.py", "models", "weights", "engine", "tasks", "training"},
    "torchvision": {"models", "training"},
    "einops": {"ops", "models"},
    "scipy": {"ops", "tasks", "evaluation", "training"},
    "numpy": {"types", "ops", "stream", "media", "engine", "tasks", "outputs", "evaluation", "synthetic", "training", "demo"},
}

FILES = sorted(path for folder in ("vidpc", "cli", "configs") for path in (ROOT / folder).rglob("*.py"))


def room_of(path: Path) -> str:
    """The room that a file stands in; "" for ``vidpc/__init__.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = parts[1] if parts[0] == "vidpc" else parts[0]
    return "" if name == "__init__" else name


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of everything that a file imports, at its top or anywhere inside."""
    relative = path.relative_to(ROOT)
    package = (() if relative.parts[0] == "vidpc" else ("vidpc",)) + relative.parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module,) if node.module else ())))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def fault(path: Path, name: str) -> str | None:
    """What is wrong with ``path`` importing ``name``, if anything."""
    room, (package, *inner) = room_of(path), name.split(".")
    if package == "vidpc":
        target = inner[0] if inner else ""
        if target in ("", "__version__", room):
            return None
        allowed = MAY_IMPORT.get(room, set())
        if target in allowed or ".".join(inner[:2]) in allowed:
            return None
        return f"{room or 'vidpc'} may not import {target}"
    if package in sys.stdlib_module_names:
        return None
    homes = HOMES.get(package)
    if homes is None:
        return f"{package} has no home"
    return None if room in homes or path.relative_to(ROOT).as_posix() in homes else f"{room} may not import {package}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_imports_only_what_its_room_may(path: Path) -> None:
    faults = [f"line {line}: {reason}" for line, name in imported(path) if (reason := fault(path, name))]
    assert faults == []


def test_every_room_has_a_row() -> None:
    assert {room_of(path) for path in FILES} - {""} == set(MAY_IMPORT)


def test_no_two_rooms_import_each_other() -> None:
    both = {(a, b) for a, row in MAY_IMPORT.items() for b in row if a in MAY_IMPORT.get(b, set())}
    assert both == set()


def test_relative_and_inner_imports_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vidpc" / "models"
    folder.mkdir(parents=True)
    file = folder / "net.py"
    file.write_text("from ..tasks import track\ndef f():\n    import av\n    from .resnet import ResNet\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    found = [(line, fault(file, name)) for line, name in imported(file)]
    assert sorted(found) == [(1, "models may not import tasks"), (3, "models may not import av"), (4, None)]
