"""Jobs from Python: ``from neural_memory import jobs``. Needs Ray Data (pip install 'neural-memory[jobs]').

``observe`` runs a whole job here, on the cluster that Ray is connected to, that RAY_ADDRESS names, or that it starts.
``memory_sink`` and ``with_surprise`` put a memory into pipelines of your own. All of them work on a volume, like
``--local``; a service on the same volume and cluster keeps working beside them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from deployments.job_request import JobRequest
from deployments.settings import Settings
from memory_core.ids import parse_memory_name
from memory_core.jobs.keeper import OnInfo
from memory_core.jobs.progress import JobInfo

__all__ = ["JobInfo", "JobRequest", "memory_sink", "observe", "with_surprise"]


def observe(source: str, *, volume: str | None = None, on_info: OnInfo | None = None, **request: Any) -> JobInfo:
    """Teach a corpus and say how it went; ``request``: the other fields of JobRequest. Blocks until it has ended.

    Not inside a running event loop. ``volume``: where memories live, that of the settings when None.
    """
    from deployments.local_jobs import accept_local, drive_local

    settings = _settings(volume)
    plan = asyncio.run(accept_local(settings, JobRequest(source=source, **request)))
    return drive_local(settings, plan.job_id, on_info)


def memory_sink(
    memory: str, *, volume: str | None = None, text: str = "text", session: str | None = None, domain: str | None = None
) -> Any:
    """A sink for ``Dataset.write_datasink``: teaches every row to a memory that exists.

    Blocks are taught beside each other and each of them once: a block that is written again after a crash is not
    learned again. The order of rows holds inside a block.
    """
    from cluster.dataset_memory import MemoryTarget
    from cluster.dataset_surface import NeuralMemorySink

    parsed = parse_memory_name(memory)
    return NeuralMemorySink(MemoryTarget(*_where(volume), memory=parsed, text=text, session=session, domain=domain))


def with_surprise(dataset: Any, memory: str, *, volume: str | None = None, text: str = "text", size: int = 1) -> Any:
    """The dataset with a column ``surprise``: how new each text is to the memory, which learns nothing by it."""
    from cluster.dataset_memory import MemoryTarget
    from cluster.dataset_surface import scored

    target = MemoryTarget(*_where(volume), memory=parse_memory_name(memory), text=text)
    return scored(dataset, target, size)


def _where(volume: str | None) -> tuple[str, Any]:
    from deployments.cluster_settings import cluster_settings

    settings = _settings(volume)
    return settings.storage_url, cluster_settings(settings)


def _settings(volume: str | None) -> Settings:
    return Settings() if volume is None else Settings(memory_storage_path=volume)
