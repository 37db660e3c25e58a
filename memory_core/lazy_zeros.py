"""Zeros that take RAM only where they are written to: a budget is reserved at creation, and paid for as it is used."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

# As torch aligns what it allocates itself: products of matrices may round differently elsewhere.
_ALIGNED_BYTES: Final = 64


def lazy_zeros(*shape: int, dtype: torch.dtype = torch.float32, device: torch.device) -> torch.Tensor:
    """A tensor of zeros. On the CPU its pages come from the system when they are first written."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    size_bytes = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size_bytes + _ALIGNED_BYTES, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNED_BYTES
    return torch.from_numpy(raw[start : start + size_bytes]).view(dtype).view(shape)
