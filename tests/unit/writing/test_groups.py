"""A group is learned together, answered one by one, and replayed to the same bits."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from memory_core import engine
from memory_core.durability import Durability
from memory_core.errors import InvalidInput, LearningFailed, NeuralMemoryError, Saturated, Unavailable
from memory_core.group_commit import Waiting
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.learner import BATCH_OBSERVATIONS
from memory_core.observe_request import accept_observe
from memory_core.results import ObserveOptions
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings
from tests.unit.writing.conftest import NAME

OpenWriter = Callable[..., MemoryWriter]


def commit(writer: MemoryWriter, *requests: Sequence[str], rates: dict[str, float] | None = None) -> list[Any]:
    """Commit requests, each with its first text as its id, as one group."""
    group: list[Any] = []
    for texts in requests:
        options = ObserveOptions(request_id=RequestId(texts[0]), learning_rate=(rates or {}).get(texts[0]))
        group.append(Waiting(accept_observe(writer.config, tiny_observations(*texts), options)))
    writer._commit(group)
    return group


def hash_of(writer: MemoryWriter) -> str:
    return writer._memory.state.weight_hash()


class Batches:
    """Sees how many observations are learned at once; ``breaks`` may raise instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.breaks: Callable[[list[str]], bool] = lambda texts: False
        self._observe = engine.observe
        monkeypatch.setattr(engine, "observe", self)

    def __call__(self, state: Any, batch: Any, **options: Any) -> Any:
        self.sizes.append(len(batch))
        result = self._observe(state, batch, **options)
        if self.breaks([item.observation.text for item in batch]):
            raise RuntimeError("a bug, after the state was changed")
        return result


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Batches:
    return Batches(monkeypatch)


def test_a_group_is_learned_at_once_and_each_request_gets_its_own_answer(
    open_writer: OpenWriter, batches: Batches
) -> None:
    writer = open_writer()
    commit(writer, ["before"])
    first, second, third = (item.result() for item in commit(writer, ["a", "b"], ["c"], ["d", "e", "f"]))
    assert batches.sizes == [1, 6]
    assert [[outcome.seq for outcome in item.outcomes] for item in (first, second, third)] == [[2, 3], [4], [5, 6, 7]]
    assert [item.observation_count for item in (first, second, third)] == [3, 4, 7]
    before = hash_of(writer)
    reopened = open_writer()
    assert batches.sizes == [1, 6, 1, 6]
    assert hash_of(reopened) == before
    (again,) = commit(reopened, ["c"])
    assert again.result().is_replayed_answer
    assert (again.result().outcomes, again.result().observation_count) == (second.outcomes, 4)


def test_other_learning_rates_and_large_requests_are_learned_apart(open_writer: OpenWriter, batches: Batches) -> None:
    writer = open_writer()
    commit(writer, ["a"], ["b"], ["slow 1"], ["slow 2"], ["c"], rates={"slow 1": 0.5, "slow 2": 0.5})
    assert batches.sizes == [2, 2, 1]
    commit(writer, [f"x {number}" for number in range(BATCH_OBSERVATIONS)], ["y"], ["z"])
    assert batches.sizes[3:] == [BATCH_OBSERVATIONS, 2]
    before = hash_of(writer)
    assert hash_of(open_writer()) == before


