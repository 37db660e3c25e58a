"""Every tool through the SDK's client, on the newest protocol and an older one."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from PIL import Image

from memory_core.errors import Overloaded
from memory_core.ids import MemoryName
from tests.unit.deployments.fake_backend import FakeBackend
from tests.unit.mcp_door.conftest import OWN, Door

FACT = "The grey cat sleeps on the windowsill."


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer, which is also sent as text."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    structured: dict[str, Any] = result.structured_content
    return structured


async def failure(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    error: dict[str, Any] = json.loads(result.content[0].text)["error"]  # type: ignore[union-attr]
    assert error["message"]
    return error


async def test_a_memory_is_made_by_the_first_observation_and_answers(client: Client, backend: FakeBackend) -> None:
    learned = await call(client, "observe", context=FACT, session="s1", domain="pets", metadata={"page": 3})
    assert learned["memory"] == OWN
    assert (learned["seq"], learned["parts"], learned["learned"]) == (1, 1, True)
    assert (await call(client, "infer", prompt="Where does the cat sleep?"))["response"] == FACT
    assert (await call(client, "surprise", input=FACT))["recommendation"] == "skip"
    assert list(backend.memories) == [OWN]


async def test_a_memory_that_is_named_is_never_made_by_accident(client: Client, backend: FakeBackend) -> None:
    error = await failure(client, "observe", context=FACT, memory="typo")
    assert error["code"] == "MEMORY_NOT_FOUND"
    assert error["hint"]
    assert not backend.memories


async def test_an_argument_names_another_memory_than_that_of_the_connection(client: Client) -> None:
    await call(client, "create_memory", name="other", units=64)
    await call(client, "observe", context=FACT, memory="other")
    assert (await call(client, "stats", memory="other"))["observation_count"] == 1
    assert [one["name"] for one in (await call(client, "list_memories"))["memories"]] == ["other"]


async def test_without_a_memory_of_its_own_a_connection_must_name_one(door: Door) -> None:
    door.memory = None
    async with door.client() as client:
        error = await failure(client, "observe", context=FACT)
    assert error["code"] == "INVALID_INPUT"
    assert "memory" in error["hint"]


async def test_versions_are_saved_listed_restored_and_forked(client: Client) -> None:
    await call(client, "observe", context=FACT)
    saved = await call(client, "checkpoint", tag="v1", description="first")
    assert (saved["tag"], saved["observation_count"], saved["has_momentum"]) == ("v1", 1, True)
    assert not (await call(client, "checkpoint", tag="light", include_momentum=False))["has_momentum"]
    await call(client, "observe", context="Glass is made of sand.")
    assert [one["tag"] for one in (await call(client, "list_checkpoints", prefix="v"))["checkpoints"]] == ["v1"]
    assert (await call(client, "restore", tag="v1", restore_momentum=False))["observations_lost"] == 1
    forked = await call(client, "fork", source_tag="v1", new_tag="twin", description="to try things")
    assert (forked["memory"], forked["parent"]) == ("twin", OWN)
    tags = (await call(client, "list_checkpoints", memory="twin"))["checkpoints"]
    assert [one["tag"] for one in tags] == ["twin"]


async def test_insight_tools_answer_with_patterns(client: Client) -> None:
    await call(client, "observe", context=FACT)
    assert (await call(client, "explain", top_k=3))["patterns"][0]["description"] == FACT
    assert (await call(client, "infer", prompt="cat", return_attention=True))["attention"]["rows"]
    assert (await call(client, "predict_next", text=FACT))["based_on"] == "text"
    assert (await call(client, "stats", detailed=True))["capacity"]["pairs_capacity"] == 60


async def test_an_attention_map_can_be_a_picture(client: Client) -> None:
    await call(client, "observe", context=FACT)
    result = await client.call_tool("attention_map", {"query": "Where is the cat?", "image": True})
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    picture = result.content[1]
    assert picture.type == "image"
    assert picture.mime_type == "image/png"
    opened = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert opened.format == "PNG"
    assert len(set(opened.convert("L").tobytes())) > 2


async def test_forgetting_can_be_tried_first(client: Client) -> None:
    await call(client, "observe", context=FACT)
    assert (await call(client, "forget", subject="cat", dry_run=True))["exemplars_removed"] == 1
    assert (await call(client, "stats"))["observation_count"] == 1
    assert (await call(client, "forget", subject="cat"))["is_dry_run"] is False
    assert (await call(client, "stats"))["observation_count"] == 0


async def test_base64_contexts_are_decoded_and_bad_ones_refused(client: Client) -> None:
    text = "Čtvrtek je den vydání. 木曜日"
    await call(client, "observe", context=base64.b64encode(text.encode()).decode(), encoding="base64")
    assert (await call(client, "infer", prompt=text))["response"] == text
    for bad in ("not base64!", base64.b64encode(b"\xff\xfe").decode()):
        assert (await failure(client, "observe", context=bad, encoding="base64"))["code"] == "INVALID_INPUT"


async def test_the_same_idempotency_key_learns_nothing_twice(client: Client) -> None:
    first = await call(client, "observe", context=FACT, idempotency_key="k1")
    again = await call(client, "observe", context=FACT, idempotency_key="k1")
    assert (first["is_replayed_answer"], again["is_replayed_answer"]) == (False, True)
    assert (await call(client, "stats"))["observation_count"] == 1


async def test_a_long_context_is_learned_in_parts_with_progress(client: Client) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total, message))

    context = "\n\n".join(f"Paragraph {number}. " + "It goes on and on. " * 60 for number in range(20))
    arguments = {"context": context, "idempotency_key": "long"}
    result = await client.call_tool("observe", arguments, progress_callback=progress)
    parts = result.structured_content["parts"]
    assert parts > 1
    assert [done for done, _, _ in seen] == [float(part) for part in range(1, parts + 1)]
    assert {total for _, total, _ in seen} == {float(parts)}
    assert (await client.call_tool("observe", arguments)).structured_content["is_replayed_answer"]
    assert (await call(client, "stats"))["observation_count"] == parts


async def test_consolidation_reports_progress(client: Client, backend: FakeBackend) -> None:
    seen: list[tuple[float, str | None]] = []

    async def progress(done: float, _: float | None, message: str | None) -> None:
        seen.append((done, message))

    await call(client, "observe", context=FACT)
    await client.call_tool("consolidate", {"steps": 2, "ewc_lambda": 0.01}, progress_callback=progress)
    assert seen == [(0.5, "rehearsing"), (1.0, "done")]
    assert backend.consolidations == [(2, 0.01)]


async def test_a_broken_long_observation_says_how_far_it_came(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = door.backend.observe, 0

    async def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Overloaded("Too much is queued.", hint="Wait.", retry_after_s=2.0)
        return await real(*arguments)

    async with door.client() as client:
        await call(client, "create_memory", name=OWN)
        monkeypatch.setattr(door.backend, "observe", failing)
        error = await failure(client, "observe", context="A sentence of words. " * 2000, idempotency_key="k")
        assert error["code"] == "OVERLOADED"
        assert error["retry_after_s"] == 2.0
        assert "first 2 of" in error["message"]
        await call(client, "observe", context="A sentence of words. " * 2000, idempotency_key="k")
        stats = await call(client, "stats")
    assert stats["observation_count"] == calls - 1 - 2


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("observe", {"context": ""}, "context"),
        ("observe", {"context": "a\x00b"}, "NUL"),
        ("observe", {"context": 3}, "context"),
        ("observe", {}, "context"),
        ("observe", {"context": FACT, "learning_rate": 2}, "learning_rate"),
        ("observe", {"context": FACT, "encoding": "rot13"}, "encoding"),
        ("observe", {"context": FACT, "metadata": {"a": [1]}}, "metadata"),
        ("observe", {"context": FACT, "idempotency_key": "with space"}, "idempotency key"),
        ("observe", {"context": FACT, "color": "red"}, "color"),
        ("infer", {"prompt": FACT, "memory": "../../etc"}, "memory name"),
        ("stats", {"memory": "a/b"}, "memory name"),
        ("explain", {"top_k": 0}, "top_k"),
        ("checkpoint", {"tag": "../x"}, "tag"),
        ("consolidate", {"steps": 10_000}, "steps"),
        ("fork", {"source_tag": "v1", "new_tag": "a b"}, "memory name"),
    ],
)
async def test_bad_arguments_are_an_answer_that_names_them(
    client: Client, tool: str, arguments: dict[str, Any], named: str
) -> None:
    error = await failure(client, tool, **arguments)
    assert error["code"] == "INVALID_INPUT"
    assert named in error["message"]
    assert error["hint"]


async def test_a_refusal_never_repeats_what_was_sent(client: Client) -> None:
    error = await failure(client, "observe", context=["my secret"], encoding="my secret")
    assert "my secret" not in json.dumps(error)


async def test_a_bug_is_reported_without_its_message(door: Door, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    secret = " ".join(["my", "secret"])

    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(secret)

    monkeypatch.setattr(door.backend, "infer", broken)
    async with door.client() as client:
        error = await failure(client, "infer", prompt="x")
    assert error["code"] == "INTERNAL"
    assert secret not in json.dumps(error) + caplog.text
    assert "RuntimeError" in caplog.text


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    with pytest.raises(MCPError) as caught:
        await client.call_tool("remember", {})
    assert caught.value.error.code == -32602


async def test_missing_checkpoints_and_taken_names_are_answers(client: Client) -> None:
    await call(client, "create_memory", name=MemoryName("own"))
    assert (await failure(client, "restore", tag="none"))["code"] == "CHECKPOINT_NOT_FOUND"
    assert (await failure(client, "create_memory", name="own"))["code"] == "CONFLICT"
