"""Keys of texts over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chat_house import ChatHouse


async def test_texts_become_vectors_of_unit_length_that_compare_by_cosine(tmp_path: Path) -> None:
    house = ChatHouse(tmp_path)
    texts = ["Glass is made of sand. It is clear.", "Glass is made of sand. It is clear.", "Rex barks."]
    async with house.client() as client:
        answer = (await client.post("/v1/encode", json={"texts": texts})).json()
        same, again, other = answer["vectors"]
        assert {len(vector) for vector in answer["vectors"]} == {answer["key_dim"]}
        assert sum(value * value for value in same) == pytest.approx(1.0)
        assert same == again
        assert sum(one * two for one, two in zip(same, other, strict=True)) < 0.5
        for refused in ({"texts": []}, {"texts": [" "]}, {"texts": ["a"] * 65}, {"texts": ["a"], "encoder": "never"}):
            assert (await client.post("/v1/encode", json=refused)).status_code == 422
    async with house.client(scopes=frozenset({"observe"})) as writer:
        assert (await writer.post("/v1/encode", json={"texts": ["a"]})).status_code == 403
    await house.close()
