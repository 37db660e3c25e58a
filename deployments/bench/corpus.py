"""Real text that every machine has: docstring sentences of the standard library, read from source, not imported."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from deployments.demo.sentences import whole_sentences

_LEFT_OUT: Final = frozenset({"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"})
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def standard_library_sentences(limit: int) -> list[str]:
    """At most ``limit`` different sentences as ``module.name: sentence``, in the order of the sources."""
    return _distinct(_all_sentences(Path(sysconfig.get_paths()["stdlib"])), limit)


def installed_sentences(limit: int) -> list[str]:
    """The same, and when the standard library has not so many, of the installed packages too."""
    folders = (Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib"))
    return _distinct(chain.from_iterable(map(_all_sentences, folders)), limit)


def _distinct(sentences: Iterator[str], limit: int) -> list[str]:
    found: dict[str, None] = {}
    for sentence in sentences:
        found[sentence] = None
        if len(found) == limit:
            break
    return list(found)


def _all_sentences(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.py")):
        inner = file.relative_to(folder)
        if _LEFT_OUT.isdisjoint(inner.parts):
            yield from _sentences_of(file, ".".join(inner.with_suffix("").parts))


def _sentences_of(file: Path, module: str) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and (documentation := ast.get_docstring(node)):
            name = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
            for sentence in whole_sentences(documentation):
                yield f"{name}: {sentence}"
