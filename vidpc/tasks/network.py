"""Weights into the network that they describe."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from vidpc.errors import WeightsError
from vidpc.weights import WeightsFile

N = TypeVar("N", bound=nn.Module)
C = TypeVar("C")


def build(weights: WeightsFile, architecture: str, network: Callable[[C], N], config: Callable[..., C]) -> N:
    """``network`` in evaluation mode and float32 with the values of ``weights``. Raises ``WeightsError``.

    What batch norms count, which only training reads, need not be in the file.
    """
    header = weights.header
    if header.architecture != architecture:
        raise WeightsError(f"{header.path}: weights of {header.architecture!r}, expected {architecture!r}")
    fields = {key: _fixed(value) for key, value in header.config.items()}
    try:
        model = network(config(**fields))
        counters = {name: value for name, value in model.state_dict().items() if not value.is_floating_point()}
        model.load_state_dict({**counters, **{name: tensor.float() for name, tensor in weights.tensors.items()}})
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise WeightsError(f"{header.path}: does not fit the network: {' '.join(str(error).split())}") from error
    return model.eval()


def _fixed(value: Any) -> Any:
    """The value with tuples for lists."""
    return tuple(map(_fixed, value)) if isinstance(value, list) else value
