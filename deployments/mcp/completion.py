"""Completion of memory names and checkpoint tags while someone types them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import mcp_types as wire

from deployments.mcp.caller import Caller
from memory_core.errors import InvalidInput, NotFound
from memory_core.ids import MemoryName, parse_memory_name

_VALUES_MAX: Final = 100
_PAGE: Final = 1000
_SCANNED_PAGES_MAX: Final = 20


async def complete(caller: Caller, argument: str, typed: str, others: Mapping[str, str]) -> wire.Completion:
    """Values that begin with what was typed. ``others``: arguments that were chosen before."""
    if argument in {"name", "memory"}:
        return _cut(await _memory_names(caller, typed))
    if argument == "tag":
        return _cut(await _tags(caller, others.get("name") or others.get("memory"), typed))
    return wire.Completion(values=[], total=0, has_more=False)


async def _memory_names(caller: Caller, typed: str) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(_SCANNED_PAGES_MAX):
        page = await caller.backend.list_memories(limit=_PAGE, cursor=cursor)
        found += [info.name for info in page.memories if info.name.startswith(typed)]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def _tags(caller: Caller, memory: str | None, typed: str) -> list[str]:
    try:
        page = await caller.backend.list_checkpoints(_meant(caller, memory), prefix=typed, limit=_PAGE)
    except (NotFound, InvalidInput):
        # Half-typed names are no reason to complain.
        return []
    return [info.tag for info in page.checkpoints]


def _meant(caller: Caller, memory: str | None) -> MemoryName:
    return parse_memory_name(memory) if memory else caller.named(None)


def _cut(found: list[str]) -> wire.Completion:
    return wire.Completion(values=found[:_VALUES_MAX], total=len(found), has_more=len(found) > _VALUES_MAX)
