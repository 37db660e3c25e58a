"""Where a host answers questions: at once while the memory is free and the question short, else in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import resident
from cluster.memory_host import MemoryHost
from cluster.resident import Tenant
from cluster.volume_actor import VolumeActor
from memory_core.ids import MemoryName
from memory_core.results import EncodedObservation, InferOptions, InferResult, Observation, ObserveOptions
from memory_core.storage.catalog import Catalog
from memory_core.storage.open_store import open_store
from memory_core.testing.small_memory import hash_encoder, small_config
from memory_core.writer import MemoryWriter

TEXT = "Ferries leave at noon."


class House:
    """A host with two memories that know ``TEXT``, and where its questions were answered."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = MemoryHost(url)
        self.one, self.other = (Tenant(Catalog(open_store(url)).find(name).uid, name) for name in _NAMES)
        self.asked_here: list[bool] = []
        infer = MemoryWriter.infer

        def seen(writer: MemoryWriter, *args: Any) -> InferResult:
            self.asked_here.append(threading.current_thread() is threading.main_thread())
            return infer(writer, *args)

        monkeypatch.setattr(MemoryWriter, "infer", seen)

    async def learn(self, tenant: Tenant, text: str = TEXT) -> int:
        items = [EncodedObservation(observation=Observation(text=text), encoded=_keys(text))]
        count: int = (await self.host.write(tenant, "observe", items, ObserveOptions())).observation_count
        return count

    async def ask(self, tenant: Tenant) -> str:
        found = await self.host.read(tenant, "infer", _keys(TEXT), InferOptions())
        assert isinstance(found, InferResult)
        return found.response

    async def writer(self, tenant: Tenant) -> MemoryWriter:
        return await self.host._residents[tenant.uid]._writer()


_NAMES = (MemoryName("one"), MemoryName("other"))


def _keys(text: str) -> Any:
    (keys,) = hash_encoder().encode([text])
    return keys


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    url = (tmp_path / "volume").as_uri()
    for name in _NAMES:
        await VolumeActor(url).create(name, small_config())
    # No question is long here, however busy the machine.
    monkeypatch.setattr(resident, "_SHORT_S", 60.0)
    made = House(url, monkeypatch)
    for tenant in (made.one, made.other):
        await made.learn(tenant)
    return made


@contextmanager
def held_state(writer: MemoryWriter) -> Iterator[None]:
    """A writer in a thread of its own that has the state inside the ``with``."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with writer.looking():
            is_held.set()
            assert may_end.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(30)
    try:
        yield
    finally:
        may_end.set()
        holder.join()


async def until_waiting(house: House) -> None:
    """Until the last question is in a thread."""
    count = len(house.asked_here)
    async with asyncio.timeout(30):
        while len(house.asked_here) == count:
            await asyncio.sleep(0.01)


async def test_the_first_question_of_a_kind_is_timed_in_a_thread_and_short_ones_need_none(house: House) -> None:
    assert [await house.ask(house.one) for _ in range(3)] == [TEXT] * 3
    assert house.asked_here == [False, True, True]


async def test_a_kind_of_question_that_took_long_goes_to_a_thread(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_SHORT_S", 0.0)
    assert [await house.ask(house.one) for _ in range(3)] == [TEXT] * 3
    assert house.asked_here == [False] * 3


async def test_how_long_a_question_takes_is_known_for_others_that_ask_about_as_much(house: House) -> None:
    await house.host.read(house.one, "surprise", [_keys(TEXT)])
    for count in (9, 15):
        await house.host.read(house.one, "surprise", [_keys(TEXT)] * count)
    await house.host.read(house.one, "explain", 100)
    kinds = house.host._residents[house.one.uid]._took_s
    assert sorted(kinds) == [("explain", 7), ("surprise", 1), ("surprise", 4)]


async def test_a_writer_that_has_the_state_stops_questions_of_no_other_memory(house: House) -> None:
    for tenant in (house.one, house.other):
        await house.ask(tenant)
    house.asked_here.clear()
    with held_state(await house.writer(house.one)):
        waiting = asyncio.create_task(house.ask(house.one))
        await until_waiting(house)
        assert await house.ask(house.other) == TEXT
        assert await house.learn(house.other, "Another fact.") == 2
        assert not waiting.done()
    assert await waiting == TEXT
    assert house.asked_here == [False, True]


async def test_questions_behind_one_that_waits_keep_their_turn(house: House) -> None:
    await house.ask(house.one)
    house.asked_here.clear()
    with held_state(await house.writer(house.one)):
        first = asyncio.create_task(house.ask(house.one))
        await until_waiting(house)
        later = [asyncio.create_task(house.ask(house.one)) for _ in range(3)]
        await asyncio.sleep(0)
    assert await asyncio.gather(first, *later) == [TEXT] * 4
    assert house.asked_here == [False] * 4
    assert await house.ask(house.one) == TEXT
    assert house.asked_here[-1]


async def test_a_caller_that_leaves_while_it_waits_holds_nobody_up(house: House) -> None:
    await house.ask(house.one)
    with held_state(await house.writer(house.one)):
        first = asyncio.create_task(house.ask(house.one))
        await until_waiting(house)
        second = asyncio.create_task(house.ask(house.one))
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        await asyncio.wait([first, second])
    assert first.cancelled()
    assert second.cancelled()
    assert await house.learn(house.one, "Another fact.") == 2
    assert await house.ask(house.one) == TEXT


async def test_what_a_question_at_once_raises_reaches_its_caller_and_frees_the_state(house: House) -> None:
    await house.ask(house.one)

    def broken(*_: Any) -> InferResult:
        raise LookupError("broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryWriter, "infer", broken)
        with pytest.raises(LookupError):
            await house.ask(house.one)
    assert await house.learn(house.one, "Another fact.") == 2
    assert await house.ask(house.one) == TEXT
