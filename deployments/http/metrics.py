"""What Prometheus reads: requests by route, status and time. No label names a memory, a tenant or a key.

Each replica of the ingress counts for itself; Ray exports what belongs to the cluster.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memory_core.jobs.progress import JobInfo

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The figures of one replica."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.in_flight = Gauge("neural_memory_requests_in_flight", "Requests being answered.", registry=self._registry)
        self._requests = Counter(
            "neural_memory_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "neural_memory_request_seconds",
            "Time until an answer was complete.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

        self._jobs = Gauge("neural_memory_jobs", "Newest jobs by status.", ("status",), registry=self._registry)
        self._job_items = Gauge(
            "neural_memory_job_items", "Rows that running jobs dealt with.", ("outcome",), registry=self._registry
        )
        self._job_rate = Gauge("neural_memory_job_obs_per_s", "Rows a second of running jobs.", registry=self._registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)

    def tell_jobs(self, jobs: Iterable[JobInfo]) -> None:
        """Replace what is known of jobs: how many by status, and what those that run have done."""
        known = list(jobs)
        self._jobs.clear()
        for status, count in Counts(job.status for job in known).items():
            self._jobs.labels(status).set(count)
        running = [job for job in known if job.status == "running"]
        for outcome in ("learned", "skipped", "rejected"):
            self._job_items.labels(outcome).set(sum(getattr(job, outcome) for job in running))
        self._job_rate.set(sum(job.obs_per_s for job in running))

    def exposition(self) -> bytes:
        """All figures in the text format of Prometheus."""
        return generate_latest(self._registry)


class Measured:
    """Wraps an ASGI app and counts its answers. A path that no route takes counts as ``other``."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 499  # nobody waited for the answer
        began_s = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                self._metrics.count(scope["method"], route, status, time.perf_counter() - began_s)
