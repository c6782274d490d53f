"""How much faster the published STTN fills a clip than its authors' loop written plainly, in one run.

    python benchmarks/sttn.py [--frames 12] [--rounds 1] [--threads 2] [--device cpu] [--out sttn.json]

Both ways have the same random weights and see the same clip of 432 x 240, over which a square hole of a quarter of the width
moves. ``plain`` is the authors' test: features of every frame once, then window by window the whole network for neighbours
and references, every neighbour decoded whole, 8-bit frames averaged half and half. ``ours`` is ``tasks.sttn_fill.filled`` with
the authors' windows. The ways take turns in every round; ratios are of processor seconds (on a GPU, of seconds), medians over
rounds. Frames are compared in grey levels: predictions are truncated, so that a rounding error can become a level.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from machine import tell
from neighbours import timed
from torch import Tensor, nn

from vidpc.models.sttn import STTN, Block, STTNConfig
from vidpc.ops import winograd
from vidpc.tasks.sttn_fill import filled
from vidpc.tasks.sttn_windows import Rule, windows
from vidpc.types import U8, Bool

WIDTH, HEIGHT, SIDE = 432, 240, 108


def clip(frames: int) -> tuple[U8, Bool]:
    """u8[t h w 3] of a texture that pans, and bool[t h w] of a square that moves over it."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 3, 40, 60), dtype=np.float32))
    texture = F.interpolate(coarse, size=(HEIGHT + 2 * frames, WIDTH + 3 * frames), mode="bicubic")[0].clamp(0, 1)
    pixels = (texture * 255).byte().permute(1, 2, 0).numpy()
    pictures = np.stack([pixels[2 * t : 2 * t + HEIGHT, 3 * t : 3 * t + WIDTH] for t in range(frames)])
    holes = np.zeros((frames, HEIGHT, WIDTH), dtype=bool)
    for t in range(frames):
        holes[t, 60 : 60 + SIDE, 20 + 4 * t : 20 + 4 * t + SIDE] = True
    return pictures, holes


def randomised(model: STTN) -> STTN:
    """Random weights under which signals keep their size from the first layer to the last, as in the tests of parity."""
    torch.manual_seed(0)
    c = model.config.channels
    gains = {"encoder": 1.9, "decoder.layers.3": 1.0, "decoder": 1.4, "blocks": 0.8}
    for name, parameter in model.named_parameters():
        fan_in = parameter[0].numel()
        gain = next(value for part, value in gains.items() if name.startswith(part))
        nn.init.normal_(parameter, std=0.05 if parameter.ndim == 1 else gain / fan_in**0.5)
        if parameter.ndim > 1:  # the weights of one result sum to zero
            parameter.data -= parameter.data.flatten(1).mean(dim=1).view(-1, *[1] * (parameter.ndim - 1))
        if name.endswith("qkv.weight"):
            parameter.data[: 2 * c] *= 0.3  # attention that is neither even nor of one patch alone
    return model.eval()


