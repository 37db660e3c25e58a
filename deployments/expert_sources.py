"""Which sources an expert can be built from, by the word that names them."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from memory_core.errors import InvalidInput
from memory_core.experts.build import Source
from memory_core.experts.chunk import Chunk, distinct
from memory_core.jobs.plan import Reading
from memory_core.jobs.sources import find_files, open_rows

PYTHON: Final = "python"
TYPESCRIPT: Final = "typescript"
_NO_LICENCE: Final = "not stated"


def expert_source(sources: Sequence[str], *, name: str | None, licence: str | None, start: Path) -> Source:
    """What ``python``, ``typescript`` or files say. ``start``: where node_modules is looked for. Blocks."""
    if list(sources) == [PYTHON]:
        return _python(name, licence)
    if list(sources) == [TYPESCRIPT]:
        return _typescript(name, licence, start)
    return _files(sources, name, licence)


def _python(name: str | None, licence: str | None) -> Source:
    from memory_core.experts.docstrings import standard_library

    return Source(
        name=name or "code-python",
        source="docstrings of the Python standard library",
        version=platform.python_version(),
        licence=licence or "PSF-2.0",
        domain="code:python",
        chunks=tuple(distinct(standard_library())),
    )


def _typescript(name: str | None, licence: str | None, start: Path) -> Source:
    from memory_core.experts.typescript import package_version, type_definitions, typescript_package

    package = typescript_package(start)
    return Source(
        name=name or "code-typescript",
        source="type definitions of the npm package typescript",
        version=package_version(package),
        licence=licence or "Apache-2.0",
        domain="code:typescript",
        chunks=tuple(distinct(type_definitions(package))),
    )


def _files(sources: Sequence[str], name: str | None, licence: str | None) -> Source:
    if name is None:
        raise InvalidInput("An expert of files needs a name.", hint="Give one with --name.")
    return Source(
        name=name,
        source=", ".join(sources),
        version="",
        licence=licence or _NO_LICENCE,
        domain=name,
        chunks=tuple(distinct(_passages(sources))),
    )


def _passages(sources: Sequence[str]) -> Iterator[Chunk]:
    for source in sources:
        for file in find_files(source, Reading()):
            for row in open_rows(file, Reading(split="paragraph")):
                if row.problem is not None:
                    raise InvalidInput(
                        f"{file.url}, line {row.line}: {row.problem}.", code="SOURCE_NOT_READABLE", hint="Correct it."
                    )
                yield Chunk(name=f"{file.url}:{row.line}", text=row.text)
