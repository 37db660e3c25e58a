"""A headless Chromium for all browser tests, and what every page must not do: write errors into the console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.page_server import running_page

AXE = resources.files("axe_playwright_python").joinpath("axe.min.js")
# Slow machines are no failure of a page.
PATIENCE_MS = 60_000


# Not for the session: while it is open its event loop is in the way of asynchronous tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; tests are skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: BROWSER_PICTURES keeps them."""
    folder = Path(os.environ.get("BROWSER_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page without keys, for the tests of one module."""
    with running_page(tmp_path_factory.mktemp("volume")) as served:
        yield served


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor with nothing remembered."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; the test fails when its console said an error."""
    opened = context.new_page()
    errors = watched(opened)
    yield opened
    assert errors == []


def watched(page: Page) -> list[str]:
    """Errors that a tab writes, as they come. An answer with an error status is what some tests ask for."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type in {"error", "warning"} and "Failed to load resource" not in message.text
            else None
        ),
    )
    return errors


def violations(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical, each with a place."""
    page.evaluate(AXE.read_text(encoding="utf-8"))  # as a script tag the page's own policy would refuse it
    found: dict[str, Any] = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0].get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
