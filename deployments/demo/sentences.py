"""Sentences from the docstrings of the Python standard library."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import zip_longest
from types import ModuleType
from typing import Final

MODULES: Final = (
    "os",
    "pathlib",
    "contextlib",
    "asyncio",
    "json",
    "sqlite3",
    "subprocess",
    "logging",
    "tempfile",
    "socket",
    "shutil",
    "threading",
    "functools",
    "itertools",
    "collections",
    "datetime",
    "random",
    "csv",
    "argparse",
    "zipfile",
    "queue",
    "re",
)
_LENGTH_MIN: Final = 30
_LENGTH_MAX: Final = 300
_SENTENCE_END: Final = re.compile(r"(?<=[a-z0-9)'\"]\.)\s+(?=[A-Z])")
_CODE: Final = re.compile(r">>>|->|\w\(.*,.*\)|[{}=|]|\.\.\.|--|::|^\W|^[a-z_]+\(")


def docstring_sentences(limit: int) -> list[str]:
    """At most ``limit`` different sentences, summaries first, from the modules in turn so that each has its share."""
    by_module = [[text for _, text in sorted(_module_sentences(name), key=_position)] for name in MODULES]
    ordered = (sentence for row in zip_longest(*by_module) for sentence in row if sentence is not None)
    return list(dict.fromkeys(ordered))[:limit]


def whole_sentences(paragraph: str) -> Iterator[str]:
    """Sentences of 30 to 300 characters that end with a full stop."""
    for sentence in _SENTENCE_END.split(" ".join(paragraph.split())):
        if _LENGTH_MIN <= len(sentence) <= _LENGTH_MAX and sentence.endswith("."):
            yield sentence


def _position(placed: tuple[int, str]) -> int:
    return placed[0]


def _module_sentences(module_name: str) -> Iterator[tuple[int, str]]:
    for name, documentation in _documentation(importlib.import_module(module_name), module_name):
        for position, sentence in enumerate(_sentences(documentation)):
            yield position, f"{name}: {sentence}"


def _documentation(module: ModuleType, module_name: str) -> Iterator[tuple[str, str]]:
    for name, member in _public_members(module):
        yield f"{module_name}.{name}", inspect.getdoc(member) or ""
        if inspect.isclass(member) and member.__module__.split(".")[0] == module_name:
            for method_name, method in _public_members(member):
                if inspect.isroutine(method):
                    yield f"{module_name}.{name}.{method_name}", _own_doc(member, method_name)


def _own_doc(owner: type, method_name: str) -> str:
    return inspect.cleandoc(getattr(vars(owner).get(method_name), "__doc__", None) or "")


def _public_members(owner: object) -> Iterator[tuple[str, object]]:
    names = getattr(owner, "__all__", None) or sorted(vars(owner))
    for name in names:
        if not name.startswith("_") and hasattr(owner, name):
            member = getattr(owner, name)
            if inspect.isclass(member) or inspect.isroutine(member):
                yield name, member


def _sentences(documentation: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", documentation):
        if paragraph.startswith((" ", "\t")):
            continue
        for sentence in whole_sentences(paragraph):
            if not _CODE.search(sentence):
                yield sentence
