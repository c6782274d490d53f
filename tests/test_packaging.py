"""What lands in site-packages: every package of the tree, its data, and nothing else."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
WHEEL_LIMIT_BYTES = 60_000_000  # of built-in weights and all: what a package index takes without asking


def folder_of(package: str) -> Path:
    mapped = SETUPTOOLS["package-dir"]
    root = max((name for name in mapped if package == name or package.startswith(f"{name}.")), key=len)
    return ROOT / mapped[root] / Path(*package.removeprefix(root).strip(".").split("."))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The names in a wheel that was built from a copy of the tree, without a network."""
    pytest.importorskip("setuptools", minversion="77")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("vidpc", "cli", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = "from setuptools import build_meta; import sys; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, str(target)], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_package_list_is_the_tree():
    listed = {package: folder_of(package) for package in SETUPTOOLS["packages"]}
    found = {path.parent for name in ("vidpc", "cli", "configs") for path in (ROOT / name).rglob("__init__.py")}
    assert set(listed.values()) == found


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for name in ("vidpc", "cli", "configs") for path in (ROOT / name).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_wheel_holds_all_code_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in SETUPTOOLS["packages"]:
        patterns = ["*.py", *SETUPTOOLS["package-data"].get(package, [])]
        for path in (path for pattern in patterns for path in folder_of(package).glob(pattern)):
            assert f"{package.replace('.', '/')}/{path.relative_to(folder_of(package)).as_posix()}" in names


def test_wheel_holds_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if not re.match(r"vidpc/|vidpc-[\d.]+\.dist-info/", name)] == []
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_stays_small(wheel):
    assert wheel.stat().st_size < WHEEL_LIMIT_BYTES


def test_wheel_runs_from_another_folder(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import vidpc; from vidpc.weights import registry; from vidpc import presets;"
        "print(vidpc.__file__); assert 'people' in registry.entries() and 'people' in presets.names()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout


def test_script_and_module_are_the_same_command():
    assert PROJECT["project"]["scripts"] == {"vidpc": "vidpc.cli.main:main"}
    done = subprocess.run([sys.executable, "-m", "vidpc.cli", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "vidpc")
