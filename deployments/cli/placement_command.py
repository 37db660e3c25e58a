"""placement."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from deployments.cli import connection, output
from deployments.cli.options import JsonOption, NameArgument, UrlOption
from memory_core.ids import MemoryName, parse_memory_name


def placement(name: NameArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show where a memory lives and why, without waking it."""
    found = asyncio.run(_asked(parse_memory_name(name), url))
    if as_json:
        output.print_json(found)
        return
    shown = {key: value for key, value in found.items() if value is not None and key != "reasons"}
    for field, value in shown.items():
        output.out.print(f"{field:16} {value}", markup=False, soft_wrap=True)
    for reason in found["reasons"]:
        output.out.print(reason, markup=False, soft_wrap=True)


async def _asked(name: MemoryName, url: str | None) -> dict[str, Any]:
    from deployments.http_client import RemoteBackend

    service = connection.connect(url=url, is_local=False)
    assert isinstance(service, RemoteBackend)
    try:
        return asdict(await service.placement(name))
    finally:
        await service.close()
