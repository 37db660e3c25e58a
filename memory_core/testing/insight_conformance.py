"""What every MemoryBackend promises about looking into a memory, comparing and merging: a part of the backend suite."""
# ruff: noqa: D102  the names of tests are their documentation

from __future__ import annotations

import pytest

from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import InvalidInput, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.results import ForgetSelection, InferOptions, Observation, ObserveOptions
from memory_core.testing.backend_fixtures import CAT, ORCHID, SHIP, BackendFixtures, fresh_name


class InsightConformance(BackendFixtures):
    """The tests. Names of tests are the promises."""

    async def test_patterns_explain_themselves_and_attention_says_which_words_lead_to_them(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        explained = await backend.explain(name, top_k=2)
        assert (explained.pattern_count, len(explained.patterns)) == (3, 2)
        assert all(pattern.words and pattern.description for pattern in explained.patterns)
        attention = await backend.attention_map(name, "Which freighter?", top_k=1)
        assert [token.word for token in attention.tokens] == ["Which", "freighter"]
        assert attention.rows[0].exemplar.text == SHIP
        assert attention.rows[0].word_weights[1] > attention.rows[0].word_weights[0] == 0.0

    async def test_the_map_places_every_pattern_once(self, backend: MemoryBackend, name: MemoryName) -> None:
        assert (await backend.pattern_map(name)).points == ()
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        drawn = await backend.pattern_map(name)
        assert {point.exemplars[0].text for point in drawn.points} == {CAT, SHIP, ORCHID}
        assert len({(round(point.x, 6), round(point.y, 6)) for point in drawn.points}) == 3
        assert 0.99 < drawn.variance_shown <= 1.0 + 1e-9  # three points lie in a plane
        assert len((await backend.pattern_map(name, limit=2)).points) == 2
        with pytest.raises(InvalidInput):
            await backend.pattern_map(name, limit=0)

    async def test_what_was_learned_last_is_told_with_its_surprise(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP)
        await self.learn(backend, name, CAT)
        told = await backend.activity(name)
        assert [event.text for event in told.events] == [CAT, SHIP, CAT]
        assert [event.seq for event in told.events] == [1, 2, told.seq]
        assert told.events[2].surprise < told.events[0].surprise / 2
        assert told.events[0].weight_delta > 0.0
        assert told.observations_per_minute == 3.0
        assert [event.seq for event in (await backend.activity(name, limit=1)).events] == [3]
        await backend.forget(name, ForgetSelection(subject="freighter"))
        assert all(
            event.text is None or "freighter" not in event.text for event in (await backend.activity(name)).events
        )
        with pytest.raises(InvalidInput):
            await backend.activity(name, limit=0)

    async def test_going_back_takes_what_came_after_out_of_the_activity(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("v1"))
        await self.learn(backend, name, SHIP)
        await backend.restore(name, Tag("v1"))
        assert [event.text for event in (await backend.activity(name)).events] == [CAT]

    async def test_what_followed_is_expected_again(self, backend: MemoryBackend, name: MemoryName) -> None:
        turns = [Observation(text=text, session="talk") for text in (CAT, SHIP, ORCHID)]
        await backend.observe(name, turns, ObserveOptions())
        after_text = await backend.predict_next(name, text=CAT, top_k=1)
        assert [one.exemplar.text for one in after_text.continuations] == [SHIP]
        assert (await backend.predict_next(name, session="talk")).based_on == "session"
        with pytest.raises(NotFound) as raised:
            await backend.predict_next(name, session="never")
        assert raised.value.code == "SESSION_NOT_FOUND"
        with pytest.raises(InvalidInput):
            await backend.predict_next(name)

    async def test_capacity_is_measured_when_asked_for(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        assert (await backend.stats(name)).capacity is None
        detailed = await backend.stats(name, detailed=True)
        assert detailed.capacity is not None
        assert detailed.capacity.replay_recall.value == 1.0
        assert detailed.capacity.capacity_used >= detailed.capacity_used
        assert [point.recall.value for point in detailed.capacity.retention_curve] == [1.0, 1.0, 1.0]

    async def test_a_memory_differs_from_its_own_past_by_what_it_learned_since(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("v1"))
        await self.learn(backend, name, SHIP)
        result = await backend.diff(name, name, other_tag=Tag("v1"))
        assert [exemplar.text for exemplar in result.only_here] == [SHIP]
        assert (result.shared_count, result.only_there_count, result.tag, result.other_tag) == (1, 0, None, "v1")
        assert result.recall_moved < 0.0
        with pytest.raises(NotFound) as raised:
            await backend.diff(name, name, tag=Tag("never"))
        assert raised.value.code == "CHECKPOINT_NOT_FOUND"

    async def test_a_merge_teaches_what_another_memory_knows_once_and_for_good(
        self, backend: MemoryBackend, name: MemoryName, config: MemoryConfig
    ) -> None:
        other = fresh_name("other")
        await backend.create(other, config)
        await self.learn(backend, other, CAT, SHIP)
        with pytest.raises(NotFound) as raised:
            await backend.merge(name, other)
        assert raised.value.code == "CHECKPOINT_NOT_FOUND"
        await backend.checkpoint(other, Tag("v1"))
        await self.learn(backend, name, CAT, ORCHID)
        merged = await backend.merge(name, other)
        again = await backend.merge(name, other, tag=Tag("v1"))
        assert (merged.texts_merged, merged.texts_known, merged.other_tag) == (1, 1, "v1")
        assert (again.texts_merged, again.texts_known, again.observation_count) == (0, 2, 3)
        after_loss = await self.restart(backend)
        answer = await after_loss.infer(name, "Which freighter did Captain Okafor sail?", InferOptions())
        assert SHIP in [exemplar.text for match in answer.patterns for exemplar in match.exemplars]
        assert (await after_loss.diff(name, other)).only_there_count == 0
