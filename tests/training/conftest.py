import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small are quickest on one thread, above all where other work keeps the cores busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
