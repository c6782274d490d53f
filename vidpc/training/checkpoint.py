"""What changes during a training run, whatever is trained: saved in one go, taken up again, averaged."""

import copy
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from vidpc.errors import WeightsError

Model = TypeVar("Model", bound=nn.Module)


class State(Generic[Model]):
    """The network, its averaged weights, its optimizer and the step. Whatever else a run sets here is saved as well."""

    def __init__(
        self, model: Model, parameters: Mapping[float, Sequence[nn.Parameter]], *, rate: float, weight_decay: float
    ) -> None:
        """``parameters`` are those that learn, by their share of the learning rate."""
        self.step = 0
        self.model = model
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(_groups(parameters, weight_decay), lr=rate)

    def save(self, path: Path) -> None:
        """Write all of it beside ``path`` and move it there in one go."""
        part = path.with_suffix(".part")
        torch.save({name: value if name == "step" else value.state_dict() for name, value in vars(self).items()}, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Take over what `save` wrote."""
        saved = read_checkpoint(path)
        for name, value in vars(self).items():
            if name != "step":
                value.load_state_dict(saved[name])
        self.step = int(saved["step"])

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the averaged weights and statistics; young averages move faster."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.model.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name in ours.keys() - set(floats):
            ours[name].copy_(theirs[name])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; nothing but tensors and plain values is unpickled."""
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(f"resuming from {path}: {str(error).splitlines()[0]}") from error
    return saved


def _groups(parameters: Mapping[float, Sequence[nn.Parameter]], weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels alone."""
    return [
        {"params": chosen, "weight_decay": decay, "pace": pace}
        for pace, group in parameters.items()
        for chosen, decay in (([p for p in group if p.ndim > 1], weight_decay), ([p for p in group if p.ndim <= 1], 0.0))
        if chosen
    ]
