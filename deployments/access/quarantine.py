"""Observations of sources that are not trusted wait beside a memory until somebody lets them in or throws them away.

They are learned by a small memory of their own, ``<stored name>~quarantine``, which no name in a request can spell.
So they are durable when they are answered, and nothing of them, no weight and no word, is in the memory that people
ask: not in infer, surprise, explain, predictions, checkpoints or exports. To let them in is to observe them there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from deployments.memory_spec import complete_config
from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from memory_core.ids import EncoderId, MemoryName, RequestId, Seq
from memory_core.results import Exemplar, ForgetSelection, Observation, ObserveOptions, ObserveResult
from memory_core.terms import MemoryTerms

Trust = Literal["trusted", "untrusted"]
TRUST: Final = "trust"
SOURCE: Final = "source"
RELEASED: Final = "released"
MARK: Final = "~quarantine"
_BATCH: Final = 256
# It refuses what it has no room for, so that nothing that waits is lost to make room.
_SIZE: Final[dict[str, Any]] = {
    "units": 8192,
    "rows": 4096,
    "exemplars_per_pattern": 64,
    "surprise_gate": 0.0,
    "saturation": "refuse",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one memory, in order; ``next_cursor`` None on the last page."""

    memory: MemoryName
    observations: tuple[Exemplar, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How many observations were let in or thrown away, and how many still wait."""

    memory: MemoryName
    settled: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which of those that wait: at these positions, of this source; all when neither is said."""

    seqs: tuple[int, ...] = ()
    source: str | None = None

    def chooses(self, one: Exemplar) -> bool:
        """True when it meets every condition."""
        return (not self.seqs or one.seq in self.seqs) and (
            self.source is None or one.metadata.get(SOURCE) == self.source
        )


class Quarantine:
    """``encoders`` serve what ``backend`` uses. Names are those on the volume."""

    def __init__(self, backend: MemoryBackend, encoders: EncoderPool) -> None:
        self._backend = backend
        self._encoders = encoders

    async def hold(self, name: MemoryName, told: Sequence[Observation], options: ObserveOptions) -> ObserveResult:
        """Keep observations until they are settled; durable when it returns. What is measured is of those that wait."""
        held = held_name(name)
        try:
            result = await self._backend.observe(held, told, options)
        except NotFound:
            await self._make(name)
            result = await self._backend.observe(held, told, options)
        return replace(result, memory=name, is_quarantined=True)

    async def waiting(self, name: MemoryName, *, limit: int, cursor: str | None) -> Waiting:
        """A page of those that wait."""
        after = _position(cursor)
        rest = [one for one in await self._all(name) if one.seq > after]
        more = str(rest[limit - 1].seq) if len(rest) > limit else None
        return Waiting(memory=name, observations=tuple(rest[:limit]), next_cursor=more)

    async def release(self, name: MemoryName, choice: Choice) -> Settled:
        """Teach the memory what is chosen. Repeated after a failure it learns nothing twice."""
        version, every = await self._with_version(name)
        chosen = [one for one in every if choice.chooses(one)]
        for start in range(0, len(chosen), _BATCH):
            batch = chosen[start : start + _BATCH]
            options = ObserveOptions(request_id=_request_id(name, batch))
            await self._backend.observe(name, [_released(one) for one in batch], options)
        return await self._take_out(name, version, every, chosen)

    async def discard(self, name: MemoryName, choice: Choice) -> Settled:
        """Throw away what is chosen."""
        version, every = await self._with_version(name)
        return await self._take_out(name, version, every, [one for one in every if choice.chooses(one)])

    async def forget(self, name: MemoryName, selection: ForgetSelection) -> None:
        """Leave a subject out of what waits too. Positions and patterns mean those of the memory itself."""
        if selection.patterns or selection.seq_from is not None or selection.seq_to is not None:
            return
        with suppress(NotFound):
            await self._backend.forget(held_name(name), selection)

    async def delete(self, name: MemoryName) -> None:
        """With the memory goes what waited for it."""
        with suppress(NotFound):
            await self._backend.delete(held_name(name))

    async def _make(self, name: MemoryName) -> None:
        found = await self._backend.stats(name)
        config = await complete_config(self._encoders, EncoderId(found.encoder), dict(_SIZE))
        await self._backend.create(held_name(name), config, MemoryTerms(description="quarantine"))

    async def _with_version(self, name: MemoryName) -> tuple[str, list[Exemplar]]:
        """Those that wait, and a version that had them, or fewer."""
        try:
            version = (await self._backend.stats(held_name(name))).weight_hash
        except NotFound:
            await self._backend.stats(name)
            return "", []
        return version, await self._all(name)

    async def _all(self, name: MemoryName) -> list[Exemplar]:
        try:
            exported = await self._backend.export(held_name(name), form="jsonl")
        except NotFound:
            await self._backend.stats(name)  # NotFound unless the memory itself is there
            return []
        data = b"".join([piece async for piece in exported.chunks])
        found = (_exemplar(json.loads(line)) for line in data.splitlines()[1:])
        return sorted(found, key=lambda one: one.seq)

    async def _take_out(self, name: MemoryName, version: str, every: list[Exemplar], chosen: list[Exemplar]) -> Settled:
        left = len(every) - len(chosen)
        if chosen and not (left == 0 and await self._was_deleted(name, version)):
            for first, last in _runs(one.seq for one in chosen):
                await self._backend.forget(held_name(name), ForgetSelection(seq_from=first, seq_to=last))
        return Settled(memory=name, settled=len(chosen), waiting=left)

    async def _was_deleted(self, name: MemoryName, version: str) -> bool:
        """Nothing would be left: without the small memory too, unless more has come meanwhile."""
        try:
            await self._backend.delete(held_name(name), only_if=(version,))
        except PreconditionFailed:
            return False
        except NotFound:
            return True
        return True


def no_quarantine() -> Forbidden:
    """The answer where nothing can be kept apart."""
    return Forbidden(
        "Nothing here keeps observations apart that are not trusted.", code="NO_QUARANTINE", hint="Use a service."
    )


def held_name(name: MemoryName) -> MemoryName:
    """Under which stored name a memory's quarantine lies."""
    return MemoryName(name + MARK)


def is_untrusted(told: Sequence[Observation]) -> bool:
    """True when all observations are marked so; InvalidInput when only some are, or for a mark without meaning."""
    marks = {one.metadata.get(TRUST) for one in told}
    known = {None, RELEASED, *get_args(Trust)}
    if marks - known:
        raise InvalidInput(
            "The metadata field trust has a value that means nothing.", hint=f"Use {' or '.join(get_args(Trust))}."
        )
    if "untrusted" in marks and len(marks) > 1:
        raise InvalidInput(
            "One request mixes observations that are trusted with others that are not.", hint="Send them separately."
        )
    return marks == {"untrusted"}


def marked_untrusted(told: Sequence[Observation], source: str) -> list[Observation]:
    """Observations of a caller that is not trusted, whatever they say of themselves."""
    return [replace(one, metadata={SOURCE: source, **one.metadata, TRUST: "untrusted"}) for one in told]


def _released(one: Exemplar) -> Observation:
    return Observation(
        text=one.text,
        domain=one.domain,
        session=one.session,
        occurred_at=one.occurred_at,
        metadata={**one.metadata, TRUST: RELEASED},
    )


def _exemplar(raw: dict[str, Any]) -> Exemplar:
    return Exemplar(
        text=raw["text"],
        seq=Seq(raw["seq"]),
        domain=raw.get("domain"),
        session=raw.get("session"),
        occurred_at=raw.get("occurred_at"),
        metadata=raw.get("metadata", {}),
    )


def _request_id(name: MemoryName, batch: Sequence[Exemplar]) -> RequestId:
    told = "\n".join(f"{one.seq} {one.text}" for one in batch)
    return RequestId("release-" + hashlib.sha256(f"{name}\n{told}".encode("utf-8", "surrogatepass")).hexdigest())


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 18:
        raise InvalidInput("The cursor is not one of this list.", hint="Send next_cursor as it came.")
    return int(cursor)


def _runs(seqs: Iterable[Seq]) -> list[tuple[int, int]]:
    """Neighbouring positions as ranges, both ends included."""
    runs: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if runs and seq == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
