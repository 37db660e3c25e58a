"""What the npm package ``typescript`` says of JavaScript and the DOM: comments in its ``lib.*.d.ts`` files.

A declaration file is read line by line: a block comment belongs to the declaration on the line behind it, which is a
member of the interface, class or namespace whose braces are open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memory_core.errors import NotFound
from memory_core.experts.chunk import WORDS_MAX, WORDS_MIN, Chunk, first_paragraph

_OWNER: Final = re.compile(r"^\s*(?:declare\s+)?(?:interface|class|namespace|module)\s+([\w.$]+)[^;]*\{")
_DECLARED: Final = re.compile(
    r"^\s*(?:declare\s+)?(?:readonly\s+|static\s+)*(?:(?:function|var|const|let|type|interface|class)\s+)?([\w$]+)"
)
_MARKUP: Final = re.compile(r"\{@link\s+([^}|]+)[^}]*\}")
_TAG: Final = re.compile(r"^@(\w+)\s*(.*)")
_PARAMETER: Final = re.compile(r"^@param\s+[\w$]+\s+-?\s*([^@]+)$")
_MDN: Final = re.compile(r"\[?MDN Reference\]?(?:\([^)]*\))?")


def typescript_package(start: Path) -> Path:
    """The installed package, looked for from a folder upwards as Node does; NotFound."""
    for folder in (start, *start.parents):
        package = folder / "node_modules" / "typescript"
        if (package / "package.json").is_file():
            return package
    raise NotFound(
        "The npm package typescript is not installed here.",
        code="SOURCE_NOT_FOUND",
        hint="Run npm install typescript in this folder, or name one with --from.",
    )


def package_version(package: Path) -> str:
    """Its version."""
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])


def type_definitions(package: Path) -> Iterator[Chunk]:
    """Chunks such as ``Array.map(callbackfn, thisArg?): U[]: Calls a defined callback function ...``."""
    # Since version 7 they lie in the package of the machine's own compiler.
    folders = (package / "lib", *sorted(package.parent.glob("@typescript/*/lib")))
    for file in (file for folder in folders for file in sorted(folder.glob("lib.*.d.ts"))):
        yield from _of_file(file.read_text(encoding="utf-8"))


def _of_file(content: str) -> Iterator[Chunk]:
    owners: list[tuple[str, int]] = []
    comment: list[str] = []
    depth = 0
    is_inside = False
    for line in content.splitlines():
        stripped = line.strip()
        if is_inside or stripped.startswith("/*"):
            comment = [stripped] if not is_inside else [*comment, stripped]
            is_inside = "*/" not in stripped
            continue
        if not stripped or stripped.startswith("//"):
            continue
        found = _chunk(comment, stripped, [name for name, _ in owners])
        if found is not None:
            yield found
        comment = []
        owner, outside = _OWNER.match(line), depth
        depth += stripped.count("{") - stripped.count("}")
        if owner is not None and depth > outside:
            owners.append((owner[1], depth))
        while owners and depth < owners[-1][1]:
            owners.pop()


def _chunk(comment: list[str], declaration: str, owners: list[str]) -> Chunk | None:
    said = _said(comment)
    declared = _DECLARED.match(declaration)
    if not said or declared is None or not comment[0].startswith("/**"):
        return None
    name = ".".join([*owners, declared[1]]).replace("Constructor.", ".")
    signature = declaration[declared.end() :].rstrip(" {;")
    return Chunk(name=name, text=f"{name}{signature[:160]}: {said}", held_out=_held_out(comment))


def _held_out(comment: list[str]) -> str:
    """What the comment says of its first argument."""
    for line in comment:
        found = _PARAMETER.match(line.strip().removeprefix("*").strip())
        if found is not None and WORDS_MIN <= len(found[1].split()) <= WORDS_MAX:
            return found[1]
    return ""


def _said(comment: list[str]) -> str:
    lines = []
    for line in comment:
        text = line.removeprefix("/**").removesuffix("*/").strip().removeprefix("*").strip()
        text = _MDN.sub("", _MARKUP.sub(r"\1", text)).replace("**", "").replace("`", "").strip()
        tag = _TAG.match(text)
        if tag is not None and tag[1] != "returns":
            break
        lines.append(text if tag is None else f"Returns {tag[2]}")
    return first_paragraph("\n".join(lines).strip()) if any(lines) else ""
