"""The loop that all classifiers share: rates of learning, what is frozen, and what is logged."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from vidpc.errors import WeightsError
from vidpc.training.checkpoint import State, read_checkpoint
from vidpc.training.trainee import Schedule, Trainee, paced, train, update


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def squares(model, batch):
    return {"near": (model(batch) ** 2).mean(), "far": ((model(batch) - 3) ** 2).mean()}


def drawn(rng):
    return torch.from_numpy(rng.normal(0, 1, (4, 2)).astype(np.float32))


def test_the_rate_rises_stays_and_falls():
    schedule = Schedule(steps=100, warmup=10, decay_from=40, learning_rate=2.0, final_rate=0.1)
    assert [schedule.rate_at(step) for step in (0, 4, 9, 30, 40)] == pytest.approx([0.2, 1.0, 2.0, 2.0, 2.0])
    assert schedule.rate_at(70) == pytest.approx(2 * (0.1 + 0.9 * 0.5))  # half way down a cosine
    assert schedule.rate_at(100) == pytest.approx(0.2)


def test_every_parameter_learns_at_its_own_pace():
    model = network()
    schedule = Schedule(steps=10, warmup=1, learning_rate=0.1, final_rate=1.0, weight_decay=0.0, clip_norm=math.inf)
    pace = {"0": 0.0, "1": 0.25, "2": 1.0}
    groups = paced(model, lambda name: pace[name.split(".")[0]])
    assert {share: len(values) for share, values in groups.items()} == {0.25: 2, 1.0: 2}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = State(model, groups, rate=0.1, weight_decay=0.0)
    said = update(Trainee(model, drawn, squares), schedule, state, drawn(np.random.default_rng(0)))
    assert said["total"] == pytest.approx(said["near"] + said["far"])
    changes = {name: (value - before[name]).abs().max().item() for name, value in model.named_parameters()}
    # AdamW's first step is as long as its rate, whatever the gradient
    assert changes["2.weight"] == pytest.approx(0.1, rel=1e-3)
    assert changes["1.weight"] == pytest.approx(0.025, rel=1e-3)
    assert changes["0.weight"] == changes["0.bias"] == 0


def test_a_frozen_batch_norm_does_not_count_and_one_that_learns_does():
    schedule = Schedule(steps=10, warmup=1)
    counted = {}
    for name, share in (("frozen", 0.0), ("learning", 1.0)):
        model = network()
        groups = paced(model, lambda name, share=share: 1.0 if name.startswith("2") else share)
        state = State(model, groups, rate=0.1, weight_decay=0.0)
        update(Trainee(model, drawn, squares), schedule, state, drawn(np.random.default_rng(0)))
        counted[name] = model[1].running_mean.abs().sum().item()
    assert counted["frozen"] == 0
    assert counted["learning"] > 0


def test_the_log_and_the_checkpoint_hold_what_was_said(tmp_path):
    model = network()
    schedule = Schedule(steps=5, warmup=1, log_every=2, save_every=2, check_every=2, clip_norm=1.0, average=0.5)
    trainee = Trainee(model, drawn, squares, measure=lambda model: {"mean": round(float(model[0].weight.mean()), 6)})
    lines = list(train(trainee, schedule, tmp_path))
    assert [(line["event"], line["step"]) for line in lines] == [
        ("start", 0),
        ("step", 2),
        ("check", 2),
        ("step", 4),
        ("check", 4),
        ("end", 5),
    ]
    assert [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()] == json.loads(json.dumps(lines))
    saved = read_checkpoint(tmp_path / "checkpoint.pt")
    assert saved["step"] == 5
    assert round(float(saved["average"]["0.weight"].mean()), 6) == lines[-1]["mean"]  # the averaged weights are measured
    assert not torch.equal(saved["average"]["0.weight"], saved["model"]["0.weight"])


def test_a_run_that_begins_anew_leaves_nothing_to_resume_of_the_one_before(tmp_path):
    schedule = Schedule(steps=3, warmup=1, log_every=1, save_every=2)
    list(train(Trainee(network(), drawn, squares), schedule, tmp_path))
    for line in train(Trainee(network(), drawn, squares), schedule, tmp_path):
        if line["event"] == "step":
            break  # before its first checkpoint
    with pytest.raises(WeightsError, match="resuming from"):
        list(train(Trainee(network(), drawn, squares), schedule, tmp_path, resume=True))


def test_a_step_that_is_not_finite_changes_nothing():
    model = network()
    state = State(model, paced(model, None), rate=0.1, weight_decay=0.1)
    before = [value.clone() for value in model.parameters()]
    update(Trainee(model, drawn, squares), Schedule(steps=3, warmup=1), state, torch.full((4, 2), math.inf))
    assert all(torch.equal(value, old) for value, old in zip(model.parameters(), before, strict=True))
