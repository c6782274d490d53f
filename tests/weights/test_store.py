"""From a name to weights on this machine: registry, cache, offline, hashes that are and are not published."""

import dataclasses
import hashlib
import socket
from urllib.parse import urlparse

import pytest
import torch
from tiny_checkpoint import CONFIG

from vidpc.errors import WeightsError
from vidpc.weights import registry, store, transtrack, write
from vidpc.weights.convert import LAYOUTS


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("VIDPC_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDPC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def entry():
    return registry.find("transtrack-crowdhuman")


@pytest.fixture
def published(tmp_path):
    """A small file in the published layout."""
    torch.save(
        {"model": {name: torch.ones(shape) for name, shape in transtrack.entries(CONFIG).items()}}, tmp_path / "published.pth"
    )
    return (tmp_path / "published.pth").read_bytes()


@pytest.fixture
def served(monkeypatch, published):
    """Downloads give the small file; the list holds what was asked for."""
    asked = []

    def fetch(wanted, target, *, progress):
        asked.append(wanted)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(published)
        return hashlib.sha256(published).hexdigest()

    monkeypatch.setattr(store, "fetch", fetch)
    return asked


@pytest.mark.parametrize("entry", registry.entries().values(), ids=lambda entry: entry.id)
def test_every_row_says_where_its_weights_come_from(entry):
    assert entry.id == entry.id.lower().strip()
    assert entry.licence
    assert entry.about
    assert bool(entry.labels) != (entry.task in ("synthesize", "inpaint"))  # which make pictures
    assert entry.layout == registry.VIDPC_LAYOUT or entry.layout in LAYOUTS
    assert bool(entry.builtin) != bool(entry.urls)
    for url in entry.urls:
        assert urlparse(url).scheme == "https"
    assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == (4 if entry.layout == "torchvision" else 32)


@pytest.mark.parametrize("entry", [e for e in registry.entries().values() if e.builtin], ids=lambda entry: entry.id)
def test_built_in_file_is_the_one_of_its_row(entry):
    if not registry.place(entry).is_file():
        pytest.skip("the built-in weights are not in this tree")
    assert entry.sha256 == hashlib.sha256(registry.place(entry).read_bytes()).hexdigest()
    assert entry.size_bytes == registry.place(entry).stat().st_size
    file = registry.load(entry.id)
    assert (file.header.architecture, file.header.labels) == (entry.architecture, entry.labels)


def test_unknown_names_and_keys_are_answered_with_near_ones():
    with pytest.raises(WeightsError, match="unknown weights 'peple'; did you mean 'people'"):
        registry.find("peple")
    with pytest.raises(WeightsError, match="unknown key 'licens'; did you mean 'licence'"):
        registry._entry({"id": "x", "licens": ""})


def test_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert registry.cache_root() == tmp_path / "cache"
    monkeypatch.delenv("VIDPC_CACHE")
    assert registry.cache_root() == tmp_path / "xdg" / "vidpc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.cache_root() == tmp_path / ".cache" / "vidpc"


def test_pull_fetches_converts_and_records_what_it_saw(entry, served, published):
    pulled = store.pull(entry)
    digest = hashlib.sha256(published).hexdigest()
    assert (pulled.download_sha256, pulled.published) == (digest, False)
    assert registry.locate(entry.id) == pulled.path
    file = registry.load(entry.id)
    assert file.header.config == CONFIG
    assert (file.metadata["source"], file.metadata["source_sha256"]) == (entry.urls[0], digest)
    assert store.verify(entry) == digest


def test_pull_again_does_nothing_twice(entry, served):
    first = store.pull(entry)
    changed = first.path.stat().st_mtime_ns
    assert store.pull(entry) == first
    assert (len(served), first.path.stat().st_mtime_ns) == (1, changed)


def test_download_that_changed_since_it_was_recorded_is_refused(entry, served):
    pulled = store.pull(entry)
    pulled.download.write_bytes(pulled.download.read_bytes() + b"\0")
    for act in (store.pull, store.verify):
        with pytest.raises(WeightsError, match=r"expected .* \(recorded in"):
            act(entry)


def test_published_hash_is_held_against_the_download(entry, served):
    with pytest.raises(WeightsError, match=r"expected 00.* \(published\)"):
        store.pull(dataclasses.replace(entry, sha256="00" * 32))


def test_the_published_beginning_of_a_hash_is_enough(entry, served, published):
    known = dataclasses.replace(entry, sha256=hashlib.sha256(published).hexdigest()[:8])
    assert store.pull(known).published
    assert store.verify(known) == hashlib.sha256(published).hexdigest()
    with pytest.raises(WeightsError, match=r"expected 01234567 \(published\)"):
        store.verify(dataclasses.replace(entry, sha256="01234567"))


def test_questions_behind_an_address_are_no_part_of_the_name():
    assert registry.find("timesformer-k400").download_name == "TimeSformer_divST_8x32_224_K400.pyth"


def test_lists_of_classes_are_those_of_their_data_sets():
    counts = {name: len(entry.labels) for name, entry in registry.entries().items() if entry.task == "recognize"}
    assert (counts["timesformer-k400"], counts["timesformer-k600"], counts["timesformer-ssv2"]) == (400, 600, 174)
    assert registry.find("timesformer-ssv2").labels[16] == "Holding something"


def test_converted_file_of_another_download_is_noticed(entry, served, tmp_path):
    pulled = store.pull(entry)
    write(pulled.path, {"t": torch.ones(1)}, {"source_sha256": "other"})
    with pytest.raises(WeightsError, match="made of another download"):
        store.verify(entry)


@pytest.mark.parametrize("how", ["option", "VIDPC_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_socket_and_names_the_file_to_place(entry, no_network, how, monkeypatch, cache):
    if how != "option":
        monkeypatch.setenv(how, "1")
    with pytest.raises(
        WeightsError, match=f"offline: .*{entry.download_name} as {cache}/models/{entry.id}/{entry.download_name}"
    ):
        store.pull(entry, offline=how == "option")


def test_file_that_was_placed_by_hand_serves_offline(entry, no_network, published):
    place = store.download_path(entry)
    place.parent.mkdir(parents=True)
    place.write_bytes(published)
    assert store.pull(entry, offline=True).path.is_file()


def test_absent_weights_name_the_command_that_fetches_them(entry, no_network):
    with pytest.raises(WeightsError, match=f"fetch them with `vidpc models pull {entry.id}`"):
        registry.load(entry.id)


def test_paths_stand_for_themselves(tmp_path):
    write(tmp_path / "mine.safetensors", {"t": torch.ones(1)}, {})
    assert registry.load(str(tmp_path / "mine.safetensors")).tensors["t"].item() == 1
    with pytest.raises(WeightsError, match="no such file"):
        registry.load(str(tmp_path / "other.safetensors"))


def test_interrupted_conversion_leaves_no_weights(entry, served, monkeypatch):
    monkeypatch.setattr(store, "convert", lambda *a, **k: (_ for _ in ()).throw(WeightsError("stop")))
    with pytest.raises(WeightsError, match="stop"):
        store.pull(entry)
    assert not store.is_here(entry)
