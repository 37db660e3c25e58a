"""What every MemoryBackend promises, as tests. Subclass it, give the fixtures, run it on each implementation.

Fixtures: ``backend`` (a MemoryBackend, may be shared between tests) and ``config`` (settings of a small memory whose
encoder the backend serves, preferably ``hash``). Override ``restart`` to lose the processes that own memories.
"""
# ruff: noqa: D102  the names of tests are their documentation

from __future__ import annotations

import asyncio

import pytest

from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, ReadOnly, TooLarge
from memory_core.ids import EncoderId, MemoryName, Seq, Tag
from memory_core.results import ForgetSelection, InferOptions, Observation, ObserveOptions
from memory_core.terms import MemoryTerms, TermsChange
from memory_core.testing.backend_fixtures import CAT, ORCHID, SHIP, fresh_name
from memory_core.testing.family_conformance import FamilyConformance
from memory_core.testing.insight_conformance import InsightConformance
from memory_core.testing.storage_conformance import StorageConformance


class BackendConformance(InsightConformance, StorageConformance, FamilyConformance):
    """The suite. Names of tests are the promises."""

    async def test_a_created_memory_is_empty_and_is_listed(
        self, backend: MemoryBackend, name: MemoryName, config: MemoryConfig
    ) -> None:
        stats = await backend.stats(name)
        assert (stats.observation_count, stats.pattern_count, stats.seq) == (0, 0, 0)
        assert stats.units == config.units
        listed = await backend.list_memories(limit=1000)
        assert name in [info.name for info in listed.memories]

    async def test_a_taken_name_is_a_conflict(
        self, backend: MemoryBackend, name: MemoryName, config: MemoryConfig
    ) -> None:
        with pytest.raises(Conflict) as raised:
            await backend.create(name, config)
        assert raised.value.code == "MEMORY_EXISTS"

    async def test_a_memory_whose_encoder_does_not_fit_is_not_created(
        self, backend: MemoryBackend, config: MemoryConfig
    ) -> None:
        name = fresh_name()
        with pytest.raises(InvalidInput):
            await backend.create(name, config.with_changes(encoder_fingerprint="another"))
        with pytest.raises(NotFound):
            await backend.stats(name)

    async def test_every_operation_on_an_unknown_name_is_not_found(self, backend: MemoryBackend) -> None:
        name = fresh_name("nobody")
        calls = [
            backend.stats(name),
            backend.delete(name),
            self.learn(backend, name, CAT),
            backend.infer(name, CAT, InferOptions()),
            backend.surprise(name, [CAT]),
            backend.consolidate(name),
            backend.explain(name),
            backend.attention_map(name, CAT),
            backend.predict_next(name, text=CAT),
            backend.diff(name, name),
            backend.merge(name, name),
            backend.checkpoint(name, Tag("v1")),
            backend.list_checkpoints(name),
            backend.restore(name, Tag("v1")),
            backend.rollback(name, Seq(0)),
            backend.change(name, TermsChange(description="x")),
            backend.delete(name, only_if=("0",)),
            backend.fork(name, Tag("v1"), fresh_name()),
            backend.fork_many(name, Tag("v1"), fresh_name(), 2),
            backend.family(name),
            backend.promote(name, Tag("v1")),
        ]
        for call in calls:
            with pytest.raises(NotFound) as raised:
                await call
            assert raised.value.code == "MEMORY_NOT_FOUND"

    async def test_what_was_observed_is_recalled(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        answer = await backend.infer(name, "Which freighter did Captain Okafor sail?", InferOptions())
        assert SHIP in [exemplar.text for match in answer.patterns for exemplar in match.exemplars]

    async def test_terms_change_last_and_hold(
        self, backend: MemoryBackend, name: MemoryName, config: MemoryConfig
    ) -> None:
        await self.learn(backend, name, CAT)
        changed = await backend.change(name, TermsChange(description="Cats", is_read_only=True, ttl_s=3600.0))
        assert (changed.description, changed.is_read_only, changed.ttl_s) == ("Cats", True, 3600.0)
        backend = await self.restart(backend)
        assert (await backend.stats(name)).terms == changed
        for call in (self.learn(backend, name, SHIP), backend.consolidate(name)):
            with pytest.raises(ReadOnly):
                await call
        assert (await backend.infer(name, CAT, InferOptions())).mode == "recall"
        for_ever = await backend.change(name, TermsChange(is_read_only=False, ttl_s=0.0))
        assert (for_ever.expires_at, for_ever.description) == (None, "Cats")
        await self.learn(backend, name, SHIP)

    async def test_a_memory_whose_time_is_over_is_not_found(self, backend: MemoryBackend, config: MemoryConfig) -> None:
        name = fresh_name()
        await backend.create(name, config, MemoryTerms(kind="session", ttl_s=0.001))
        with pytest.raises(NotFound) as raised:
            while True:
                await backend.stats(name)
        assert raised.value.code == "MEMORY_NOT_FOUND"

    async def test_what_names_another_version_changes_nothing(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("v1"))
        seen = await backend.stats(name)
        await self.learn(backend, name, SHIP)
        now = await backend.stats(name)
        old = (seen.weight_hash,)
        for call in (
            backend.restore(name, Tag("v1"), only_if=old),
            backend.rollback(name, Seq(1), only_if=old),
            backend.forget(name, ForgetSelection(subject="freighter"), only_if=old),
            backend.change(name, TermsChange(description="x"), only_if=old),
            backend.delete(name, only_if=old),
        ):
            with pytest.raises(PreconditionFailed):
                await call
        assert await backend.stats(name) == now
        await backend.rollback(name, Seq(1), only_if=(*old, now.weight_hash))
        await backend.delete(name, only_if=old)
        with pytest.raises(NotFound):
            await backend.stats(name)

    async def test_temperature_length_and_domain_shape_what_is_read(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        sharp = await backend.infer(name, SHIP, InferOptions(temperature=0.0))
        flat = await backend.infer(name, SHIP, InferOptions(temperature=2.0))
        plain = await backend.infer(name, SHIP, InferOptions())
        assert sharp.patterns[0].weight == 1.0 > plain.patterns[0].weight > flat.patterns[0].weight
        short = await backend.infer(name, SHIP, InferOptions(max_tokens=3))
        assert short.response == " ".join(plain.response.split()[:3]) + " …"
        with pytest.raises(InvalidInput):
            await backend.infer(name, SHIP, InferOptions(temperature=2.5))
        (known,) = await backend.surprise(name, [CAT])
        (elsewhere,) = await backend.surprise(name, [CAT], domain="nowhere")
        assert known.score < 0.2 < elsewhere.score == 1.0

    async def test_a_source_is_forgotten_by_its_metadata(self, backend: MemoryBackend, name: MemoryName) -> None:
        told = [
            Observation(text=CAT, metadata={"source": "feed"}),
            Observation(text=SHIP, metadata={"source": "team"}),
        ]
        await backend.observe(name, told, ObserveOptions())
        receipt = await backend.forget(name, ForgetSelection(metadata={"source": "feed"}))
        assert receipt.exemplars_removed == 1
        texts = {
            item.text for match in (await backend.infer(name, CAT, InferOptions())).patterns for item in match.exemplars
        }
        assert texts == {SHIP}

    async def test_outcomes_take_consecutive_positions(self, backend: MemoryBackend, name: MemoryName) -> None:
        first = await self.learn(backend, name, CAT, SHIP)
        second = await self.learn(backend, name, ORCHID)
        assert [outcome.seq for outcome in (*first.outcomes, *second.outcomes)] == [1, 2, 3]
        assert (first.observation_count, second.observation_count) == (2, 3)

    async def test_concurrent_observes_each_take_their_own_position(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        results = await asyncio.gather(*(self.learn(backend, name, f"Fact number {n} is {n * 7}.") for n in range(24)))
        assert sorted(result.outcomes[0].seq for result in results) == list(range(1, 25))
        assert (await backend.stats(name)).observation_count == 24

    async def test_reading_changes_nothing(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT, SHIP)
        before = await backend.stats(name)
        await backend.infer(name, CAT, InferOptions())
        known, new = await backend.surprise(name, [CAT, ORCHID])
        assert await backend.stats(name) == before
        assert known.score < new.score

    async def test_a_repeated_request_id_gets_its_first_answer_and_learns_once(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        first = await self.learn(backend, name, CAT, request_id="once")
        again = await self.learn(backend, name, CAT, request_id="once")
        assert (first.is_replayed_answer, again.is_replayed_answer) == (False, True)
        assert again.outcomes == first.outcomes
        assert (await backend.stats(name)).observation_count == 1

    async def test_a_request_id_with_other_content_is_a_conflict(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, request_id="once")
        with pytest.raises(Conflict) as raised:
            await self.learn(backend, name, SHIP, request_id="once")
        assert raised.value.code == "IDEMPOTENCY_MISMATCH"

    async def test_acknowledged_observations_and_answers_survive_the_loss_of_the_owner(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        first = await self.learn(backend, name, CAT, SHIP, request_id="once")
        before = await backend.stats(name)
        after_loss = await self.restart(backend)
        after = await after_loss.stats(name)
        again = await self.learn(after_loss, name, CAT, SHIP, request_id="once")
        assert (after.weight_hash, after.seq) == (before.weight_hash, before.seq)
        assert (again.outcomes, again.is_replayed_answer) == (first.outcomes, True)

    async def test_an_empty_request_is_invalid_and_an_oversized_one_too_large(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        with pytest.raises(InvalidInput):
            await backend.observe(name, [], ObserveOptions())
        with pytest.raises(TooLarge):
            await self.learn(backend, name, *["word"] * 1025)
        assert (await backend.stats(name)).seq == 0

    async def test_a_memory_with_learning_rate_zero_answers_but_never_learns(
        self, backend: MemoryBackend, config: MemoryConfig
    ) -> None:
        name = fresh_name()
        await backend.create(name, config.with_changes(learning_rate=0.0))
        with pytest.raises(ReadOnly):
            await self.learn(backend, name, CAT)
        assert (await backend.infer(name, CAT, InferOptions())).mode == "not_learned"

    async def test_restore_brings_back_the_checkpoint_and_says_what_is_lost(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        saved = await backend.checkpoint(name, Tag("v1.0"), "before the ship")
        await self.learn(backend, name, SHIP, ORCHID)
        restored = await backend.restore(name, Tag("v1.0"))
        after = await backend.stats(name)
        assert restored.observations_lost == 2
        assert saved.weight_hash == restored.weight_hash == after.weight_hash
        assert (after.observation_count, after.pattern_count) == (saved.observation_count, saved.pattern_count)
        assert after.checkpoint_tags == ("v1.0",)

    async def test_a_restore_survives_the_loss_of_the_owner(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT)
        saved = await backend.checkpoint(name, Tag("base"))
        await self.learn(backend, name, SHIP)
        await backend.restore(name, Tag("base"))
        await self.learn(backend, name, ORCHID)
        before = await backend.stats(name)
        after = await (await self.restart(backend)).stats(name)
        assert after.weight_hash == before.weight_hash != saved.weight_hash
        assert after.observation_count == 2

    async def test_continuing_after_a_restore_equals_never_having_stopped(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("base"))
        await self.learn(backend, name, SHIP, ORCHID)
        straight = await backend.stats(name)
        await backend.restore(name, Tag("base"))
        assert (await backend.stats(name)).weight_hash != straight.weight_hash
        await self.learn(backend, name, SHIP, ORCHID)
        assert (await backend.stats(name)).weight_hash == straight.weight_hash

    async def test_rollback_goes_back_to_any_position_of_the_journal(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        earlier = await backend.stats(name)
        await self.learn(backend, name, SHIP)
        later = await backend.stats(name)
        back = await backend.rollback(name, Seq(earlier.seq))
        assert (back.seq, back.observations_lost, back.weight_hash) == (earlier.seq, 1, earlier.weight_hash)
        await self.learn(backend, name, SHIP)
        again = await (await self.restart(backend)).stats(name)
        assert (again.weight_hash, again.seq) == (later.weight_hash, later.seq)

    async def test_a_position_that_never_was_is_invalid(self, backend: MemoryBackend, name: MemoryName) -> None:
        with pytest.raises(InvalidInput):
            await backend.rollback(name, Seq(1))

    async def test_what_the_step_rule_gathered_may_stay_out(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT)
        whole = await backend.checkpoint(name, Tag("whole"))
        light = await backend.checkpoint(name, Tag("light"), include_momentum=False)
        assert (whole.has_momentum, light.has_momentum) == (True, False)
        assert whole.weight_hash != light.weight_hash
        assert (await backend.stats(name)).weight_hash == whole.weight_hash
        for tag in ("light", "whole"):
            restored = await backend.restore(name, Tag(tag), restore_momentum=False)
            assert restored.weight_hash == light.weight_hash
        answer = await backend.infer(name, CAT, InferOptions())
        assert answer.mode != "not_learned"

    async def test_a_tag_is_published_once(self, backend: MemoryBackend, name: MemoryName) -> None:
        await backend.checkpoint(name, Tag("v1"))
        with pytest.raises(Conflict) as raised:
            await backend.checkpoint(name, Tag("v1"))
        assert raised.value.code == "CHECKPOINT_EXISTS"

    async def test_an_unknown_tag_is_not_found(self, backend: MemoryBackend, name: MemoryName) -> None:
        for call in (backend.restore(name, Tag("never")), backend.fork(name, Tag("never"), fresh_name())):
            with pytest.raises(NotFound) as raised:
                await call
            assert raised.value.code == "CHECKPOINT_NOT_FOUND"

    async def test_checkpoints_are_listed_newest_first_in_pages(self, backend: MemoryBackend, name: MemoryName) -> None:
        for tag, text in (("v1", CAT), ("pre-trip", SHIP), ("v2", ORCHID), ("v3", "Glass is made of sand.")):
            await self.learn(backend, name, text)
            await backend.checkpoint(name, Tag(tag))
        page = await backend.list_checkpoints(name, limit=3)
        rest = await backend.list_checkpoints(name, limit=3, cursor=page.next_cursor)
        versions = await backend.list_checkpoints(name, prefix="v")
        assert [item.tag for item in (*page.checkpoints, *rest.checkpoints)] == ["v3", "v2", "pre-trip", "v1"]
        assert rest.next_cursor is None
        assert [item.tag for item in versions.checkpoints] == ["v3", "v2", "v1"]

    async def test_a_fork_begins_where_its_parent_was_and_lives_its_own_life(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        saved = await backend.checkpoint(name, Tag("v1"))
        child = fresh_name("child")
        forked = await backend.fork(name, Tag("v1"), child)
        assert (forked.parent, forked.parent_tag, forked.weight_hash) == (name, "v1", saved.weight_hash)
        assert (await backend.stats(child)).weight_hash == saved.weight_hash
        await self.learn(backend, child, SHIP)
        assert (await backend.stats(name)).weight_hash == saved.weight_hash
        assert (await backend.stats(child)).parent == f"{name}@v1"
        await backend.delete(name)
        assert (await backend.stats(child)).observation_count == 2

    async def test_a_fork_onto_a_taken_name_is_a_conflict(self, backend: MemoryBackend, name: MemoryName) -> None:
        await backend.checkpoint(name, Tag("v1"))
        with pytest.raises(Conflict):
            await backend.fork(name, Tag("v1"), name)

    async def test_consolidation_keeps_what_was_learned_and_survives_the_loss_of_the_owner(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP, ORCHID)
        told: list[tuple[float, str]] = []
        result = await backend.consolidate(
            name, steps=2, ewc_lambda=0.1, on_progress=lambda fraction, phase: told.append((fraction, phase))
        )
        assert told[-1] == (1.0, "done")
        assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
        before = await backend.stats(name)
        after_loss = await self.restart(backend)
        assert (result.held_out, result.stability_score, result.stability_after) == (1, 1.0, 1.0)
        assert (await after_loss.stats(name)).weight_hash == before.weight_hash
        assert before.observation_count == 3

    async def test_a_forgotten_subject_is_gone_also_after_the_loss_of_the_owner_and_the_receipt_says_who_keeps_it(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP)
        await backend.checkpoint(name, Tag("with-it"))
        await self.learn(backend, name, ORCHID)
        told = await backend.forget(name, ForgetSelection(subject="Captain Okafor"), is_dry_run=True)
        assert [item.text for item in told.exemplars] == [SHIP]
        receipt = await backend.forget(name, ForgetSelection(subject="Captain Okafor"))
        assert (receipt.exemplars_removed, receipt.recall_before, receipt.recall_after) == (1, 1.0, 0.0)
        assert receipt.checkpoints_holding == ("with-it",)
        after_loss = await self.restart(backend)
        answer = await after_loss.infer(name, SHIP, InferOptions(pattern_limit=10))
        known = {item.text for match in answer.patterns for item in match.exemplars}
        assert known == {CAT, ORCHID}

    async def test_forgetting_without_saying_what_is_invalid(self, backend: MemoryBackend, name: MemoryName) -> None:
        with pytest.raises(InvalidInput):
            await backend.forget(name, ForgetSelection())

    async def test_a_memory_told_anew_through_an_encoder_knows_the_same_texts_in_order(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        told = [
            Observation(text=CAT, domain="home", session="s", occurred_at="2026-01-01", metadata={"page": 1}),
            Observation(text=SHIP, session="s"),
        ]
        await backend.observe(name, told, ObserveOptions())
        new_name = fresh_name("anew")
        result = await backend.re_encode(name, EncoderId("hash"), new_name)
        assert (result.source, result.encoder, result.observation_count) == (name, "hash", 2)
        answer = await backend.infer(new_name, CAT, InferOptions(domain="home"))
        assert [(item.text, item.seq, item.metadata) for item in answer.patterns[0].exemplars] == [
            (CAT, 1, {"page": 1})
        ]
        assert (await backend.stats(name)).weight_hash == result.weight_hash
        with pytest.raises(Conflict):
            await backend.re_encode(name, EncoderId("hash"), new_name)

    async def test_a_deleted_name_can_be_taken_anew_without_its_past(
        self, backend: MemoryBackend, name: MemoryName, config: MemoryConfig
    ) -> None:
        await self.learn(backend, name, CAT, request_id="once")
        await backend.checkpoint(name, Tag("v1"))
        await backend.delete(name)
        with pytest.raises(NotFound):
            await backend.stats(name)
        await backend.create(name, config)
        stats = await backend.stats(name)
        assert (stats.observation_count, stats.checkpoint_tags) == (0, ())
        assert not (await self.learn(backend, name, CAT, request_id="once")).is_replayed_answer

    async def test_memories_are_listed_in_name_order_in_pages(
        self, backend: MemoryBackend, config: MemoryConfig
    ) -> None:
        stem = fresh_name("page")
        names = [MemoryName(f"{stem}{end}") for end in ("", "-a", ".b", "0", "z")]
        for name in reversed(names):
            await backend.create(name, config)
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await backend.list_memories(limit=2, cursor=cursor)
            assert len(page.memories) <= 2
            seen += [info.name for info in page.memories]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == sorted(set(seen))
        assert set(names) <= set(seen)

    async def test_a_caller_that_goes_away_leaves_a_whole_memory(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        gone = asyncio.ensure_future(self.learn(backend, name, CAT, request_id="left"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await self.learn(backend, name, CAT, request_id="left")
        await self.learn(backend, name, SHIP)
        assert (await backend.stats(name)).observation_count == 2
