"""Several single-threaded processes that train one model: each draws its own batches, gradients are averaged.

Two processes of one thread beat one process of two threads on a CPU: most tensors of a small model are too small to
split, and a process that waits once a step suffers less from busy cores than one that waits in every operation.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Peers:
    """One process's place among ``count``."""

    rank: int = 0
    count: int = 1

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by its mean over the processes."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))


@contextmanager
def together(count: int, work: Callable[[Peers], None]) -> Iterator[Peers]:
    """Run ``work`` in ``count - 1`` forked processes beside the caller, who is the first of the peers."""
    if count == 1:
        yield Peers()
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        context = multiprocessing.get_context("fork")  # pictures in memory are shared, not copied
        others = [context.Process(target=_join, args=(meeting, Peers(rank, count), work)) for rank in range(1, count)]
        with ExitStack() as group, ExitStack() as at_end:  # the group outlives its processes
            for other in others:
                other.start()
                at_end.callback(other.join)
            on_failure = at_end.enter_context(ExitStack())
            for other in others:
                on_failure.callback(other.terminate)
            _enter(meeting, Peers(0, count))
            group.callback(torch.distributed.destroy_process_group)
            yield Peers(0, count)
            on_failure.pop_all()


def _enter(meeting: str, place: Peers) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=place.rank, world_size=place.count)


def _join(meeting: str, place: Peers, work: Callable[[Peers], None]) -> None:
    _enter(meeting, place)
    work(place)
    torch.distributed.destroy_process_group()
