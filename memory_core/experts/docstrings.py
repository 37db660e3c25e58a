"""What a Python installation says of its standard library: docstrings of public modules, classes and functions.

Read from source where there is source, since importing a module can do anything; modules without source are built
into the interpreter and are imported.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from memory_core.experts.chunk import Chunk, first_paragraph, second_sentence

_LEFT_OUT: Final = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "pydoc_data", "turtledemo"}
    | {"ensurepip", "_bundled", "ntpath.py", "distutils"}
)
# Modules that are written under the name of another one.
_AS_WRITTEN: Final = {"posixpath": "os.path", "genericpath": "os.path", "posix": "os"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def standard_library() -> Iterator[Chunk]:
    """Chunks such as ``glob.glob(pathname, *, recursive=False): Return a list of paths ...``, module by module."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(folder.rglob("*.py")):
        inner = file.relative_to(folder)
        if _LEFT_OUT.isdisjoint(inner.parts):
            module = ".".join(inner.with_suffix("").parts).removesuffix(".__init__")
            module = _AS_WRITTEN.get(module, module)
            if _is_public(module):
                yield from _of_source(file, module)
    yield from _builtin_types()
    for name in sorted(sys.stdlib_module_names):
        if _is_public(name) and not (folder / f"{name}.py").exists() and not (folder / name).is_dir():
            yield from _of_builtin(name)


def _of_source(file: Path, module: str) -> Iterator[Chunk]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    if documentation := ast.get_docstring(tree):
        yield _chunk(module, f"module {module}", documentation)
    yield from _of_body(tree, module)


def _of_body(tree: ast.Module | ast.ClassDef, owner: str) -> Iterator[Chunk]:
    for node in tree.body:
        if not isinstance(node, _Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        name = f"{owner}.{node.name}"
        signature = _signature(node)
        if documentation := ast.get_docstring(node):
            yield _chunk(name, f"{name}{signature}", documentation)
        if isinstance(node, ast.ClassDef):
            yield from _of_body(node, name)


def _signature(node: _Function | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if isinstance(one, _Function) and one.name == "__init__"), None)
        return "" if made is None else _called_with(_arguments(made))
    return _called_with(_arguments(node))


def _arguments(node: _Function) -> list[str]:
    told = node.args
    return [one.arg for one in (*told.posonlyargs, *told.args, *told.kwonlyargs)]


def _called_with(arguments: list[str]) -> str:
    """Names alone: defaults and annotations are no words that anybody asks with, and outweigh what is said."""
    return f"({', '.join(one for one in arguments if one not in {'self', 'cls'})})"


def _builtin_types() -> Iterator[Chunk]:
    import builtins

    yield from _of_module(builtins, "")
    for kind in (str, bytes, list, dict, set, tuple, int, float):
        yield from _of_module(kind, f"{kind.__name__}.")


def _of_builtin(name: str) -> Iterator[Chunk]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module(name)
    except ImportError:
        return
    if documentation := inspect.getdoc(module):
        yield _chunk(name, f"module {name}", documentation)
    yield from _of_module(module, f"{_AS_WRITTEN.get(name, name)}.")


def _of_module(owner: Any, prefix: str) -> Iterator[Chunk]:
    for key, value in sorted(vars(owner).items()):
        if key.startswith("_") or not (callable(value) or inspect.isroutine(value)):
            continue
        documentation = inspect.getdoc(value)
        if documentation and len(documentation) > len(key) + 1:
            name = f"{prefix}{key}"
            yield _chunk(name, f"{name}{_told_signature(value)}", documentation)


def _told_signature(value: Any) -> str:
    try:
        return _called_with(list(inspect.signature(value).parameters))
    except (ValueError, TypeError):
        return ""


def _chunk(name: str, title: str, documentation: str) -> Chunk:
    return Chunk(name=name, text=f"{title}: {first_paragraph(documentation)}", held_out=second_sentence(documentation))


def _is_public(module: str) -> bool:
    return not any(part.startswith("_") for part in module.split(".")) and module not in {
        "this",
        "antigravity",
        "builtins",
    }
