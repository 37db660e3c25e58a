"""The page as a person uses it, in a real browser, over real memories."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from deployments.access.key_shelf import KeyShelf
from memory_core.storage.local_store import LocalStore
from tests.browser.conftest import PATIENCE_MS, violations, watched
from tests.browser.page_server import running_page

FACT = "The lighthouse of Cape Varna flashes twice every eleven seconds."
NASTY = "<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script> & </textarea>"
PAGES = ("memories", "memory/filled", "chat", "live", "interactive", "about")

expect.set_options(timeout=PATIENCE_MS)


def make(url: str, name: str, *texts: str, tag: str | None = None) -> None:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        client.post("/v1/memories", json={"name": name}).raise_for_status()
        for place, text in enumerate(texts):
            body = {"text": text, "domain": f"part {place % 3}"}
            client.post(f"/v1/memories/{name}/observe", json=body).raise_for_status()
        if tag is not None:
            client.post(f"/v1/memories/{name}/checkpoints", json={"tag": tag}).raise_for_status()


@pytest.fixture(scope="module")
def filled(url: str) -> str:
    sentences = [
        f"The {thing} {deed} {place}."
        for thing in ("kettle", "anchor", "violin", "glacier")
        for deed in ("was painted", "stands", "was sold")
        for place in ("in Oslo", "near the mill", "at dawn")
    ]
    make(url, "filled", *sentences, FACT, FACT, tag="v1")
    return "filled"


def observe(page: Page, text: str) -> float:
    """Through the form; gives the surprise that the page shows."""
    form = page.locator("section", has=page.get_by_role("heading", name="Observe"))
    form.get_by_label("Text to learn").fill(text)
    form.get_by_role("button", name="Observe").click()
    told = form.get_by_text("The weights moved by")
    expect(told).to_be_visible()
    shown = form.locator(".meter .number").first.inner_text()
    form.get_by_label("Text to learn").fill("")
    return float(shown)


def test_surprise_falls_on_the_chart_when_a_text_is_observed_again(url: str, page: Page, pictures: Path) -> None:
    make(url, "falling")
    page.goto(f"{url}/ui#/memory/falling")
    before = page.locator("#weight-hash").inner_text()
    first = observe(page, FACT)
    expect(page.locator("#weight-hash")).not_to_have_text(before)
    chart = page.get_by_role("img", name=re.compile("Surprise of 1 observation,"))
    expect(chart).to_be_visible()
    page.wait_for_function("() => document.querySelectorAll('.chart .dot').length >= 1")
    second = observe(page, FACT)
    expect(
        page.get_by_role("img", name=re.compile(r"Surprise of 2 observations, from 1\.00 .* to 0\.0"))
    ).to_be_visible()
    assert (first, second < 0.1) == (1.0, True)
    page.screenshot(path=pictures / "memory-first.png", full_page=True)


def test_a_memory_is_made_on_the_page(url: str, page: Page) -> None:
    page.goto(f"{url}/ui")
    page.get_by_role("button", name="New memory").click()
    page.get_by_label("Name").fill("made-here")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="made-here")).to_be_visible()
    expect(page.get_by_text("Nothing was observed yet.")).to_be_visible()


def test_a_checkpoint_is_saved_compared_forked_and_restored_after_asking(url: str, page: Page) -> None:
    make(url, "versions", FACT)
    page.goto(f"{url}/ui#/memory/versions")
    page.get_by_label("New checkpoint").fill("v1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Restore v1")).to_be_visible()
    observe(page, "Quartz is made of silicon and oxygen.")
    page.get_by_role("button", name="Diff v1").click()
    expect(page.get_by_text("1 pattern more")).to_be_visible()
    page.get_by_role("button", name="Restore v1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 observation)")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".facts")).to_contain_text("observations2")
    page.get_by_role("button", name="Restore v1").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    expect(page.locator(".facts")).to_contain_text("observations1")
    page.get_by_role("button", name="Fork v1").click()
    page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    expect(page.get_by_role("heading", name="versions-fork")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("versions@v1")


def test_a_question_shows_its_attention_and_a_text_its_surprising_words(
    url: str, page: Page, filled: str, pictures: Path
) -> None:
    page.goto(f"{url}/ui#/memory/{filled}")
    page.get_by_label("Question").fill("How often does the lighthouse of Cape Varna flash?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".answer")).to_have_text(FACT)
    expect(page.locator("table.attention thead th", has_text="lighthouse")).to_be_visible()
    page.get_by_label("Text to learn").fill("The violin was sold in Reykjavik.")
    page.get_by_role("button", name="Only measure surprise").click()
    expect(page.locator("mark.surprising", has_text="Reykjavik")).to_be_visible()
    page.screenshot(path=pictures / "memory.png", full_page=True)


def test_observed_markup_is_shown_as_text_everywhere(url: str, page: Page) -> None:
    make(url, "nasty", NASTY, tag="v1")
    page.goto(f"{url}/ui#/memory/nasty")
    expect(page.locator("td", has_text="onerror")).to_be_visible()
    page.get_by_label("Question").fill(NASTY)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".answer")).to_contain_text("<script>")
    observe(page, f"{NASTY} again")
    page.get_by_role("button", name="Diff v1").click()
    page.goto(f"{url}/ui#/chat")
    page.get_by_text("Which memory, and keeping it").click()
    page.get_by_label("Long-term memory").fill("nasty")
    page.get_by_label("Your message").fill(NASTY)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".talk .assistant")).to_contain_text("<script>")
    assert page.locator("main img, main script").count() == 0
    assert "owned" not in page.title()


def test_a_conversation_answers_learns_and_is_kept(url: str, page: Page, filled: str, pictures: Path) -> None:
    make(url, "friend", FACT)
    page.goto(f"{url}/ui#/chat")
    page.get_by_text("Which memory, and keeping it").click()
    page.get_by_label("Long-term memory").fill("friend")
    page.get_by_label("Your message").fill("My cat is called Miso.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".chip")).to_contain_text("learned in session")
    page.get_by_label("Your message").fill("What is my cat called?")
    page.keyboard.press("Enter")
    expect(page.locator(".talk .assistant").last).to_contain_text("My cat is called Miso. [session#0]")
    page.get_by_role("button", name="Keep what you told it").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(page.get_by_text("friend learned 1 text;")).to_be_visible()
    page.screenshot(path=pictures / "chat.png", full_page=True)


def test_the_same_input_goes_into_a_memory_and_into_a_static_store(url: str, page: Page, pictures: Path) -> None:
    page.goto(f"{url}/ui#/interactive")
    page.get_by_label("Text or question").fill(FACT)
    for rows in (1, 2):
        page.get_by_role("button", name="Observe").click()
        expect(page.get_by_text(f"Stored row {rows}:")).to_be_visible()
    expect(page.get_by_text("2 observations became 1 pattern;")).to_be_visible()
    page.get_by_label("Text or question").fill("How often does the lighthouse of Cape Varna flash?")
    page.get_by_role("button", name="Infer").click()
    expect(page.locator(".answer")).to_have_text(FACT)
    page.get_by_role("button", name="Surprise").click()
    expect(page.get_by_text("The distance to the nearest row")).to_be_visible()
    page.screenshot(path=pictures / "interactive.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_barrier_on_a_desk_or_a_phone_in_light_or_dark(
    url: str, browser: Browser, filled: str, name: str, pictures: Path
) -> None:
    for width, scheme in ((1280, "light"), (360, "dark")):
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        errors = watched(page)
        page.goto(f"{url}/ui#/{name}")
        page.wait_for_load_state("networkidle")
        expect(page.locator("main h1")).to_be_visible()
        page.screenshot(path=pictures / f"{name.replace('/', '-')}-{width}-{scheme}.png", full_page=True)
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert errors == []
        context.close()


def test_everything_can_be_reached_by_keyboard(url: str, page: Page, filled: str) -> None:
    page.goto(f"{url}/ui#/memory/{filled}")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    chart = page.get_by_role("img", name=re.compile("Surprise of"))
    chart.first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chosen", has_text=FACT).first).to_be_visible()
    page.get_by_role("button", name="Restore v1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_page_asks_for_a_key_and_shows_what_that_key_sees(browser: Browser, tmp_path: Path) -> None:
    shelf = KeyShelf(LocalStore(tmp_path))
    scopes = frozenset({"observe", "infer", "admin"})
    ours, _ = shelf.create(tenant="ours", scopes=scopes)  # type: ignore[arg-type]
    theirs, _ = shelf.create(tenant="theirs", scopes=scopes)  # type: ignore[arg-type]
    with running_page(tmp_path, auth="keys") as url:
        for key, name in ((ours, "our-notes"), (theirs, "their-notes")):
            headers = {"Authorization": f"Bearer {key}"}
            httpx.post(f"{url}/v1/memories", json={"name": name}, headers=headers, trust_env=False).raise_for_status()
        context = browser.new_context()
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(f"{url}/ui")
        expect(page.get_by_role("dialog")).to_contain_text("asks for a key")
        assert page.get_by_text("our-notes").count() == 0
        assert violations(page) == []
        page.get_by_label("API key").fill(ours)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("link", name="our-notes")).to_be_visible()
        assert page.get_by_text("their-notes").count() == 0
        assert ours not in page.url
        page.goto(f"{url}/ui#/memory/their-notes")
        expect(page.locator(".error")).to_contain_text("no memory named their-notes")
        context.close()


def test_the_first_meaningful_paint_comes_within_two_seconds(url: str, page: Page, filled: str) -> None:
    page.goto(f"{url}/ui")
    expect(page.get_by_role("link", name=filled)).to_be_visible()
    paint_ms = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint_ms > 0
    print(f"first contentful paint after {paint_ms:.0f} ms")


def test_the_page_brings_its_own_policy_and_loads_nothing_from_elsewhere(url: str, page: Page) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    for name in PAGES:
        page.goto(f"{url}/ui#/{name}")
        page.wait_for_load_state("networkidle")
    assert [one for one in requested if not one.startswith((url, "data:"))] == []
    answer = httpx.get(f"{url}/ui", trust_env=False)
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert httpx.get(f"{url}/ui/..%2Fpages.py", trust_env=False).status_code == 404
    assert httpx.get(f"{url}/ui/nothing.js", trust_env=False).json()["error"]["code"] == "PATH_NOT_FOUND"
    again = httpx.get(f"{url}/ui/app.js", headers={"If-None-Match": answer.headers["etag"]}, trust_env=False)
    assert again.status_code == 200
    same = httpx.get(f"{url}/ui", headers={"If-None-Match": answer.headers["etag"]}, trust_env=False)
    assert same.status_code == 304
    assert httpx.get(url, trust_env=False).headers["location"] == "/ui"
