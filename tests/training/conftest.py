"""Tests of training: `pytest -m training tests/training`, in an environment that has torch."""

from importlib.util import find_spec

import pytest

# Without torch nothing here can be imported; asked for by name there is then nothing to run, which fails.
collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in one order, and other tests beside these."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
