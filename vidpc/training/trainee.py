"""The training loop of classifiers and segmenters: seeded, resumable, with averaged weights and a log of JSON lines.

What is trained comes as a `Trainee`: how a batch is drawn, what is lost on it, how it is measured. The batch of step t is
drawn from a generator of its own, so that a resumed run sees what it would have seen.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vidpc.stream.prefetch import prefetch
from vidpc.training.checkpoint import State

Batch = TypeVar("Batch")

_DRAWN_AHEAD = 2  # batches, as "bytes" of one each


@dataclass(frozen=True, slots=True)
class Schedule:
    """The settings of a run that are not the network's or the data's. Steps are updates."""

    steps: int = 3000
    warmup: int = 100
    decay_from: int = 0  # the learning rate falls from here to the end
    learning_rate: float = 2e-3
    final_rate: float = 0.01  # share of the learning rate that is left at the end
    weight_decay: float = 0.05
    clip_norm: float = 10.0
    average: float = 0.999  # decay of the averaged weights, which are the ones that count
    seed: int = 1
    log_every: int = 20
    save_every: int = 100
    check_every: int = 250

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: a linear rise, a plateau, a cosine fall."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        fall = min(1.0, max(0.0, (step - self.decay_from) / max(self.steps - self.decay_from, 1)))
        share = self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * fall)) / 2
        return self.learning_rate * rise * share


@dataclass(frozen=True, slots=True)
class Trainee(Generic[Batch]):
    """A network and what it is to learn. ``measure`` is handed the averaged weights."""

    model: nn.Module
    draw: Callable[[np.random.Generator], Batch]
    losses: Callable[[nn.Module, Batch], Mapping[str, Tensor]]  # parts, which are summed
    measure: Callable[[nn.Module], Mapping[str, Any]] | None = None
    pace: Callable[[str], float] | None = None  # a parameter's share of the learning rate, by its name; 0: it stays as it is


def train(trainee: Trainee[Batch], schedule: Schedule, folder: Path, *, resume: bool = False) -> Iterator[dict[str, Any]]:
    """Train to ``schedule.steps``, yielding what the log says; at the end ``checkpoint.pt`` is complete in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    model = trainee.model
    state = State(model, paced(model, trainee.pace), rate=schedule.learning_rate, weight_decay=schedule.weight_decay)
    if resume:
        state.load(folder / "checkpoint.pt")
    else:
        (folder / "checkpoint.pt").unlink(missing_ok=True)  # of an earlier run: nothing may go on with it
    with (folder / "log.jsonl").open("a" if resume else "w") as log:
        for line in _lines(trainee, schedule, state, folder / "checkpoint.pt"):
            log.write(json.dumps(line) + "\n")
            log.flush()
            yield line


def _lines(trainee: Trainee[Batch], schedule: Schedule, state: State[nn.Module], checkpoint: Path) -> Iterator[dict[str, Any]]:
    yield {"event": "start", "step": state.step, "schedule": asdict(schedule)}
    began, totals = time.monotonic(), dict[str, float]()
    with closing(_batches(trainee, schedule, state.step)) as batches:
        for batch in batches:
            parts = update(trainee, schedule, state, batch)
            totals = {name: totals.get(name, 0.0) + value for name, value in parts.items()}
            if state.step % schedule.log_every == 0:
                means = {name: round(value / schedule.log_every, 4) for name, value in totals.items()}
                seconds = round((time.monotonic() - began) / schedule.log_every, 3)
                yield {"event": "step", "step": state.step, "rate": schedule.rate_at(state.step), "s": seconds, **means}
                began, totals = time.monotonic(), {}
            if state.step % schedule.save_every == 0:
                state.save(checkpoint)
            if trainee.measure and state.step % schedule.check_every == 0 and state.step < schedule.steps:
                yield {"event": "check", "step": state.step, **trainee.measure(state.average)}
                began = time.monotonic()
    state.save(checkpoint)
    if trainee.measure:
        yield {"event": "end", "step": state.step, **trainee.measure(state.average)}


def update(trainee: Trainee[Batch], schedule: Schedule, state: State[nn.Module], batch: Batch) -> dict[str, float]:
    """One step on a batch; the parts of its loss, their sum and the gradient's norm."""
    for group in state.optimizer.param_groups:
        group["lr"] = schedule.rate_at(state.step) * group["pace"]
    _to_training(state.model)
    torch.manual_seed(schedule.seed * 1_000_003 + state.step)  # of dropout
    parts = trainee.losses(state.model, batch)
    total = torch.stack(list(parts.values())).sum()
    state.optimizer.zero_grad()
    total.backward()
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), schedule.clip_norm)
    if math.isfinite(float(norm)):
        state.optimizer.step()
    state.step += 1
    state.follow(schedule.average)
    return {**{name: float(part.detach()) for name, part in parts.items()}, "total": float(total.detach()), "norm": float(norm)}


def _to_training(model: nn.Module) -> None:
    """All of it learns but modules whose values are frozen: batch norms would go on counting."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        module.training = not own or any(value.requires_grad for value in own)


def paced(model: nn.Module, pace: Callable[[str], float] | None) -> dict[float, list[nn.Parameter]]:
    """The parameters that learn, by their share of the learning rate; the others are frozen."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        share = 1.0 if pace is None else pace(name)
        parameter.requires_grad_(share > 0)
        if share > 0:
            groups.setdefault(share, []).append(parameter)
    return groups


def _batches(trainee: Trainee[Batch], schedule: Schedule, start: int) -> Generator[Batch, None, None]:
    """The batches from step ``start`` to the end, drawn by a thread of their own."""
    drawn = (trainee.draw(np.random.default_rng((schedule.seed, step))) for step in range(start, schedule.steps))
    return prefetch(drawn, max_bytes=_DRAWN_AHEAD, size_of=lambda batch: 1)
