"""The clock of the network benchmarks: processor time on the CPU, which other work on the machine distorts least."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def now_s(device: torch.device) -> float:
    """Seconds: processor time on the CPU; wall time elsewhere, once the device has finished its work."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one run."""
    started = now_s(device)
    work()
    return now_s(device) - started
