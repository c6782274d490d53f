"""torchvision's video transformers: our rows against its registry, and its checkpoints against its networks."""

import pytest
import torch
from torchvision.models import get_model, get_model_weights

from vidpc import presets, weights
from vidpc.errors import WeightsError
from vidpc.models.torchvision_video import MViT, MViTConfig, Swin3D, Swin3DConfig
from vidpc.tasks.network import build
from vidpc.weights import registry, torchvision_video
from vidpc.weights.convert import convert

ROWS = {
    "swin3d-t-kinetics400": ("swin3d_t", "KINETICS400_V1"),
    "swin3d-s-kinetics400": ("swin3d_s", "KINETICS400_V1"),
    "swin3d-b-kinetics400": ("swin3d_b", "KINETICS400_V1"),
    "swin3d-b-22k-kinetics400": ("swin3d_b", "KINETICS400_IMAGENET22K_V1"),
    "mvit-v1-b-kinetics400": ("mvit_v1_b", "KINETICS400_V1"),
    "mvit-v2-s-kinetics400": ("mvit_v2_s", "KINETICS400_V1"),
}
NETWORKS = {"swin3d": (Swin3D, Swin3DConfig), "mvit": (MViT, MViTConfig)}


def converted(theirs, folder):
    """Our network with the weights of torchvision's, and the header of the file in between."""
    torch.save(theirs.state_dict(), folder / "theirs.pth")
    header = convert(folder / "theirs.pth", folder / "ours.safetensors", layout="torchvision")
    return build(weights.read(folder / "ours.safetensors"), header.architecture, *NETWORKS[header.architecture]), header


def test_every_row_is_known_to_torchvision():
    assert {name for name, entry in registry.entries().items() if entry.layout == "torchvision"} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_rows_and_presets_say_what_torchvision_says(name):
    network, version = ROWS[name]
    published = get_model_weights(network)[version]
    entry, preset = registry.find(name), presets.load(name, presets.RecognizeConfig)
    assert entry.urls == (published.url,)
    assert entry.sha256 == published.url.rpartition("-")[2].removesuffix(".pth")
    assert list(entry.labels) == published.meta["categories"]
    look = published.transforms()
    assert (list(preset.mean), list(preset.std)) == (look.mean, look.std)
    assert ([preset.short_side], [preset.crop] * 2) == (look.resize_size, look.crop_size)
    assert f"`frame_rate={30 / preset.rate:g}`" in published.meta["_docs"]
    assert f"`clip_len={preset.frames}`" in published.meta["_docs"]


@torch.inference_mode()
def test_a_converted_swin_gives_the_numbers_of_torchvision(tmp_path):
    theirs = get_model("swin3d_t", weights=None).eval()
    ours, header = converted(theirs, tmp_path)
    clips = torch.randn(1, 3, 2, 32, 32)
    assert ours(clips).equal(theirs(clips))
    assert (header.labels[0], header.input["crop"]) == ("abseiling", 224)


@torch.inference_mode()
def test_a_converted_mvit_has_every_tensor_of_torchvision(tmp_path):
    with torch.device("meta"):
        theirs = get_model("mvit_v2_s", weights=None).eval()
    theirs = theirs.to_empty(device="cpu")
    for tensor in theirs.parameters():
        tensor.fill_(tensor.numel() % 97)
    ours, _ = converted(theirs, tmp_path)
    assert ours.head.weight.equal(theirs.head[1].weight)
    theirs.head = torch.nn.Identity()
    for (name, tensor), (their_name, their_tensor) in zip(
        ours.network.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert (name, tensor.equal(their_tensor)) == (their_name, True)


@pytest.mark.parametrize("size", ["t", "s", "b"])
def test_swin_sizes_are_told_apart_by_their_shapes(size):
    with torch.device("meta"):
        state = get_model(f"swin3d_{size}", weights=None).state_dict()
    assert torchvision_video.convert(state, owner="x")[1]["config"] == {"size": size, "classes": 400}


def test_mvit_versions_are_told_apart_by_their_names():
    with torch.device("meta"):
        state = get_model("mvit_v1_b", weights=None).state_dict()
    assert torchvision_video.convert(state, owner="x")[1]["config"] == {"size": "v1_b", "classes": 400}


def test_another_network_is_refused():
    with pytest.raises(WeightsError, match="not one of torchvision's video transformers: no usable entry 'patch_embed"):
        torchvision_video.convert({"conv1.weight": torch.ones(3)}, owner="x")
