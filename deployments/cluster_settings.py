"""What the cluster is told of the settings. Every process of a volume must tell it the same."""

from __future__ import annotations

from cluster.memory_host import HostLimits
from cluster.ray_backend import ClusterSettings
from deployments.settings import Settings


def cluster_settings(settings: Settings) -> ClusterSettings:
    """Deadlines, hosts and their limits, trusted signers."""
    limits = HostLimits(
        idle_ttl_s=settings.idle_ttl_s,
        resident_bytes_max=settings.resident_bytes_max,
        durability=settings.memory_durability,
        rhythm=settings.rhythm,
        log_level=settings.log_level,
        trace_exporter=settings.trace_exporter,
    )
    return ClusterSettings(
        call_deadline_s=settings.call_deadline_s,
        shared_hosts=settings.shared_hosts,
        limits=limits,
        trusted_signers=settings.signers,
    )
