"""The only module that imports Ray Data: a job's rows and their keys as a stream over the cluster.

Reading, cutting and encoding run beside each other; what waits between them is bounded, so a slow memory slows the
reader and nothing grows. Order is kept, so that every run of a job sees the same windows.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from cluster.blocks import read_block, rows_of
from cluster.text_encoder import TextEncoder
from memory_core.jobs.plan import JobPlan, Position
from memory_core.jobs.run import rows_from
from memory_core.jobs.windows import PlacedRow

if TYPE_CHECKING:
    import pyarrow as pa

# Texts of one length are encoded together: of few there are fewer of one length, and more padding.
ENCODED_ROWS: Final = 256
_READ_ROWS: Final = 128
_BLOCK_BYTES: Final = 1 << 20
_GROUP_BYTES: Final = 32 << 20
_GROUP_FILES: Final = 256
_EXECUTOR: Final = "StreamingExecutor-"
_EXECUTOR_ENDS_S: Final = 60.0
_READ_CPUS: Final = 0.1
# Cutting takes a whole core for an instant, and Ray Data starts nothing unless all stages fit beside each other.
_ENCODE_CPUS: Final = 0.4
# Loading Ray Data and torch takes a process seven seconds of a core, and torch leaves the interpreter to others.
_THREADS: Final = 2


def ray_stream(plan: JobPlan, position: Position) -> Iterator[Sequence[PlacedRow]]:
    """A job's rows with their keys, in pieces of a window; see ``memory_core.jobs.run.Stream``."""
    with _context():
        groups = [{"first": first, "last": last} for first, last in file_groups(plan, position)]
        if not groups:
            return
        rows = ray.data.from_items(groups, override_num_blocks=len(groups)).map_batches(
            read_group,
            fn_args=(plan, position),
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=_READ_CPUS,
        )
        encoded = with_keys(rows.repartition(target_num_rows_per_block=ENCODED_ROWS), plan)
        try:
            for table in encoded.iter_batches(batch_size=plan.window_items, batch_format="pyarrow", prefetch_batches=1):
                yield rows_of(table)
        finally:
            _wait_for_executor()


def _wait_for_executor() -> None:
    """Until Ray Data's own thread has ended: one that asks Ray for something after we left ends the process."""
    for thread in threading.enumerate():
        if thread.name.startswith(_EXECUTOR):
            thread.join(_EXECUTOR_ENDS_S)


def with_keys(rows: Any, plan: JobPlan) -> Any:
    """The dataset with the keys of each text, made by a pool of encoders: two to a process, one where it has a GPU."""
    encoders = plan.encoders or encoders_here(plan.gpus)
    threads = 1 if plan.gpus else min(_THREADS, encoders)
    return rows.map_batches(
        TextEncoder,
        fn_constructor_args=(plan.encoder, "cuda" if plan.gpus else "cpu"),
        batch_size=ENCODED_ROWS,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            size=math.ceil(encoders / threads),
            max_concurrent_calls_per_actor=threads,
            enable_true_multi_threading=True,
        ),
        num_cpus=threads * _ENCODE_CPUS,
        num_gpus=plan.gpus or None,
    )


def encoders_here(gpus: float) -> int:
    """How many encoders the cluster has room for: one per core, or per share of a GPU."""
    total = ray.cluster_resources()
    room = total.get("GPU", 0.0) / gpus if gpus else total.get("CPU", 1.0)
    return max(1, int(room))


def file_groups(plan: JobPlan, position: Position) -> Iterator[tuple[int, int]]:
    """Neighbouring files that one task reads: (first, last), both inclusive, from the position on."""
    first, size_bytes = position.file, 0
    for number in range(position.file, len(plan.files)):
        size_bytes += plan.files[number].size_bytes
        if size_bytes >= _GROUP_BYTES or number - first + 1 == _GROUP_FILES:
            yield first, number
            first, size_bytes = number + 1, 0
    if first < len(plan.files):
        yield first, len(plan.files) - 1


def read_group(group: pa.Table, plan: JobPlan, position: Position) -> Iterator[pa.Table]:
    """The rows of a group of files, piece by piece."""
    for first, last in zip(group["first"].to_pylist(), group["last"].to_pylist(), strict=True):
        piece: list[PlacedRow] = []
        for row in rows_from(plan, position, first, last):
            piece.append(row)
            if len(piece) == _READ_ROWS:
                yield read_block(piece)
                piece = []
        if piece:
            yield read_block(piece)


@contextlib.contextmanager
def _context() -> Iterator[None]:
    """Settings of the stream, without changing those of the caller's other datasets."""
    before = DataContext.get_current()
    mine = before.copy()
    mine.execution_options.preserve_order = True
    mine.target_max_block_size = _BLOCK_BYTES
    mine.enable_progress_bars = False
    mine.print_on_execution_start = False
    DataContext._set_current(mine)
    try:
        yield
    finally:
        DataContext._set_current(before)
