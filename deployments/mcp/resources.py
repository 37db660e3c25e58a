"""Memories as resources: statistics, patterns, checkpoints and jobs under ``memory://NAME/...``, as JSON."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote, unquote

import mcp_types as wire

from deployments.mcp.caller import Caller
from deployments.mcp.wire_json import to_json
from memory_core.errors import NotFound
from memory_core.ids import MemoryName, Tag, parse_memory_name, parse_tag

_MIME: Final = "application/json"
_PAGE: Final = 30
_PATTERNS: Final = 50
_CHECKPOINTS: Final = 1000
_JOBS: Final = 50
_URI: Final = re.compile(r"memory://([^/?#]+)/([a-z]+)(?:/([^/?#]+))?")

Read = Callable[[Caller, MemoryName], Awaitable[Any]]


async def _stats(caller: Caller, name: MemoryName) -> Any:
    return await caller.backend.stats(name)


async def _patterns(caller: Caller, name: MemoryName) -> Any:
    return await caller.backend.explain(name, top_k=_PATTERNS)


async def _checkpoints(caller: Caller, name: MemoryName) -> Any:
    return await caller.backend.list_checkpoints(name, limit=100)


async def _jobs(caller: Caller, name: MemoryName) -> Any:
    if caller.jobs is None:
        raise NotFound("There is no cluster here to run jobs.", code="NO_JOBS", hint="Ask a service.")
    page = await caller.jobs.list_jobs(limit=_JOBS)
    # A job whose rows name their memories may teach this one too.
    return {"jobs": [asdict(info) for info in page.jobs if info.memory in {None, name}]}


_KINDS: Final[dict[str, tuple[Read, str, str]]] = {
    "stats": (_stats, "Statistics", "Counts, weight hash and how full the memory is."),
    "patterns": (_patterns, "Patterns", f"What the {_PATTERNS} strongest patterns stand for."),
    "checkpoints": (_checkpoints, "Checkpoints", "The newest versions."),
    "jobs": (_jobs, "Jobs", "Corpora that are taught to it: status, counts, rate, time left, rejected rows."),
}
TEMPLATES: Final = [
    wire.ResourceTemplate(
        name=kind, title=title, description=said, uri_template=f"memory://{{name}}/{kind}", mime_type=_MIME
    )
    for kind, (_, title, said) in _KINDS.items()
] + [
    wire.ResourceTemplate(
        name="checkpoint",
        title="One checkpoint",
        description="What is known of one version.",
        uri_template="memory://{name}/checkpoints/{tag}",
        mime_type=_MIME,
    )
]


async def list_resources(caller: Caller, cursor: str | None) -> wire.ListResourcesResult:
    """The resources of the memories in name order, a page at a time."""
    page = await caller.backend.list_memories(limit=_PAGE, cursor=cursor)
    listed = [
        wire.Resource(
            name=f"{info.name} {kind}",
            title=f"{title} of {info.name}",
            description=said,
            uri=f"memory://{quote(info.name, safe='')}/{kind}",
            mime_type=_MIME,
        )
        for info in page.memories
        for kind, (_, title, said) in _KINDS.items()
        if kind != "jobs" or caller.jobs is not None
    ]
    return wire.ListResourcesResult(resources=listed, next_cursor=page.next_cursor)


async def read_resource(caller: Caller, uri: str) -> wire.ReadResourceResult:
    """One resource; NotFound (RESOURCE_NOT_FOUND) for a URI of another form."""
    found = _URI.fullmatch(uri)
    if found is None or found[2] not in _KINDS or (found[3] is not None and found[2] != "checkpoints"):
        raise NotFound(
            "No resource has this URI.",
            code="RESOURCE_NOT_FOUND",
            hint=f"Use memory://NAME/ and one of {', '.join(_KINDS)}.",
        )
    name = parse_memory_name(unquote(found[1]))
    if found[3] is None:
        content = await _KINDS[found[2]][0](caller, name)
    else:
        content = await _checkpoint(caller, name, parse_tag(unquote(found[3])))
    return wire.ReadResourceResult(
        contents=[wire.TextResourceContents(uri=uri, mime_type=_MIME, text=to_json(content))]
    )


async def _checkpoint(caller: Caller, name: MemoryName, tag: Tag) -> Any:
    page = await caller.backend.list_checkpoints(name, prefix=tag, limit=_CHECKPOINTS)
    for info in page.checkpoints:
        if info.tag == tag:
            return info
    raise NotFound(
        f"{name} has no checkpoint {tag}.", code="CHECKPOINT_NOT_FOUND", hint=f"Read memory://{name}/checkpoints."
    )
