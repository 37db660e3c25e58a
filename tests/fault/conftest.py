"""Settings of the fault tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and threads that spin for work slow everything else down."""
    torch.set_num_threads(1)