def plain_block(block: Block, x: Tensor) -> Tensor:
    """Section 3.2 of the paper on f32[t c h w], one head after the other."""
    t, c, h, w = x.shape
    attention, heads = block.attention, len(block.attention.patches)
    q, k, v = F.conv2d(x, attention.qkv.weight[:, :, None, None], attention.qkv.bias).chunk(3, dim=1)
    gathered = []
    for i, (width, height) in enumerate(attention.patches):
        rows, columns, part = h // height, w // width, slice(i * c // heads, (i + 1) * c // heads)

        def cut(y: Tensor, rows: int = rows, columns: int = columns, part: slice = part) -> Tensor:
            tiles = y[:, part].reshape(t, c // heads, rows, h // rows, columns, w // columns)
            return tiles.permute(0, 2, 4, 1, 3, 5).reshape(t * rows * columns, -1)

        scores = cut(q) @ cut(k).T / (c // heads * width * height) ** 0.5
        made = scores.softmax(dim=-1) @ cut(v)
        tiles = made.reshape(t, rows, columns, c // heads, height, width).permute(0, 3, 1, 4, 2, 5)
        gathered.append(tiles.reshape(t, c // heads, h, w))
    x = x + F.leaky_relu(plain(attention.out, torch.cat(gathered, dim=1)), 0.2)
    return x + F.leaky_relu(plain(block.leave, F.leaky_relu(plain(block.enter, x), 0.2)), 0.2)


def plain(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution as torch does it."""
    assert isinstance(layer, nn.Conv2d)
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)


def plain_decoder(model: STTN, x: Tensor) -> Tensor:
    """The decoder, layer by layer."""
    first, second, third, last = model.decoder.layers
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    x = F.leaky_relu(plain(second, F.leaky_relu(plain(first, x), 0.2)), 0.2)
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    return plain(last, F.leaky_relu(plain(third, x), 0.2)).tanh()


def authors_loop(model: STTN, pictures: U8, holes: Bool, device: str) -> U8:
    """The clip filled, all frames and features held, window by window."""
    masks = torch.from_numpy(holes).to(device)[:, None].float()
    x = (torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2) / 255 * 2 - 1) * (1 - masks)
    for layer in model.encoder.layers:
        x = F.leaky_relu(plain(layer, x), 0.2)
    composed: list[np.ndarray | None] = [None] * len(pictures)
    for window in windows(Rule(), lambda wanted: len(pictures)):
        features = x[[*window.neighbours, *window.references]]
        for block in model.blocks:
            assert isinstance(block, Block)
            features = plain_block(block, features)
        made = (plain_decoder(model, features[: len(window.neighbours)]) + 1) / 2
        painted = made.permute(0, 2, 3, 1).cpu().numpy() * 255
        for i, own in zip(window.neighbours, painted, strict=True):
            hole = holes[i][..., None].astype(np.uint8)
            picture = own.astype(np.uint8) * hole + pictures[i] * (1 - hole)
            before = composed[i]
            composed[i] = picture if before is None else before.astype(np.float32) * 0.5 + picture.astype(np.float32) * 0.5
    return np.stack([picture.astype(np.uint8) for picture in composed if picture is not None])


@torch.inference_mode()
def compared(model: STTN, frames: int, rounds: int, device: str) -> dict[str, object]:
    """Seconds of both ways, in turns, and how far their frames are apart."""
    pictures, holes = clip(frames)
    model = model.to(device)
    ways: dict[str, Callable[[], U8]] = {
        "ours": lambda: np.stack(list(filled(model, zip(pictures, holes, strict=True)))),
        "plain": lambda: authors_loop(model, pictures, holes, device),
    }
    if device != "cpu":
        for way in ways.values():
            way()  # the first run chooses kernels
    runs = [{name: timed(way) for name, way in ways.items()} for _ in range(rounds)]
    seconds = {name: [statistics.median(run[name][i] for run in runs) for i in (1, 2)] for name in ways}
    counted = 1 if device == "cpu" else 0
    apart = np.abs(runs[0]["ours"][0].astype(int) - runs[0]["plain"][0].astype(int))[holes]
    return {
        "frames": frames,
        "device": device,
        **{name: {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)} for name, (wall, cpu) in seconds.items()},
        "times_faster": round(seconds["plain"][counted] / seconds["ours"][counted], 2),
        "largest_difference_in_grey_levels": int(apart.max()),
        "share_of_hole_values_that_differ": float(f"{(apart > 0).mean():.2g}"),
        "deviation_of_the_fill_in_grey_levels": round(float(runs[0]["plain"][0][holes].std()), 1),
    }


def convolutions(rounds: int) -> dict[str, object]:
    """Processor seconds of a block's convolution of ten frames, by Winograd's transforms and as torch does it."""
    x, weight, bias = torch.randn(10, HEIGHT // 4, WIDTH // 4, 256), torch.randn(256, 256, 3, 3) / 48, torch.randn(256)
    with torch.inference_mode():
        ways = {
            "winograd": lambda: winograd.convolution(x, weight, bias),
            "torch": lambda: F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1).permute(0, 2, 3, 1),
        }
        runs = [{name: timed(way) for name, way in ways.items()} for _ in range(rounds + 1)][1:]
    made = {name: run[0] for name, run in runs[0].items()}
    return {
        **{name: round(statistics.median(run[name][2] for run in runs), 3) for name in ways},
        "largest_difference": float((made["winograd"] - made["torch"]).abs().max()),
        "largest_value": round(float(made["torch"].abs().max()), 2),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    result = compared(randomised(STTN(STTNConfig())), given.frames, given.rounds, given.device)
    if given.device == "cpu":
        result["convolution_cpu_seconds"] = convolutions(given.rounds)
    tell({"benchmark": "sttn", **result}, given.out)


if __name__ == "__main__":
    main()
