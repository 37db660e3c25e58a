"""A memory as a part of Ray Data pipelines: a sink that teaches it, and a map that measures novelty against it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, Datasink
from ray.data.block import BlockAccessor

from cluster.dataset_memory import MemoryTarget, Taught

_SCORED_ROWS: Final = 64


class NeuralMemorySink(Datasink):  # type: ignore[misc]  # Ray's classes carry no types
    """Teaches the rows of a dataset; ``taught`` says how many once it is written."""

    def __init__(self, target: MemoryTarget) -> None:
        self._target = target
        # Of this write: its tasks, repeated after a crash, are the same requests.
        self._id = uuid.uuid4().hex
        self.taught: Taught | None = None

    def write(self, blocks: Iterable[Any], ctx: Any) -> Taught:
        """See Datasink. Runs in a worker."""
        tables = (BlockAccessor.for_block(block).to_arrow() for block in blocks)
        return self._target.teach(tables, f"{self._id}:{ctx.task_idx}")

    def on_write_complete(self, write_result: Any) -> None:
        """See Datasink. Runs in the driver."""
        parts: list[Taught] = write_result.write_returns
        self.taught = Taught(
            observations=sum(part.observations for part in parts), surprise_sum=sum(part.surprise_sum for part in parts)
        )


class _Scorer:
    """A worker that measures."""

    def __init__(self, target: MemoryTarget) -> None:
        self._target = target

    def __call__(self, table: pa.Table) -> pa.Table:
        texts = [text or "" for text in self._target.column(table, self._target.text)]
        asked = [text for text in texts if text.strip()]
        scores = iter(self._target.surprises(asked) if asked else [])
        found = [next(scores) if text.strip() else 0.0 for text in texts]
        return table.append_column("surprise", pa.array(found, pa.float64()))


def scored(dataset: ray.data.Dataset, target: MemoryTarget, size: int) -> ray.data.Dataset:
    """The dataset with a column ``surprise``, measured by ``size`` workers. An empty text is no surprise."""
    return dataset.map_batches(
        _Scorer,
        fn_constructor_args=(target,),
        batch_size=_SCORED_ROWS,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=size),
        num_cpus=0.5,
    )
