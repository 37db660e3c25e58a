"""The composition root: one Serve application of an HTTP ingress and an encoder, over Ray actors that hold memories."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from cluster.job_desk import JobDesk
from cluster.json_log import log_as_json
from cluster.ray_backend import RayBackend
from cluster.tracing import install_tracer
from deployments.access.audit import AuditTrail
from deployments.access.authentication import ReadingDoor
from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.authorized_jobs import AuthorizedJobs
from deployments.access.authorized_quarantine import AuthorizedQuarantine
from deployments.access.doors import authenticator_of, resource_of
from deployments.access.exposure import operators_shelf
from deployments.access.limits import Rates
from deployments.access.quarantine import Quarantine
from deployments.chat.shared_transcripts import SharedTranscripts
from deployments.cluster_settings import cluster_settings
from deployments.conversations import build_chat
from deployments.encoder_choice import NearEncoders
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.job_request import House
from deployments.mcp_door import mount_mcp
from deployments.page import mount_page
from deployments.serve_encoder import EncoderReplica, ServeEncoderPool, fleet_options
from deployments.settings import Settings
from memory_core.ids import EncoderId
from memory_core.storage.open_store import open_store

APPLICATION_NAME: Final = "neural-memory"
_ONGOING_REQUESTS_MAX: Final = 1024


@serve.deployment(
    name="ingress",
    max_ongoing_requests=_ONGOING_REQUESTS_MAX,
    ray_actor_options={"num_cpus": 0},
    graceful_shutdown_timeout_s=10,
)
@serve.ingress()
class Ingress:
    """The doors. Holds no memory and loads no model, so that a replica is light and can be replaced at any time."""

    def __init__(self, settings: Settings, encoder: DeploymentHandle[Any]) -> None:
        log_as_json(settings.log_level, "deployments", "cluster")
        install_tracer(settings.trace_exporter, "neural-memory-ingress")
        self._settings = settings
        self._encoder = encoder

    def __serve_build_asgi_app__(self) -> FastAPI:
        encoders = NearEncoders(ServeEncoderPool(self._encoder))
        settings = self._settings
        cluster = cluster_settings(settings)
        actors = RayBackend(settings.storage_url, encoders, cluster)
        store = open_store(settings.storage_url)
        audit, quarantine = AuditTrail(store), Quarantine(actors, encoders)
        backend = AuthorizedBackend(
            actors,
            audit,
            actors.owner_pid,
            Rates(sharers=_replica_count),
            placement=actors.placement,
            restart=actors.restart,
            quarantine=quarantine,
        )
        default_encoder = EncoderId(settings.encoder)
        door = authenticator_of(settings, store)
        house = House(backend=backend, encoders=encoders, encoder=default_encoder, defaults=settings.memory_defaults)
        desk = JobDesk(store, settings.storage_url, cluster)
        jobs = AuthorizedJobs(desk, house, allowed=settings.readable_sources, audit=audit)
        api = build_api(
            Services(
                backend=backend,
                encoders=encoders,
                encoder=default_encoder,
                readiness=Readiness(
                    backend=actors, encoders=encoders, encoder=default_encoder, key_dim=settings.embedding_dim
                ),
                max_body_bytes=settings.max_body_bytes,
                max_import_bytes=settings.max_import_bytes,
                owner_pid=backend.owner_pid,
                authenticator=ReadingDoor(door) if settings.is_read_only else door,
                resource=resource_of(settings),
                placement=backend.placement,
                restart=backend.restart,
                quarantine=AuthorizedQuarantine(quarantine, audit),
                memory_defaults=settings.memory_defaults,
                chat=build_chat(settings, backend, actors, encoders, SharedTranscripts()),
                jobs=jobs,
            )
        )
        mount_mcp(api, settings, backend, encoders, jobs)
        mount_page(api, settings)
        return api


def _replica_count() -> int:
    return serve.get_replica_context().world_size or 1


class ApplicationArguments(BaseModel):
    """What the ``args`` of a Serve config file may say; the environment decides the rest."""

    model_config = ConfigDict(extra="forbid")

    memory_storage_path: str | None = None
    encoder: str | None = None
    log_level: str | None = None
    auth: str | None = None


def build_app(settings: Settings) -> Application:
    """The application that ``serve.run`` deploys."""
    limits = fleet_options(settings.encoder_replicas_max, settings.encoder_queue, settings.encoder_gpus)
    fleet = EncoderReplica.options(**limits)  # type: ignore[attr-defined]  # added by the decorator
    encoder = fleet.bind(settings.encoder, *settings.served_encoders)
    ingress = Ingress.options(num_replicas=settings.ingress_replicas)  # type: ignore[attr-defined]
    bound: Application = ingress.bind(settings, encoder)
    return bound


def application(args: dict[str, Any]) -> Application:
    """The builder that serve_config.yaml names; ``args`` are those of ApplicationArguments.

    Where Serve listens is not known here, so callers need keys unless ``auth`` says ``open``. The operator's is
    admitted.
    """
    chosen = ApplicationArguments.model_validate(args).model_dump(exclude_none=True)
    settings = Settings.model_validate(chosen)
    operators_shelf(settings)
    return build_app(settings.model_copy(update={"auth": "open" if settings.auth == "open" else "keys"}))
