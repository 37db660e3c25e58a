"""The persona of the demonstration, and the keys that its visitors get."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.access.authentication import KeyDoor
from deployments.access.key_shelf import KeyShelf
from deployments.demo.page import prepare_demo
from deployments.page import page_config
from deployments.persona import OWN, load_persona, paragraphs
from deployments.settings import Settings
from memory_core.errors import InvalidInput
from memory_core.storage.open_store import open_store

MARKDOWN = """# Title

A first paragraph that is long enough to say something,
and goes on here.

```sh
code is left out, however long it may be in the end
```

| a table | is left out too, since its cells make no sense |

## Part

- An entry of a list that is long enough to be kept.
- Short one.
"""


def test_paragraphs_keep_their_heading_and_leave_code_and_tables_out() -> None:
    assert list(paragraphs(MARKDOWN)) == [
        "Title: A first paragraph that is long enough to say something, and goes on here.",
        "Part: An entry of a list that is long enough to be kept.",
    ]


def test_our_own_persona_is_taught_from_our_own_documents() -> None:
    persona = load_persona(OWN)
    lessons = persona.lessons(OWN.parent)
    assert {"talking points", "objections", *persona.documents} == {lesson.domain for lesson in lessons}
    assert len(lessons) > 60
    assert persona.talking_points[0] in persona.system


@pytest.mark.parametrize("text", ["", "name: Ada", "name: [", "name: Ada\nrole: x\nsecret: 1"])
def test_a_file_that_is_no_persona_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        load_persona(tmp_path / "p.yaml")
    assert "p.yaml" in raised.value.message
    with pytest.raises(InvalidInput):
        load_persona(tmp_path / "none.yaml")


def test_it_names_the_field_at_fault_and_documents_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("name: Finn\nrole: 5\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="role"):
        load_persona(file)
    file.write_text("name: Finn\nrole: guide\ndocuments: [there.md, gone.md]\n", encoding="utf-8")
    (tmp_path / "there.md").write_text("The ferry leaves at nine.", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"not there: gone\.md"):
        prepare_demo(Settings(memory_storage_path=str(tmp_path)), file)


def test_on_this_machine_the_page_gives_nobody_a_key(tmp_path: Path) -> None:
    demo = prepare_demo(Settings(memory_storage_path=str(tmp_path)), OWN)
    config = page_config(demo.settings)
    assert demo.teacher_key is None
    assert "api_key" not in config
    assert config["persona"]["name"] == load_persona(OWN).name


@pytest.mark.parametrize(
    ("environment", "port"), [({}, 7860), ({"PORT": "8000"}, 8000), ({"MCP_PORT": "81"}, 81), ({"HF_SPACE": "1"}, 7860)]
)
def test_the_page_has_a_port_of_its_own_unless_one_was_chosen(
    environment: dict[str, str], port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(memory_storage_path=str(tmp_path), auth="open")
    assert prepare_demo(settings).settings.port == port


async def test_beyond_it_visitors_get_keys_for_their_own_memories_and_to_read_the_persona_s(tmp_path: Path) -> None:
    settings = Settings(memory_storage_path=str(tmp_path), host="0.0.0.0", hf_space=True)
    first = page_config(prepare_demo(settings, OWN).settings)
    config = page_config(prepare_demo(settings, OWN).settings)
    door = KeyDoor(KeyShelf(open_store(settings.storage_url)).find)
    visitor, talker = await door.principal(config["api_key"]), await door.principal(config["chat_key"])
    assert (visitor.tenant, visitor.memories, visitor.limits.memories) == ("demo", ("demo-*",), 50)
    assert (talker.scopes, talker.memories) == (frozenset({"infer"}), ("advocate",))
    with pytest.raises(Exception, match="valid key"):
        await door.principal(first["api_key"])  # of the start before
