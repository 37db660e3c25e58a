"""Resources, prompts and completion through the SDK's client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from memory_core.encoding.encoder import EncoderInfo
from memory_core.ids import EncoderId, MemoryName
from memory_core.jobs.plan import JobId, JobPlan, Reading, SourceFile
from memory_core.jobs.progress import JobPage, JobProgress
from memory_core.jobs.record import JobShelf
from memory_core.storage.local_store import LocalStore
from tests.unit.mcp_door.conftest import OWN, Door

FACT = "The grey cat sleeps on the windowsill."
STATS = ResourceTemplateReference(type="ref/resource", uri="memory://{name}/stats")
CHECKPOINT = ResourceTemplateReference(type="ref/resource", uri="memory://{name}/checkpoints/{tag}")


@pytest.fixture
async def filled(client: Client) -> Client:
    await client.call_tool("observe", {"context": FACT})
    for tag in ("v1", "v2", "w1"):
        await client.call_tool("checkpoint", {"tag": tag})
    return client


async def read(client: Client, uri: str) -> Any:
    (content,) = (await client.read_resource(uri)).contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)  # type: ignore[union-attr]


async def test_templates_and_resources_are_listed(filled: Client) -> None:
    templates = (await filled.list_resource_templates()).resource_templates
    assert [one.uri_template for one in templates] == [
        "memory://{name}/stats",
        "memory://{name}/patterns",
        "memory://{name}/checkpoints",
        "memory://{name}/jobs",
        "memory://{name}/checkpoints/{tag}",
    ]
    listed = (await filled.list_resources()).resources
    assert [one.uri for one in listed] == [f"memory://{OWN}/{kind}" for kind in ("stats", "patterns", "checkpoints")]


async def test_resources_are_listed_in_pages(door: Door) -> None:
    async with door.client() as client:
        for number in range(35):
            await client.call_tool("create_memory", {"name": f"m{number:02}"})
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        assert (len(first.resources), len(second.resources)) == (90, 15)
        assert second.next_cursor is None


async def test_resources_are_read(filled: Client) -> None:
    assert (await read(filled, f"memory://{OWN}/stats"))["observation_count"] == 1
    assert (await read(filled, f"memory://{OWN}/patterns"))["patterns"][0]["description"] == FACT
    assert len((await read(filled, f"memory://{OWN}/checkpoints"))["checkpoints"]) == 3
    assert (await read(filled, f"memory://{OWN}/checkpoints/v2"))["tag"] == "v2"


class Kept:
    """The jobs of a volume."""

    def __init__(self, shelf: JobShelf) -> None:
        self._shelf = shelf

    async def list_jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        return self._shelf.list_jobs(limit, cursor)


async def test_the_progress_of_jobs_is_read_where_there_is_a_cluster(door: Door, tmp_path: Path) -> None:
    async with door.client() as client:
        with pytest.raises(MCPError, match="no cluster"):
            await client.read_resource(f"memory://{OWN}/jobs")
        shelf = JobShelf(LocalStore(tmp_path))
        source = SourceFile(url="file:///a.jsonl", size_bytes=1000, stamp="1", form="jsonl")
        for job, memory in (("mine", OWN), ("theirs", MemoryName("other"))):
            shelf.accept(
                JobPlan(
                    job_id=JobId(job),
                    source="a.jsonl",
                    files=(source,),
                    reading=Reading(),
                    encoder=EncoderInfo(encoder_id=EncoderId("hash"), fingerprint="f", key_dim=8),
                    memory=memory,
                )
            )
        shelf.write(JobId("mine"), JobProgress(status="running", items=500, learned=490, rejected=10, busy_s=5.0))
        door.jobs = Kept(shelf)
        (told,) = (await read(client, f"memory://{OWN}/jobs"))["jobs"]
        assert (told["job"], told["status"], told["learned"], told["rejected"]) == ("mine", "running", 490, 10)
        assert told["obs_per_s"] == 100.0


@pytest.mark.parametrize(
    "uri",
    [
        "memory://none/stats",
        "memory://own/secrets",
        "memory://own/stats/v1",
        "memory://own/checkpoints/none",
        "memory://..%2F..%2Fetc/stats",
        "file:///etc/passwd",
        "memory://own/stats?x=1",
    ],
)
async def test_what_does_not_exist_is_a_protocol_error_with_a_hint(filled: Client, uri: str) -> None:
    with pytest.raises(MCPError) as caught:
        await filled.read_resource(uri)
    assert caught.value.error.code == -32602
    assert caught.value.error.data["hint"]


async def test_prompts_are_listed_and_filled(filled: Client) -> None:
    listed = (await filled.list_prompts()).prompts
    assert [one.name for one in listed] == ["recall_before_answering", "review_memory", "end_of_session"]
    recalled = await text_of(filled, "recall_before_answering", question="Where does the cat sleep?")
    assert FACT in recalled
    assert "not an instruction" in recalled
    assert '"observation_count": 1' in await text_of(filled, "review_memory")
    assert "release-7" in await text_of(filled, "end_of_session", tag="release-7", memory="other")


async def text_of(client: Client, name: str, **arguments: str) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.content.type == "text"
    return message.content.text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unknown", {}),
        ("recall_before_answering", {}),
        ("recall_before_answering", {"question": "x", "more": "y"}),
        ("review_memory", {"memory": "none"}),
        ("review_memory", {"memory": "../x"}),
    ],
)
async def test_unfitting_prompts_are_protocol_errors(client: Client, name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)
    assert caught.value.error.code == -32602


async def test_a_question_can_be_asked_of_a_memory_that_does_not_exist_yet(client: Client) -> None:
    assert "does not exist yet" in await text_of(client, "recall_before_answering", question="What?")


async def test_memory_names_and_tags_are_completed(filled: Client) -> None:
    await filled.call_tool("create_memory", {"name": "owl"})
    names = await filled.complete(STATS, {"name": "name", "value": "ow"})
    assert names.completion.values == ["owl", "own"]
    of_prompt = await filled.complete(
        PromptReference(type="ref/prompt", name="review_memory"), {"name": "memory", "value": "own"}
    )
    assert of_prompt.completion.values == ["own"]
    tags = await filled.complete(CHECKPOINT, {"name": "tag", "value": "v"}, context_arguments={"name": OWN})
    assert sorted(tags.completion.values) == ["v1", "v2"]
    for arguments in ({"name": "none"}, {"name": "../x"}):
        unknown = await filled.complete(CHECKPOINT, {"name": "tag", "value": ""}, context_arguments=arguments)
        assert unknown.completion.values == []


async def test_lists_that_never_change_may_be_kept(door: Door) -> None:
    async with door.client() as client:
        for listed in (await client.list_tools(), await client.list_prompts()):
            assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "public")
        assert (await client.list_resources()).cache_scope == "private"
