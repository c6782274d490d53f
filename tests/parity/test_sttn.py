"""STTN at its published size, and its authors' test, against the numbers of the reference code."""

import json
from pathlib import Path

import fill
import numpy as np
import pytest
import torch
import vectors

from vidpc import weights
from vidpc.models.sttn import STTN, STTNConfig
from vidpc.ops.bicubic import resize_bicubic
from vidpc.ops.holes import dilated, resized_hole
from vidpc.tasks.network import build
from vidpc.tasks.sttn_fill import filled
from vidpc.tasks.sttn_windows import Rule, windows
from vidpc.weights.convert import convert

HERE = Path(__file__).parent
META = json.loads((HERE / "sttn.json").read_text())
STORED = dict(np.load(HERE / "sttn.npz"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The network, from a file that was converted from a checkpoint laid out as the released one."""
    folder = tmp_path_factory.mktemp("sttn")
    official = fill.state_dict(HERE / META["keys"], seed=META["seed"])
    assert fill.digest(official) == META["weights_sha256"]
    torch.save({"netG": {name: torch.as_tensor(value) for name, value in official.items()}}, folder / "sttn.pth")
    convert(folder / "sttn.pth", folder / "ours.safetensors", layout="sttn")
    network = build(weights.read(folder / "ours.safetensors"), "sttn", STTN, STTNConfig)
    assert network.config == STTNConfig()
    return network


def holes(case, height=240, width=432):
    """bool[t h w] of the rectangles [y, height, x, width] of every frame."""
    found = np.zeros((len(case["mask_rectangles"]), height, width), dtype=bool)
    for hole, rectangles in zip(found, case["mask_rectangles"], strict=True):
        for y, h, x, w in rectangles:
            hole[y : y + h, x : x + w] = True
    return found


def assert_equal(ours):
    rows = vectors.compare(HERE / "sttn.npz", ours)
    assert {key for key, *_ in rows} == set(ours)
    assert all(passed for *_, passed in rows), rows


@pytest.mark.timeout(900)  # 150 thousand million multiplications a frame
@torch.inference_mode()
def test_the_published_network_gives_the_published_numbers(model):
    case, ours = META["cases"]["network"], {}
    frames, hole = torch.from_numpy(fill.make(case["frames"])), torch.from_numpy(holes(case))[:, None]
    model.blocks[0].register_forward_hook(lambda *call: ours.update(block0=call[2][0].movedim(-1, 1)))
    ours["encoder"] = model.encode(frames.masked_fill(hole, 0))
    ours["infer"] = model.infer(ours["encoder"][None], hole[None].float())[0]
    ours["prediction"] = model.decode(ours["infer"][: case["neighbours"]]).tanh()
    assert_equal(ours)


@pytest.mark.timeout(900)
def test_a_clip_is_filled_as_by_the_authors_test(model):
    case = META["cases"]["pipeline"]
    frames = fill.make(case["frames"])
    pictures = zip(frames, holes(case), strict=True)
    assert_equal({"pipeline.composited": np.stack(list(filled(model, pictures))).astype(np.float32)})


@pytest.mark.parametrize("length", META["windows"])
def test_windows_are_those_of_the_authors(length):
    found = windows(Rule(), lambda wanted: int(length))
    assert [[list(window.neighbours), list(window.references)] for window in found] == META["windows"][length]


class Told:
    """A network that paints what the vectors say of each window, the windows coming in order."""

    def __init__(self):
        self.start = -5

    def parameters(self):
        return iter([torch.zeros(1)])

    def encode(self, frames):
        return torch.zeros(len(frames), 1, 1, 1)

    def paint(self, features, holes, painted, rows, columns):
        self.start += 5
        made = fill.normal(f"blend.window{self.start}", (painted, 3, 4, 6), META["seed"])
        return torch.from_numpy(made)[None, ..., rows, columns]


@pytest.mark.parametrize("length", META["cases"]["blend"]["lengths"])
def test_windows_overlap_as_the_authors(length):
    frames = fill.integers("blend.frames", 0, 256, (length, 4, 6, 3), META["seed"]).astype(np.uint8)
    hole = fill.integers("blend.masks", 0, 3, (length, 4, 6, 1), META["seed"])[..., 0] > 0
    assert hole.any(axis=(1, 2)).all()  # so every neighbour of every window is painted
    assert_equal({f"blend.length{length}": np.stack(list(filled(Told(), zip(frames, hole, strict=True))))})


def test_holes_are_prepared_as_by_the_authors():
    assert_equal({"dilate.out": dilated(STORED["dilate.in"] > 0).astype(np.uint8)})
    small = dilated(resized_hole(STORED["mask_file.in"] > 0, width=432, height=240))
    assert_equal({"mask_file.out_packed": np.packbits(small)})


def test_frames_are_resized_as_by_the_authors():
    frame = fill.video("frame.resize", 1, 90, 150, META["seed"])[0]
    assert_equal({"frame_resize": resize_bicubic(frame, width=432, height=240)})
