"""The page of the demonstration over a real service: Ray, a process killed under it, and a persona that was taught."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from deployments.ports import free_port
from tests.browser.conftest import watched

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_MS = 240_000
PERSONA = """
name: Otto
role: keeper of the lighthouse
memory: keeper
greeting: Ask me about the lighthouse.
questions:
  - How often does it flash?
talking_points:
  - The lighthouse of Cape Varna flashes twice every eleven seconds.
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``demo --ui`` as a user starts it; gives the URL."""
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    (folder / "persona.yaml").write_text(PERSONA, encoding="utf-8")
    command = [sys.executable, "-m", "deployments.cli", "demo", "--ui", "--port", str(port), "--encoder", "hash"]
    command += ["--persona", str(folder / "persona.yaml"), "--proxy", "default"]
    log = folder / "log"
    environment = {"MEMORY_STORAGE_PATH": str(folder / "volume"), "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env={**_environment(), **environment})
    deadline_s = time.monotonic() + 300
    while "memory knows" not in log.read_text(encoding="utf-8", errors="replace"):
        assert process.poll() is None and time.monotonic() < deadline_s, log.read_text(encoding="utf-8")
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(120)


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_visitors_chat_with_the_persona_and_see_four_proofs_with_a_real_restart(demo: str, tmp_path: Path) -> None:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        errors = watched(page)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(f"{demo}/#/chat")
        expect(page.get_by_role("heading", name="Chat with Otto")).to_be_visible()
        page.get_by_label("Your message").fill("How often does the lighthouse of Cape Varna flash?")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".talk .assistant").last).to_contain_text("twice every eleven seconds. [keeper#0]")
        page.goto(f"{demo}/ui#/live")
        page.get_by_role("button", name="Run the four proofs").click()
        expect(page.get_by_text("Done. All of it was measured just now")).to_be_visible()
        assert page.locator("section .proof").count() == 4
        assert page.locator("section .error").count() == 0
        expect(page.get_by_text(re.compile(r"Process \d+ is gone, process \d+ answers"))).to_be_visible()
        page.goto(f"{demo}/ui#/memories")
        expect(page.get_by_role("link", name="keeper")).to_be_visible()
        expect(page.get_by_text(re.compile(r"awake on .*, process \d+")).first).to_be_visible()
        page.screenshot(path=tmp_path / "service.png", full_page=True)
        browser.close()
    assert errors == []


def test_sessions_are_shared_by_all_replicas_and_a_shared_memory_is_not_restarted(demo: str) -> None:
    with httpx.Client(base_url=demo, timeout=120, trust_env=False) as client:
        session = client.post("/v1/sessions", json={}).json()["id"]
        body = {"session": session, "messages": [{"role": "user", "content": "My cat is called Miso."}]}
        client.post("/v1/chat", json=body).raise_for_status()
        transcript = client.get(f"/v1/sessions/{session}").json()["messages"]
        assert [one["role"] for one in transcript] == ["user", "assistant"]
        promoted = client.post(f"/v1/sessions/{session}/promote", json={"memory": "keeper"}).json()
        assert promoted["texts_merged"] == 1
        refused = client.post("/v1/memories/keeper/restart")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "HOST_SHARED")
        assert client.delete(f"/v1/sessions/{session}").status_code == 204
