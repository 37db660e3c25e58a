"""Keys at rest on the storage volume, one checked document each: ``access/keys/<id>``. Blocks; thread-safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from deployments.access.api_keys import KeyRecord, hashed, is_key_id, mint, split_key
from deployments.access.principal import DEFAULT_TENANT, EVERY_MEMORY, SCOPES, Limits, Scope
from memory_core.errors import Internal, InvalidInput, NotFound
from memory_core.storage.documents import create_document, pack_document, read_document
from memory_core.storage.object_store import ObjectStore

_FOLDER: Final = "access/keys/"
_KIND: Final = "key"


class KeyShelf:
    """Makes, finds and ends keys. ``clock`` gives the time in UTC."""

    def __init__(self, store: ObjectStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    def create(
        self,
        *,
        tenant: str = DEFAULT_TENANT,
        scopes: frozenset[Scope],
        memories: tuple[str, ...] = EVERY_MEMORY,
        expires: timedelta | None = None,
        limits: Limits | None = None,
        is_trusted: bool = True,
    ) -> tuple[str, KeyRecord]:
        """A new key, which nothing can show again, and its record."""
        now = self._clock()
        return self._keep(
            KeyRecord(
                key_id="",
                secret_sha256="",
                tenant=tenant,
                scopes=tuple(sorted(scopes)),
                memories=memories,
                created_at=now.isoformat(),
                expires_at=None if expires is None else (now + expires).isoformat(),
                limits=limits or Limits(),
                is_trusted=is_trusted,
            )
        )

    def admit(self, key: str) -> None:
        """Keep a key that the operator brings, with every scope, unless its record is there. InvalidInput if no key."""
        parts = split_key(key)
        if parts is None:
            raise InvalidInput("NEURAL_MEMORY_API_KEY is no key.", hint="Make one: neural-memory keys mint")
        record = KeyRecord(
            key_id=parts[0],
            secret_sha256=hashed(parts[1]),
            tenant=DEFAULT_TENANT,
            scopes=SCOPES,
            memories=EVERY_MEMORY,
            created_at=self._clock().isoformat(),
            expires_at=None,
        )
        create_document(self._store, _FOLDER + record.key_id, _KIND, record.to_dict())

    def find(self, key_id: str) -> KeyRecord | None:
        """The record of a key; None when there is none."""
        if not is_key_id(key_id):
            return None
        try:
            return read_document(self._store, _FOLDER + key_id, _KIND, KeyRecord.from_dict)
        except NotFound:
            return None

    def records(self) -> list[KeyRecord]:
        """All records, oldest first."""
        listed = [self.find(item.key.removeprefix(_FOLDER)) for item in self._store.list_objects(_FOLDER)]
        return sorted((record for record in listed if record is not None), key=lambda record: record.created_at)

    def has_valid(self) -> bool:
        """True when some key opens a door now."""
        return any(record.is_valid(self._clock()) for record in self.records())

    def revoke(self, key_id: str, after: timedelta = timedelta(0)) -> KeyRecord:
        """End a key; NotFound (KEY_NOT_FOUND). An earlier end stays."""
        record = self.find(key_id)
        if record is None:
            raise NotFound(f"There is no key {ascii(key_id[:32])}.", code="KEY_NOT_FOUND", hint="See keys list.")
        end = (self._clock() + after).isoformat()
        if record.revoked_at is None or datetime.fromisoformat(end) < datetime.fromisoformat(record.revoked_at):
            record = replace(record, revoked_at=end)
            self._store.put(_FOLDER + key_id, pack_document(_KIND, record.to_dict()))
        return record

    def rotate(self, key_id: str, overlap: timedelta) -> tuple[str, KeyRecord]:
        """A new key with the same rights, for the same span; the old one ends after ``overlap``."""
        old = self.revoke(key_id, overlap)
        now = self._clock()
        expires_at = old.expires_at
        if expires_at is not None:
            span = datetime.fromisoformat(expires_at) - datetime.fromisoformat(old.created_at)
            expires_at = (now + span).isoformat()
        return self._keep(replace(old, created_at=now.isoformat(), expires_at=expires_at, revoked_at=None))

    def _keep(self, plan: KeyRecord) -> tuple[str, KeyRecord]:
        key, key_id, secret_sha256 = mint()
        record = replace(plan, key_id=key_id, secret_sha256=secret_sha256)
        if not create_document(self._store, _FOLDER + key_id, _KIND, record.to_dict()):
            raise Internal("A new key's id was taken.", hint="Try again.")
        return key, record
