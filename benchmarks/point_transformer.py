"""How much faster the network of the published size is than the same network written plainly, in one run.

    python benchmarks/point_transformer.py [--points 20000] [--rounds 3] [--out point_transformer.json]

Both have the same random weights and see the same room. ``plain`` searches neighbours one point at a time and samples farthest
points one at a time (benchmarks/neighbours.py), and runs every layer as the paper writes it, on f32[n k c] with all norms
unfolded. ``ours`` is what ``vidpc segment`` runs: its plan of levels, and its layers. Ratios are of processor seconds; the
largest difference of the logits says that both are one network.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from machine import tell
from neighbours import naive_farthest, naive_nearest, room, timed
from torch import Tensor, nn

from vidpc.models.point_transformer import (
    Block,
    Gather,
    Level,
    PointTransformer,
    PointTransformerConfig,
    Steps,
    VectorAttention,
    plan,
)


def plain_plan(xyz: Tensor, config: PointTransformerConfig) -> list[Level]:
    """``plan`` of one cloud, by the naive searches."""

    def near(points: Tensor, queries: Tensor, k: int) -> Tensor:
        return torch.from_numpy(naive_nearest(points.numpy(), queries.numpy(), k))

    ends = torch.tensor([len(xyz)])
    levels = [Level(xyz, ends, near(xyz, xyz, config.neighbours[0]), torch.empty(0, 0, dtype=torch.int64), None)]
    for k, stride in zip(config.neighbours[1:], config.strides[1:], strict=True):
        finer = levels[-1].xyz
        points = finer[torch.from_numpy(naive_farthest(finer.numpy(), len(finer) // stride))]
        three = near(points, finer, 3)
        inverse = 1 / ((points[three] - finer[:, None]).square().sum(dim=2).sqrt() + 1e-8)
        steps = Steps(three, inverse / inverse.sum(dim=1, keepdim=True))
        levels.append(Level(points, torch.tensor([len(points)]), near(points, points, k), near(finer, points, k), steps))
    return levels


class PlainAttention(nn.Module):
    """Vector attention as equation 3 has it."""

    def __init__(self, layer: VectorAttention) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, level: Level) -> Tensor:
        layer, near = self.layer, level.neighbours
        n, k = near.shape
        step = layer.place_in.norm(layer.place_in.linear((level.xyz[near] - level.xyz[:, None]).flatten(0, 1))).relu()
        place = layer.place_out(step).view(n, k, -1)
        relation = layer.key(x)[near] - layer.query(x)[:, None] + place
        relation = layer.norm(relation.flatten(0, 1)).relu()
        weight = layer.weigh_out(layer.weigh_in.norm(layer.weigh_in.linear(relation)).relu()).view(n, k, 1, -1).softmax(dim=1)
        value = (layer.value(x)[near] + place).view(n, k, layer.share, -1)
        return (value * weight).sum(dim=1).flatten(1)


class PlainGather(nn.Module):
    """The way down as figure 4b has it."""

    def __init__(self, layer: Gather) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, finer: Level, level: Level) -> Tensor:
        layer, near = self.layer, level.gathered
        rows = torch.cat([finer.xyz[near] - level.xyz[:, None], x[near]], dim=2).flatten(0, 1)
        said = rows @ torch.cat([layer.place.weight, layer.linear.weight], dim=1).T
        return layer.norm(said).relu().view(*near.shape, -1).amax(dim=1)


def plain(model: PointTransformer) -> PointTransformer:
    """``model`` with its layers replaced by the plain ones, in place."""
    for module in list(model.modules()):
        if isinstance(module, Block):
            module.attention = PlainAttention(module.attention)  # type: ignore[assignment]
    for encoder in model.encoder[1:]:
        encoder.enter = PlainGather(encoder.enter)
        encoder.forward = lambda x, levels, encoder=encoder: down(encoder, x, levels)
    return model


def down(encoder: nn.Module, x: Tensor, levels: list[Level]) -> Tensor:
    """``Encoder.forward`` with a plain gather."""
    x = encoder.enter(x, *levels)
    for block in encoder.blocks:
        x = block(x, levels[-1])
    return x


def network(config: PointTransformerConfig) -> PointTransformer:
    """The published network, the same random weights at every call."""
    torch.manual_seed(0)
    return PointTransformer(config).eval()


@torch.inference_mode()
def measure(count: int, rounds: int) -> dict[str, object]:
    """Seconds of both, by part, and what ours is faster."""
    xyz = torch.from_numpy(room(np.random.default_rng(0), count))
    features, ends = torch.cat([xyz, torch.rand(count, 3)], dim=1), torch.tensor([count])
    config = PointTransformerConfig()
    model, slow = network(config), plain(network(config))
    slow_levels, *slow_plan = timed(lambda: plain_plan(xyz, config))
    slow_logits, *slow_net = timed(lambda: slow(xyz, features, ends, slow_levels))
    plans = [timed(lambda: plan(xyz, ends, config)) for _ in range(rounds)]
    nets = [timed(lambda: model(xyz, features, ends, plans[0][0])) for _ in range(rounds)]
    our_plan = [statistics.median(run[i] for run in plans) for i in (1, 2)]
    our_net = [statistics.median(run[i] for run in nets) for i in (1, 2)]
    times = {"plain plan": slow_plan, "plain network": slow_net, "plan": our_plan, "network": our_net}
    return {
        **{name: {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)} for name, (wall, cpu) in times.items()},
        "times_faster": {
            "plan": round(slow_plan[1] / our_plan[1], 1),
            "network": round(slow_net[1] / our_net[1], 1),
            "both": round((slow_plan[1] + slow_net[1]) / (our_plan[1] + our_net[1]), 1),
        },
        "largest_logit": round(float(slow_logits.abs().max()), 3),
        "largest_difference": float((nets[0][0] - slow_logits).abs().max()),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = {
        "points": arguments.points,
        **measure(arguments.points, arguments.rounds),
    }
    tell(result, arguments.out)


if __name__ == "__main__":
    main()
