"""Exemplar texts as one tensor of bytes, so that a checkpoint is safetensors and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from memory_core.errors import CorruptData
from memory_core.ids import Seq
from memory_core.results import Exemplar


def pack_exemplars(slots: Sequence[tuple[Exemplar, ...]]) -> torch.Tensor:
    """One JSON line per slot, UTF-8, as a uint8 tensor."""
    lines = (
        json.dumps([_compact(exemplar) for exemplar in slot], ensure_ascii=False, separators=(",", ":"))
        for slot in slots
    )
    data = "\n".join(lines).encode()
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def unpack_exemplars(packed: torch.Tensor, count: int) -> list[tuple[Exemplar, ...]]:
    """Inverse of ``pack_exemplars``; CorruptData when the lines do not match the patterns."""
    try:
        lines = packed.numpy().tobytes().decode().split("\n") if count else []
        slots = [tuple(_restore(raw) for raw in json.loads(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise CorruptData(
            "The exemplars of a checkpoint cannot be read.", hint="Restore another checkpoint."
        ) from error
    if len(slots) != count:
        raise CorruptData(
            f"A checkpoint has {len(slots)} exemplar lines for {count} patterns.", hint="Restore another."
        )
    return slots


def _compact(exemplar: Exemplar) -> dict[str, Any]:
    return {name: value for name, value in asdict(exemplar).items() if value is not None and value != {}}


def _restore(raw: dict[str, Any]) -> Exemplar:
    return Exemplar(**{**raw, "seq": Seq(raw["seq"])})
