"""VidTr at its published sizes against the numbers of the reference code."""

import json
from pathlib import Path

import fill
import pytest
import torch
import vectors

from vidpc.models.vidtr import CompactVidTr, CompactVidTrConfig, VidTr, VidTrConfig
from vidpc.weights import vidtr

HERE = Path(__file__).parent
NETWORKS = {"vidtr_s": (VidTr, VidTrConfig), "cvidtr_s": (CompactVidTr, CompactVidTrConfig)}


def converted(name):
    """The network, from a checkpoint with the prefix of the released ones, and its input."""
    meta = json.loads((HERE / f"{name}.json").read_text())
    official = fill.state_dict(HERE / f"{name}.keys.txt", seed=meta["seed"])
    assert fill.digest(official) == meta["weights_sha256"]
    tensors, described = vidtr.convert({f"module.{key}": torch.as_tensor(value) for key, value in official.items()}, owner="x")
    network, config = NETWORKS[name]
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in described["config"].items()}
    assert config(**fields) == config()
    with torch.device("meta"):
        model = network(config())
    model.load_state_dict(tensors, assign=True)
    return model.eval(), torch.stack([torch.from_numpy(fill.make(spec)) for spec in meta["cases"]["clip"]])


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_the_published_network_gives_the_published_numbers(name):
    model, clip = converted(name)
    ours = {}
    for i, layer in enumerate(model.layers):
        layer.register_forward_hook(lambda *call, i=i: ours.update({f"layer{i}": call[2].flatten(1, -2)}))
        if name == "cvidtr_s" and i in (1, 3, 5):  # i64[b n heads kept]; the reference has heads slowest
            layer.attention.register_forward_hook(
                lambda *call, i=i: ours.update({f"kept_frames.layer{i}.idx": call[2][1].permute(2, 0, 1, 3).flatten(0, 2)})
            )
    ours["logits"] = model(clip)
    rows = vectors.compare(HERE / f"{name}.npz", ours)
    assert {key for key, *_ in rows} == set(vectors.load(HERE / f"{name}.npz"))
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]
