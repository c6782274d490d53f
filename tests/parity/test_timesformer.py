"""TimeSformer at its published size, and small ones of each kind, against the numbers of the reference code."""

import json
from pathlib import Path

import fill
import pytest
import torch
import vectors

from vidpc import weights
from vidpc.models.timesformer import ATTENTION_KINDS, TimeSformer, TimeSformerConfig, resized_embeddings
from vidpc.weights import timesformer
from vidpc.weights.convert import convert

HERE = Path(__file__).parent
META = json.loads((HERE / "timesformer.json").read_text())


def clips(specs):
    return torch.stack([torch.from_numpy(fill.make(spec)) for spec in specs])


def official(name):
    """The reference checkpoint of that name."""
    state = fill.state_dict(HERE / META["keys"][name], seed=META["seed"])
    assert fill.digest(state) == META["weights_sha256"][name]
    return {key: torch.as_tensor(value) for key, value in state.items()}


def converted(name, folder):
    """Tensors and config of the checkpoint of that name, which was wrapped as the released ones are."""
    state = {f"model.{key}": value for key, value in official(name).items()}
    torch.save({"epoch": 1, "model_state": state, "cfg": "TRAIN: {}"}, folder / "released.pyth")
    convert(folder / "released.pyth", folder / "ours.safetensors", layout="timesformer")
    file = weights.read(folder / "ours.safetensors")
    return file.tensors, file.header.config


def built(tensors, config, **changes):
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    with torch.device("meta"):
        model = TimeSformer(TimeSformerConfig(**{**fields, **changes}))
    model.load_state_dict(resized_embeddings(tensors, model.config), assign=True)
    return model.eval()


def assert_equal(ours):
    rows = vectors.compare(HERE / "timesformer.npz", ours)
    assert {key for key, *_ in rows} == set(ours)
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]


@torch.inference_mode()
def test_the_published_network_gives_the_published_numbers():
    tensors, described = timesformer.convert(official("full"), owner="full")
    model, ours = built(tensors, described["config"]), {}
    assert (model.config, described["input"]["rate"]) == (TimeSformerConfig(), 32)
    seen = {}
    for i in (0, 5, 11):
        model.blocks[i].register_forward_hook(lambda *call, i=i: seen.update({f"block{i}": call[2]}))
    for name, specs in META["cases"]["full"].items():
        seen["logits"] = model(clips(specs))
        ours |= {f"{name}.{key}": value for key, value in seen.items()}
    assert_equal(ours)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
@torch.inference_mode()
def test_every_kind_of_attention_gives_the_published_numbers(tmp_path, kind):
    model = built(*converted(kind, tmp_path))
    assert model.config.attention == kind
    assert_equal({f"{kind}.{name}.logits": model(clips(specs)) for name, specs in META["cases"]["tiny"].items()})


@torch.inference_mode()
def test_a_checkpoint_loaded_for_another_size_has_embeddings_of_nearest_tokens(tmp_path):
    case = META["cases"]["load"]
    model = built(*converted("divided_space_time", tmp_path), size=(case["img_size"],) * 2, frames=case["frames"])
    ours = {"load.pos_embed": model.pos_embed, "load.time_embed": model.time_embed, "load.logits": model(clips(case["clip"]))}
    assert_equal(ours)


def test_an_image_network_starts_time_as_a_copy_of_space():
    """The vectors say of every block whether the reference's temporal weights equal its spatial ones."""
    image = official("space_only")
    tensors, described = timesformer.convert_image(image, owner="image")
    config = described["config"]
    assert (config["attention"], config["frames"]) == ("divided_space_time", 8)
    equal = [
        tensors[f"blocks.{i}.time_attention.qkv.weight"].equal(image[f"blocks.{i}.attn.qkv.weight"])
        for i in range(config["depth"])
    ]
    assert_equal({"image_init.temporal_qkv_equals_qkv": torch.tensor(equal)})
    assert tensors["blocks.1.time_norm.bias"].equal(image["blocks.1.norm1.bias"])
    assert not tensors["blocks.2.time_change.weight"].any()
    assert not tensors["time_embed"].any()
