"""A conversation that a real language model writes: transformers' own server, with a model made here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_house import SMALL, ChatHouse
from tests.tiny_model import WORDS, make_tiny_model, running_transformers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FERRY = "The ferry to Lisbon leaves at noon."
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "When does the ferry leave?"}], "memory": "notes"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    pytest.importorskip("accelerate")  # the server asks for it
    folder = tmp_path_factory.mktemp("model")
    make_tiny_model(folder)
    with running_transformers(folder) as url:
        yield url, str(folder)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_of_transformers_serve_writes_the_answer(
    served: tuple[str, str], tmp_path: Path, stream: bool
) -> None:
    url, model = served
    house = ChatHouse(tmp_path, model_provider="openai", openai_base_url=url, model_name=model, model_timeout_s=300)
    async with house.client() as client:
        client.timeout = 300
        assert (await client.post("/v1/memories", json={"name": "notes", **SMALL})).status_code == 201
        assert (await client.post("/v1/memories/notes/observe", json={"text": FERRY})).status_code == 200
        answer = await client.post("/v1/chat", json={**ASKED, "stream": stream})
        assert answer.status_code == 200, answer.text
        if stream:
            events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
            assert events[-1] == "[DONE]"
            chunks = [json.loads(event) for event in events[:-1]]
            said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
            report = chunks[-1]["neural_memory"]
        else:
            said, report = answer.json()["choices"][0]["message"]["content"], answer.json()["neural_memory"]
    await house.close()
    assert report["note"] is None
    assert report["patterns"][0]["exemplars"][0]["text"] == FERRY
    assert len(set(said.split()) & set(WORDS)) > 1
