"""The table of first answers."""

from memory_core.errors import Saturated
from memory_core.ids import PatternId, RequestId, Seq
from memory_core.lifecycle.answers import Answer, AnswerTable, Refusal
from memory_core.results import ObserveOutcome


def answer(digest: str, outcomes: int = 1, refusal: Refusal | None = None) -> Answer:
    outcome = ObserveOutcome(
        seq=Seq(1), surprise=0.1 + 0.2, weight_delta=1 / 3, learned=True, patterns_activated=(PatternId(4),)
    )
    return Answer(
        digest=digest, outcomes=(outcome,) * outcomes, capacity_used=0.1, observation_count=3, refusal=refusal
    )


def test_a_first_answer_stays() -> None:
    table = AnswerTable()
    table.remember(RequestId("a"), answer("first"))
    table.remember(RequestId("a"), answer("second"))
    found = table.find(RequestId("a"))
    assert found is not None
    assert found.digest == "first"
    assert table.find(RequestId("b")) is None


def test_the_oldest_answers_go_when_there_are_too_many_requests() -> None:
    table = AnswerTable(requests_max=3)
    for name in "abcd":
        table.remember(RequestId(name), answer(name))
    assert table.find(RequestId("a")) is None
    assert len(table) == 3


def test_the_oldest_answers_go_when_there_are_too_many_outcomes() -> None:
    table = AnswerTable(outcomes_max=10)
    table.remember(RequestId("a"), answer("a", outcomes=6))
    table.remember(RequestId("b"), answer("b", outcomes=6))
    table.remember(RequestId("c"), answer("c", outcomes=100))
    assert [table.find(RequestId(name)) is None for name in "abc"] == [True, True, False]


def test_a_stored_table_comes_back_bit_by_bit_and_in_order() -> None:
    table = AnswerTable()
    refusal = Refusal.of(Saturated("Full.", hint="Merge."))
    for name in "ab":
        table.remember(RequestId(name), answer(name, refusal=refusal if name == "b" else None))
    read = AnswerTable.from_json(table.to_json())
    assert read.to_json() == table.to_json()
    assert read.find(RequestId("a")) == table.find(RequestId("a"))


def test_a_remembered_refusal_is_the_same_error_again() -> None:
    error = Refusal.of(Saturated("Full.", hint="Merge.")).to_error()
    assert (type(error), error.code, error.message, error.hint) == (Saturated, "MEMORY_SATURATED", "Full.", "Merge.")
