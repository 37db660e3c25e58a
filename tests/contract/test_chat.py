"""Conversations over HTTP, with real memories and a model server that can fail in every way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from deployments.chat.conversation import NOTHING_KNOWN
from tests.chat_house import SMALL, ChatHouse
from tests.model_server import Behaviour, ModelServer, running_model_server

FERRY = "The ferry to Lisbon leaves at noon."
QUESTION = "When does the ferry to Lisbon leave?"
FAILURES: dict[Behaviour, str] = {
    "slow": "did not answer within",
    "silent": "did not answer within",
    "limited": "429",
    "refusing": "refused the request (404)",
    "malformed": "broke off",
    "cut": "",
    "empty": "empty answer",
    "html": "",
}


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with running_model_server() as server:
        yield server


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[ChatHouse]:
    house = ChatHouse(tmp_path)
    yield house
    await house.close()


@pytest.fixture
async def modelled(tmp_path: Path, model: ModelServer) -> AsyncIterator[ChatHouse]:
    model.behaviour, model.answer = "good", ModelServer.answer
    model.requests.clear()
    house = ChatHouse(tmp_path, model_provider="openai", openai_base_url=model.url, model_name="tiny")
    yield house
    await house.close()


@pytest.fixture
async def impatient(tmp_path: Path, model: ModelServer, behaviour: Behaviour) -> AsyncIterator[ChatHouse]:
    """Waits shortly for what never comes, and long for everything else."""
    model.behaviour, model.answer = behaviour, ModelServer.answer
    timeout_s = 0.5 if behaviour in {"slow", "silent"} else 60.0
    house = ChatHouse(tmp_path, model_provider="openai", openai_base_url=model.url, model_timeout_s=timeout_s)
    yield house
    await house.close()


async def taught(client: httpx.AsyncClient, name: str = "notes", *texts: str) -> None:
    assert (await client.post("/v1/memories", json={"name": name, **SMALL})).status_code == 201
    observations = [{"text": text, "occurred_at": "2026-11-20"} for text in texts or (FERRY,)]
    learned = await client.post(f"/v1/memories/{name}/observe", json={"observations": observations})
    assert learned.status_code == 200


async def chat(client: httpx.AsyncClient, said: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/chat", json={"messages": [{"role": "user", "content": said}], **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def content(body: dict[str, Any]) -> str:
    return str(body["choices"][0]["message"]["content"])


async def test_without_a_model_the_answer_is_made_of_what_was_learned_and_cites_it(plain: ChatHouse) -> None:
    async with plain.client() as client:
        await taught(client)
        body = await chat(client, QUESTION, memory="notes")
        assert content(body) == f"{FERRY} [notes#0]"
        assert body["neural_memory"]["citations"] == ["notes#0"]
        assert body["neural_memory"]["patterns"][0]["exemplars"][0]["text"] == FERRY
        assert body["object"] == "chat.completion"
        empty = await chat(client, "What is quartz?")
        assert (content(empty), empty["neural_memory"]["citations"]) == (NOTHING_KNOWN, [])


async def test_what_the_user_said_is_learned_once_and_questions_are_not(plain: ChatHouse) -> None:
    async with plain.client() as client:
        await taught(client)
        told = "My cat is called Miso."
        (first,) = (await chat(client, told, memory="notes"))["neural_memory"]["learned"]
        (again,) = (await chat(client, told, memory="notes"))["neural_memory"]["learned"]
        (asked,) = (await chat(client, "What is my cat called?", memory="notes"))["neural_memory"]["learned"]
        assert (first["learned"], first["memory"]) == (True, "notes")
        assert (again["learned"], again["reason"]) == (False, "known already")
        assert (asked["learned"], asked["reason"]) == (False, "only a question")
        refused = await chat(client, "Quartz is hard.", memory="notes", learn=False)
        assert refused["neural_memory"]["learned"] == []
        assert (await client.get("/v1/memories/notes")).json()["observation_count"] == 2


async def test_a_key_that_may_not_observe_still_gets_its_answer(plain: ChatHouse) -> None:
    async with plain.client() as owner, plain.client(scopes=frozenset({"infer"})) as reader:
        await taught(owner)
        body = await chat(reader, f"Rain falls. {QUESTION}", memory="notes")
        assert FERRY in content(body)
        assert body["neural_memory"]["learned"][0]["learned"] is False
        assert (await owner.get("/v1/memories/notes")).json()["observation_count"] == 1


async def test_the_model_gets_patterns_as_data_and_its_citations_come_back(
    modelled: ChatHouse, model: ModelServer
) -> None:
    async with modelled.client() as client:
        await taught(client)
        body = await chat(client, QUESTION, memory="notes", temperature=0.3)
        assert content(body) == model.answer
        assert body["neural_memory"]["citations"] == ["notes#0"]
        (request,) = model.requests
        assert (request["model"], request["temperature"], request["stream"]) == ("tiny", 0.3, True)
        assert FERRY in request["messages"][0]["content"]
        assert request["messages"][-1] == {"role": "user", "content": QUESTION}
        assert "model" in body and body["model"] == "tiny"


async def test_an_answer_that_cites_nothing_gets_what_was_recalled_for_it(
    modelled: ChatHouse, model: ModelServer
) -> None:
    model.answer = "At noon."
    async with modelled.client() as client:
        await taught(client)
        body = await chat(client, QUESTION, memory="notes")
        assert content(body) == "At noon.\n\nRecalled: [notes#0]"
        assert body["neural_memory"]["citations"] == ["notes#0"]


async def test_the_model_s_words_are_learned_only_when_asked_for(modelled: ChatHouse, model: ModelServer) -> None:
    model.answer = "Submarines are yellow, they say."
    async with modelled.client() as client:
        await taught(client)
        await chat(client, QUESTION, memory="notes")
        assert (await client.get("/v1/memories/notes")).json()["observation_count"] == 1
        body = await chat(client, QUESTION, memory="notes", learn_answer=True)
        assert [(one["role"], one["learned"]) for one in body["neural_memory"]["learned"]] == [
            ("user", False),
            ("assistant", True),
        ]
        assert (await client.get("/v1/memories/notes")).json()["observation_count"] == 2


@pytest.mark.parametrize("behaviour", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_fails_leaves_the_user_what_was_recalled_and_a_note(
    impatient: ChatHouse, behaviour: Behaviour, stream: bool
) -> None:
    async with impatient.client() as client:
        await taught(client)
        if stream:
            pieces, report = await streamed(client, QUESTION, memory="notes")
            said = "".join(pieces)
        else:
            body = await chat(client, QUESTION, memory="notes")
            said, report = content(body), body["neural_memory"]
        assert said.endswith(f"{FERRY} [notes#0]")
        assert report["note"] in said
        assert FAILURES[behaviour] in report["note"]
        assert report["patterns"][0]["exemplars"][0]["text"] == FERRY


async def test_a_model_that_is_down_leaves_the_user_what_was_recalled_and_a_note(tmp_path: Path) -> None:
    house = ChatHouse(tmp_path, model_provider="ollama", ollama_base_url="http://127.0.0.1:1")
    async with house.client() as client:
        await taught(client)
        body = await chat(client, QUESTION, memory="notes")
        assert FERRY in content(body)
        assert body["neural_memory"]["note"] == "The language model cannot be reached."
    await house.close()


async def test_a_stream_is_chunks_that_end_with_done(modelled: ChatHouse, model: ModelServer) -> None:
    async with modelled.client() as client:
        await taught(client)
        pieces, report = await streamed(client, QUESTION, memory="notes")
        assert "".join(pieces) == model.answer
        assert len(pieces) > 3
        assert report["citations"] == ["notes#0"]


async def test_openai_s_own_client_understands_both_forms(modelled: ChatHouse, model: ModelServer) -> None:
    async with modelled.client() as http:
        await taught(http)
        key = http.headers["Authorization"].removeprefix("Bearer ")
        transport = httpx.ASGITransport(app=modelled.app)
        client = _openai_client(key, transport)
        extra = {"memory": "notes"}
        messages: Any = [{"role": "user", "content": QUESTION}]
        whole = await client.chat.completions.create(model="", messages=messages, extra_body=extra)
        assert whole.choices[0].message.content == model.answer
        stream = await client.chat.completions.create(model="", messages=messages, extra_body=extra, stream=True)
        told = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(told) == model.answer
        await client.close()


def _openai_client(key: str, transport: httpx.ASGITransport) -> openai.AsyncOpenAI:
    import httpx2

    inner = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=transport.app))
    return openai.AsyncOpenAI(api_key=key, base_url="http://test/v1", http_client=inner)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"messages": []}, 422),
        ({"messages": [{"role": "assistant", "content": "Hi."}]}, 422),
        ({"messages": [{"role": "user", "content": " "}]}, 422),
        ({"messages": [{"role": "user", "content": "Hi."}], "tools": [{}]}, 422),
        ({"messages": [{"role": "user", "content": "Hi."}], "memory": "never"}, 404),
        ({"messages": [{"role": "user", "content": "Hi."}], "memory": "no/name"}, 422),
        ({"messages": [{"role": "user", "content": "Hi."}], "session": "never"}, 404),
    ],
)
async def test_bad_requests_say_what_is_wrong(plain: ChatHouse, fields: dict[str, Any], status: int) -> None:
    async with plain.client() as client:
        answer = await client.post("/v1/chat", json=fields)
        assert answer.status_code == status
        assert answer.json()["error"]["hint"]


async def test_the_least_surprised_memory_answers_or_the_one_of_the_domain(plain: ChatHouse) -> None:
    async with plain.client() as client:
        await taught(client, "ships", FERRY, "The freighter Meridian sails to Oslo.")
        await taught(client, "food", "Miso soup is made of soy beans.", "Bread needs yeast and flour.")
        by_surprise = (await client.post("/v1/infer", json={"prompt": "What is miso soup made of?"})).json()
        assert by_surprise["memory"] == "food"
        assert [one["is_asked"] for one in by_surprise["candidates"]] == [True, False]
        everyone = await client.post("/v1/infer", json={"prompt": QUESTION, "route": "all", "pattern_limit": 50})
        assert everyone.json()["response"] == FERRY
        assert [one["is_asked"] for one in everyone.json()["candidates"]] == [True, True]
        await client.post("/v1/memories/ships/observe", json={"text": "Anchors are heavy.", "domain": "harbour"})
        domain = {"prompt": "What is heavy?", "route": "domain", "domain": "harbour"}
        assert (await client.post("/v1/infer", json=domain)).json()["memory"] == "ships"
        nobody = (await client.post("/v1/infer", json={**domain, "domain": "never"})).json()
        assert (nobody["memory"], nobody["response"], nobody["confidence"]) == (None, "", 0.0)
        assert (await client.post("/v1/infer", json={"prompt": "x", "route": "domain"})).status_code == 422


async def streamed(client: httpx.AsyncClient, said: str, **fields: Any) -> tuple[list[str], dict[str, Any]]:
    request = {"messages": [{"role": "user", "content": said}], "stream": True, **fields}
    answer = await client.post("/v1/chat", json=request)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.removeprefix("data: ") for event in answer.text.strip().split("\n\n")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    pieces = [piece for chunk in chunks if (piece := chunk["choices"][0]["delta"].get("content"))]
    return pieces, chunks[-1]["neural_memory"]
