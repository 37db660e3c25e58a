"""What the parts of a cluster cost, as measured: docs/benchmarks.md and docs/log.md say on which machine and when.

For plans and simulations only; nothing that runs depends on them. Times are of one of two shared cores at 2.5 GHz.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCosts:
    """One memory of the default budget (32,768 units, 16,384 rows, 384 numbers a key), one host, one catalog.

    host_rss_mib: a host process that gave all its memories up. memory_rss_mib: a memory with 20 observations, read
    from storage. memory_full_mib: its buffers once every page is used. checkpoint_mb: stored bytes at 1,000 patterns;
    pattern_kb: what each pattern more adds. activate_ms: the first call to a passive memory. fold_ms: giving it up.
    catalog_ms: processor time of a look-up of one name, without the call. create_ms, fork_ms: each. Of a question that
    a process of the cluster asks a memory with 20 facts: call_ms is the host's processor time, submit_ms the caller's,
    wait_ms the rest; means of three runs of ``neural-memory bench sizing``.
    """

    host_rss_mib: float = 380.0
    memory_rss_mib: float = 62.0
    memory_full_mib: float = 103.0
    checkpoint_mb: float = 28.7
    pattern_kb: float = 2.3
    activate_ms: float = 455.0
    fold_ms: float = 300.0
    catalog_ms: float = 0.2
    call_ms: float = 7.7
    submit_ms: float = 4.2
    wait_ms: float = 0.0
    create_ms: float = 10.0
    fork_ms: float = 6.8


MEASURED = MeasuredCosts()
