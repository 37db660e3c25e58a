"""The fences of the documentation: which are there, which are run, how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "log.md"),
]
SHELL, PYTHON = {"sh", "bash", "shell", "console"}, {"python", "py"}
_FENCE = re.compile(
    r"(?:<!-- (?P<mark>not run here|run with the slow tests): (?P<reason>.+?) -->\n+)?"
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.M | re.S,
)
_SLOW = "run with the slow tests"
_STARTS_A_SERVICE = "neural-memory serve"
# Functions in the way of commands: a failing request must fail its line.
_PROLOGUE = """set -euo pipefail
curl() { command curl --fail-with-body --noproxy '*' "$@"; echo; }
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fence. ``reason``: why it is not run, or only with the slow tests; None when it always is."""

    page: str
    number: int
    language: str
    code: str
    is_slow: bool
    reason: str | None


def snippets(page: Path) -> list[Snippet]:
    """All fences of a page that are code to run."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [
        Snippet(page.name, number, one["language"], one["code"], one["mark"] == _SLOW, one["reason"])
        for number, one in enumerate(found)
        if one["language"] in SHELL | PYTHON
    ]


def runnable(page: Path, *, slow: bool = False) -> list[Snippet]:
    """Those that are run; with ``slow`` also those that wait for the slow tests."""
    return [one for one in snippets(page) if one.reason is None or (slow and one.is_slow)]


def is_slow(page: Path) -> bool:
    """True when a snippet of the page waits for the slow tests."""
    return any(one.is_slow for one in snippets(page))


def needs_service(page: Path) -> bool:
    """True when the page starts a service of its own."""
    return any(_STARTS_A_SERVICE in one.code for one in runnable(page))


def script(snippet: Snippet, port: int) -> str:
    """What is run, with the port of the service that is there."""
    code = re.sub(r"(localhost|127\.0\.0\.1):8000", rf"127.0.0.1:{port}", snippet.code)
    return code if snippet.language in PYTHON else _PROLOGUE + code.replace(".venv/bin/neural-memory", "neural-memory")
