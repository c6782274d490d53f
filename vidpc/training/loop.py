"""The training loop: seeded, resumable, with averaged weights and a log of JSON lines."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidpc.errors import PresetError
from vidpc.models.transtrack import TransTrack
from vidpc.training.batches import PairBatches, to_batch
from vidpc.training.checkpoint import State
from vidpc.training.generated import street_clips
from vidpc.training.losses import TrainingHeads, loss_parts
from vidpc.training.peers import Peers, together
from vidpc.training.pictures import Clip
from vidpc.training.recipe import Recipe, parse_stage, parse_weight
from vidpc.training.scenes import SceneOptions, Scenes
from vidpc.training.validation import validate


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run lives and what it works on. ``checkpoint.pt`` and ``log.jsonl`` stand in ``folder``."""

    folder: Path
    train: list[Clip]
    val: list[Clip]
    device: torch.device
    workers: int = 1  # that prepare batches, for each process
    processes: int = 1  # that train together

    @property
    def checkpoint(self) -> Path:
        """The file that a run is resumed from."""
        return self.folder / "checkpoint.pt"


class TrackState(State[TransTrack]):
    """All that changes during training, the heads that only training knows among it."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        model = TransTrack(recipe.model()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        heads = TrainingHeads(recipe.width).to(device)
        parameters = {1.0: [*model.parameters(), *heads.parameters()]}
        super().__init__(model, parameters, rate=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.heads = heads


def train(recipe: Recipe, run: Run, *, resume: bool = False, init: dict[str, Tensor] | None = None) -> Iterator[dict[str, Any]]:
    """Train to ``recipe.steps``, yielding what the log says, line by line; at the end the checkpoint is in ``run.folder``."""
    if not run.train:
        raise PresetError("training: the labels hold no picture to train on")
    run.folder.mkdir(parents=True, exist_ok=True)
    run = replace(run, train=[*run.train, *street_clips(recipe.streets, seed=recipe.seed)])
    with together(run.processes, lambda peers: _accompany(recipe, run, peers, resume, init)) as peers:
        state = _start(recipe, run, resume, init)
        with (run.folder / "log.jsonl").open("a" if resume else "w") as log:
            for line in _lines(recipe, run, state, peers):
                log.write(json.dumps(line) + "\n")
                log.flush()
                yield line


def _start(recipe: Recipe, run: Run, resume: bool, init: dict[str, Tensor] | None) -> TrackState:
    state = TrackState(recipe, run.device)
    if init is not None:
        state.model.load_state_dict(init)
        state.average.load_state_dict(init)
    if resume:
        state.load(run.checkpoint)
    return state


def _accompany(recipe: Recipe, run: Run, peers: Peers, resume: bool, init: dict[str, Tensor] | None) -> None:
    """The same training in another process, on other batches, without a word."""
    state = _start(recipe, run, resume, init)
    for item in _items(recipe, run, state.step, peers):
        train_step(recipe, state, item, run.device, peers)


def _lines(recipe: Recipe, run: Run, state: TrackState, peers: Peers) -> Iterator[dict[str, Any]]:
    yield {"event": "start", "step": state.step, "recipe": asdict(recipe), "processes": run.processes}
    began, totals = time.monotonic(), dict[str, float]()
    for item in _items(recipe, run, state.step, peers):
        parts = train_step(recipe, state, item, run.device, peers)
        totals = {name: totals.get(name, 0.0) + value for name, value in parts.items()}
        if state.step % recipe.log_every == 0:
            means = {name: round(value / recipe.log_every, 4) for name, value in totals.items()}
            seconds = (time.monotonic() - began) / recipe.log_every
            yield {"event": "step", "step": state.step, "rate": recipe.rate_at(state.step), "s": round(seconds, 3), **means}
            began, totals = time.monotonic(), {}
        if state.step % recipe.save_every == 0:
            state.save(run.checkpoint)
        if run.val and state.step % recipe.check_every == 0:
            yield {"event": "check", "step": state.step, **validate(state.average, thinned(run.val, recipe.check_pictures))}
            began = time.monotonic()
    state.save(run.checkpoint)
    if run.val:
        yield {"event": "end", "step": state.step, **validate(state.average, run.val)}


def thinned(clips: list[Clip], count: int) -> list[Clip]:
    """About ``count`` pictures spread evenly over the clips, one a clip."""
    stride = max(1, len(clips) // max(count, 1))
    return [replace(clip, pictures=clip.pictures[:1]) for clip in clips[::stride]]


def _items(recipe: Recipe, run: Run, start: int, peers: Peers) -> Iterator[dict[str, Tensor]]:
    """This process's batches from step ``start`` to the end, in order, prepared by other processes."""
    options = SceneOptions(paste=recipe.paste, empty=recipe.empty)
    scenes = Scenes(run.train, dict(parse_weight(text) for text in recipe.set_weights), options)
    stages = [(start * peers.count, sizes) for start, sizes in map(parse_stage, recipe.sizes)]
    dataset = PairBatches(scenes, stages, pairs=recipe.pairs, seed=recipe.seed)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=None,
        sampler=range(start * peers.count + peers.rank, recipe.steps * peers.count, peers.count),
        num_workers=run.workers,
        multiprocessing_context="fork" if run.workers else None,  # the pictures are shared, not copied
        prefetch_factor=4 if run.workers else None,
    )
    return iter(loader)


def train_step(
    recipe: Recipe, state: TrackState, item: dict[str, Tensor], device: torch.device, peers: Peers
) -> dict[str, float]:
    """One update; the parts of its loss, their sum and the gradient's norm."""
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.rate_at(state.step)
    state.model.train()
    rng = torch.Generator().manual_seed((recipe.seed * 1_000_003 + state.step) * peers.count + peers.rank)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        parts = loss_parts(state.model, state.heads, to_batch(item, device), rng, decoders=state.step >= recipe.decoders_from)
    total = torch.stack(list(parts.values())).sum()
    total.backward()
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    for parameter in parameters:  # a batch without a predecessor gives the track decoder none, but peers must agree
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    peers.average(p.grad for p in parameters if p.grad is not None)
    norm = nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
    if math.isfinite(float(norm)):
        state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1
    state.follow(recipe.average)
    return {
        **{name: float(value.detach()) for name, value in parts.items()},
        "total": float(total.detach()),
        "norm": float(norm),
    }


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 saves time: where a CPU lacks its instructions it takes ten times as long as float32."""
    if device.type != "cpu":
        return True
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
