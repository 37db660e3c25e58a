"""Budgets that are reserved and not yet paid for."""

from pathlib import Path

import pytest
import torch

from memory_core.lazy_zeros import lazy_zeros


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_they_are_zeros_that_can_be_written_aligned_like_any_tensor(dtype: torch.dtype) -> None:
    zeros = lazy_zeros(5, 7, dtype=dtype, device=torch.device("cpu"))
    assert torch.equal(zeros, torch.zeros(5, 7, dtype=dtype))
    assert (zeros.dtype, zeros.is_contiguous(), zeros.data_ptr() % 64) == (dtype, True, 0)
    zeros[3] = 2
    assert float(zeros.sum()) == 14.0


def test_ram_is_taken_when_they_are_written() -> None:
    before = resident_pages()
    zeros = lazy_zeros(64 << 20, dtype=torch.uint8, device=torch.device("cpu"))
    after = resident_pages()
    zeros.fill_(1)
    assert (after - before) * 10 < resident_pages() - before


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
