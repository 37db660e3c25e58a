"""A job teaches every row once, in order, whatever ends it on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import Conflict, Fenced, InvalidInput, NotFound
from memory_core.ids import MemoryName
from memory_core.jobs.plan import JobId, Reading
from memory_core.jobs.progress import JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.jobs.run import Stream, run_job
from memory_core.local_backend import LocalBackend
from memory_core.results import Observation, ObserveOptions, ObserveResult
from memory_core.storage.object_store import ObjectStore
from memory_core.testing.faulty_store import FaultyStore, failing
from tests.unit.jobs.conftest import SENTENCES, Corpus, Died, ending


class Recorded(LocalBackend):
    """Writes down what was learned, and dies behind or before a chosen request."""

    learned: list[Observation]
    dies_after: int | None = None
    dies_before: int | None = None

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        if self.dies_before == len(self.learned):
            raise Died
        result = await super().observe(name, observations, options)
        if not result.is_replayed_answer:
            self.learned.extend(observations)
        if self.dies_after is not None and len(self.learned) >= self.dies_after:
            raise Died
        return result


class Runs:
    """Runs of jobs over one volume, with all that was learned by them."""

    def __init__(self, store: ObjectStore, shelf: JobShelf, stream: Stream) -> None:
        self.store, self.shelf, self.stream = store, shelf, stream
        self.learned: list[Observation] = []

    def run(self, job: str = "job", stream: Stream | None = None, **died: Any) -> JobInfo:
        def opened(keys: EncoderPool) -> LocalBackend:
            backend = Recorded(self.store, keys)
            backend.learned = self.learned
            for name, value in died.items():
                setattr(backend, name, value)
            return backend

        return asyncio.run(run_job(self.shelf, JobId(job), opened, stream or self.stream, patience_s=1.0))

    def count(self, name: str = "team") -> int:
        async def counted() -> int:
            backend = LocalBackend(self.store, NoKeys())
            try:
                return (await backend.stats(MemoryName(name))).observation_count
            finally:
                await backend.close()

        return asyncio.run(counted())


class NoKeys:
    """EncoderPool of whoever only looks."""

    async def describe(self, encoder: Any) -> Any:
        from memory_core.encoding.encoder import EncoderInfo
        from memory_core.encoding.hash_encoder import HashEncoder

        known = HashEncoder()
        return EncoderInfo(encoder_id=encoder, fingerprint=known.fingerprint, key_dim=known.key_dim)

    async def encode(self, encoder: Any, texts: Sequence[str]) -> Any:
        raise AssertionError("nothing is encoded")


@pytest.fixture
def runs(store: ObjectStore, shelf: JobShelf, stream: Stream) -> Runs:
    return Runs(store, shelf, stream)


def texts(learned: Sequence[Observation]) -> list[str]:
    return [one.text for one in learned]


def test_every_row_is_taught_once_and_in_order(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": text, "s": "x"} for text in SENTENCES[:70]])
    corpus.write("b.jsonl", [{"text": text, "s": "y"} for text in SENTENCES[70:]])
    runs.shelf.accept(corpus.plan(reading=Reading(session="s"), domain="tea"))
    info = runs.run()
    assert (info.status, info.items, info.learned, info.rejected, info.fraction) == ("succeeded", 100, 100, 0, 1.0)
    assert texts(runs.learned) == list(SENTENCES)
    assert {(one.session, one.domain) for one in runs.learned} == {("x", "tea"), ("y", "tea")}
    assert runs.count() == 100
    assert runs.run() == info  # it is over, and stays so


@pytest.mark.parametrize("seed", range(4))
def test_a_job_that_dies_anywhere_goes_on_exactly_where_it_was(corpus: Corpus, runs: Runs, seed: int) -> None:
    draw = random.Random(seed)
    corpus.write("a.jsonl", [{"text": text, "m": draw.choice(["one", "two"])} for text in SENTENCES])
    plan = corpus.plan(reading=Reading(memory="m"), min_surprise=draw.choice([None, 0.05]), window_items=24)
    runs.shelf.accept(plan)
    for _ in range(4):
        with suppress(BaseExceptionGroup, Died):
            if draw.random() < 0.3:
                runs.run(stream=ending(runs.stream, draw.choice([0, 1])))
            else:
                runs.run(**{draw.choice(["dies_after", "dies_before"]): len(runs.learned) + draw.choice([0, 1, 16])})
    info = runs.run()
    assert info.status == "succeeded"
    assert info.learned + info.skipped == 100
    assert sorted(texts(runs.learned)) == sorted(set(texts(runs.learned)))
    # A request that was cut off while it was learned is in the memory, and not in this list.
    assert runs.count("one") + runs.count("two") == info.learned >= len(runs.learned)
    assert plan.min_surprise is not None or info.learned == 100
    order = {text: place for place, text in enumerate(SENTENCES)}
    for memory in ("one", "two"):
        places = [order[one.text] for one in runs.learned if f'"m": "{memory}"' in _line(corpus, one.text)]
        assert places == sorted(places)


def _line(corpus: Corpus, text: str) -> str:
    return next(line for line in (corpus.folder / "a.jsonl").read_text().splitlines() if f'"{text}"' in line)


def test_bad_rows_are_counted_and_kept_with_line_and_reason(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": "A fact."}, "no json", {"text": ""}, {"text": "Another."}])
    runs.shelf.accept(corpus.plan())
    info = runs.run()
    assert (info.status, info.items, info.learned, info.rejected) == ("succeeded", 4, 2, 2)
    kept = b"".join(runs.shelf.rejects(JobId("job"))).decode().splitlines()
    assert [line.split('"line": ')[1] for line in kept] == [
        '2, "reason": "the line is not JSON"}',
        '3, "reason": "the text is empty"}',
    ]
    assert [failure.line for failure in info.failures] == [2, 3]


def test_too_many_bad_rows_end_a_job_that_can_be_resumed(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": SENTENCES[0]}, *["no json"] * 40, *({"text": text} for text in SENTENCES[1:])])
    runs.shelf.accept(corpus.plan(max_errors=5))
    info = runs.run()
    assert info.status == "failed"
    assert info.error is not None
    assert info.error.startswith("TOO_MANY_ERRORS: 31 rows were rejected")
    assert runs.count() == 1
    again = runs.run()
    assert again.error is not None
    assert again.error.startswith("TOO_MANY_ERRORS: 9 rows were rejected")
    info = runs.run()
    assert (info.status, info.rejected, info.learned) == ("succeeded", 40, len(SENTENCES))
    assert runs.count() == len(SENTENCES)


def test_the_gate_skips_what_is_known_and_says_how_much(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in (*SENTENCES[:40], *SENTENCES[:40], SENTENCES[0].upper())])
    runs.shelf.accept(corpus.plan(min_surprise=0.05))
    info = runs.run()
    assert (info.status, info.items, info.skipped + info.learned) == ("succeeded", 81, 81)
    assert info.skipped >= 40
    assert runs.count() == info.learned == len(runs.learned)


def test_rows_of_memories_that_cannot_be_taught_are_rejected_alone(corpus: Corpus, runs: Runs) -> None:
    names = ["one", "not allowed", "other", "one"]
    corpus.write("a.jsonl", [{"text": SENTENCES[row], "m": name} for row, name in enumerate(names)])
    runs.shelf.accept(corpus.plan(reading=Reading(memory="m"), globs=("on*",)))
    info = runs.run()
    assert (info.learned, info.rejected) == (2, 2)
    assert [failure.line for failure in info.failures] == [2, 3]
    corpus.write("a.jsonl", [{"text": SENTENCES[0], "m": "missing"}])
    runs.shelf.accept(corpus.plan(reading=Reading(memory="m"), config=None, job_id=JobId("second")))
    assert runs.run("second").failures[0].reason == "There is no memory named missing."


def test_a_memory_that_is_missing_ends_a_job_that_is_for_it_alone(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": SENTENCES[0]}])
    runs.shelf.accept(corpus.plan(config=None))
    info = runs.run()
    assert (info.status, info.items) == ("failed", 0)
    assert info.error == "MEMORY_NOT_FOUND: There is no memory named team."


def test_a_cancelled_job_stops_and_can_go_on(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    runs.shelf.accept(corpus.plan())
    runs.shelf.cancel(JobId("job"))
    assert runs.shelf.info(JobId("job")).status == "cancelled"
    assert runs.run().status == "succeeded"
    assert runs.count() == 100


def test_a_job_that_is_cancelled_at_work_keeps_what_it_taught(
    corpus: Corpus, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_core.jobs.keeper._LOOK_EVERY_S", 0.01)
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    runs.shelf.accept(corpus.plan(window_items=16))
    # What waits here is the thread of the rows: the job looks for its cancellation meanwhile.
    never = Event()

    def cancelled_at_work(plan: Any, position: Any) -> Any:
        for number, piece in enumerate(runs.stream(plan, position)):
            if number == 2:
                runs.shelf.cancel(JobId("job"))
            if number >= 2:
                never.wait(0.5)
            yield piece

    info = runs.run(stream=cancelled_at_work)
    assert (info.status, info.hint) == ("cancelled", "Resume it to go on.")
    assert info.learned == runs.count() == len(runs.learned) >= 32
    assert runs.run().status == "succeeded"
    assert texts(runs.learned) == list(SENTENCES)


def test_of_two_processes_with_one_job_the_earlier_one_ends(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    runs.shelf.accept(corpus.plan(window_items=16))

    def taken_over(plan: Any, position: Any) -> Any:
        for number, piece in enumerate(runs.stream(plan, position)):
            if number == 2:
                assert runs.run().status == "succeeded"
            yield piece

    with pytest.raises(Fenced):
        runs.run(stream=taken_over)
    assert runs.shelf.info(JobId("job")).learned == 100
    assert texts(runs.learned) == list(SENTENCES)


def test_an_id_that_means_another_job_is_refused(corpus: Corpus, shelf: JobShelf) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    kept = shelf.accept(corpus.plan(created_at="then"))
    assert shelf.accept(corpus.plan(created_at="now")) == kept
    with pytest.raises(Conflict):
        shelf.accept(corpus.plan(domain="other"))
    with pytest.raises(NotFound):
        shelf.plan(JobId("unknown"))


def test_a_plan_must_name_what_it_teaches_once(corpus: Corpus) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    with pytest.raises(InvalidInput):
        corpus.plan(memory=None)


def test_jobs_are_listed_newest_first_in_pages(corpus: Corpus, shelf: JobShelf) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    for number in range(5):
        shelf.accept(corpus.plan(job_id=JobId(f"job-{number}")))
    page = shelf.list_jobs(limit=3)
    assert [info.job for info in page.jobs] == ["job-4", "job-3", "job-2"]
    assert [info.job for info in shelf.list_jobs(3, page.next_cursor).jobs] == ["job-1", "job-0"]


def test_a_volume_that_fails_ends_the_job_with_its_name_and_it_goes_on_later(corpus: Corpus, runs: Runs) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    runs.shelf.accept(corpus.plan())
    sound = runs.shelf
    runs.shelf = JobShelf(FaultyStore(runs.store, failing("put", "jobs/rejects", times=9)))
    assert runs.run().status == "succeeded"  # nothing was rejected
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES] + ["no json"])
    sound.accept(corpus.plan(job_id=JobId("second")))
    info = runs.run("second")
    assert info.status == "failed"
    assert info.error is not None
    assert info.error.startswith("STORAGE_UNAVAILABLE")
    runs.shelf = sound
    assert runs.run("second").status == "succeeded"
    assert len(runs.learned) == 200
