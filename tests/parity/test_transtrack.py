"""TransTrack at its published size against the numbers of the authors' code, from a checkpoint in the published layout."""

import json
from fractions import Fraction
from pathlib import Path

import fill
import numpy as np
import pytest
import torch
import vectors

from vidpc import weights
from vidpc.ops.boxes import cxcywh_to_xyxy
from vidpc.presets import AssociationSettings
from vidpc.tasks import association
from vidpc.tasks.track import build_model
from vidpc.weights.convert import convert

HERE = Path(__file__).parent
PERSON = 1  # logit


META = json.loads((HERE / "transtrack.json").read_text())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    official = fill.state_dict(HERE / "transtrack.keys.txt", seed=META["seed"])
    assert fill.digest(official) == META["weights_sha256"]
    folder = tmp_path_factory.mktemp("transtrack")
    torch.save({"model": {name: torch.as_tensor(value) for name, value in official.items()}}, folder / "published.pth")
    convert(folder / "published.pth", folder / "ours.safetensors", layout="transtrack")
    return build_model(weights.read(folder / "ours.safetensors"))


@pytest.fixture(scope="module", params=["seq", "padded"])
def run(request, model):
    """The frames of a case as one batch, and what stands between input and output."""
    spec = META["cases"][request.param]
    frames = torch.from_numpy(fill.make(spec["frames"]))
    (h, w), (canvas_h, canvas_w) = spec["valid_hw"], spec["canvas_hw"]
    count = len(frames)
    images = torch.zeros(count, 3, canvas_h, canvas_w)
    images[:, :, :h, :w] = frames
    padding = None
    if (h, w) != (canvas_h, canvas_w):
        padding = torch.ones(count, canvas_h, canvas_w, dtype=torch.bool)
        padding[:, :h, :w] = False
    previous = torch.tensor([0, *range(count - 1)])
    with torch.inference_mode():
        output = model(images, previous, padding=padding)
        maps = model.backbone(images)
        levels = model.levels(images)
        memory = model.encode(levels, [level[previous] for level in levels], padding)
        combined = [model.combine(torch.cat([level, level[previous]], 1)) for level in levels]
        tracked = model.track(memory, output.carry.hidden[previous], output.carry.boxes[previous])
    return request.param, spec, output, {"maps": maps, "combined": combined, "memory": memory, "tracked": tracked}


def test_every_tensor_is_within_its_stated_tolerance(run):
    case, spec, output, inner = run
    ours = {}
    for t in range(len(output.logits)):
        at = f"{case}.frame{t}"
        ours |= {f"{at}.pred_logits": output.logits[t], f"{at}.pred_boxes": output.boxes[t]}
        ours |= {f"{at}.backbone.c{stage}": inner["maps"][stage - 3][t] for stage in (3, 4, 5)}
        ours |= {f"{at}.src{level}": inner["combined"][level][t] for level in range(4)}
        ours |= {f"{at}.memory": inner["memory"].tokens[t], f"{at}.det.hs_last": output.carry.hidden[t]}
        if t:
            ours |= {f"{at}.tracking_logits": output.track_logits[t], f"{at}.tracking_boxes": output.track_boxes[t]}
            ours[f"{at}.track.hs_last"] = inner["tracked"].hidden[-1][t]
        height, width = spec["original_hw"]
        pixels = torch.tensor([width, height, width, height])
        ours[f"{at}.post.scores"] = output.logits[t, :, PERSON].sigmoid()
        ours[f"{at}.post.boxes"] = cxcywh_to_xyxy(output.boxes[t]) * pixels / 1000
        ours[f"{at}.post.track_boxes"] = cxcywh_to_xyxy(output.track_boxes[t]) * pixels / 1000
    rows = vectors.compare(HERE / "transtrack.npz", ours)
    stored = {key for key in vectors.load(HERE / "transtrack.npz") if key.startswith(case) and "track_ids" not in key}
    assert {key for key, *_ in rows} == stored  # nothing that was stored went unlooked at
    assert all(passed for *_, passed in rows), [row for row in rows if not row[-1]]


def test_identities_are_those_of_the_released_tracker(run):
    case, spec, output, _ = run
    height, width = spec["original_hw"]
    pixels = np.array([width, height, width, height], dtype=np.float64)
    settings = AssociationSettings(rule="paper", score=spec["score_thresh"])
    state = association.TrackState()
    with np.load(HERE / "transtrack.npz") as stored:
        for t in range(len(output.logits)):
            scores = output.logits[t, :, PERSON].sigmoid().numpy()
            queries = association.Queries(
                index=t,
                time_s=Fraction(t, 25),
                scores=scores,
                labels=np.zeros(len(scores), dtype=np.int64),
                boxes_xyxy=cxcywh_to_xyxy(output.boxes[t]).numpy() * pixels,
                track_boxes_xyxy=cxcywh_to_xyxy(output.track_boxes[t]).numpy() * pixels,
            )
            state, tracks = association.step(state, queries, settings)
            expected = stored[f"{case}.frame{t}.track_ids"]
            assert tracks.ids.tolist() == expected[expected[:, 1] == 1, 0].tolist()
