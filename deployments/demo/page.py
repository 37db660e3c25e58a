"""The demonstration as a page: a service whose visitors chat with a persona and try memories of their own."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from deployments.access.key_shelf import KeyShelf
from deployments.access.principal import SCOPES, Limits
from deployments.http_client import RemoteBackend
from deployments.persona import OWN, load_persona
from deployments.settings import Settings, home_folder
from memory_core.errors import Conflict
from memory_core.ids import RequestId
from memory_core.results import ObserveOptions
from memory_core.storage.open_store import open_store

PORT: Final = 7860
TENANT: Final = "demo"
VISITOR_MEMORIES: Final = ("demo-*",)
_LIMITS: Final = Limits(observations_per_s=500.0, memories=50)
_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Settings of the service, and the key that may teach (None: nobody needs one)."""

    settings: Settings
    teacher_key: str | None


def prepare_demo(settings: Settings, persona: Path | None = None) -> Demonstration:
    """A port and a volume of its own unless they were chosen, and keys for visitors where the service asks for keys.

    Visitors make and change memories named ``demo-*`` of a tenant of their own, and read the persona's: ``persona``,
    else that of the settings, else ours.
    """
    persona = persona or (Path(settings.persona) if settings.persona else OWN)
    spoken = load_persona(persona)
    if persona != OWN:  # an installed package is without the documents that our own names
        spoken.require_documents(persona.parent)
    port = settings.port if "port" in settings.model_fields_set else PORT
    changes: dict[str, object] = {"persona": str(persona.absolute()), "port": port}
    if "memory_storage_path" not in settings.model_fields_set:
        changes["memory_storage_path"] = (home_folder() / f"page-{port}").as_uri()
    settings = settings.model_copy(update=changes)
    if not settings.needs_keys:
        return Demonstration(settings, None)
    shelf = KeyShelf(open_store(settings.storage_url))
    for record in shelf.records():
        if record.tenant == TENANT and record.revoked_at is None:
            shelf.revoke(record.key_id)
    memory = (spoken.memory,)
    teacher, _ = shelf.create(tenant=TENANT, scopes=frozenset(SCOPES), memories=memory)
    visitor, _ = shelf.create(tenant=TENANT, scopes=frozenset(SCOPES), memories=VISITOR_MEMORIES, limits=_LIMITS)
    talker, _ = shelf.create(tenant=TENANT, scopes=frozenset({"infer"}), memories=memory)
    keys = {"page_key": SecretStr(visitor), "page_chat_key": SecretStr(talker)}
    return Demonstration(settings.model_copy(update=keys), teacher)


def teach_persona(demo: Demonstration) -> int:
    """Teach the persona's memory what it does not know yet; says how many texts it has. The service must be ready."""
    return asyncio.run(_teach(demo))


async def _teach(demo: Demonstration) -> int:
    path = Path(demo.settings.persona)
    persona = load_persona(path)
    lessons = persona.lessons(path.parent)
    service = RemoteBackend(demo.settings.base_url, api_key=demo.teacher_key)
    try:
        try:
            await service.create_chosen(persona.memory_name, {})
        except Conflict:
            stats = await service.stats(persona.memory_name)
            if stats.observation_count >= len(lessons):
                return stats.observation_count
        for first in range(0, len(lessons), _BATCH):
            batch = lessons[first : first + _BATCH]
            # The same batch is the same request: a second start teaches nothing twice.
            content = "\n".join(lesson.text for lesson in batch)
            request = RequestId(f"lesson-{hashlib.sha256(content.encode()).hexdigest()[:32]}")
            await service.observe(persona.memory_name, batch, ObserveOptions(request_id=request))
        return (await service.stats(persona.memory_name)).observation_count
    finally:
        await service.close()
