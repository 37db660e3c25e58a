"""What every MemoryBackend promises about many forks of one memory: a part of the backend suite."""
# ruff: noqa: D102  the names of tests are their documentation

from __future__ import annotations

import pytest

from memory_core.backend import MemoryBackend
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.family_results import Probe
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.results import Observation, ObserveOptions
from memory_core.testing.backend_fixtures import CAT, ORCHID, SHIP, BackendFixtures, fresh_name

V1 = Tag("v1")


class FamilyConformance(BackendFixtures):
    """The tests. Names of tests are the promises."""

    async def test_forks_made_together_begin_where_their_parent_was_and_are_its_family(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        saved = await backend.checkpoint(name, V1)
        made = await backend.fork_many(name, V1, name, 3)
        assert made.forks == (f"{name}-1", f"{name}-2", f"{name}-3")
        assert {(await backend.stats(fork)).weight_hash for fork in made.forks} == {saved.weight_hash}
        assert (await backend.family(name)).forks == made.forks
        assert (await backend.family(made.forks[0])).forks == ()

    async def test_a_fan_out_onto_a_taken_name_makes_nothing(self, backend: MemoryBackend, name: MemoryName) -> None:
        await backend.checkpoint(name, V1)
        taken = (await backend.fork(name, V1, MemoryName(f"{name}-2"))).memory
        with pytest.raises(Conflict):
            await backend.fork_many(name, V1, name, 3)
        assert (await backend.family(name)).forks == (taken,)
        with pytest.raises(InvalidInput):
            await backend.fork_many(name, V1, name, 0)

    async def test_what_all_forks_are_told_each_learns_once_and_the_parent_does_not(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await backend.checkpoint(name, V1)
        forks = (await backend.fork_many(name, V1, name, 2)).forks
        options = ObserveOptions(request_id=RequestId("to-all"))
        for _ in range(2):
            told = await backend.observe_all(name, [Observation(text=SHIP), Observation(text=CAT)], options)
            assert [(answer.memory, answer.observation_count) for answer in told.answers] == [(one, 2) for one in forks]
        assert [(await backend.stats(one)).observation_count for one in (*forks, name)] == [2, 2, 0]

    async def test_the_fork_that_learned_more_of_the_probes_is_first(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, ORCHID)
        await backend.checkpoint(name, V1)
        poor, rich = (await backend.fork_many(name, V1, name, 2)).forks
        await self.learn(backend, rich, CAT, SHIP)
        await self.learn(backend, poor, CAT)
        probes = [Probe(text=CAT), Probe(text=SHIP, question="Which freighter did Captain Okafor sail?")]
        found = await backend.compare(name, probes)
        assert [(one.memory, one.recall) for one in found.forks] == [(rich, 1.0), (poor, 0.5)]
        assert (found.baseline.memory, found.baseline.recall) == (name, 0.0)
        assert found.forks[0].surprise_mean < found.forks[1].surprise_mean < found.baseline.surprise_mean

    async def test_without_forks_there_is_nothing_to_tell_or_compare(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        for call in (backend.compare(name, [Probe(text=CAT)]), backend.observe_all(name, [], ObserveOptions())):
            with pytest.raises((NotFound, InvalidInput)):
                await call
        with pytest.raises(NotFound):
            await backend.family(fresh_name("nobody"))

    async def test_a_promoted_fork_is_what_its_parent_is_now_and_nothing_is_lost(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, ORCHID)
        await backend.checkpoint(name, V1)
        fork, _ = (await backend.fork_many(name, V1, name, 2)).forks
        await self.learn(backend, fork, CAT, SHIP)
        await self.learn(backend, name, "Only the parent was told this.")
        before = await backend.stats(name)
        done = await backend.promote(fork, Tag("v2"))
        after = await backend.stats(name)
        assert (done.memory, done.observations_lost, after.observation_count) == (name, 1, 3)
        assert after.weight_hash == done.weight_hash == (await backend.stats(fork)).weight_hash
        assert set(after.checkpoint_tags) == {V1, "v2", "before-v2"}
        assert (await backend.promote(fork, Tag("v2"))).weight_hash == done.weight_hash
        await self.learn(backend, name, CAT)
        backend = await self.restart(backend)
        assert (await backend.stats(name)).observation_count == 4
        assert (await backend.restore(name, Tag("before-v2"))).weight_hash == before.weight_hash

    async def test_only_a_fork_can_be_promoted(self, backend: MemoryBackend, name: MemoryName) -> None:
        with pytest.raises(InvalidInput) as raised:
            await backend.promote(name, V1)
        assert raised.value.code == "NOT_A_FORK"
