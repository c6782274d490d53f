"""Published PCT layouts: every entry is accounted for, whatever wraps it."""

import json
from pathlib import Path

import fill
import pytest
import torch

from vidpc.errors import WeightsError
from vidpc.weights.convert import convert
from vidpc.weights.pct import convert as converted

PARITY = Path(__file__).parents[1] / "parity"


@pytest.fixture(scope="module")
def classifier():
    return fill.state_dict(PARITY / "pct_cls.keys.txt")


@pytest.fixture(scope="module")
def parts():
    return fill.state_dict(PARITY / "pct_partseg.keys.txt")


def test_sizes_and_labels_of_the_classifier_are_found(classifier):
    _, described = converted(classifier, owner="x")
    config, labels = described["config"], described["labels"]
    assert (config["stem"], config["widths"], config["fused"], config["head"]) == (64, [128, 256], 1024, [512, 256])
    assert (config["attention_layers"], config["classes"], len(labels)) == (4, 40, 40)
    assert (labels[0], labels[8], labels[22], labels[39]) == ("airplane", "chair", "monitor", "xbox")
    assert labels == sorted(labels)  # ModelNet numbers its classes by name
    assert described["input"] == {"points": 1024, "centre": "mean", "up": "y"}


def test_parts_of_every_category_are_numbered_through(parts):
    _, described = converted(parts, owner="x")
    assert (described["architecture"], len(described["labels"])) == ("pct-parts", 50)
    labels, categories = described["labels"], described["categories"]
    assert (labels[0], labels[6], labels[7], labels[8], labels[47]) == ("airplane/0", "cap/0", "cap/1", "car/0", "table/0")
    assert (len(categories), categories[15]) == (16, "table")


def test_other_class_counts_get_plain_names(classifier):
    fewer = {**classifier, "linear3.weight": torch.ones(3, 256), "linear3.bias": torch.ones(3)}
    assert converted(fewer, owner="x")[1]["labels"] == ["class_0", "class_1", "class_2"]


def test_wrappers_and_counters_do_not_matter(classifier):
    plain, _ = converted(classifier, owner="x")
    bare = {f"module.{name}": value for name, value in classifier.items() if not name.endswith("num_batches_tracked")}
    wrapped, _ = converted(bare, owner="x")
    assert plain.keys() == wrapped.keys()
    assert all(plain[name].equal(wrapped[name]) for name in plain)


def test_a_query_that_is_not_its_key_is_refused(classifier):
    name = "pt_last.sa2.q_conv.weight"
    with pytest.raises(WeightsError, match=r"bad\.t7: 'pt_last\.sa2\.q_conv\.weight' differs from"):
        converted({**classifier, name: classifier[name] + 1}, owner="bad.t7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra.weight": torch.ones(1)}, "unknown tensor 'extra.weight'"),
        ({"bn7.bias": None}, "missing tensor 'bn7.bias'"),
        ({"conv2.weight": torch.ones(64, 32, 1)}, r"'conv2.weight' is \[64, 32\], expected \[64, 64\]"),
        ({"conv1.weight": None}, "not a PCT checkpoint: no usable entry 'conv1.weight'"),
        ({"conv1.weight": torch.ones(64, 3, 3)}, "not a PCT checkpoint"),
    ],
)
def test_entries_that_do_not_fit_are_named(classifier, change, message):
    changed = {name: value for name, value in {**classifier, **change}.items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        converted(changed, owner="x")


def test_a_file_says_what_it_was_made_of(classifier, tmp_path):
    torch.save({f"module.{name}": value for name, value in classifier.items()}, tmp_path / "model.t7")
    header = convert(tmp_path / "model.t7", tmp_path / "pct.safetensors", layout="pct", licence="MIT")
    assert (header.architecture, header.licence, len(header.labels)) == ("pct", "MIT", 40)
    assert json.loads(header.metadata["config"])["neighbours"] == [32, 32]


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"module.conv1.weight": Touch()}, tmp_path / "model.t7")
    with pytest.raises(WeightsError, match="--allow-pickle"):
        convert(tmp_path / "model.t7", tmp_path / "pct.safetensors", layout="pct")
    assert not (tmp_path / "ran").exists()