def test_who_fits_into_a_full_memory_is_learned_although_the_group_does_not_fit(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    Volume(store).delete(NAME)
    Volume(store).create(NAME, tiny_config(units=3, saturation="refuse"))
    writer = open_writer()
    first, second, third = commit(writer, ["a", "b"], ["c", "d"], ["e"])
    assert first.result().observation_count == 2
    with pytest.raises(Saturated):
        second.result()
    assert third.result().observation_count == 3
    before = hash_of(writer)
    reopened = open_writer()
    assert hash_of(reopened) == before
    assert reopened.stats().observation_count == 3


def test_a_record_that_breaks_learning_takes_none_of_its_group_along(open_writer: OpenWriter, batches: Batches) -> None:
    batches.breaks = lambda texts: "poison" in texts
    writer = open_writer()
    commit(writer, ["before"])
    first, poison, last = commit(writer, ["a"], ["poison"], ["b"])
    with pytest.raises(LearningFailed):
        poison.result()
    for innocent in (first, last):
        with pytest.raises(Unavailable):
            innocent.result()
    assert not writer.is_usable
    reopened = open_writer()
    for name in ("a", "b"):
        (again,) = commit(reopened, [name])
        assert again.result().is_replayed_answer
    before = hash_of(reopened)
    batches.breaks = lambda texts: False
    third = open_writer()
    assert third.stats().observation_count == 3
    assert hash_of(third) == before


@pytest.mark.parametrize("crashes_first", [False, True])
def test_a_group_that_only_breaks_together_is_learned_one_by_one_for_ever(
    open_writer: OpenWriter, batches: Batches, crashes_first: bool
) -> None:
    writer = open_writer()
    if crashes_first:
        # The process dies with the group durable and not yet learned: the next one is the first to learn it.
        writer._memory.files.append([item.request.to_record(seq) for item, seq in _waiting(writer, "a", "b")])
        batches.breaks = lambda texts: len(texts) > 1
        writer = open_writer()
    else:
        batches.breaks = lambda texts: len(texts) > 1
        answers = commit(writer, ["a"], ["b"])
        assert [item.result().observation_count for item in answers] == [1, 2]
        assert writer.is_usable
    commit(writer, ["c"])
    before = hash_of(writer)
    batches.breaks = lambda texts: False
    for _ in range(2):
        reopened = open_writer()
        assert reopened.stats().observation_count == 3
        assert hash_of(reopened) == before


def _waiting(writer: MemoryWriter, *texts: str) -> list[tuple[Any, Any]]:
    options = ObserveOptions()
    accepted = [Waiting(accept_observe(writer.config, tiny_observations(text), options)) for text in texts]
    return list(zip(accepted, range(1, len(accepted) + 1), strict=True))


@pytest.mark.parametrize(
    ("text", "group_max", "delay_s"),
    [("sync", 1, 0.0), ("group", 256, 0.005), ("group(20)", 256, 0.02), ("group(2.5ms)", 256, 0.0025)],
)
def test_durability_is_said_in_one_word(text: str, group_max: int, delay_s: float) -> None:
    durability = Durability.parse(text)
    assert (durability.group_max, durability.delay_s("memory://any")) == (group_max, delay_s)


def test_a_group_waits_longer_where_a_sync_takes_longer() -> None:
    assert Durability().delay_s("s3://bucket/volume") == 0.05


@pytest.mark.parametrize("text", ["", "fsync", "group()", "group(-1)", "group(1001)", "sync(3)"])
def test_an_unknown_durability_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Durability.parse(text)
    assert isinstance(raised.value, NeuralMemoryError)


@pytest.mark.parametrize(("asked", "found"), [(None, "group(7)"), ("sync", "sync"), ("group(2)", "group(2)")])
def test_a_memory_may_say_itself_how_durable_it_is(asked: str | None, found: str) -> None:
    volume = Volume(RamStore(uuid.uuid4().hex), WriterSettings(durability=Durability.parse("group(7)")))
    volume.create(NAME, tiny_config(durability=asked))
    writer = volume.open_writer(NAME)
    assert writer.stats().durability == found
    assert writer._groups._group_max == (1 if found == "sync" else 256)
    writer.checkpoint(Tag("v1"))
    writer.fork(Tag("v1"), MemoryName("child"))
    assert volume.open_writer(MemoryName("child")).stats().durability == found


@pytest.mark.parametrize("bad", ["", "fast", "group(-1)", "group(5000)", 5])
def test_a_durability_that_means_nothing_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidInput):
        tiny_config(durability=bad)
