"""Generated pages say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.mcp.catalog import tools_of
from deployments.reference.http_page import openapi
from deployments.reference.pages import KEPT, pages
from deployments.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_page_is_current(name: str, written: dict[str, str]) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == written[name], "make reference"


def test_every_setting_is_on_its_page(written: dict[str, str]) -> None:
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in written["settings.md"]] == []


def test_every_route_is_on_its_page(written: dict[str, str]) -> None:
    routes = [f"### {method.upper()} {path}\n" for path, found in openapi()["paths"].items() for method in found]
    assert [route for route in routes if route not in written["http.md"]] == []


def test_every_tool_is_on_its_page(written: dict[str, str]) -> None:
    assert [tool.name for tool in tools_of("full") if f"### {tool.name}\n" not in written["mcp.md"]] == []


@pytest.mark.parametrize("command", ["serve", "observe", "config", "keys create", "bench recall", "mcp install"])
def test_commands_of_every_depth_are_on_their_page(command: str, written: dict[str, str]) -> None:
    assert f"## neural-memory {command}\n" in written["commands.md"]
