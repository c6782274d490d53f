"""Weights files: what is written is read, and nothing that a file claims is believed."""

import hashlib
import json
import os
import struct

import pytest
import torch

from vidpc.errors import OutputError, WeightsError
from vidpc.weights import files, read, read_header, write

METADATA = {
    "architecture": "toy",
    "config": '{"width": 4}',
    "labels": '["person", "dog"]',
    "input": '{"mean": [0.5]}',
    "licence": "CC0-1.0",
}


@pytest.fixture
def tensors():
    return {
        "b.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
        "a.bias": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "half": torch.ones(2, 0, dtype=torch.float16),
    }


@pytest.fixture
def path(tmp_path, tensors):
    write(tmp_path / "toy.safetensors", tensors, METADATA)
    return tmp_path / "toy.safetensors"


def header_of(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def forge(path, header, data, *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def test_what_was_written_is_read(path, tensors):
    file = read(path)
    assert {name: tensor.dtype for name, tensor in file.tensors.items()} == {name: t.dtype for name, t in tensors.items()}
    assert all(file.tensors[name].equal(tensor) for name, tensor in tensors.items())
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_header_describes_the_file_without_tensors(path):
    header = read_header(path)
    assert (header.architecture, header.config, header.labels) == ("toy", {"width": 4}, ("person", "dog"))
    assert (header.input, header.licence, header.logits) == ({"mean": [0.5]}, "CC0-1.0", (0, 1))
    assert header.shapes == {"b.weight": (3, 4), "a.bias": (2,), "count": (), "half": (2, 0)}


def test_the_library_of_the_format_reads_it_too(path, tensors):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(tensors)
        assert file.metadata()["format"] == "vidpc-1"


def test_equal_content_gives_equal_bytes(tmp_path, tensors):
    reordered = dict(reversed(tensors.items()))
    one = write(tmp_path / "1.safetensors", tensors, METADATA)
    two = write(tmp_path / "2.safetensors", reordered, dict(reversed(METADATA.items())))
    assert one == two == files.sha256(tmp_path / "1.safetensors")


def test_views_and_transposes_are_written_as_they_look(tmp_path):
    tensor = torch.arange(24.0).reshape(4, 6)
    write(tmp_path / "v.safetensors", {"t": tensor.T, "s": tensor[1:3, ::2]}, METADATA)
    got = read(tmp_path / "v.safetensors").tensors
    assert got["t"].equal(tensor.T)
    assert got["s"].equal(tensor[1:3, ::2])


def test_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "folder"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write weights"):
        write(target, {"t": torch.ones(2)}, METADATA)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"b.weight": (3, 4), "a.bias": (2,), "count": ()}, "unknown tensor 'half'"),
        ({"b.weight": (3, 4), "a.bias": (2,), "count": (), "half": (2, 0), "c": (1,)}, "missing tensor 'c'"),
        ({"b.weight": (4, 3), "a.bias": (2,), "count": (), "half": (2, 0)}, r"'b.weight' is \[3, 4\], expected \[4, 3\]"),
        ({"b.weights": (3, 4), "a.bias": (2,), "count": (), "half": (2, 0)}, "did you mean 'b.weights'"),
    ],
)
def test_other_layout_is_named(path, expected, words):
    with pytest.raises(WeightsError, match=words):
        read(path, expected=expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, value):
    write(tmp_path / "n.safetensors", {"w": torch.tensor([0.0, value])}, METADATA)
    with pytest.raises(WeightsError, match="'w' holds numbers that are not finite"):
        read(tmp_path / "n.safetensors")


@pytest.mark.parametrize("length", [0, 1, 1 << 24, (1 << 63) - 1, (1 << 64) - 1])
def test_header_length_is_held_against_the_file(path, length):
    header, data = header_of(path)
    forge(path, header, data, length=length)
    with pytest.raises(WeightsError, match=f"a header of {length} bytes"):
        read(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h["b.weight"].update(shape=[3, 5]), "'b.weight' lies at"),
        (lambda h: h["b.weight"].update(shape=[1 << 62, 4]), "has shape"),
        (lambda h: h["b.weight"].update(shape=[-3, -4]), "has shape"),
        (lambda h: h["b.weight"].update(shape=[3.0, 4]), "has shape"),
        (lambda h: h["b.weight"].update(shape=12), "damaged"),
        (lambda h: h["b.weight"].update(dtype="F128"), "F128"),
        (lambda h: h["b.weight"].update(data_offsets=[0, 1 << 60]), "lies at"),
        (lambda h: h["b.weight"].pop("data_offsets"), "data_offsets"),
        (lambda h: h.update({"b.weight": []}), "damaged"),
        (lambda h: h.update(__metadata__=[]), "damaged"),
        (lambda h: h.pop("b.weight"), "lies at|bytes of data"),
        (lambda h: h["__metadata__"].update(format="pt"), "format 'pt', expected 'vidpc-1'"),
        (lambda h: h.pop("__metadata__"), "format 'none'"),
    ],
)
def test_forged_headers_are_refused(path, change, words):
    header, data = header_of(path)
    change(header)
    forge(path, header, data)
    with pytest.raises(WeightsError, match=words):
        read_header(path)


@pytest.mark.parametrize("text", [b"[]", b"{ ", b'{"a": NaN', b"[" * 100_000, b"\xff\xfe", b"null"])
def test_headers_that_are_no_json_object_are_refused(path, text):
    forge(path, text, b"")
    with pytest.raises(WeightsError, match="header is damaged"):
        read_header(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes here, in 0"),
        (b"\x01", "in 1"),
        (b"PK\x03\x04" + bytes(100), "PyTorch checkpoint; convert it"),
        (b"\x80\x02}q\x00(X" + bytes(100), "PyTorch checkpoint; convert it"),
        (b"<!DOCTYPE html><html>" + bytes(100), "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    ],
)
def test_foreign_files_are_recognised(tmp_path, content, words):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read(tmp_path / "x.safetensors")


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"damaged|lies at|bytes"):
            read(path)


@pytest.mark.parametrize(("key", "value"), [("config", "[1]"), ("labels", "{}"), ("config", "{"), ("input", "[" * 100_000)])
def test_metadata_of_the_wrong_kind_is_refused(tmp_path, key, value):
    write(tmp_path / "m.safetensors", {"t": torch.ones(1)}, {**METADATA, key: value})
    with pytest.raises(WeightsError, match=f"metadata '{key}'"):
        getattr(read_header(tmp_path / "m.safetensors"), key)


def test_metadata_that_is_missing_is_named(tmp_path):
    write(tmp_path / "m.safetensors", {"t": torch.ones(1)}, {})
    with pytest.raises(WeightsError, match="no 'architecture'"):
        _ = read_header(tmp_path / "m.safetensors").architecture


def test_missing_files_folders_and_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("nothing", "no such file"),
        ("", "not a regular file"),
        ("pipe", "not a regular file"),
        ("a\0b", "no such file|null"),
    ):
        with pytest.raises(WeightsError, match=words):
            read(f"{tmp_path}/{name}")
