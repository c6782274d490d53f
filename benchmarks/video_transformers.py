"""How much faster the published TimeSformer and VidTr-S are than the same networks written plainly, in one run.

    python benchmarks/video_transformers.py [--rounds 3] [--threads 2] [--out video_transformers.json]

All ways have the same random weights and see the same clip of 8 x 224 x 224. ``loops`` reads the papers straight: attention
along time one place after the other, attention in space one picture after the other, one head after the other, with the
softmax written out. ``batched`` is the same arithmetic over whole tensors with all scores in memory, as the authors' programs
do it. The ways take turns in every round; ratios are of processor seconds, medians over rounds; the largest difference of the
logits says that all are one network. Where a GPU is at hand, clips a second of ours in batches of 1, 8 and 32 follow.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from machine import tell
from neighbours import timed
from torch import Tensor, nn

from vidpc.models.timesformer import DividedBlock, TimeSformer, TimeSformerConfig
from vidpc.models.vidtr import Layer, VidTr, VidTrConfig

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # f32[b heads n c] each
BATCHES, PRECISIONS = (1, 8, 32), {"fp32": torch.float32, "bf16": torch.bfloat16}


def softmax(scores: Tensor) -> Tensor:
    """Over the last axis, as it is defined."""
    powers = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def loops(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One sequence and one head after the other."""
    out = torch.empty_like(q)
    for i in range(q.shape[0]):
        for head in range(q.shape[1]):
            shares = softmax(q[i, head] @ k[i, head].T / q.shape[-1] ** 0.5)
            out[i, head] = shares @ v[i, head]
    return out


def batched(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """All at once, with every score in memory."""
    return softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5) @ v


def heads_of(qkv: nn.Linear, x: Tensor, heads: int) -> list[Tensor]:
    """q, k, v of f32[b n d], each f32[b heads n c]."""
    return [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in qkv(x).chunk(3, dim=-1)]


def joined(x: Tensor) -> Tensor:
    """f32[b heads n c] as f32[b n d]."""
    return x.transpose(1, 2).flatten(2)


def timesformer_block(block: DividedBlock, x: Tensor, frames: int, attend: Attend) -> Tensor:
    """Section 3.2 of the paper on f32[1 1+n*t d]; a sequence of ``attend`` is a place, then a picture."""
    time, space = block.time_attention, block.attention
    first, places = x[:, :1], x[0, 1:].unflatten(0, (-1, frames))  # f32[n t d]
    change = time.out(joined(attend(*heads_of(time.qkv, block.time_norm(places), time.heads))))
    pictures = (places + block.time_change(change)).transpose(0, 1)  # f32[t n d]
    whole = torch.cat([first.expand(frames, -1, -1), pictures], dim=1)
    change = space.out(joined(attend(*heads_of(space.qkv, block.norm(whole), space.heads))))
    pictures = (pictures + change[:, 1:]).transpose(0, 1).flatten(0, 1)[None]
    x = torch.cat([first + change[:, :1].mean(dim=0, keepdim=True), pictures], dim=1)
    return x + block.feed(block.feed_norm(x))


def plain_timesformer(model: TimeSformer, clip: Tensor, attend: Attend) -> Tensor:
    """Logits of one clip."""
    x = model._tokens(model.patches(clip))
    for block in model.blocks:
        assert isinstance(block, DividedBlock)
        x = timesformer_block(block, x, clip.shape[2], attend)
    return model.head(model.norm(x)[:, 0])


def vidtr_layer(layer: Layer, x: Tensor, place: Tensor | None, attend: Attend) -> Tensor:
    """Section 3.3 of the paper on f32[1 1+t 1+n d]."""
    normed = layer.norm(x) if place is None else layer.norm(x) + place
    projections = layer.attention.projections
    along_time = normed[0].transpose(0, 1)  # f32[n t d]
    q, k, v = heads_of(projections.qkv, along_time, projections.heads)
    q, k, v = (part.permute(2, 1, 0, 3) for part in (q, k, attend(q, k, v)))  # f32[t heads n c]
    x = x + projections.out(joined(attend(q, k, v)))[None]
    return x + layer.feed(layer.feed_norm(x))


def plain_vidtr(model: VidTr, clip: Tensor, attend: Attend) -> Tensor:
    """Logits of one clip."""
    x, place = model.tokens(clip), model.pos_embed.unflatten(1, (1 + model.config.frames, -1))
    for i, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        x = vidtr_layer(layer, x, place if i < model.config.placed_layers else None, attend)
    return model.head(model.norm(x[:, 0, 0]))


def randomised(model: nn.Module) -> nn.Module:
    """Small random weights everywhere: what starts at zero would hide a mistake."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.03)
    return model.eval()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor]]] = {
    "timesformer": (lambda: TimeSformer(TimeSformerConfig()), plain_timesformer),
    "vidtr-s": (lambda: VidTr(VidTrConfig()), plain_vidtr),
}


@torch.inference_mode()
def on_cpu(model: nn.Module, plain: Callable[..., Tensor], rounds: int) -> dict[str, object]:
    """Seconds of every way, in turns, and what ours is faster."""
    clip = torch.randn(1, 3, 8, 224, 224)
    ways = {
        "ours": lambda: model(clip),
        "batched": lambda: plain(model, clip, batched),
        "loops": lambda: plain(model, clip, loops),
    }
    model(clip)
    runs = [{name: timed(way) for name, way in ways.items()} for _ in range(rounds)]
    seconds = {name: [statistics.median(run[name][i] for run in runs) for i in (1, 2)] for name in ways}
    logits = {name: run[0] for name, run in runs[0].items()}
    return {
        **{name: {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)} for name, (wall, cpu) in seconds.items()},
        "times_faster": {name: round(seconds[name][1] / seconds["ours"][1], 2) for name in ("batched", "loops")},
        "largest_logit": round(float(logits["ours"].abs().max()), 3),
        "largest_difference": {name: float((logits[name] - logits["ours"]).abs().max()) for name in ("batched", "loops")},
    }


@torch.inference_mode()
def on_gpu(model: nn.Module, rounds: int) -> dict[str, float]:
    """Clips a second, by precision and batch."""
    model, rates = model.cuda(), {}
    for name, dtype in PRECISIONS.items():
        for batch in BATCHES:
            clips = torch.randn(batch, 3, 8, 224, 224, device="cuda")

            def work(clips: Tensor = clips, dtype: torch.dtype = dtype) -> None:
                with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
                    for _ in range(4):
                        model(clips)
                torch.cuda.synchronize()

            work()
            rates[f"{name} batch {batch}"] = round(4 * batch / statistics.median(timed(work)[1] for _ in range(rounds)), 1)
    return rates


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result: dict[str, object] = {}
    for name, (build, plain) in NETWORKS.items():
        model = randomised(build())
        result[name] = on_cpu(model, plain, arguments.rounds)
        if torch.cuda.is_available():
            result[f"{name}, clips a second on {torch.cuda.get_device_name()}"] = on_gpu(model, arguments.rounds)
    tell(result, arguments.out)


if __name__ == "__main__":
    main()
